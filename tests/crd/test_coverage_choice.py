"""Which Coverage is answered for, and what is said when there is not exactly one."""

from __future__ import annotations

from typing import Any

import pytest

from app.crd.chart import Chart, Resource
from app.crd.coverage_choice import choose_coverages
from app.errors import EhrError, InvalidRequest, PrefetchMissing
from tests.crd.builders import PAYER_ID, SERVER, bundle, call, coverage, rulebook, service

PAYER = rulebook().payer
STRANGE = {"system": "urn:other", "value": "9"}
OURS = {"resourceType": "Organization", "id": "ours", "identifier": [STRANGE, PAYER_ID]}
THEIRS = {"resourceType": "Organization", "id": "theirs", "identifier": [STRANGE]}
FOREIGN = coverage("c2", payor=[{"identifier": STRANGE}])


def choose(
    *sent: Resource,
    any_payer: bool = False,
    could_query: bool = False,
    trouble: dict[str, str] | None = None,
    **prefetch: Any,
) -> Resource:
    chart = Chart.from_request(
        call(service("CPT 1"), prefetch={"coverage": bundle(*sent), "x": bundle(OURS, THEIRS), **prefetch})
    )
    chart.trouble |= trouble or {}
    return choose_coverages(chart, PAYER, any_payer=any_payer, could_query=could_query)[0]


@pytest.mark.parametrize(
    "payor",
    [
        pytest.param([{"identifier": PAYER_ID}], id="identifier-on-the-reference"),
        pytest.param([{"reference": "Organization/ours"}], id="organization"),
        pytest.param([{"reference": f"{SERVER}/Organization/ours"}], id="organization-in-full"),
        pytest.param([{"reference": "#in"}], id="contained-organization"),
        pytest.param([{"reference": "Organization/theirs"}, {"reference": "Organization/ours"}], id="second-payer"),
        pytest.param({"reference": "Organization/ours"}, id="not-a-list"),
        pytest.param(
            [{"reference": "Organization/gone", "identifier": PAYER_ID}], id="identifier-beside-a-dead-reference"
        ),
    ],
)
def test_the_payer_is_found_in_every_form(payor: Any) -> None:
    one = coverage(payor=payor, contained=[{**OURS, "id": "in"}])
    assert choose(one) == one


@pytest.mark.parametrize(
    ("sent", "chosen"),
    [
        ([coverage(), FOREIGN], "c1"),
        ([FOREIGN, coverage()], "c1"),
        ([coverage(status="cancelled"), coverage("c3")], "c3"),
        # One that is over is still answered for when there is no other: nothing is in force.
        ([coverage(status="cancelled")], "c1"),
        ([{k: v for k, v in coverage().items() if k != "status"}], "c1"),
        ([coverage(), coverage()], "c1"),
        ([coverage("c4", beneficiary={"reference": "Patient/p2"}), coverage()], "c1"),
        ([coverage(beneficiary={"display": "the patient"})], "c1"),
        ([coverage(beneficiary={"reference": "urn:uuid:11111111-2222-3333-4444-555555555555"})], "c1"),
        ([{k: v for k, v in coverage().items() if k != "beneficiary"}], "c1"),
        ([coverage(period={"start": "2026", "end": "2026-12-31"})], "c1"),
        ([coverage(period="broken")], "c1"),
    ],
)
def test_one_coverage_is_chosen(sent: list[Resource], chosen: str) -> None:
    assert choose(*sent)["id"] == chosen


def test_the_sandbox_takes_any_payer_but_not_none() -> None:
    assert choose(FOREIGN, any_payer=True)["id"] == "c2"
    assert choose(FOREIGN, coverage(), any_payer=True)["id"] == "c1"
    with pytest.raises(InvalidRequest):
        choose(coverage(payor=[]), any_payer=True)


@pytest.mark.parametrize(
    ("sent", "rest", "error", "element", "code"),
    [
        pytest.param([], {}, InvalidRequest, "prefetch.coverage", "not-found", id="looked-and-found-none"),
        pytest.param(
            [], {"could_query": True}, InvalidRequest, "prefetch.coverage", "not-found", id="read-and-found-none"
        ),
        pytest.param([], {"coverage": None}, InvalidRequest, "prefetch.coverage", "not-found", id="null"),
        pytest.param(
            [],
            {"coverage": {"resourceType": "OperationOutcome", "issue": []}},
            PrefetchMissing,
            "prefetch.coverage",
            "required",
            id="the-client-could-not",
        ),
        pytest.param(
            [coverage(beneficiary={"reference": "Patient/p2"})],
            {"could_query": True},
            InvalidRequest,
            "prefetch.coverage",
            "not-found",
            id="of-somebody-else",
        ),
        pytest.param([coverage(payor=[])], {}, InvalidRequest, "Coverage.payor", "required", id="no-payer"),
        pytest.param(
            [{k: v for k, v in coverage().items() if k != "payor"}],
            {},
            InvalidRequest,
            "Coverage.payor",
            "required",
            id="no-payer-at-all",
        ),
        pytest.param([FOREIGN], {}, InvalidRequest, "Coverage.payor", "not-found", id="another-payer"),
        pytest.param(
            [coverage(payor=[{"reference": "Organization/gone"}])],
            {},
            InvalidRequest,
            "Coverage.payor",
            "not-found",
            id="unknown-payer",
        ),
        pytest.param(
            [coverage(payor=["broken", {"identifier": "broken"}])],
            {},
            InvalidRequest,
            "Coverage.payor",
            "not-found",
            id="broken-payer",
        ),
        pytest.param(
            [coverage(payor=[{"identifier": {"system": PAYER_ID["system"], "value": 1}}])],
            {},
            InvalidRequest,
            "Coverage.payor",
            "not-found",
            id="broken-identifier",
        ),
        pytest.param(
            [coverage(), coverage("c2")], {}, InvalidRequest, "Coverage", "multiple-matches", id="two-of-ours"
        ),
        pytest.param(
            [coverage(period={"start": "soon"})], {}, InvalidRequest, "Coverage.period.start", "value", id="no-date"
        ),
        pytest.param(
            [coverage(period={"end": 5})], {}, InvalidRequest, "Coverage.period.end", "value", id="no-date-at-the-end"
        ),
    ],
)
def test_refusals_name_the_element(
    sent: list[Resource], rest: dict[str, Any], error: type[InvalidRequest | PrefetchMissing], element: str, code: str
) -> None:
    with pytest.raises(error) as refused:
        choose(*sent, **rest)
    assert (refused.value.element, refused.value.code) == (element, code)


def test_no_prefetch_and_no_way_to_read() -> None:
    chart = Chart.from_request(call(service("CPT 1")))
    with pytest.raises(PrefetchMissing) as refused:
        choose_coverages(chart, PAYER, any_payer=True, could_query=False)
    assert refused.value.status == 412


@pytest.mark.parametrize(
    ("sent", "trouble", "words"),
    [
        (
            [],
            {"Coverage": "The EHR did not answer"},
            "The patient's coverage could not be read: The EHR did not answer",
        ),
        (
            [coverage(payor=[{"display": "?"}, {"reference": "Organization/gone"}])],
            {"Organization/gone": "The EHR did not answer"},
            "The payer on the patient's coverage could not be read: The EHR did not answer",
        ),
    ],
)
def test_trouble_with_the_ehr_is_told_as_such(sent: list[Resource], trouble: dict[str, str], words: str) -> None:
    with pytest.raises(EhrError) as failed:
        choose(*sent, could_query=True, trouble=trouble)
    assert failed.value.reason == words
