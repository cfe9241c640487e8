"""Route, form, site, supplier, performer, encounter, diagnoses: known, derived or missing."""

from __future__ import annotations

from typing import Any

import pytest

from app.crd import circumstances as at
from app.crd.chart import Chart, Resource
from benefit_router import MISSING, Signal
from tests.crd.builders import ROUTE_CODES, bundle, call, concept, drug, rulebook, service

CROSSWALKS = rulebook().crosswalks


def chart_of(*known: Resource) -> Chart:
    return Chart.from_request(call(prefetch={"x": bundle(*known)} if known else {}))


def dosage(*codes: str) -> dict[str, Any]:
    return {"route": concept(*(f"SNOMED {ROUTE_CODES.get(code, code)}" for code in codes))}


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [
        (None, MISSING),
        ("broken", MISSING),
        ([], MISSING),
        ([{"text": "as told"}], MISSING),
        ([dosage("intravenous")], Signal.known("intravenous")),
        ([dosage("intravenous"), dosage("intravenous")], Signal.known("intravenous")),
        ([dosage("999999")], MISSING),
        ([dosage("999999", "subcutaneous")], Signal.known("subcutaneous")),
        ([dosage("intravenous"), dosage("subcutaneous")], Signal.derived({"intravenous", "subcutaneous"})),
        ([{"route": {"text": "intravenous"}}], MISSING),
        # Beside one that cannot be made out, a route is only possible.
        ([dosage("intravenous"), dosage("999999")], Signal.derived({"intravenous"})),
        ([dosage("intravenous"), {"route": {"text": "under the skin"}}], Signal.derived({"intravenous"})),
        ([dosage("intravenous"), {"text": "as told"}], Signal.known("intravenous")),
    ],
)
def test_route(instructions: Any, expected: Signal) -> None:
    assert at.route_of(drug("RxNorm 1", dosageInstruction=instructions), CROSSWALKS) == expected


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (None, MISSING),
        (concept("SNOMED 385219001"), Signal.known("vial")),
        (concept("SNOMED 385219001", "SNOMED 422238001"), Signal.derived({"vial", "pen"})),
        (concept("SNOMED 1"), MISSING),
        ("broken", MISSING),
    ],
)
def test_dose_form(form: Any, expected: Signal) -> None:
    assert at.dose_form_of({"resourceType": "Medication", "form": form}, CROSSWALKS) == expected
    assert at.dose_form_of(None, CROSSWALKS) == MISSING


@pytest.mark.parametrize(
    ("route", "form", "expected"),
    [
        (Signal.known("intravenous"), Signal.known("vial"), None),
        (Signal.known("intravenous"), MISSING, None),
        (MISSING, Signal.known("pen"), None),
        (Signal.known("intravenous"), Signal.known("unheard of"), None),
        (Signal.derived({"intravenous", "oral"}), Signal.known("vial"), None),
        # A pen is not infused: which of the two is wrong nobody can say.
        (
            Signal.known("intravenous"),
            Signal.known("pen"),
            (Signal.derived({"intravenous", "subcutaneous"}), Signal.derived({"vial", "pen"})),
        ),
    ],
)
def test_a_form_that_is_not_given_by_the_stated_route(
    route: Signal, form: Signal, expected: tuple[Signal, Signal] | None
) -> None:
    assert at.agreeing(route, form, CROSSWALKS) == (expected or (route, form))


OFFICE = {"resourceType": "Location", "id": "office", "type": [concept("POS 11"), concept("SNOMED 1")]}
HOME = {"resourceType": "Location", "id": "home", "type": [concept("POS 12")]}
AT_OFFICE = {"resourceType": "PractitionerRole", "id": "r1", "location": [{"reference": "Location/office"}]}
AT_BOTH = {**AT_OFFICE, "id": "r2", "location": [{"reference": "Location/office"}, {"reference": "Location/home"}]}
NOWHERE = {"resourceType": "PractitionerRole", "id": "r3", "location": [{"reference": "Location/gone"}]}


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, MISSING),
        ({"locationCode": [concept("POS 22")]}, Signal.known("22")),
        ({"locationCode": [concept("SNOMED 1")]}, MISSING),
        ({"locationCode": [concept("POS 11", "POS 22")]}, Signal.derived({"11", "22"})),
        ({"locationReference": [{"reference": "Location/office"}]}, Signal.known("11")),
        ({"locationReference": [{"reference": "Location/gone"}]}, MISSING),
        ({"performer": [{"reference": "PractitionerRole/r1"}]}, Signal.known("11")),
        ({"performer": [{"reference": "PractitionerRole/r2"}]}, Signal.derived({"11", "12"})),
        ({"performer": [{"reference": "PractitionerRole/r3"}]}, MISSING),
        ({"performer": [{"reference": "Location/office"}]}, MISSING),
        ({"performer": {"reference": "PractitionerRole/r1"}}, Signal.known("11")),
        # Places that cannot all be read are not known, nor is a code that is none.
        ({"locationCode": [concept("POS 11"), concept(text="the clinic")]}, MISSING),
        ({"locationCode": [concept("POS office")]}, MISSING),
        ({"locationCode": [concept("POS 1")]}, MISSING),
        ({"locationReference": [{"reference": "Location/office"}, {"reference": "Location/gone"}]}, MISSING),
        # What the order says itself goes before where the performer works.
        (
            {"locationCode": [concept("POS 22")], "performer": [{"reference": "PractitionerRole/r1"}]},
            Signal.known("22"),
        ),
    ],
)
def test_site(members: dict[str, Any], expected: Signal) -> None:
    chart = chart_of(OFFICE, HOME, AT_OFFICE, AT_BOTH, NOWHERE)
    assert at.site_of(service("CPT 1", **members), chart) == expected


