"""The chart: every form of prefetch, every form of reference."""

from __future__ import annotations

from typing import Any

import pytest

from app.crd.chart import Chart, Resource
from app.errors import InvalidRequest
from app.fhir.ehr import Fetched
from tests.crd.builders import SERVER, bundle, call, drug, patient, service

MEDICATION: Resource = {"resourceType": "Medication", "id": "med1"}
OUTCOME: Resource = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}


def chart_with(prefetch: dict[str, Any], *orders: Resource) -> Chart:
    return Chart.from_request(call(*orders, prefetch=prefetch))


@pytest.mark.parametrize(
    ("value", "held", "empty", "failed"),
    [
        pytest.param(MEDICATION, ["Medication/med1"], False, False, id="resource"),
        pytest.param(bundle(MEDICATION), ["Medication/med1"], False, False, id="bundle"),
        pytest.param(None, [], True, False, id="null"),
        pytest.param(OUTCOME, [], False, True, id="operation-outcome"),
        pytest.param(bundle(), [], True, False, id="empty-bundle"),
        pytest.param({"resourceType": "Bundle", "type": "searchset"}, [], True, False, id="bundle-without-entries"),
        pytest.param(bundle(OUTCOME), [], False, True, id="bundle-of-an-outcome"),
        pytest.param(bundle(MEDICATION, OUTCOME), ["Medication/med1"], False, False, id="bundle-with-a-remark"),
        pytest.param(bundle(None, "x", {"resourceType": "Medication"}), [], False, False, id="nothing-with-an-id"),
    ],
)
def test_prefetch(value: Any, held: list[str], empty: bool, failed: bool) -> None:
    chart = chart_with({"x": value})
    assert [f"Medication/{each['id']}" for each in chart.of_type("Medication")] == held
    assert (chart.empty, chart.failed) == ({"x"} if empty else set(), {"x"} if failed else set())


@pytest.mark.parametrize("value", ["text", 5, True, [], [MEDICATION], {}, {"resourceType": 1}, {"resourceType": "x y"}])
def test_prefetch_that_is_no_resource_is_refused_by_name(value: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        chart_with({"stuff": value})
    assert refused.value.element == "prefetch.stuff"


def test_prefetched_patient_must_be_the_patient_of_the_hook() -> None:
    with pytest.raises(InvalidRequest) as refused:
        chart_with({"patient": {"resourceType": "Patient", "id": "p2"}})
    assert refused.value.element == "prefetch.patient.id"
    assert chart_with({"patient": patient()}).patient == patient()


def test_context_goes_before_prefetch_and_prefetch_before_query() -> None:
    draft = drug("HCPCS J1745")
    chart = chart_with({"x": bundle({**draft, "status": "active"}, MEDICATION)}, draft)
    chart.add_fetched(
        "x", Fetched(({**MEDICATION, "status": "active"}, {"resourceType": "Device", "id": "d"}), True, None)
    )
    assert chart.get("MedicationRequest/m1") == draft
    assert chart.get("Medication/med1") == MEDICATION
    assert chart.record_of("MedicationRequest") == ()  # a draft is no part of the record
    assert [each["id"] for each in chart.from_query()] == ["d"]
    assert "Medication/med1" in chart
    assert "Medication/other" not in chart
    assert chart.get("Medication/other") is None


def test_drafts_that_are_no_orders_are_context_too() -> None:
    chart = chart_with({}, service("CPT 70551"), MEDICATION)
    assert chart.get("Medication/med1") == MEDICATION
    assert chart.record_of("Medication") == ()


ORDER = drug(
    contained=[{"resourceType": "Medication", "id": "in"}, "broken", {"resourceType": "Medication", "id": "in2"}]
)


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("Medication/med1", "med1"),
        ("Medication/med1/_history/4", "med1"),
        (f"{SERVER}/Medication/med1", "med1"),
        ("https://elsewhere.example.org/fhir/Medication/med1", "med1"),
        ("urn:uuid:11111111-2222-3333-4444-55555555aaaa", "by-urn"),
        ("URN:UUID:11111111-2222-3333-4444-55555555AAAA", "by-urn"),
        ("https://other.example.org/no-rest/med", "by-url"),
        ("#in2", "in2"),
        ("#gone", None),
        ("Medication/gone", None),
        ("urn:uuid:00000000-0000-0000-0000-000000000000", None),
        ("Medication?code=1", None),
        ("nonsense", None),
        ({"display": "a drug"}, None),
        ({"identifier": {"value": "x"}}, None),
        (None, None),
        (7, None),
    ],
)
def test_resolve(reference: Any, found: str | None) -> None:
    entries = [
        {"fullUrl": "urn:uuid:11111111-2222-3333-4444-55555555AAAA", "resource": {**MEDICATION, "id": "by-urn"}},
        {"fullUrl": "https://other.example.org/no-rest/med", "resource": {**MEDICATION, "id": "by-url"}},
        {"resource": MEDICATION},
    ]
    chart = chart_with({"x": {"resourceType": "Bundle", "type": "collection", "entry": entries}}, ORDER)
    element = {"reference": reference} if isinstance(reference, str) else reference
    resolved = chart.resolve(element, ORDER)
    assert (resolved and resolved["id"]) == found


def test_a_resource_without_an_id_is_found_by_its_url() -> None:
    entry = {"fullUrl": "urn:uuid:11111111-2222-3333-4444-555555555555", "resource": {"resourceType": "Medication"}}
    chart = chart_with({"x": {"resourceType": "Bundle", "type": "collection", "entry": [entry]}})
    assert chart.resolve({"reference": entry["fullUrl"]}) == {"resourceType": "Medication"}


@pytest.mark.parametrize("holder", [None, {}, {"contained": "x"}, {"contained": [{"id": "other"}]}])
def test_contained_needs_its_holder(holder: Any) -> None:
    assert chart_with({}).resolve({"reference": "#in"}, holder) is None


def test_what_the_ehr_could_not_give_is_trouble() -> None:
    chart = chart_with({})
    chart.add_fetched("Medication/med1", Fetched((), False, "The EHR did not answer"))
    assert chart.trouble == {"Medication/med1": "The EHR did not answer"}


@pytest.mark.parametrize("subject", ["Patient/p2", f"{SERVER}/Patient/p2"])
def test_the_record_of_another_patient_is_not_looked_at(subject: str) -> None:
    chart = chart_with({})
    strange = {"resourceType": "Condition", "id": "k", "subject": {"reference": subject}}
    chart.add_fetched("conditions", Fetched((strange,), True, None))
    assert "Condition/k" not in chart
    assert chart.trouble["conditions"] == "The EHR answered with the record of another patient."


@pytest.mark.parametrize(
    "subject", [{"reference": "Patient/p1"}, {"reference": f"{SERVER}/Patient/p1"}, {"display": "x"}]
)
def test_the_record_of_this_patient_is_taken_in(subject: dict[str, str]) -> None:
    chart = chart_with({})
    chart.add_fetched("x", Fetched(({"resourceType": "Condition", "id": "k", "subject": subject},), True, None))
    assert "Condition/k" in chart
    assert not chart.trouble
