"""Responses held against forms."""

from __future__ import annotations

from typing import Any

import pytest

from app.dtr.answers import MOST, check
from app.fhir.json import decode, encode

CODES = [{"valueCoding": {"system": "urn:x", "code": code, "display": code}} for code in ("a", "b")]
FORM: dict[str, Any] = {
    "item": [
        {"linkId": "yes", "type": "boolean", "required": True},
        {"linkId": "many", "type": "string", "repeats": True},
        {"linkId": "number", "type": "decimal"},
        {"linkId": "count", "type": "integer"},
        {"linkId": "choice", "type": "choice", "answerOption": CODES},
        {"linkId": "open", "type": "open-choice", "answerOption": CODES},
        {"linkId": "elsewhere", "type": "choice", "answerValueSet": "http://x/vs"},
        {
            "linkId": "detail",
            "type": "string",
            "required": True,
            "enableWhen": [{"question": "yes", "operator": "=", "answerBoolean": True}],
        },
        {
            "linkId": "drug",
            "type": "group",
            "repeats": True,
            "item": [
                {"linkId": "failed", "type": "boolean"},
                {
                    "linkId": "why",
                    "type": "string",
                    "enableWhen": [{"question": "failed", "operator": "=", "answerBoolean": True}],
                },
            ],
        },
        {"linkId": "note", "type": "display"},
    ]
}


def item(link_id: str, *values: Any, items: list[Any] | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {"linkId": link_id}
    if values:
        made["answer"] = list(values)
    return made | ({"item": items} if items else {})


def held(*items: dict[str, Any], complete: bool = True) -> tuple[list[str], list[dict[str, Any]]]:
    response = decode(encode({"item": [item("yes", {"valueBoolean": False}), *items]}))
    checked = check(FORM, response, lambda canonical: None, complete=complete)
    return [issue["diagnostics"] for issue in checked.issues], checked.items[1:]


@pytest.mark.parametrize(
    "given",
    [
        item("many", {"valueString": "a"}, {"valueString": "b"}),
        item("number", {"valueDecimal": 1.5}),
        item("number", {"valueDecimal": 3}),
        item("count", {"valueInteger": 3}),
        item("choice", {"valueCoding": {"system": "urn:x", "code": "a"}}),
        item("open", {"valueString": "something else"}),
        item("elsewhere", {"valueCoding": {"system": "urn:y", "code": "z"}}),
    ],
)
def test_good_answers_stay(given: dict[str, Any]) -> None:
    issues, kept = held(given)
    assert (issues, [each["linkId"] for each in kept]) == ([], [given["linkId"]])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([item("number", {"valueDecimal": "1"})], "type 'decimal'"),
        ([item("count", {"valueInteger": True})], "type 'integer'"),
        ([item("count", {"valueDecimal": 1.5})], "type 'integer'"),
        ([item("number", {"valueDecimal": 1}, {"valueDecimal": 2})], "takes one answer"),
        ([item("choice", {"valueCoding": {"system": "urn:x", "code": "c"}})], "none of those"),
        ([item("choice", {"valueString": "a"})], "none of those"),
        ([item("open", {"valueCoding": {"code": "a"}})], "none of those"),
        ([item("number", {"valueDecimal": 1}), item("number", {"valueDecimal": 2})], "more than once"),
        ([item("unknown", {"valueString": "x"})], "no item 'unknown'"),
    ],
)
def test_wrong_answers_are_told_with_their_place(given: list[dict[str, Any]], words: str) -> None:
    issues, _ = held(*given)
    assert len(issues) == 1
    assert words in issues[0]


def test_required_only_of_what_is_enabled_and_only_at_the_end() -> None:
    checked = check(FORM, {}, lambda canonical: None, complete=True)
    assert [issue["expression"] for issue in checked.issues] == [["QuestionnaireResponse.item.where(linkId='yes')"]]
    assert check(FORM, {}, lambda canonical: None, complete=False).issues == []
    both = check(FORM, {"item": [item("yes", {"valueBoolean": True})]}, lambda canonical: None, complete=True)
    assert "detail" in both.issues[0]["expression"][0]


def test_answers_to_disabled_questions_do_not_count() -> None:
    issues, kept = held(item("detail", {"valueString": "left over"}))
    assert (issues, kept) == ([], [])


def test_each_repetition_has_its_own_condition() -> None:
    issues, kept = held(
        item("drug", items=[item("failed", {"valueBoolean": True}), item("why", {"valueString": "rash"})]),
        item("drug", items=[item("failed", {"valueBoolean": False}), item("why", {"valueString": "left over"})]),
    )
    assert issues == []
    assert [[each["linkId"] for each in one["item"]] for one in kept] == [["failed", "why"], ["failed"]]


def test_hostile_sizes() -> None:
    issues, kept = held(*[item("many", {"valueString": "x"})] * MOST)
    assert len(issues) == 1
    assert kept == []
