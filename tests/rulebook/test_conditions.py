from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from app.fhirpath import FhirPathSyntaxError, Unobtainable
from app.rulebook.conditions import RECORD, VARIABLES, Finding, compile_condition

NOW = datetime(2026, 6, 1, tzinfo=UTC)
MEDICATION = "Medication/m"
CROHNS = {"resourceType": "Condition", "code": {"coding": [{"system": "s", "code": "K50.90"}]}}


def judge(text: str, **variables: Any) -> Finding:
    return compile_condition(text).judge(
        variables,
        now=NOW,
        member_of=lambda value, name: None if name == "list:unheard-of" else value == CROHNS["code"],
        resolve=lambda reference: {"resourceType": "Medication", "id": "m"} if reference == MEDICATION else None,
    )


@pytest.mark.parametrize(
    ("text", "variables", "value"),
    [
        ("%facts.age >= 18", {"facts": {"age": 40}}, True),
        ("%facts.age >= 18", {"facts": {"age": 4}}, False),
        ("%conditions.exists(code.memberOf('list:x'))", {"conditions": [CROHNS]}, True),
        ("%conditions.exists(code.memberOf('list:x'))", {"conditions": []}, False),
        ("intent = 'order'", {"order": {"resourceType": "ServiceRequest", "intent": "order"}}, True),
        ("%order.intent = 'plan'", {"order": {"resourceType": "ServiceRequest", "intent": "order"}}, False),
        ("today() = @2026-06-01", {}, True),
        ("%order.medication.resolve().id = 'm'", {"order": {"medicationReference": {"reference": MEDICATION}}}, True),
    ],
)  # fmt: skip
def test_known(text: str, variables: dict[str, Any], value: bool) -> None:
    assert judge(text, **variables) == Finding(value)


@pytest.mark.parametrize(
    ("text", "variables", "lacking"),
    [
        ("%facts.age >= 18", {"facts": {}}, ("the member's file does not say 'age'",)),
        ("%facts.age >= 18", {"facts": {"age": Unobtainable("no birth date")}}, ("no birth date",)),
        ("%conditions.exists()", {"conditions": Unobtainable("the EHR did not answer")}, ("the EHR did not answer",)),
        # Said once, however often it is lacked.
        (
            "%facts.age >= 18 and %facts.age < 65",
            {"facts": {"age": Unobtainable("the birth date is missing")}},
            ("the birth date is missing",),
        ),
        (
            "%facts.age >= 18 and %facts.sex = 'female'",
            {"facts": {"age": Unobtainable("no birth date"), "sex": Unobtainable("no sex")}},
            ("no birth date", "no sex"),
        ),
        (
            "%conditions.first().code.memberOf('list:unheard-of')",
            {"conditions": [CROHNS]},
            ("membership in list:unheard-of is not known",),
        ),
    ],
)  # fmt: skip
def test_unknown_says_what_was_lacking(text: str, variables: dict[str, Any], lacking: tuple[str, ...]) -> None:
    assert judge(text, **variables) == Finding(None, lacking)


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("%facts.age", {"facts": {"age": 40}}),
        ("%facts.codes.code = 'x' and %conditions.code.single().exists()", {"conditions": [CROHNS, CROHNS]}),
        ("%conditions.code.memberOf('list:x')", {"conditions": [CROHNS, CROHNS]}),
        ("(1 | 2).toString() = 'x'", {}),
    ],
)
def test_what_cannot_be_evaluated_is_unknown(text: str, variables: dict[str, Any]) -> None:
    finding = judge(text, **variables)
    assert finding.value is None
    (words,) = finding.lacking
    assert words.startswith("the condition could not be evaluated (")


def test_what_a_condition_looks_at() -> None:
    condition = compile_condition("%conditions.exists(code.memberOf('list:a')) and %facts.x.memberOf('list:b')")
    assert condition.variables == {"conditions", "facts"}
    assert condition.lists == ("a", "b")


@pytest.mark.parametrize("name", sorted(VARIABLES))
def test_every_name_may_be_used(name: str) -> None:
    assert compile_condition(f"%{name}.exists()").variables == {name}
    assert set(RECORD) < VARIABLES


@pytest.mark.parametrize("text", ["%conditons.exists()", "%facts.age >", "", "nope(", "%facts.age.nope()"])
def test_syntax(text: str) -> None:
    with pytest.raises(FhirPathSyntaxError):
        compile_condition(text)
