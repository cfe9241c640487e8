"""Bounds: no expression takes more than its share, and threads do not meet."""

from __future__ import annotations

import datetime as dt
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from app import fhirpath
from app.fhirpath import Limits

MANY: dict[str, Any] = {"resourceType": "Patient", "name": [{"given": [f"n{n}"], "text": "same"} for n in range(300)]}

GREEDY = [
    # an expression and the one limit it runs into
    ("name.select(%context.name.select(%context.name.count()))", Limits(steps=50_000)),
    ("name.where(%context.name.exists(text = 'other'))", Limits(steps=50_000)),
    ("name.repeatAll($this)", Limits(steps=50_000)),
    ("'abc'.repeatAll(replace('a', 'A'))", Limits(steps=50_000)),
    ("name.aggregate($total | %context.name.given, {})", Limits(steps=50_000)),
    ("name.combine(name).combine(name)", Limits(items=500)),
    ("name.select(%context.name)", Limits(items=5_000)),
    ("descendants()", Limits(items=200)),
    ("name.text.join('').toChars()", Limits(items=500)),
    ("name.given.aggregate($total & $total, 'ab')", Limits(text=10_000)),
    ("name.text.join(',')", Limits(text=1_000)),
    ("name.text.join('').replace('', 'xyz')", Limits(text=2_000)),
    ("name.text.join('').replaceMatches('.', 'xyz')", Limits(text=2_000)),
    ("name.select(%context.name.text.join('').upper() & 'x').count()", Limits(steps=3_000)),
    ("name.select(%context.name.select(%context.name.count()))", Limits(seconds=0.0)),
]


@pytest.mark.parametrize(("text", "limits"), GREEDY)
def test_stopped_at_its_bound(text: str, limits: Limits) -> None:
    with pytest.raises(fhirpath.LimitError):
        fhirpath.compile(text).evaluate(MANY, limits=limits)


@pytest.mark.parametrize(("text", "limits"), GREEDY[:5])
def test_a_judgement_is_stopped_too(text: str, limits: Limits) -> None:
    with pytest.raises(fhirpath.LimitError):
        fhirpath.compile(f"({text}).exists()").judge(MANY, limits=limits)


def test_repeat_leaves_out_what_it_has_met() -> None:
    assert fhirpath.compile("name.repeat('test')").evaluate(MANY) == ["test"]
    assert fhirpath.compile("repeat($this)").evaluate({"resourceType": "Patient", "id": "p"}) == [
        {"resourceType": "Patient", "id": "p"}
    ]


def test_regular_expressions_do_not_backtrack() -> None:
    text = "a" * 5_000 + "!"
    expression = fhirpath.compile("%text.matches('^(a+)+$')")
    assert expression.evaluate(None, variables={"text": text}, limits=Limits(seconds=1.0)) == [False]


def test_a_trace_is_bounded() -> None:
    trace = fhirpath.compile("name.select(%context.name.select(text))").trace(MANY)
    assert trace.error is not None
    assert "trace" in trace.error


def test_an_evaluation_deep_in_the_stack_fails_as_one() -> None:
    expression = fhirpath.compile("-" * 150 + "1")

    def descend(depth: int) -> list[Any]:
        return descend(depth - 1) if depth else expression.evaluate({})

    assert descend(10) == [1]
    with pytest.raises(fhirpath.FhirPathError, match="deep"):
        descend(sys.getrecursionlimit() - 160)


@pytest.fixture
def eager_switching() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("eager_switching")
def test_threads_share_an_expression_and_nothing_else() -> None:
    """Each thread has its own clock, variables, $index, $total and defined variables."""
    expression = fhirpath.compile(
        "defineVariable('v', %x).select(now().toString() & '/' & %v.toString() & '/'"
        " & (1 | 2 | 3).aggregate($total + $this + %x, 0).toString()"
        " & '/' & ('a' | 'b').select($index + %x).first().toString())"
    )
    wrong: list[Any] = []

    def work(number: int) -> None:
        now = dt.datetime(2026, 1, 1 + number, tzinfo=dt.UTC)
        expected = [f"2026-01-{1 + number:02}T00:00:00.000Z/{number}/{6 + 3 * number}/{number}"]
        for _ in range(300):
            found = expression.evaluate(MANY, variables={"x": number}, now=now)
            if found != expected:
                wrong.append((found, expected))
            if not fhirpath.compile("%x = %y").judge(None, variables={"x": number, "y": number}).value:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