INPATIENT = {"resourceType": "Encounter", "id": "e1", "class": {"code": "IMP"}}
OFFICE_VISIT = {"resourceType": "Encounter", "id": "e2", "class": {"code": "AMB"}}


@pytest.mark.parametrize(
    ("of_order", "of_hook", "expected"),
    [
        (None, None, Signal.known("none")),
        (None, "e1", Signal.known("IMP")),
        (None, "gone", MISSING),
        ({"reference": "Encounter/e1"}, None, Signal.known("IMP")),
        ({"reference": "Encounter/e2"}, "e1", Signal.known("AMB")),
        ({"reference": "Encounter/gone"}, None, MISSING),
        # Another encounter that could not be read is not the hook's.
        ({"reference": "Encounter/gone"}, "e1", MISSING),
        ({"display": "this visit"}, "e1", Signal.known("IMP")),
    ],
)
def test_encounter(of_order: Any, of_hook: str | None, expected: Signal) -> None:
    order = service("CPT 1", **({"encounter": of_order} if of_order else {}))
    request = call(
        order, prefetch={"x": bundle(INPATIENT, OFFICE_VISIT)}, context={"encounterId": of_hook} if of_hook else {}
    )
    encounter, signal = at.encounter_of(order, request, Chart.from_request(request))
    assert signal == expected
    assert (encounter is not None) == (expected.values <= {"IMP", "AMB"} and bool(expected.values))


ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (None, MISSING),
        ({"system": ACT_CODE, "code": "IMP"}, Signal.known("IMP")),
        # In words of the EHR's own it may be any class.
        ({"system": ACT_CODE, "code": "inpatient"}, MISSING),
        ({"system": "urn:oid:1.2.3", "code": "AMB"}, MISSING),
        ({"code": "none"}, MISSING),
        ({"display": "inpatient"}, MISSING),
    ],
)
def test_the_class_of_an_encounter(stated: Any, expected: Signal) -> None:
    encounter = {"resourceType": "Encounter", "id": "e1", **({"class": stated} if stated else {})}
    request = call(service("CPT 1"), prefetch={"x": encounter}, context={"encounterId": "e1"})
    assert at.encounter_of(service("CPT 1"), request, Chart.from_request(request))[1] == expected


def dispenser(id: str, *codes: str) -> Resource:  # noqa: A002  # the element's name
    return {"resourceType": "Organization", "id": id, "type": [concept(f"NUCC {code}") for code in codes]}


DISPENSERS = (
    dispenser("retail", "3336C0003X"),
    dispenser("specialty", "3336S0011X"),
    dispenser("home", "3336H0001X"),
    dispenser("clinic", "261QI0500X"),
    dispenser("mixed", "3336C0003X", "3336S0011X"),
    dispenser("untyped"),
    dispenser("compounding", "3336C0004X"),
    dispenser("equipment", "332B00000X"),
    dispenser("hospital", "282N00000X"),
    dispenser("plan", "302R00000X"),
    dispenser("misspelt", "a clinic"),
    dispenser("specialty-and-equipment", "3336S0011X", "332B00000X"),
    dispenser("clinic-with-pharmacy", "261QI0500X", "3336S0011X"),
)


@pytest.mark.parametrize(
    ("by", "site", "expected"),
    [
        (None, MISSING, MISSING),
        ("gone", MISSING, MISSING),
        ("untyped", MISSING, MISSING),
        ("mixed", MISSING, MISSING),
        ("clinic", MISSING, Signal.known("buy-bill")),
        # Another kind of pharmacy or supplier is no provider's own supply.
        ("compounding", MISSING, MISSING),
        ("equipment", MISSING, MISSING),
        ("hospital", MISSING, Signal.known("buy-bill")),
        ("plan", MISSING, MISSING),
        ("misspelt", MISSING, MISSING),
        ("specialty-and-equipment", Signal.known("12"), Signal.known("specialty")),
        ("clinic-with-pharmacy", Signal.known("11"), MISSING),
        ("home", MISSING, Signal.known("home-infusion")),
        ("specialty", Signal.known("11"), Signal.known("white")),
        ("specialty", Signal.known("12"), Signal.known("specialty")),
        ("specialty", MISSING, Signal.derived({"specialty", "white"})),
        ("specialty", Signal.derived({"11", "12"}), Signal.derived({"specialty", "white"})),
        ("retail", Signal.derived({"11", "22"}), Signal.known("brown")),
        ("retail", Signal.known("12"), Signal.known("retail")),
        ("retail", MISSING, Signal.derived({"retail", "brown"})),
    ],
)
def test_supply_channel(by: str | None, site: Signal, expected: Signal) -> None:
    dispense = {"dispenseRequest": {"performer": {"reference": f"Organization/{by}"}}} if by else {}
    assert at.supply_channel_of(drug("RxNorm 1", **dispense), site, chart_of(*DISPENSERS)) == expected


