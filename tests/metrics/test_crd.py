"""The metrics of the CRD guide, over calls made by hand and over real ones."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask

from app.cli import main
from app.ledger import MeasuredAssertion, MeasuredCall
from app.metrics.crd import ALL, AnswerCount, CrdMetrics, Group
from app.settings import Settings
from tests.ehr_actions import EhrActions, example


def call(*answers: dict[str, Any], **changes: Any) -> MeasuredCall:
    """A call answered in a second; each answer is one assertion of one coverage-information."""
    given = tuple(
        MeasuredAssertion(
            line_of_business=answer.pop("line", "ma"),
            track=answer.pop("track", "medical"),
            covered=answer["covered"],
            pa_needed=answer.get("pa_needed"),
            rule_ids=(),
            facts=json.dumps({"requester_npi": answer.pop("npi", {"missing": "the order names nobody"})}).encode(),
            answer=json.dumps({"determination": {"answers": [answer]}}).encode(),
        )
        for answer in map(dict, answers)
    )
    made = {
        "received_at": datetime(2026, 11, 3, tzinfo=UTC),
        "answered_in_ms": 1000.0,
        "hook": "order-sign",
        "client": "https://ehr.example.org",
        "protocol_version": "2.2",
        "status": 200,
        "token_use": "not-used",
        "assertions": given,
    }
    return MeasuredCall(**{**made, **changes})


FORM = {"covered": "covered", "pa_needed": "auth-needed", "doc_needed": ["clinical"], "questionnaires": ["mri|1.0.0"]}
NO_FORM = {"covered": "covered", "pa_needed": "auth-needed", "doc_needed": ["admin"], "questionnaires": []}
PATIENT_ONLY = {"covered": "covered", "doc_needed": ["patient"], "questionnaires": ["q|1"]}
SATISFIED = {"covered": "covered", "pa_needed": "satisfied"}
NOT_COVERED = {"covered": "not-covered"}
WAITING = {"covered": "conditional", "info_needed": ["performer"]}


def groups_of(*calls: MeasuredCall, by: str = "hook") -> dict[str, Group]:
    metrics = CrdMetrics(by)
    for each in calls:
        metrics.add(each)
    return {group.name: group for group in metrics.groups()}


def test_by_who_ordered() -> None:
    """The guide's metric 8: a call with orders of two counts for both, and who is not known is a group of its own."""
    calls = [call({**FORM, "npi": "1234567893"}, {**NOT_COVERED, "npi": "1245319599"}), call(FORM), call(status=422)]
    found = groups_of(*calls, by="orderer")
    counts = {name: group.calls for name, group in found.items()}
    assert counts == {ALL: 3, "1234567893": 1, "1245319599": 1, "not known": 1, "no answer": 1}


