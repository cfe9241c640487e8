"""Explain mode: every sub-expression, where it stands and what it came to."""

from __future__ import annotations

from typing import Any

from app import fhirpath
from app.fhirpath import Step, Unobtainable

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "name": [{"use": "official", "given": ["Ada"]}, {"use": "old", "given": ["Al"]}],
}


def flat(steps: list[Step]) -> list[Step]:
    return [step for top in steps for step in (top, *flat(top.steps))]


def test_steps_follow_the_text() -> None:
    trace = fhirpath.compile("name.where(use = 'old').given.first() = 'Al'").trace(PATIENT)
    assert trace.value == [True]
    assert trace.error is None
    assert trace.judgement is None
    assert [(step.text, step.value) for step in flat(trace.steps)] == [
        ("name.where(use = 'old').given.first() = 'Al'", [True]),
        ("name.where(use = 'old').given.first()", ["Al"]),
        ("name.where(use = 'old').given", ["Al"]),
        ("name.where(use = 'old')", [PATIENT["name"][1]]),
        ("name", PATIENT["name"]),
        ("use = 'old'", [False]),
        ("use", ["official"]),
        ("'old'", ["old"]),
        ("use = 'old'", [True]),
        ("use", ["old"]),
        ("'old'", ["old"]),
        ("'Al'", ["Al"]),
    ]
    assert all(step.text == trace.expression[step.start : step.end] for step in flat(trace.steps))


def test_what_is_not_evaluated_is_not_there() -> None:
    trace = fhirpath.compile("false and name.exists()").trace(PATIENT)
    assert [step.text for step in flat(trace.steps)] == ["false and name.exists()", "false"]


def test_a_judgement_is_traced_with_its_gaps() -> None:
    text = "%order.status = 'draft' and name.exists()"
    trace = fhirpath.compile(text).trace(
        PATIENT, variables={"order": {"status": Unobtainable("not fetched")}}, judging=True
    )
    assert trace.judgement is not None
    assert trace.judgement.value is None
    status = next(step for step in flat(trace.steps) if step.text == "%order.status")
    assert status.open
    assert [missing.reason for missing in status.because] == ["not fetched"]
    assert "%order.status  →  unknown (not fetched)" in str(trace)
    assert str(trace).endswith("judged unknown because %order.status: not fetched")


def test_a_failure_is_traced_up_to_where_it_happened() -> None:
    trace = fhirpath.compile("name.exists() and name.use < 3").trace(PATIENT)
    assert trace.error == "the left side of < has 2 items where one is allowed"
    assert [step.text for step in flat(trace.steps) if step.failed] == [
        "name.exists() and name.use < 3",
        "name.use < 3",
    ]
    assert str(trace).endswith(f"error: {trace.error}")


def test_tracing_gives_what_evaluating_gives() -> None:
    for text in (
        "'a' in ('a' | 'b')",
        "('a' | 'b' | 'a').count()",
        "Patient.name.given",
        "name.given.trace('n', $this)",
    ):
        compiled = fhirpath.compile(text)
        assert compiled.trace(PATIENT).value == compiled.evaluate(PATIENT)
