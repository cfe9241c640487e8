"""What is found out before any data is seen."""

from __future__ import annotations

from typing import Any

import pytest

from app import fhirpath

UNSOUND: list[tuple[str, dict[str, Any], int, str, str | None]] = [
    # text, options, column, part of the message, part of what was expected
    ("name.wher(use = 'a')", {}, 6, "wher()", "where()"),
    ("name.where()", {}, 6, "takes 1 arguments", "where(criteria: expression)"),
    ("name.first(1)", {}, 6, "takes 0 arguments", "first()"),
    ("a.substring()", {}, 3, "takes 1 to 2", "substring"),
    ("text.htmlChecks()", {}, 6, "not supported", None),
    ("code.subsumes(a)", {}, 6, "not supported", None),
    ("%oder.code", {"variables": frozenset({"order"})}, 1, "%oder", "%order"),
    ("name.where(use = %u)", {"variables": frozenset()}, 18, "%u", "%context"),
    ("a is Foo", {}, 6, "Unknown type Foo", "FHIR R4"),
    ("a.ofType(FHIR.Foo)", {}, 10, "Unknown type FHIR.Foo", None),
    ("a.as(1)", {}, 6, "Unknown type", None),
    ("a.matches('(')", {}, 11, "regular expression", "RE2"),
    ("a.matches('(?=b)')", {}, 11, "regular expression", "look-around"),
    ("iif('a', 1, 2)", {}, 5, "not Boolean", "condition"),
    ("defineVariable(a)", {}, 1, "literal", "string"),
    ("defineVariable('a').defineVariable('a')", {}, 36, "already defined", "another"),
    ("defineVariable('order')", {"variables": frozenset({"order"})}, 16, "already defined", None),
    ("defineVariable('context')", {}, 16, "already defined", None),
    ("defineVariable('a').select(%a) | %a", {"variables": frozenset()}, 34, "%a", None),
    ("select(defineVariable('a')) | %a", {"variables": frozenset()}, 31, "%a", None),
    # Elements, where the type is known
    ("Patient.nmae", {}, 9, "Patient has no element 'nmae'", "name"),
    ("Patient.name.gven.first()", {}, 14, "HumanName has no element 'gven'", "given"),
    ("Patient.name.where(us = 'a')", {}, 20, "HumanName has no element 'us'", "use"),
    ("Patient.name.first().exists(familly = 'a')", {}, 29, "'familly'", "family"),
    ("Patient.contact.name.select(given | famly)", {}, 37, "'famly'", "family"),
    ("Patient.birthDate.year", {}, 19, "date has no element 'year'", None),
    ("name.gvn", {"root": "Patient"}, 6, "'gvn'", "given"),
    ("nme", {"root": "Patient"}, 1, "'nme'", "name"),
    ("%context.nme", {"root": "Patient"}, 10, "'nme'", "name"),
    ("%order.cod", {"types": {"order": "ServiceRequest"}}, 8, "'cod'", "code"),
    ("%order.occurrencePeriod", {"types": {"order": "ServiceRequest"}}, 8, "'occurrencePeriod'", "'occurrence'"),
    ("Observation.valueQuantity.unit", {}, 13, "'valueQuantity'", "'value'"),
    ("Observation.value.untt", {}, 19, "None of the types", "unit"),
    ("(Observation.value as Period).unit", {}, 31, "Period has no element 'unit'", None),
    ("Observation.value.ofType(Quantity).vlue", {}, 36, "'vlue'", "value"),
    ("Bundle.entry.resource.ofType(Patient).nme", {}, 39, "'nme'", "name"),
    ("Patient.extension('u').valu", {}, 24, "Extension has no element 'valu'", "value"),
    ("Questionnaire.item.item.item.linkID", {}, 30, "'linkID'", "linkId"),
    ("Questionnaire.repeat(item).linkID", {}, 28, "'linkID'", "linkId"),
    ("Patient.name[0].gvn", {}, 17, "'gvn'", "given"),
    ("Encounter.name.given", {"root": "Patient"}, 11, "Encounter has no element 'name'", None),
    ("Patient.birthDate = '1961-03-09'", {}, 21, "date is compared with a string", "@2026-01-31"),
    ("'1961' < Patient.birthDate", {}, 1, "date is compared with a string", None),
    ("(Patient.name | Patient.address).cty", {}, 34, "'cty'", "city"),
]


@pytest.mark.parametrize(("text", "options", "column", "message", "expected"), UNSOUND)
def test_unsound(text: str, options: dict[str, Any], column: int, message: str, expected: str | None) -> None:
    with pytest.raises(fhirpath.FhirPathSyntaxError) as caught:
        fhirpath.compile(text, **options)
    assert message in caught.value.message
    assert caught.value.column == column
    if expected is not None:
        assert expected in (caught.value.expected or "")


SOUND: list[tuple[str, dict[str, Any]]] = [
    ("name.gvn", {}),
    ("%order.cod", {}),
    ("%order.cod", {"types": {"order": None}}),
    ("Patient.nmae", {"model": None}),
    ("Bundle.entry.resource.name.given", {}),
    ("Patient.contained.code.text", {}),
    ("Patient.children().nothing", {}),
    ("Patient.managingOrganization.resolve().nothing", {}),
    ("Patient.name.given.extension('u').value.code", {}),
    ("Patient.birthDate.extension('u').value", {}),
    ("Observation.value.unit", {}),
    ("Observation.component.value.coding.code", {}),
    ("Observation.component.referenceRange.low.value", {}),
    ("Questionnaire.repeat(item).linkId", {}),
    ("QuestionnaireResponse.repeat(item | answer.item).answer.value.code", {}),
    ("Resource.id", {}),
    ("Age.value", {}),
    ("%resource.item | %rootResource.id | %context | %ucum | %sct | %loinc | %`vs-a` | %`ext-a`", {"variables": ()}),
    ("defineVariable('a', 1).select(%a + 1)", {"variables": ()}),
    ("name.where(defineVariable('a').exists()).select(defineVariable('a'))", {"variables": ()}),
    ("$this is System.Patient", {}),
]


@pytest.mark.parametrize(("text", "options"), SOUND)
def test_sound(text: str, options: dict[str, Any]) -> None:
    assert fhirpath.compile(text, **options).text == text


@pytest.mark.parametrize("options", [{"root": "Nothing"}, {"types": {"a": "Nothing"}}])
def test_options_must_name_types(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Nothing"):
        fhirpath.compile("%a", **options)


def test_what_an_expression_uses() -> None:
    expression = fhirpath.compile(
        "%order.code.coding.exists(memberOf('list:a')) and %order.code.memberOf('list:b')"
        " and %facts.site = %sct and %context.id.exists() and %order.code.text.memberOf('list:a')"
    )
    assert expression.variables == {"order", "facts"}
    assert expression.value_sets == ("list:a", "list:b")
    assert expression.paths == ("%order.code.coding", "%facts.site", "%context.id", "%order.code.text")


@pytest.mark.parametrize(
    ("text", "operator", "operands"),
    [
        ("a", "and", ("a",)),
        ("a and b", "and", ("a", "b")),
        ("a and (b or c) and d.where(e and f)", "and", ("a", "(b or c)", "d.where(e and f)")),
        ("a and b or c", "and", ("a and b or c",)),
        ("a and b or c", "or", ("a and b", "c")),
        ("a and (b and c)", "and", ("a", "b", "c")),
    ],
)
def test_operands(text: str, operator: str, operands: tuple[str, ...]) -> None:
    assert fhirpath.compile(text).operands(operator) == operands
