"""What a rule may look at: every fact known, derived or missing."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from app import fhirpath
from app.crd.chart import Chart
from app.errors import InvalidRequest
from app.fhir import codings
from app.fhir.ehr import Fetched
from app.members import Member, MemberMatch
from benefit_router import MISSING, Signal
from tests.crd.builders import MEMBER, TODAY, call, concept, drug, facts_of, patient, row, rulebook, service

CATALOGUED = rulebook(drugs="p1,Inflix,191831,1000001,57894003001,J1745,vial\n")


@pytest.mark.parametrize(
    ("coded", "expected"),
    [
        ([], []),
        (["HCPCS J1745"], ["HCPCS J1745"]),
        ([f"{codings.HCPCS.replace('https', 'http')} J1745"], ["HCPCS J1745"]),
        (["NDC 57894-030-01"], ["NDC 578940030", "NDC 57894003001"]),
        (["NDC 57894003001"], ["NDC 578940030", "NDC 57894003001"]),
        # Ten digits without dashes do not say which part lacks one: they name no product the catalog does not settle.
        (["NDC 5789403001"], []),
        (["NDC 1234"], []),
        (["http://example.org/local 5"], ["http://example.org/local 5"]),
        ([" 5"], []),
        (["RxNorm 191831", "HCPCS J1745"], ["HCPCS J1745", "RxNorm 191831"]),
    ],
)
def test_codes(coded: list[str], expected: list[str]) -> None:
    assert sorted(" ".join(code) for code in facts_of(drug(*coded)).codes) == expected


@pytest.mark.parametrize(
    ("options", "routed_by"),
    [
        ([], set()),
        (["HCPCS J1745"], {("HCPCS", "J1745")}),
        # One billing code says what is meant, several are only possibilities.
        (["HCPCS J1745", "HCPCS Q5103"], set()),
        (["HCPCS J1745", "RxNorm 9"], {("HCPCS", "J1745"), ("RxNorm", "9")}),
        (["RxNorm 9"], set()),
    ],
)
def test_billing_options(options: list[str], routed_by: set[tuple[str, str]]) -> None:
    order = {**drug(), "medicationCodeableConcept": concept("RxNorm 191831", options=options)}
    facts = facts_of(order)
    assert facts.codes == {("RxNorm", "191831")}
    assert facts.options == {tuple(option.split(" ")) for option in options}
    assert facts.signals.codes - facts.codes == routed_by


def test_codes_an_order_may_be_billed_as_by_crosswalk() -> None:
    rules = rulebook(billing="SNOMED,726551006,CPT,77061\nSNOMED,726551006,CPT,77062\n")
    facts = facts_of(service("SNOMED 726551006"), rules=rules)
    assert facts.options == {("CPT", "77061"), ("CPT", "77062")}


@pytest.mark.parametrize(
    ("order", "products"),
    [
        (service("CPT 1", "SNOMED 2"), [{"CPT 1", "SNOMED CT 2"}]),
        (
            {
                "resourceType": "NutritionOrder",
                "id": "n",
                "patient": {"reference": "Patient/p1"},
                "oralDiet": {"type": [concept("SNOMED 1")]},
                "enteralFormula": {"baseFormulaType": concept("HCPCS B4150"), "additiveType": concept("HCPCS B4104")},
            },
            [{"HCPCS B4150"}, {"HCPCS B4104"}],
        ),
        # A claim carries one billing code: two of them are two things the order may mean.
        (service("CPT 1", "CPT 2", "SNOMED 3"), [{"CPT 1", "SNOMED CT 3"}, {"CPT 2", "SNOMED CT 3"}]),
    ],
)
def test_products(order: dict[str, Any], products: list[set[str]]) -> None:
    assert [{" ".join(code) for code in product} for product in facts_of(order).products] == products


@pytest.mark.parametrize(
    ("members", "on"),
    [
        ({}, TODAY),
        ({"authoredOn": "2026-06-01"}, TODAY),
        # An order kept for later is for a day not before it was written.
        ({"authoredOn": "2026-07-01"}, date(2026, 7, 1)),
        ({"occurrenceDateTime": "2026-05-01"}, date(2026, 5, 1)),
        ({"occurrenceDateTime": "2026-09-01", "authoredOn": "2026-07-01"}, date(2026, 9, 1)),
        # What goes on is judged today, not by the rules of the day it began.
        ({"occurrencePeriod": {"start": "2021-03-01"}}, TODAY),
        ({"occurrencePeriod": {"start": "2021-03-01", "end": "2026-12-31"}}, TODAY),
        ({"occurrencePeriod": {"start": "2021-03-01", "end": "2021-03-09"}}, date(2021, 3, 1)),
        ({"occurrencePeriod": {"start": "2021-03-09", "end": "2021-03-01"}}, date(2021, 3, 9)),
        ({"occurrencePeriod": {"start": "2026-09-01"}}, date(2026, 9, 1)),
        ({"occurrenceDateTime": "2026"}, TODAY),
        ({"occurrenceDateTime": "2027"}, date(2027, 1, 1)),
    ],
)
def test_the_day_benefits_are_judged_at(members: dict[str, Any], on: date) -> None:
    facts = facts_of(service("CPT 1", **members))
    assert facts.on == facts.signals.on == on
    assert facts.view["service_date"] == on.isoformat()


def test_a_date_that_is_none_is_named() -> None:
    with pytest.raises(InvalidRequest) as refused:
        facts_of(service("CPT 1", authoredOn="soon"))
    assert refused.value.element == "context.draftOrders.entry[0].resource.authoredOn"


@pytest.mark.parametrize(
    ("order", "is_drug"),
    [
        (drug("RxNorm 999"), True),
        (drug(), True),
        (service("CPT 70551"), False),
        (service("HCPCS J1745"), True),
        ({**service(), "code": concept("SNOMED 1", options=["HCPCS J1745"])}, True),
        ({**service(), "code": concept("SNOMED 1", options=["HCPCS J1745", "HCPCS Q5103"])}, False),
    ],
)
def test_is_drug(order: dict[str, Any], is_drug: bool) -> None:
    assert facts_of(order, rules=CATALOGUED).is_drug is is_drug


def test_a_code_only_the_routing_table_names_is_a_drug() -> None:
    rules = rulebook(rows=[row("r", match_system="HCPCS", match_code="J0001", track="medical")])
    assert facts_of(service("HCPCS J0001"), rules=rules).is_drug


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        (
            MEMBER,
            {
                "lob": Signal.known("commercial"),
                "plan_id": Signal.known("gold"),
                "group_id": Signal.known("-"),
                "state": Signal.known("CA"),
            },
        ),
        # The roster is complete; a Coverage only leaves unsaid.
        (
            Member("1", "roster"),
            {"lob": MISSING, "plan_id": Signal.known("-"), "group_id": Signal.known("-"), "state": MISSING},
        ),
        (Member("1", "coverage"), {"lob": MISSING, "plan_id": MISSING, "group_id": MISSING, "state": MISSING}),
        (
            Member("1", "coverage", group="G1", bin="610000", pcn="X"),
            {"group_id": Signal.known("G1"), "bin": Signal.known("610000"), "pcn": Signal.known("X")},
        ),
        # A plan that a Coverage names in its own words may be any of the payer's; the roster uses the payer's.
        (Member("1", "coverage", plan="gold"), {"plan_id": Signal.known("gold")}),
        (Member("1", "coverage", plan="GOLD PPO"), {"plan_id": MISSING}),
        (Member("1", "roster", plan="closed-plan"), {"plan_id": Signal.known("closed-plan")}),
        (MemberMatch("not-found"), {"lob": MISSING, "plan_id": MISSING}),
    ],
)
def test_member_signals(member: Member | MemberMatch, expected: dict[str, Signal]) -> None:
    facts = facts_of(service("CPT 1"), member=member)
    assert {name: facts.signals.signal(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("born", "on_file", "age"),
    [
        ("1970-06-16", None, 55),
        ("1970-06-15", None, 56),
        ("1970", None, None),
        ("1970-02", None, 56),
        (None, "1960-01-01", 66),
        ("1970-06-15", "1960-01-01", 56),
        ("1970", "1970-01-01", 56),
        (None, None, None),
        ("2030-01-01", None, None),
        ("broken", None, None),
    ],
)
def test_age(born: str | None, on_file: str | None, age: int | None) -> None:
    member = Member("1", "roster", birth_date=on_file)
    facts = facts_of(service("CPT 1"), member=member, prefetch={"patient": patient(birthDate=born)})
    assert facts.signals.age == age


def test_a_known_fact_is_in_view_and_a_missing_one_says_what_it_lacks() -> None:
    order = drug(
        "RxNorm 191831",
        route="intravenous",
        requester={"reference": "Practitioner/u1"},
        dispenseRequest={"quantity": {"value": 2}, "expectedSupplyDuration": {"value": 30}},
    )
    view = facts_of(order).view
    known = {name: value for name, value in view.items() if not isinstance(value, fhirpath.Unobtainable)}
    assert known == {
        "route": "intravenous",
        "sex": "female",
        "line": "commercial",
        "plan": "gold",
        "group": "-",
        "state": "CA",
        "encounter_class": "none",
        "age": 56,
        "codes": [{"system": codings.RXNORM, "code": "191831"}],
        "flags": {},
        "service_date": "2026-06-15",
        "quantity": 2,
        "days_supply": 30,
    }
    missing = {name: value.reason for name, value in view.items() if isinstance(value, fhirpath.Unobtainable)}
    assert missing == {
        "dose_form": "the dose form is not known",
        "site": "the order does not say where it will be given",
        "supply_channel": "the order does not say who supplies the drug",
        "performer_type": "the order names no performer",
        "network": "it is not known whether the performer is in network",
        "phase": "the phase of the therapy is not known",
        "diagnoses": "no diagnosis is on the order",
        "requester_npi": "the requester's NPI is not known",
    }


@pytest.mark.parametrize(
    ("gender", "expected"),
    [
        ("female", Signal.known("female")),
        ("other", Signal.known("other")),
        ("unknown", MISSING),
        ("F", MISSING),
        (None, MISSING),
        (["female"], MISSING),
    ],
)
def test_sex(gender: Any, expected: Signal) -> None:
    facts = facts_of(service("CPT 1"), prefetch={"patient": patient(gender=gender)})
    assert facts.signals.signal("sex") == expected
    assert isinstance(facts.view["sex"], fhirpath.Unobtainable) == (expected == MISSING)


@pytest.mark.parametrize(
    ("reasons", "complete"),
    [
        ([concept("ICD-10-CM M54.5")], True),
        ([concept("ICD-10-CM M54.5", "SNOMED 1")], True),
        ([concept("ICD-10-CM M54.5"), concept("SNOMED 1")], False),
        ([concept("ICD-10-CM M54.5"), concept(text="pain")], False),
    ],
)
def test_a_reason_that_lists_cannot_be_compared_with(reasons: list[Any], complete: bool) -> None:
    found = facts_of(service("CPT 1", reasonCode=reasons)).view["diagnoses"]
    assert isinstance(found, fhirpath.Incomplete) != complete


@pytest.mark.parametrize("dispense", [None, "broken", [], {"quantity": "broken"}])
def test_a_quantity_that_is_none(dispense: Any) -> None:
    view = facts_of(drug("RxNorm 1", dispenseRequest=dispense)).view
    assert isinstance(view["quantity"], fhirpath.Unobtainable)


def test_two_routes_are_no_fact() -> None:
    order = drug(
        "RxNorm 1",
        dosageInstruction=[*drug(route="oral")["dosageInstruction"], *drug(route="intravenous")["dosageInstruction"]],
    )
    facts = facts_of(order)
    assert facts.signals.signal("route") == Signal.derived({"oral", "intravenous"})
    assert isinstance(facts.view["route"], fhirpath.Unobtainable)


@pytest.mark.parametrize(
    ("member", "reference", "trouble"),
    [
        ("medicationReference", "Medication/x", "What is ordered could not be read: The EHR did not answer"),
        ("medicationReference", "#x", None),
        ("medicationReference", "Medication/other", None),
    ],
)
def test_an_order_whose_drug_the_ehr_failed_to_give(member: str, reference: str, trouble: str | None) -> None:
    order = drug(**{member: {"reference": reference}})
    chart = Chart.from_request(call(order))
    chart.add_fetched("Medication/x", Fetched((), False, "The EHR did not answer"))
    facts = facts_of(order, chart=chart)
    assert facts.trouble == trouble
    assert facts.content.unresolved


def test_a_patient_who_is_not_known() -> None:
    facts = facts_of(service("CPT 1"), prefetch={})
    assert facts.patient is None
    assert facts.signals.signal("sex") == MISSING


@pytest.mark.parametrize(
    "kind", ["MedicationRequest", "DeviceRequest", "ServiceRequest", "NutritionOrder", "VisionPrescription"]
)
@pytest.mark.parametrize("broken", ["x", 1, None, [], {}, [None], ["x"], [{}], True, [[]]])
def test_an_order_of_broken_shapes_still_has_facts(kind: str, broken: Any) -> None:
    names = (
        "contained", "extension", "code", "codeCodeableConcept", "codeReference", "medicationReference", "performer",
        "requester", "reasonCode", "reasonReference", "encounter", "locationCode", "locationReference",
        "dosageInstruction", "dispenseRequest", "oralDiet", "supplement", "enteralFormula", "lensSpecification",
        "occurrencePeriod", "occurrenceTiming", "priorPrescription", "payload", "category",
    )  # fmt: skip
    order = {"resourceType": kind, "id": "o", "subject": {"reference": "Patient/p1"}} | dict.fromkeys(names, broken)
    assert facts_of(order).codes == frozenset()
