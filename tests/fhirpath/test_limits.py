"""Bounds: no expression takes more than its share, and threads do not meet."""

from __future__ import annotations

import datetime as dt
import decimal
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from app import fhirpath
from app.fhirpath import Limits, Time

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


EXTREME = [
    ("%x.truncate()", Decimal("1e999999999")),
    ("%x.toString()", Decimal("1e-999999999")),
    ("%x.x + 1", {"x": Decimal("NaN")}),
    ("%x.x > 1", {"x": float("inf")}),
    ("%x.value = 1 'mg'", {"value": {"resourceType": "Nothing", "value": Decimal("1e999999999"), "unit": "mg"}}),
    ("%x.length()", "\ud83d"),
    ("%x.matches('a')", "\ud83d"),
]


@pytest.mark.parametrize(("text", "value"), EXTREME)
def test_extreme_values_are_refused(text: str, value: Any) -> None:
    with pytest.raises(fhirpath.FhirPathError):
        fhirpath.compile(text).evaluate(None, variables={"x": value})


LARGE = [
    ("12345678901234567890123456789012345678.5 ~ 1.5", [False]),
    ("(99999999999999999999999999999999999999.5).round(28)", []),
    ("9999999999.0.power(99) > 1", [True]),
    ("9999999999.0.power(999)", []),
    ("1000.exp()", [Decimal("1.970071114017046993888879352243323E+434")]),
    ("2.power(99999)", []),
    ("@2026-01-01 + 999999999999999999999999999999 years", []),
    ("'\\uD83D\\uDD25'.length()", [1]),
]


@pytest.mark.parametrize(("text", "result"), LARGE)
def test_large_values_end_well(text: str, result: list[Any]) -> None:
    assert fhirpath.compile(text).evaluate({}) == result


def test_the_decimal_context_of_the_application_does_not_matter() -> None:
    expression = fhirpath.compile("1.23456789 * 2 + 10.0 / 3.0 - -1.000000001 + @2026-01-01T00:00:00.001Z.precision()")
    expected = expression.evaluate({})
    with decimal.localcontext(decimal.Context(prec=3, traps=[decimal.Inexact])):
        assert expression.evaluate({}) == expected
        assert fhirpath.compile("@T10:00:00.123456 + 0.5 seconds").evaluate({}) == [Time.parse("10:00:00.623456")]
        assert fhirpath.compile("1.23456 'mg' + 1 'ug' = 1.23556 'mg'").evaluate({}) == [True]


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
