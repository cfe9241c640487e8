"""Running a scenario: its shorthand becomes a real hook request, and takes the way every request takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from app.crd import cards
from app.crd.chart import Chart, Resource
from app.crd.determination import Determination
from app.crd.determine import determine
from app.crd.gather import RECORD_TYPES, Kept
from app.crd.order_content import ORDER_TYPES
from app.crd.respond import finished
from app.fhir import codings
from app.fhir.json import encode
from app.hooks.configuration import Configuration
from app.hooks.request import parse_request
from app.members import Grants, Member, MemberDirectory, MemberMatch
from app.members.roster import Roster
from app.rulebook.codes import as_coding, parse_code
from app.rulebook.rulebook import Rulebook
from app.rulebook.scenarios import Scenario

_DISPENSERS = {
    "retail": "3336C0003X",
    "specialty": "3336S0011X",
    "home-infusion": "3336H0001X",
    "facility": "261QI0500X",
}
_COVERAGE = {
    "resourceType": "Coverage",
    "id": "coverage",
    "status": "active",
    "beneficiary": {"reference": "Patient/patient"},
    "payor": [{"display": "this payer"}],
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a scenario came to. `differences` says in words where the answer is not the expected one."""

    determinations: tuple[Determination, ...]
    differences: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every expectation held."""
        return not self.differences


@dataclass(frozen=True, slots=True)
class _Described:
    """A member source with the one member the scenario describes. `start` and `end` are days, half-open."""

    member: Member
    start: str
    end: str

    def find(self, coverage: Resource, patient: Resource | None, on: date) -> MemberMatch:
        if self.start <= on.isoformat() < self.end:
            return MemberMatch("found", self.member)
        return MemberMatch("ended", self.member, "The member has no coverage in force on the day of service.")


def run(scenario: Scenario, rulebook: Rulebook, roster: Path) -> Outcome:
    """Answer the scenario's orders and compare with what it expects."""
    determinations, shown = answer(scenario, rulebook, roster)
    differences = [
        words
        for position, (expect, determination) in enumerate(zip(scenario.expect, determinations, strict=True))
        for words in _compare(expect, determination, shown[determination.order_key], _place(scenario, position))
    ]
    return Outcome(determinations, tuple(differences))


def answer(
    scenario: Scenario, rulebook: Rulebook, roster: Path
) -> tuple[tuple[Determination, ...], dict[str, list[str]]]:
    """The determinations of a scenario as they would leave, and the guidance whose cards each order gets."""
    today = date.fromisoformat(scenario.on)
    request = parse_request(
        encode(hook_request(scenario, rulebook)), scenario.hook, order_types=ORDER_TYPES, max_orders=100
    )
    chart = Chart.from_request(request)
    record = {kind: _kept(kind, scenario.record.get(kind, [])) for kind in RECORD_TYPES}
    decided = determine(
        request.orders,
        request=request,
        chart=chart,
        coverage=chart.of_type("Coverage")[0],
        directory=_directory(scenario, roster),
        rulebook=rulebook,
        read_record=lambda needs: {need.kind: record[need.kind] for need in needs},
        today=today,
    )
    shown: dict[str, list[str]] = {order.key: [] for order in request.orders}
    for each in cards.shown(decided, Configuration()):
        for facts in each.orders:
            shown[facts.order.key].append(each.guidance.scope.slug)
    return tuple(finished(each.determination, scenario.hook, today) for each in decided), shown


def hook_request(scenario: Scenario, rulebook: Rulebook) -> dict[str, Any]:
    """The CDS Hooks request of a scenario, as an EHR would send it with everything in prefetch."""
    resources: list[Resource] = []
    drafts = [_order(order, position, rulebook, resources) for position, order in enumerate(scenario.orders, start=1)]
    encounters = [order["encounter"] for order in scenario.orders if order.get("encounter", "none") != "none"]
    context: dict[str, Any] = {"userId": "Practitioner/requester", "patientId": "patient"}
    if encounters:
        context["encounterId"] = "encounter"
        system = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
        kind = {"system": system, "code": encounters[0]}
        resources.append({"resourceType": "Encounter", "id": "encounter", "status": "in-progress", "class": kind})
    context["draftOrders"] = _bundle("collection", drafts)
    if scenario.hook == "order-select":
        context["selections"] = [f"{draft['resourceType']}/{draft['id']}" for draft in drafts]
    return {
        "hook": scenario.hook,
        "hookInstance": "00000000-0000-4000-8000-000000000000",
        "context": context,
        "prefetch": {
            "patient": _patient(scenario),
            "coverage": _bundle("searchset", [_coverage(scenario)]),
            "others": _bundle("searchset", resources),
        },
        "extension": {"davinci-crd.requestedVersion": "2.2"},
    }


