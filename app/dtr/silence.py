"""Whether a true or false rests on something being recorded, or only on something not being there.

What is not in the record may be elsewhere, or restricted (DTR, "Use of CQL": absence is not non-existence), so an
answer must not hang on it. A traced evaluation shows every test for existence that came to nothing; tests inside a
criterion (`where(status.empty() or …)`) only choose among what is there and do not count.
"""

from __future__ import annotations

import re

from app.fhirpath import Step, Trace

_TESTS = "exists|empty|count|all|allTrue|allFalse|anyTrue|anyFalse|subsetOf|supersetOf"
_CALL = re.compile(rf"\.?(?P<name>{_TESTS})\(")
_ANY_TEST = re.compile(rf"\b((?:{_TESTS})\s*\(|(?:in|contains)\b)")
# One operand of this value settles the matter, whatever the other rests on.
_DECISIVE: dict[str, list[object]] = {"or": [True], "and": [False]}
_AT_LEAST = re.compile(r"\.count\(\)\s*>=?\s*\d+$")


def tests_existence(text: str) -> bool:
    """Whether an expression could rest on silence at all; tracing it costs more than evaluating it."""
    return _ANY_TEST.search(text) is not None


def rests_on_silence(trace: Trace) -> bool:
    """Whether the traced result, one Boolean, needs something to be absent."""
    return any(_silent(step) for step in trace.steps)


def _silent(step: Step) -> bool:
    text = step.text.strip()
    if _AT_LEAST.search(text) and step.value == [True]:
        return False  # as many as that are there; more would change nothing
    operator = _operator(step)
    if operator in ("in", "contains"):
        return step.value == [False]
    if operator in _DECISIVE and step.value == _DECISIVE[operator]:
        decided = (child for child in step.steps if child.value == step.value)
        return not any(not _silent(child) for child in decided)
    name = _function(step)
    if name is None:
        return any(_silent(child) for child in step.steps)
    match name:
        case "count":
            return True
        case "exists" | "anyTrue" | "anyFalse" | "supersetOf":
            return step.value == [False]
        case "empty":
            return step.value == [True]
        case _:  # all and its kin hold of nothing at all
            return step.value == [True] and not (step.steps and step.steps[0].value)


def _function(step: Step) -> str | None:
    """The existence function that is the last thing this step does."""
    # The first step below is the input, and the function's name follows its text.
    behind = step.steps[0].end - step.start if step.steps and step.steps[0].start == step.start else 0
    called = _CALL.match(step.text[behind:].lstrip()) if step.text.rstrip().endswith(")") else None
    return called["name"] if called else None


def _operator(step: Step) -> str | None:
    """The word between the two operands of a step."""
    if len(step.steps) != 2:
        return None
    return step.text[step.steps[0].end - step.start : step.steps[1].start - step.start].strip()