@pytest.mark.parametrize(
    ("calls", "metric", "volume", "of"),
    [
        pytest.param([call(FORM), call(), call(status=422)], "answered (HTTP 200)", 2, 3, id="refusals are calls"),
        pytest.param([call(FORM, NOT_COVERED), call()], "with coverage information", 1, 2, id="1"),
        pytest.param([call(FORM, NOT_COVERED), call(NOT_COVERED)], "answered covered", 1, 2, id="2 counts calls"),
        pytest.param([call(FORM, NOT_COVERED), call(NOT_COVERED)], "answered not-covered", 2, 2, id="2 in both"),
        pytest.param([call(WAITING)], "answered conditional", 1, 1, id="2 conditional"),
        pytest.param([call(FORM), call(NO_FORM), call()], "authorization needed, with a form", 1, 2, id="3"),
        pytest.param([call(FORM), call(NO_FORM), call()], "documents needed, with a form", 1, 2, id="4"),
        pytest.param([call(PATIENT_ONLY)], "documents needed, with a form", 0, 0, id="4 not the patient's"),
        pytest.param([call(SATISFIED), call(FORM)], "authorization satisfied", 1, 2, id="5"),
        pytest.param(
            [call(answered_in_ms=4999.9), call(answered_in_ms=5000.0), call(status=500, answered_in_ms=1.0)],
            "in under 5 seconds",
            1,
            2,
            id="6 of those answered",
        ),
        pytest.param(
            [call(answered_in_ms=4999.9), call(answered_in_ms=5000.0), call(status=500), call(status=400)],
            "within budget (at least 90 %)",
            1,
            3,
            id="found-2: our fault is not in time, the client's is not ours",
        ),
        pytest.param(
            [call(answered_in_ms=9999.0, hook="appointment-book"), call(answered_in_ms=9999.0, hook="order-dispatch")],
            "within budget (at least 90 %)",
            1,
            2,
            id="found-2: ten seconds for a booking",
        ),
        pytest.param([call(token_use="used"), call()], "EHR read with the call's token", 1, 2, id="token use"),
    ],
)
def test_metrics(calls: list[MeasuredCall], metric: str, volume: int, of: int) -> None:
    (found,) = (each for each in groups_of(*calls)[ALL].metrics if each.name == metric)
    assert (found.volume, found.of) == (volume, of)
    assert found.percent == (round(100 * volume / of, 1) if of else None)


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("hook", {"order-select": 1, "order-sign": 2}),
        ("client", {"https://a.example.org": 1, "https://b.example.org": 1, "not known": 1}),
        ("line", {"ma": 1, "commercial": 1, "no answer": 2}),
        ("version", {"2.0": 1, "2.2": 2}),
        ("month", {"2026-10": 1, "2026-11": 2}),
        ("day", {"2026-10-31": 1, "2026-11-03": 2}),
    ],
)
def test_groups(by: str, expected: dict[str, int]) -> None:
    calls = (
        call(FORM, {**FORM, "line": "commercial"}, client="https://a.example.org"),
        call(hook="order-select", client="https://b.example.org", received_at=datetime(2026, 10, 31, tzinfo=UTC)),
        call(client=None, protocol_version="2.0"),
    )
    found = groups_of(*calls, by=by)
    assert found.pop(ALL).calls == 3
    assert {name: group.calls for name, group in found.items()} == expected


def test_times_and_answers() -> None:
    calls = [call(FORM, {**NOT_COVERED, "track": None}, answered_in_ms=float(ms)) for ms in range(1, 101)]
    found = groups_of(*calls, call(status=503, answered_in_ms=60_000.0))[ALL]
    assert found.seconds == {"p50": 0.05, "p90": 0.09, "p95": 0.095, "p99": 0.099, "max": 0.1}
    assert found.answers == (
        AnswerCount("-", "not-covered", "-", 100),
        AnswerCount("medical", "covered", "auth-needed", 100),
    )
    assert found.statuses == {200: 100, 503: 1}


@pytest.fixture
def settings(tmp_path: Any) -> Settings:
    return Settings(sandbox=True, data_dir=tmp_path, rules_interval=0)


def test_from_real_calls(app: Flask, ehr: EhrActions, settings: Settings) -> None:
    """The second signing honours the first answer, and counts as an answer too."""
    for name in ("mri", "mri", "self-injected"):
        assert ehr.sign(example(name)).status == 200
    assert app.test_client().post("/cds-services/order-sign-crd", data=b"{").status_code == 400

    def told(*options: str) -> str:
        done = CliRunner().invoke(main, ["metrics", "crd", "--data-dir", str(settings.data_dir), *options])
        assert done.exit_code == 0, done.output
        return done.output

    every, signed = json.loads(told("--format", "json"))["groups"]
    assert (every["calls"], signed["group"]) == (4, "order-sign")
    assert every["answers"] == [
        {"track": "-", "covered": "covered", "pa_needed": "auth-needed", "count": 2},
        {"track": "pharmacy", "covered": "covered", "pa_needed": "auth-needed", "count": 1},
    ]
    by_number = {each["number"]: each for each in every["metrics"] if each["number"]}
    assert (by_number["3"]["volume"], by_number["3"]["of"]) == (2, 3)
    assert (by_number["found-2"]["volume"], by_number["found-2"]["percent"]) == (3, 100.0)
    rows = list(csv.DictReader(io.StringIO(told("--format", "csv", "--by", "client"))))
    assert {row["group"] for row in rows} == {"all", "sandbox"}
    assert "within budget (at least 90 %)" in told()
    assert "There were no calls." in told("--since", "2999-01-01")
    assert json.loads(told("--until", "1d", "--format", "json"))["groups"] == []