def without_route(scenario: Scenario) -> Scenario:
    """The same scenario with no order saying its route."""
    return replace(scenario, orders=tuple({k: v for k, v in o.items() if k != "route"} for o in scenario.orders))


def at_ingredient_level(scenario: Scenario, rulebook: Rulebook) -> Scenario:
    """The same scenario with every catalogued drug named by its ingredient only."""
    return replace(scenario, orders=tuple(_ingredient_only(order, rulebook) for order in scenario.orders))


def _ingredient_only(order: Mapping[str, Any], rulebook: Rulebook) -> Mapping[str, Any]:
    catalog = rulebook.crosswalks.catalog
    codes = [code for text in order.get("codes", ()) if (code := parse_code(text)) is not None]
    meant = catalog.candidates(codes)
    ingredients = {product.ingredient for product in meant.products}
    if not meant.known or len(ingredients) != 1 or None in ingredients:
        return order
    system, name = next(ingredient for ingredient in ingredients if ingredient is not None)
    return {**{k: v for k, v in order.items() if k != "billing_options"}, "codes": [f"{system} {name}"]}


def _bundle(kind: str, resources: list[Resource]) -> Resource:
    return {"resourceType": "Bundle", "type": kind, "entry": [{"resource": resource} for resource in resources]}


def _patient(scenario: Scenario) -> Resource:
    described = scenario.member if isinstance(scenario.member, dict) else {}
    patient: Resource = {"resourceType": "Patient", "id": "patient"}
    if "sex" in described:
        patient["gender"] = described["sex"]
    if "birth_date" in described:
        patient["birthDate"] = described["birth_date"]
    return patient


def _coverage(scenario: Scenario) -> Resource:
    named = scenario.member if isinstance(scenario.member, str) else "described"
    return {**_COVERAGE, "subscriberId": named}


def _directory(scenario: Scenario, roster: Path) -> MemberDirectory:
    described = scenario.member
    if isinstance(described, str):
        return MemberDirectory([Roster.read(roster)], Grants.read(roster.parent))
    member = Member(
        member_id="described",
        source="roster",
        line=described.get("line"),
        plan=described.get("plan"),
        group=described.get("group"),
        state=described.get("state"),
        pharmacy=described.get("pharmacy"),
        birth_date=described.get("birth_date"),
        flags=described.get("flags", {}),
    )
    return MemberDirectory([_Described(member, described.get("from", ""), described.get("to", "9999"))])


def _kept(kind: str, entries: str | list[Any]) -> Kept:
    if isinstance(entries, str):
        return Kept((), f"the patient's {kind} could not be read: the EHR did not answer")
    return Kept(tuple(_record_entry(kind, entry, position) for position, entry in enumerate(entries)))