@pytest.mark.parametrize("dispense", ["broken", {}, {"performer": "broken"}])
def test_a_dispense_request_that_names_nobody(dispense: Any) -> None:
    assert at.supply_channel_of(drug("RxNorm 1", dispenseRequest=dispense), MISSING, chart_of()) == MISSING


PRACTITIONER: Resource = {
    "resourceType": "Practitioner",
    "id": "u1",
    "identifier": [
        {"system": "x", "value": "1"},
        "x",
        {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567893"},
    ],
    "qualification": [{"code": concept("NUCC 207R00000X")}, "x"],
}
ROLE = {
    "resourceType": "PractitionerRole",
    "id": "r",
    "practitioner": {"reference": "Practitioner/u1"},
    "specialty": [concept("NUCC 207RG0100X")],
}


@pytest.mark.parametrize(
    ("performers", "expected"),
    [
        ([], MISSING),
        (["Practitioner/u1"], Signal.known("207R00000X")),
        (["PractitionerRole/r"], Signal.known("207RG0100X")),
        (["Practitioner/u1", "PractitionerRole/r"], Signal.derived({"207R00000X", "207RG0100X"})),
        (["Practitioner/gone"], MISSING),
        (["Practitioner/u1", "Practitioner/gone"], MISSING),
        (["Organization/misspelt"], MISSING),
    ],
)
def test_performer_type(performers: list[str], expected: Signal) -> None:
    order = service("CPT 1", performer=[{"reference": each} for each in performers])
    assert at.performer_type_of(order, chart_of(PRACTITIONER, ROLE, *DISPENSERS)) == expected


@pytest.mark.parametrize(
    ("reference", "npi"),
    [
        ("Practitioner/u1", "1234567893"),
        ("PractitionerRole/r", "1234567893"),
        ("PractitionerRole/alone", None),
        ("PractitionerRole/own", "1111111112"),
        ("Practitioner/odd", None),
        ("Practitioner/gone", None),
    ],
)
def test_npi(reference: str, npi: str | None) -> None:
    own = {
        "resourceType": "PractitionerRole",
        "id": "own",
        "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "1111111112"}],
    }
    odd = {
        "resourceType": "Practitioner",
        "id": "odd",
        "identifier": {"system": "http://hl7.org/fhir/sid/us-npi", "value": 7},
    }
    chart = chart_of(PRACTITIONER, ROLE, {"resourceType": "PractitionerRole", "id": "alone"}, own, odd)
    assert at.npi_of({"reference": reference}, service("CPT 1"), chart) == npi


CROHNS = {"resourceType": "Condition", "id": "k", "code": concept("ICD-10-CM K5090", "SNOMED 34000006")}
CROHNS_CODES = {("ICD-10-CM", "K50.90"), ("SNOMED CT", "34000006")}
BACK_PAIN = concept("ICD-10-CM M54.5")


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, []),
        ({"reasonCode": [concept(text="sick")]}, [set()]),
        ({"reasonCode": [BACK_PAIN]}, [{("ICD-10-CM", "M54.5")}]),
        ({"reasonCode": [concept("ICD-10-CM unknown", "SNOMED 1")]}, [{("SNOMED CT", "1")}]),
        ({"reasonReference": [{"reference": "Condition/k"}]}, [CROHNS_CODES]),
        ({"reasonReference": [{"reference": "Condition/gone"}, {"reference": "Practitioner/u1"}]}, [set(), set()]),
        (
            {"reasonCode": [BACK_PAIN], "reasonReference": [{"reference": "Condition/k"}]},
            [{("ICD-10-CM", "M54.5")}, CROHNS_CODES],
        ),
    ],
)
def test_reasons(members: dict[str, Any], expected: list[set[tuple[str, str]]]) -> None:
    assert at.reasons_of(service("CPT 1", **members), chart_of(CROHNS, PRACTITIONER)) == expected


def test_phase() -> None:
    assert at.phase_of(drug("RxNorm 1")) == MISSING
    assert at.phase_of(drug("RxNorm 1", priorPrescription={"reference": "MedicationRequest/m0"})) == Signal.derived(
        {"maintenance"}
    )
