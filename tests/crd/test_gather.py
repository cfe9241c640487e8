"""What is read from the EHR, and what is not."""

from __future__ import annotations

from typing import Any

import pytest

from app.crd.chart import Chart, Resource
from app.crd.gather import gather, gather_record
from app.fhir.ehr import Fetched, Read, Search
from app.hooks.request import HookRequest
from app.rulebook.scope import Need
from benefit_router import CodeList
from tests.crd.builders import SERVER, FakeEhr, bundle, call, coverage, drug, patient, service

COVERAGE_SEARCH = Search("Coverage", (("patient", "p1"), ("status", "active")))
KNOWN = {"patient": patient(), "coverage": bundle(coverage())}


def gathered(
    *orders: Resource, ehr: FakeEhr | None = None, prefetch: dict[str, Any] | None = None, **rest: Any
) -> tuple[Chart, FakeEhr]:
    request: HookRequest = call(*orders, prefetch=KNOWN if prefetch is None else prefetch, fhirServer=SERVER, **rest)
    chart = Chart.from_request(request)
    ehr = ehr or FakeEhr()
    gather(chart, request, request.orders, ehr)
    return chart, ehr


def test_nothing_is_read_when_nothing_is_missing() -> None:
    chart, ehr = gathered(service("CPT 70551"))
    assert ehr.asked == []
    assert not chart.trouble


def test_without_access_nothing_is_read() -> None:
    request = call(service("CPT 70551"))
    chart = Chart.from_request(request)
    gather(chart, request, request.orders, None)
    assert not chart.trouble


def test_patient_encounter_and_coverage_are_read_when_missing() -> None:
    ehr = FakeEhr(
        {"Patient/p1": patient(), "Coverage": [coverage()], "Encounter/e1": {"resourceType": "Encounter", "id": "e1"}}
    )
    chart, _ = gathered(service("CPT 70551"), ehr=ehr, prefetch={}, context={"encounterId": "e1"})
    assert ehr.asked == [[Read("Patient", "p1"), Read("Encounter", "e1"), COVERAGE_SEARCH]]
    assert chart.patient == patient()
    assert chart.get("Encounter/e1") is not None
    assert chart.of_type("Coverage") == [coverage()]


@pytest.mark.parametrize(
    ("member", "reference", "read"),
    [
        ("medicationReference", "Medication/x", Read("Medication", "x")),
        ("medicationReference", f"{SERVER}/Medication/x", Read("Medication", "x")),
        ("medicationReference", f"{SERVER}/Medication/x/_history/2", Read("Medication", "x")),
        ("requester", "PractitionerRole/x", Read("PractitionerRole", "x")),
        ("encounter", "Encounter/x", Read("Encounter", "x")),
        # Not from this EHR, inside the order or the Bundle, or nowhere: the token is for one server only.
        ("medicationReference", "https://elsewhere.example.org/fhir/Medication/x", None),
        ("medicationReference", "#x", None),
        ("medicationReference", "urn:uuid:11111111-2222-3333-4444-555555555555", None),
        ("medicationReference", "Medication?code=1", None),
        ("medicationReference", None, None),
        ("subject", "Group/x", None),
    ],
)
def test_what_an_order_names_is_read(member: str, reference: str | None, read: Read | None) -> None:
    order = drug(**{member: {"reference": reference}} if reference else {})
    _, ehr = gathered(order)
    assert ehr.asked == ([[read]] if read else [])


def test_references_in_lists_and_below_are_read_at_once_and_each_once() -> None:
    orders = [
        service(
            "CPT 70551", performer=[{"reference": "PractitionerRole/a"}], reasonReference=[{"reference": "Condition/k"}]
        ),
        drug(
            dispenseRequest={"performer": {"reference": "Organization/o"}},
            requester={"reference": "PractitionerRole/a"},
        ),
        drug(id="m2", dispenseRequest="broken", performer="broken"),
    ]
    _, ehr = gathered(*orders)
    assert ehr.asked == [[Read("PractitionerRole", "a"), Read("Condition", "k"), Read("Organization", "o")]]


def test_a_second_round_reads_what_the_first_brought() -> None:
    role = {
        "resourceType": "PractitionerRole",
        "id": "a",
        "practitioner": {"reference": "Practitioner/u"},
        "location": [{"reference": "Location/l"}],
    }
    bought = coverage(payor=[{"reference": "Organization/payer"}])
    ehr = FakeEhr({"PractitionerRole/a": role, "Coverage": [bought]})
    order = service("CPT 70551", performer=[{"reference": "PractitionerRole/a"}])
    chart, _ = gathered(order, ehr=ehr, prefetch={"patient": patient()})
    assert ehr.asked[1] == [Read("Practitioner", "u"), Read("Location", "l"), Read("Organization", "payer")]
    assert chart.trouble["Organization/payer"] == "The EHR did not answer"


# ---------------------------------------------------------------------------------------------------------------------
# The patient's record