def _record_entry(kind: str, entry: str | dict[str, Any], position: int) -> Resource:
    data: dict[str, Any] = {"code": entry} if isinstance(entry, str) else entry
    concept = _concept([data["code"]])
    resource: Resource = {"resourceType": RECORD_TYPES[kind], "id": f"{kind}-{position}"}
    if kind == "medications":
        resource |= {"status": data.get("status", "completed"), "intent": "order", "medicationCodeableConcept": concept}
        if "date" in data:
            resource["authoredOn"] = data["date"]
        return resource
    resource["code"] = concept
    active = {"conditions": "condition-clinical", "allergies": "allergyintolerance-clinical"}.get(kind)
    if active:
        system = f"http://terminology.hl7.org/CodeSystem/{active}"
        resource["clinicalStatus"] = {"coding": [{"system": system, "code": data.get("status", "active")}]}
        if "date" in data:
            resource["recordedDate"] = data["date"]
    elif kind == "observations":
        resource["status"] = data.get("status", "final")
        if "date" in data:
            resource["effectiveDateTime"] = data["date"]
        if isinstance(data.get("value"), str):
            resource["valueString"] = data["value"]
        elif "value" in data:
            unit = data.get("unit", "1")
            quantity = {"value": data["value"], "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}
            resource["valueQuantity"] = quantity
    else:
        resource["status"] = data.get("status", "completed")
        if "date" in data:
            resource["performedDateTime"] = data["date"]
    return resource


def _concept(codes: list[str], words: str | None = None) -> dict[str, Any]:
    concept: dict[str, Any] = {}
    if codes:
        concept["coding"] = [as_coding(code) for text in codes if (code := parse_code(text)) is not None]
    if words:
        concept["text"] = words
    return concept


def _order(order: Mapping[str, Any], position: int, rulebook: Rulebook, resources: list[Resource]) -> Resource:
    """One draft order in FHIR; what it points to is added to `resources`."""
    kind = order["type"]
    resource: Resource = {"resourceType": kind, "id": f"order-{position}", "status": "draft"}
    concept = _concept(order.get("codes", []), order.get("display"))
    options = [
        {"url": codings.BILLING_OPTIONS, "valueCodeableConcept": _concept([o])}
        for o in order.get("billing_options", ())
    ]
    if options:
        concept["extension"] = options
    subject = {"reference": "Patient/patient"}
    if kind == "VisionPrescription":
        resource |= {"patient": subject, "lensSpecification": [{"product": concept, "eye": "right"}]}
    elif kind == "NutritionOrder":
        resource |= {"patient": subject, "intent": "order", "enteralFormula": {"baseFormulaType": concept}}
    elif kind == "CommunicationRequest":
        content = {"url": _PAYLOAD, "valueCodeableConcept": concept}
        resource |= {"subject": subject, "payload": [{"extension": [content], "contentString": "records"}]}
    else:
        resource |= {"subject": subject, "intent": "order"}
    resource |= dict(_circumstances(order, position, rulebook, resources, concept))
    if "reasons" in order:
        resource["reasonCode"] = [_concept([reason]) for reason in order["reasons"]]
    if "service_date" in order and kind != "MedicationRequest":
        resource["occurrenceDateTime"] = order["service_date"]
    return resource


_PAYLOAD = "http://hl7.org/fhir/5.0/StructureDefinition/extension-CommunicationRequest.payload.content[x]"


def _circumstances(
    order: Mapping[str, Any], position: int, rulebook: Rulebook, resources: list[Resource], concept: dict[str, Any]
) -> Iterator[tuple[str, Any]]:
    kind = order["type"]
    if kind == "MedicationRequest":
        yield from _medication(order, position, rulebook, resources, concept)
    elif kind == "ServiceRequest":
        yield "code", concept
    elif kind == "DeviceRequest":
        yield "codeCodeableConcept", concept
    site, taxonomy = order.get("site"), order.get("performer")
    if site and kind == "ServiceRequest":
        yield "locationCode", [{"coding": [{"system": codings.PLACE_OF_SERVICE, "code": site}]}]
    if taxonomy or (site and kind != "ServiceRequest"):
        role: Resource = {"resourceType": "PractitionerRole", "id": f"performer-{position}"}
        if taxonomy:
            role["specialty"] = [{"coding": [{"system": codings.NUCC, "code": taxonomy}]}]
        if site:
            place = {"coding": [{"system": codings.PLACE_OF_SERVICE, "code": site}]}
            resources.append({"resourceType": "Location", "id": f"site-{position}", "type": [place]})
            role["location"] = [{"reference": f"Location/site-{position}"}]
        resources.append(role)
        reference = {"reference": f"PractitionerRole/performer-{position}"}
        yield "performer", [reference] if kind == "ServiceRequest" else reference


def _medication(
    order: Mapping[str, Any], position: int, rulebook: Rulebook, resources: list[Resource], concept: dict[str, Any]
) -> Iterator[tuple[str, Any]]:
    way = order.get("medication", "reference" if "form" in order else "code")
    if way == "code":
        yield "medicationCodeableConcept", concept
    else:
        medication: Resource = {"resourceType": "Medication", "id": f"medication-{position}", "code": concept}
        if "form" in order:
            medication["form"] = _word_concept(rulebook.crosswalks.dose_forms, order["form"])
        if way == "contained":
            yield "contained", [medication]
            yield "medicationReference", {"reference": f"#medication-{position}"}
        else:
            resources.append(medication)
            yield "medicationReference", {"reference": f"Medication/medication-{position}"}
    dosage: dict[str, Any] = {}
    if "route" in order:
        dosage["route"] = _word_concept(rulebook.crosswalks.routes, order["route"])
    if "service_date" in order:
        dosage["timing"] = {"repeat": {"boundsPeriod": {"start": order["service_date"]}}}
    if dosage:
        yield "dosageInstruction", [dosage]
    dispense: dict[str, Any] = {}
    if "dispense" in order:
        kind = {"coding": [{"system": codings.NUCC, "code": _DISPENSERS[order["dispense"]]}]}
        resources.append({"resourceType": "Organization", "id": f"dispenser-{position}", "type": [kind]})
        dispense["performer"] = {"reference": f"Organization/dispenser-{position}"}
    if "quantity" in order:
        dispense["quantity"] = {"value": order["quantity"]}
    if "days_supply" in order:
        dispense["expectedSupplyDuration"] = {"value": order["days_supply"], "unit": "d"}
    if dispense:
        yield "dispenseRequest", dispense
    if order.get("phase") == "maintenance":
        yield "priorPrescription", {"reference": f"MedicationRequest/order-{position - 1}"}


def _word_concept(words: Mapping[tuple[str, str], str], wanted: str) -> dict[str, Any]:
    return {"coding": [as_coding(next(code for code, word in words.items() if word == wanted))]}


def _place(scenario: Scenario, position: int) -> str:
    return f"order {position + 1}: " if len(scenario.orders) > 1 else ""


def _compare(expect: Mapping[str, Any], determination: Determination, shown: list[str], place: str) -> Iterator[str]:
    """Where the determination is not what was expected, in words."""
    expected_answers = expect.get("answers", ())
    if expected_answers and len(expected_answers) != len(determination.answers):
        yield f"{place}expected {len(expected_answers)} answers, got {len(determination.answers)}"
        return
    # What stands beside `answers` is about the first.
    wanted = [(0, expect), *enumerate(expected_answers)]
    for position, part in wanted:
        actual = _told(determination, position, shown)
        for key, value in part.items():
            if key == "answers":
                continue
            if key == "reason":
                if str(value).lower() not in str(actual["reason"]).lower():
                    yield f"{place}reason: expected to hold {value!r}, got {actual['reason']!r}"
            elif _plain(key, value) != actual[key]:
                yield f"{place}{key}: expected {_plain(key, value)!r}, got {actual[key]!r} ({actual['reason']})"


def _told(determination: Determination, position: int, shown: list[str]) -> dict[str, Any]:
    """A determination in the words scenarios use."""
    answer, route = determination.answers[position], determination.route
    details = {detail.code: detail.value for detail in answer.details}
    return {
        "track": details.get("benefit-track") or (route.track if route is not None else None),
        "confidence": route.confidence if route is not None else None,
        "rule": route.rule_id if route is not None else None,
        "covered": answer.covered,
        "pa": answer.pa_needed,
        "docs": sorted(answer.doc_needed),
        "purpose": sorted(answer.doc_purpose),
        "questionnaire": sorted(answer.questionnaires),
        "info": sorted(answer.info_needed),
        "billing": sorted(" ".join(code) for code in answer.billing_codes),
        "reason": " ".join(reason.text for reason in answer.reasons),
        "code": next((reason.code for reason in answer.reasons if reason.code), None),
        "policy": determination.policy,
        "case": determination.case,
        "handoff": determination.handoff,
        "cards": sorted(shown),
    }


_LISTS = frozenset({"docs", "purpose", "questionnaire", "info", "billing", "cards"})


def _plain(key: str, value: Any) -> Any:
    """An expectation in the shape `_told` gives: lists in order, a single word as a list of one."""
    if key not in _LISTS:
        return value
    listed = sorted(value if isinstance(value, list) else [value])
    if key != "billing":
        return listed
    return sorted(" ".join(code) for text in listed if (code := parse_code(text)) is not None)
