"""The shorthand of scenarios in FHIR: one draft order, a member, a record, as an EHR would send them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from app.crd.chart import Resource
from app.crd.gather import RECORD_TYPES
from app.fhir import codings
from app.rulebook.codes import as_coding, parse_code
from app.rulebook.rulebook import Rulebook
from app.rulebook.scenarios import Scenario

DISPENSERS = {
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


def returned_form(slug: str, answers: Mapping[str, Any], rulebook: Rulebook) -> Resource:
    """A form that came back completed; `answers` by linkId, of the type their question has."""
    items = list(_answered(rulebook.forms[slug].get("item", ()), answers))
    response = {"resourceType": "QuestionnaireResponse", "questionnaire": rulebook.questionnaires[slug]}
    return {**response, "status": "completed", "item": items}


def _answered(items: Iterable[Mapping[str, Any]], answers: Mapping[str, Any]) -> Iterator[Resource]:
    for item in items:
        given = answers.get(item["linkId"], [])
        values = given if isinstance(given, list) else [given]
        below = list(_answered(item.get("item", ()), answers))
        if item["type"] == "group" and below:
            yield {"linkId": item["linkId"], "item": below}
        elif values:
            name, made = _VALUES.get(item["type"], ("valueString", str))
            yield {"linkId": item["linkId"], "answer": [{name: made(value)} for value in values]}


_VALUES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "boolean": ("valueBoolean", bool),
    "integer": ("valueInteger", int),
    "decimal": ("valueDecimal", lambda value: Decimal(str(value))),
    "date": ("valueDate", str),
    "dateTime": ("valueDateTime", str),
    "choice": ("valueCoding", lambda value: {"code": str(value)}),
    "quantity": ("valueQuantity", lambda value: {"value": Decimal(str(value))}),
}


def record_entry(kind: str, entry: str | Mapping[str, Any], position: int) -> Resource:
    """An entry of the patient's record of one kind: a code, or a code with its value, date and status."""
    data: Mapping[str, Any] = {"code": entry} if isinstance(entry, str) else entry
    concept = concept_of([data["code"]])
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


def concept_of(codes: list[str], words: str | None = None) -> dict[str, Any]:
    """A CodeableConcept of codes as rule files write them."""
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
    concept = concept_of(order.get("codes", []), order.get("display"))
    options = [
        {"url": codings.BILLING_OPTIONS, "valueCodeableConcept": concept_of([o])}
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
        resource["reasonCode"] = [concept_of([reason]) for reason in order["reasons"]]
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
            medication["form"] = word_concept(rulebook.crosswalks.dose_forms, order["form"])
        if way == "contained":
            yield "contained", [medication]
            yield "medicationReference", {"reference": f"#medication-{position}"}
        else:
            resources.append(medication)
            yield "medicationReference", {"reference": f"Medication/medication-{position}"}
    dosage: dict[str, Any] = {}
    if "route" in order:
        dosage["route"] = word_concept(rulebook.crosswalks.routes, order["route"])
    if "service_date" in order:
        dosage["timing"] = {"repeat": {"boundsPeriod": {"start": order["service_date"], "end": order["service_date"]}}}
    if dosage:
        yield "dosageInstruction", [dosage]
    dispense: dict[str, Any] = {}
    if "dispense" in order:
        kind = {"coding": [{"system": codings.NUCC, "code": DISPENSERS[order["dispense"]]}]}
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


def word_concept(words: Mapping[tuple[str, str], str], wanted: str) -> dict[str, Any]:
    """The concept of a route or dose form, by the word rule files have for it."""
    return {"coding": [as_coding(next(code for code, word in words.items() if word == wanted))]}
