"""enableWhen, operator by operator."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from app.dtr.enable_when import enabled

CODING = {"system": "http://snomed.info/sct", "code": "1"}
KILO = {"value": Decimal(2), "unit": "kg", "code": "kg"}


def when(operator: str, question: str = "q", **answer: Any) -> dict[str, Any]:
    return {"question": question, "operator": operator, **answer}


@pytest.mark.parametrize(
    ("condition", "given", "holds"),
    [
        (when("exists", answerBoolean=True), [{"valueInteger": 0}], True),
        (when("exists", answerBoolean=True), [], False),
        (when("exists", answerBoolean=False), [], True),
        (when("=", answerBoolean=True), [{"valueBoolean": True}], True),
        (when("=", answerBoolean=True), [{"valueBoolean": False}], False),
        (when("=", answerBoolean=False), [], False),
        (when("=", answerCoding=CODING), [{"valueCoding": CODING | {"display": "One"}}], True),
        (when("=", answerCoding=CODING), [{"valueCoding": CODING | {"code": "2"}}], False),
        (when("=", answerString="a"), [{"valueString": "b"}, {"valueString": "a"}], True),
        (when("=", answerQuantity=KILO), [{"valueQuantity": KILO | {"unit": "kilogram"}}], True),
        (when("!=", answerString="a"), [{"valueString": "b"}], True),
        (when("!=", answerString="a"), [{"valueString": "a"}], False),
        (when("!=", answerString="a"), [], False),
        (when(">", answerInteger=3), [{"valueInteger": 4}], True),
        (when(">=", answerDecimal=Decimal(3)), [{"valueDecimal": Decimal("3.0")}], True),
        (when("<", answerQuantity=KILO), [{"valueQuantity": KILO | {"value": Decimal(1)}}], True),
        (when("<=", answerDate="2026-01-01"), [{"valueDate": "2026-01-02"}], False),
        (when("<", answerInteger=3), [{"valueString": "1"}], False),
        (when("~", answerInteger=3), [{"valueInteger": 3}], False),
    ],
)
def test_operators(condition: dict[str, Any], given: list[dict[str, Any]], holds: bool) -> None:
    assert enabled({"enableWhen": [condition]}, lambda link_id: given if link_id == "q" else []) is holds


@pytest.mark.parametrize(("behavior", "holds"), [("any", True), ("all", False), (None, False)])
def test_several_conditions(behavior: str | None, holds: bool) -> None:
    conditions = [when("=", answerInteger=1), when("=", question="p", answerInteger=1)]
    item = {"enableWhen": conditions, "enableBehavior": behavior}
    assert enabled(item, lambda link_id: [{"valueInteger": 1}] if link_id == "q" else []) is holds


def test_no_condition() -> None:
    assert enabled({}, lambda _: [])
    assert enabled({"enableWhen": []}, lambda _: [])
