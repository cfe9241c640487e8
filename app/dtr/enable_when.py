"""Whether an item is enabled by the answers so far (FHIR R4, Questionnaire.item.enableWhen)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from app.fhir.codings import coding_of

Answers = Callable[[str], Sequence[dict[str, Any]]]
"""The answers given to a linkId, each with its `value[x]`."""


def enabled(item: Mapping[str, Any], answers: Answers) -> bool:
    """By the item's enableWhen and enableBehavior; an item without any is enabled."""
    conditions = item.get("enableWhen")
    if not isinstance(conditions, list) or not conditions:
        return True
    held = (_holds(condition, answers(str(condition.get("question")))) for condition in conditions)
    return any(held) if item.get("enableBehavior") == "any" else all(held)


def _holds(condition: Mapping[str, Any], given: Sequence[dict[str, Any]]) -> bool:
    operator = condition.get("operator")
    expected = next((value for key, value in condition.items() if key.startswith("answer")), None)
    if operator == "exists":
        return bool(given) is (expected is True)
    found = [next((value for key, value in answer.items() if key.startswith("value")), None) for answer in given]
    if operator == "!=":
        # Of an unanswered question nothing is said: `!=` needs an answer (R4: "answer exists and is not equal").
        return bool(found) and not any(_same(value, expected) for value in found)
    if operator == "=":
        return any(_same(value, expected) for value in found)
    return any(_ordered(operator, _comparable(value), _comparable(expected)) for value in found)


def _same(value: Any, expected: Any) -> bool:
    one, other = coding_of(value), coding_of(expected)
    if one is not None and other is not None:
        return one.key == other.key
    if isinstance(value, dict) and isinstance(expected, dict) and ("value" in value or "reference" in value):
        keys = ("value", "code", "reference")
        return [value.get(key) for key in keys] == [expected.get(key) for key in keys]
    return bool(value == expected)


def _comparable(value: Any) -> Any:
    """A number of a Quantity, and any simple value as it is: FHIR's dates sort as text."""
    if isinstance(value, dict):
        return value.get("value")
    return value


def _ordered(operator: Any, value: Any, expected: Any) -> bool:
    numbers = (int, Decimal, float)
    comparable = isinstance(value, numbers) and isinstance(expected, numbers)
    if not comparable and not (isinstance(value, str) and isinstance(expected, str)):
        return False
    match operator:
        case ">":
            return bool(value > expected)
        case "<":
            return bool(value < expected)
        case ">=":
            return bool(value >= expected)
        case "<=":
            return bool(value <= expected)
        case _:
            return False