LISTS = {
    "oxygen": CodeList.of("oxygen", [("LOINC", "59408-5"), ("LOINC", "2708-6")]),
    "back": CodeList.of("back", [("ICD-10-CM", "M54*"), ("SNOMED CT", "161891005")]),
    "odd": CodeList.of("odd", [("urn:x", "1")]),
}
CONDITION: Resource = {"resourceType": "Condition", "id": "k", "subject": {"reference": "Patient/p1"}}


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        ([Need("conditions")], Search("Condition", (("patient", "p1"),))),
        (
            [Need("observations", "oxygen")],
            Search("Observation", (("patient", "p1"), ("code", "http://loinc.org|2708-6,http://loinc.org|59408-5"))),
        ),
        # A prefix cannot be searched for, nor can two rules be answered by what one of them wants.
        ([Need("conditions", "back")], Search("Condition", (("patient", "p1"),))),
        ([Need("observations", "oxygen"), Need("observations")], Search("Observation", (("patient", "p1"),))),
        ([Need("observations"), Need("observations", "oxygen")], Search("Observation", (("patient", "p1"),))),
        (
            [Need("observations", "oxygen"), Need("observations", "odd")],
            Search(
                "Observation", (("patient", "p1"), ("code", "http://loinc.org|2708-6,http://loinc.org|59408-5,urn:x|1"))
            ),
        ),
        # `code` misses a MedicationRequest whose drug is a reference, so it never narrows them.
        (
            [Need("medications", "odd")],
            Search(
                "MedicationRequest",
                (
                    ("patient", "p1"),
                    ("status", "active,on-hold,completed,stopped"),
                    ("_include", "MedicationRequest:medication"),
                ),
            ),
        ),
    ],
)
def test_the_record_is_searched_for_what_rules_need(needs: list[Need], expected: Search) -> None:
    ehr = FakeEhr({expected.type: []})
    record = gather_record(Chart("p1"), needs, LISTS, ehr, {})
    assert ehr.asked == [[expected]]
    assert [(kept.resources, kept.problem) for kept in record.values()] == [((), None)]


def test_no_need_no_search() -> None:
    ehr = FakeEhr()
    assert gather_record(Chart("p1"), [], LISTS, ehr, {}) == {}
    assert ehr.asked == []


def test_included_medications_can_be_followed_and_are_no_orders() -> None:
    order = {"resourceType": "MedicationRequest", "id": "old", "medicationReference": {"reference": "Medication/m"}}
    chart = Chart("p1")
    ehr = FakeEhr({"MedicationRequest": [order, {"resourceType": "Medication", "id": "m"}]})
    record = gather_record(chart, [Need("medications")], LISTS, ehr, {})
    assert record["medications"].resources == (order,)
    assert chart.resolve(order["medicationReference"]) is not None


@pytest.mark.parametrize(
    ("prefetch", "found", "problem"),
    [
        pytest.param({"conditions": bundle(CONDITION)}, [CONDITION], None, id="sent"),
        pytest.param({"conditions": bundle()}, [], None, id="looked-and-found-nothing"),
        pytest.param({"conditions": None}, [], "could not be read", id="null-says-nothing"),
        pytest.param(
            {"conditions": {**bundle(CONDITION), "link": [{"relation": "next", "url": "https://ehr.example.org/2"}]}},
            [CONDITION],
            "only in part",
            id="a-first-page",
        ),
        pytest.param(
            {"conditions": bundle(CONDITION, {**CONDITION, "id": "o", "subject": {"reference": "Patient/other"}})},
            [CONDITION],
            None,
            id="another-patients-is-no-part-of-it",
        ),
        pytest.param({"conditions": bundle()}, [], None, id="empty"),
        pytest.param(
            {"conditions": {"resourceType": "OperationOutcome", "issue": []}}, [], "no access to the EHR", id="failed"
        ),
        pytest.param({}, [], "no access to the EHR", id="not-sent"),
    ],
)
def test_a_record_sent_in_prefetch_needs_no_ehr(
    prefetch: dict[str, Any], found: list[Resource], problem: str | None
) -> None:
    chart = Chart.from_request(call(service("CPT 70551"), prefetch=prefetch))
    kept = gather_record(chart, [Need("conditions")], LISTS, None, prefetch)["conditions"]
    assert list(kept.resources) == found
    assert problem in kept.problem if problem and kept.problem else kept.problem is problem


def test_a_failed_prefetch_is_read_after_all() -> None:
    prefetch = {"conditions": {"resourceType": "OperationOutcome", "issue": []}}
    chart = Chart.from_request(call(service("CPT 70551"), prefetch=prefetch))
    record = gather_record(chart, [Need("conditions")], LISTS, FakeEhr({"Condition": [CONDITION]}), prefetch)
    assert record["conditions"].resources == (CONDITION,)


def test_drafts_are_not_part_of_the_record() -> None:
    prefetch = {"medicationRequests": bundle(drug("RxNorm 1", id="old"))}
    chart = Chart.from_request(call(drug("RxNorm 2", id="draft"), prefetch=prefetch))
    kept = gather_record(chart, [Need("medications")], LISTS, None, prefetch)["medications"]
    assert [each["id"] for each in kept.resources] == ["old"]


@pytest.mark.parametrize(
    ("fetched", "resources", "problem"),
    [
        (Fetched((), False, "The EHR did not answer"), 0, "did not answer"),
        (Fetched((CONDITION,), False, "The EHR holds more"), 1, "holds more"),
        (Fetched(({**CONDITION, "subject": {"reference": "Patient/p2"}},), True, None), 0, "another patient"),
        (Fetched((CONDITION, {"resourceType": "Patient", "id": "p1"}), True, None), 1, None),
    ],
)
def test_what_cannot_be_had_is_never_empty(fetched: Fetched, resources: int, problem: str | None) -> None:
    kept = gather_record(Chart("p1"), [Need("conditions")], LISTS, FakeEhr({"Condition": fetched}), {})["conditions"]
    assert len(kept.resources) == resources
    assert (problem in kept.problem) if problem and kept.problem else kept.problem is None
