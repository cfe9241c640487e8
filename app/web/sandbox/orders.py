"""What the sandbox's EHR can order, and the demo calls that the rules' own scenarios make."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from app.crd.chart import Resource
from app.crd.gather import RECORD_PREFETCH
from app.crd.shorthand import concept_of, hook_request, record_entry, word_concept
from app.errors import InvalidRequest
from app.fhir import codings
from app.members.roster import Roster
from app.rulebook.rulebook import Rulebook
from app.rulebook.scenarios import Scenario
from app.web.sandbox.records import PHARMACIES, SITES, patients


@cache
def menu() -> dict[str, dict[str, Any]]:
    """The orders as orders.yaml has them, by id."""
    text = (Path(__file__).parent / "orders.yaml").read_text(encoding="utf-8")
    return {each["id"]: each for each in yaml.safe_load(text)["orders"]}


def draft(asked: Mapping[str, Any], rulebook: Rulebook, today: date, new_id: str) -> Resource:
    """A draft order: `order` of the menu for `patient`, `route`, `site` and `pharmacy` "" when not said."""
    order, patient = menu().get(str(asked.get("order"))), patients().get(str(asked.get("patient")))
    if order is None or patient is None:
        raise InvalidRequest("Name an order and a patient of the sandbox.", element="order", code="value")
    route, site, pharmacy = (str(asked.get(name) or "") for name in ("route", "site", "pharmacy"))
    for name, value, known in (("route", route, order.get("routes", ())), ("site", site, SITES)):
        if value and value not in known:
            raise InvalidRequest(f"This {name} is not offered here.", element=name, code="value")
    if pharmacy and pharmacy not in PHARMACIES:
        raise InvalidRequest("This pharmacy is not offered here.", element="pharmacy", code="value")
    kind, about = order["type"], {"reference": f"Patient/{patient['id']}"}
    concept = concept_of(order["codes"], order["title"])
    resource: Resource = {"resourceType": kind, "id": new_id, "status": "draft", "intent": "original-order"}
    if kind == "NutritionOrder":
        resource |= {
            "enteralFormula": {"baseFormulaType": concept},
            "patient": about,
            "dateTime": today.isoformat(),
            "orderer": _REQUESTER,
        }
    else:
        resource |= {
            _CODE.get(kind, "code"): concept,
            "subject": about,
            "authoredOn": today.isoformat(),
            "requester": _REQUESTER,
        }
    resource["encounter"] = {"reference": f"Encounter/{patient['id']}-visit"}
    if "reason" in order:
        resource["reasonCode"] = [concept_of([order["reason"]])]
    if route:
        words = word_concept(rulebook.crosswalks.routes, route)
        resource["dosageInstruction"] = [{"route": {**words, "text": route}}]
    if site and kind == "ServiceRequest":
        resource["locationCode"] = [{"coding": [{"system": codings.PLACE_OF_SERVICE, "code": site}]}]
    elif site and kind != "NutritionOrder":
        resource["performer"] = {"reference": f"PractitionerRole/performer-{site}"}
    if pharmacy and kind == "MedicationRequest":
        resource["dispenseRequest"] = {"performer": {"reference": f"Organization/pharmacy-{pharmacy}"}}
    return resource


_CODE = {"MedicationRequest": "medicationCodeableConcept", "DeviceRequest": "codeCodeableConcept"}
_REQUESTER = {"reference": "PractitionerRole/dr1-role"}


def unlike(scenario: Scenario) -> str | None:
    """Why a scenario is answered otherwise as a call of today's than its file says; None where it is not."""
    if scenario.forms:
        return "In the scenario a form came back before. Here nobody has sent it yet, so the answer asks for it."
    if scenario.member == "unknown":
        return "In the scenario the payer does not know the member. The sandbox believes every Coverage, so it answers."
    if scenario.request is not None and scenario.record:
        return "In the scenario an EHR has more on record than the request brings. That EHR is not here to be asked."
    return None


def demo_call(scenario: Scenario, rulebook: Rulebook, roster: Roster, today: date) -> Resource:
    """A scenario as a call of today's. Person and record are in the prefetch, as old as they were on its day.

    The member it describes becomes a Coverage that says line and plan. Flags such as `esrd` only the payer's own file
    can say, so one of whom it says them stands in. Forms that came back before are not part of it.
    """
    call = hook_request(scenario, rulebook)
    aged = today - date.fromisoformat(scenario.on)
    prefetch: dict[str, Any] = call["prefetch"]
    # A Coverage of its own: what was promised for another scenario's order must not stand for this one's.
    prefetch["coverage"]["entry"][0]["resource"]["id"] = f"scenario-{scenario.id}"
    for kind, name in RECORD_PREFETCH.items():
        entries = scenario.record.get(kind, [])
        if isinstance(entries, str):
            prefetch[name] = {
                "resourceType": "OperationOutcome",
                "issue": [{"severity": "error", "code": "timeout", "diagnostics": "The record could not be read."}],
            }
        else:
            found = [record_entry(kind, _aged(entry, aged), position) for position, entry in enumerate(entries)]
            entry = [{"resource": resource} for resource in found]
            prefetch[name] = {"resourceType": "Bundle", "type": "searchset", "total": len(entry), "entry": entry}
    if isinstance(scenario.member, dict):
        _describe(prefetch, scenario.member, rulebook)
        if "birthDate" in prefetch["patient"]:
            prefetch["patient"]["birthDate"] = _later(prefetch["patient"]["birthDate"], aged)
        line, plan = scenario.member.get("line"), scenario.member.get("plan")
        flags = scenario.member.get("flags", {})
        stand_in = roster.alike(line, plan, flags, today) if flags else None
        if stand_in is not None:
            prefetch["coverage"]["entry"][0]["resource"]["subscriberId"] = stand_in.member_id
            prefetch["patient"]["birthDate"] = stand_in.birth_date
    return call


def _aged(entry: str | Mapping[str, Any], by: timedelta) -> str | Mapping[str, Any]:
    if isinstance(entry, str) or "date" not in entry:
        return entry
    return {**entry, "date": _later(entry["date"], by)}


def _later(day: object, by: timedelta) -> str:
    return (date.fromisoformat(str(day)) + by).isoformat()


def _describe(prefetch: dict[str, Any], member: Mapping[str, Any], rulebook: Rulebook) -> None:
    """Say on the Coverage and the Patient what the scenario says of its member."""
    coverage = prefetch["coverage"]["entry"][0]["resource"]
    # `11*` stands for every code that begins so, 11 among them.
    of_line = [code.rstrip("*") for code, line in rulebook.payer.coverage_types if line == member.get("line")]
    if of_line:
        system = _PAYMENT_TYPES if of_line[0].isdigit() else f"{_TERMINOLOGY}/v3-ActCode"
        coverage["type"] = {"coding": [{"system": system, "code": of_line[0]}]}
    kinds = [(name, member[name]) for name in ("plan", "group") if member.get(name)]
    coverage["class"] = [
        {"type": {"coding": [{"system": f"{_TERMINOLOGY}/coverage-class", "code": name}]}, "value": value}
        for name, value in kinds
    ]
    if member.get("state"):
        prefetch["patient"]["address"] = [{"state": member["state"]}]


_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
_PAYMENT_TYPES = "https://nahdo.org/sopt"
