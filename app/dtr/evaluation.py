"""One expression of a form, evaluated: its results, or why there are none."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app import fhirpath
from app.dtr.prefill_data import PrefillData
from app.dtr.silence import rests_on_silence, tests_existence

LIMITS = fhirpath.Limits(steps=500_000, items=20_000, text=200_000, seconds=0.5)
TOTAL_SECONDS = 2.0
"""For all expressions of one form together. A client waits 30 s at most, and asks for several forms at once."""


@dataclass(frozen=True, slots=True)
class Found:
    """What an expression gave. `problem`: it could not be evaluated, and why, without data."""

    results: tuple[Any, ...] = ()
    problem: str | None = None


class Evaluator:
    """Evaluates the expressions of one form over one set of data, within the form's time."""

    def __init__(self, data: PrefillData) -> None:
        self._data = data
        self._until = time.monotonic() + TOTAL_SECONDS
        # By the element itself, which lives as long as the data: many expressions ask the same of the same record.
        self._members: dict[tuple[int, str], bool | None] = {}

    def find(self, expression: fhirpath.Expression, names: Mapping[str, Any], *, evidence: bool = True) -> Found:
        """The results; with `evidence`, none for a Boolean that rests only on something not being recorded."""
        if time.monotonic() > self._until:
            return Found(problem=f"the form took longer than {TOTAL_SECONDS:.0f} seconds")
        try:
            results = expression.evaluate(None, **self._inputs(names))
        except fhirpath.GapError as gap:
            return self._certain(expression, names, gap.reason)
        except fhirpath.FhirPathError as error:
            return Found(problem=str(error))
        claims = evidence and len(results) == 1 and isinstance(results[0], bool) and tests_existence(expression.text)
        if claims and rests_on_silence(expression.trace(None, **self._inputs(names))):
            return Found()
        return Found(tuple(results))

    def trail(self, expression: fhirpath.Expression, names: Mapping[str, Any]) -> str:
        """Every sub-expression with its value, for people."""
        return str(expression.trace(None, **self._inputs(names)))

    def _certain(self, expression: fhirpath.Expression, names: Mapping[str, Any], reason: str) -> Found:
        """What holds whatever the missing part of the record says: a true or false, or nothing."""
        try:
            trace = expression.trace(None, **self._inputs(names), judging=True)
        except fhirpath.FhirPathError as error:
            return Found(problem=str(error))
        if trace.judgement is None or trace.judgement.value is None or rests_on_silence(trace):
            return Found(problem=reason)
        return Found((trace.judgement.value,))

    def _member_of(self, value: Any, value_set: str) -> bool | None:
        if not isinstance(value, dict):
            return self._data.member_of(value, value_set)
        key = (id(value), value_set)
        if key not in self._members:
            self._members[key] = self._data.member_of(value, value_set)
        return self._members[key]

    def _inputs(self, names: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "variables": names,
            "now": self._data.now,
            "resolve": self._data.resolve,
            "member_of": self._member_of,
            "limits": LIMITS,
        }
