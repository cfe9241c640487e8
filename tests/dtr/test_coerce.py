"""What suits which item: every row of the table of docs/questionnaires/prefill.md."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from app import fhirpath
from app.dtr import extensions
from app.dtr.coerce import coerce

UCUM = "http://unitsofmeasure.org"
SNOMED = "http://snomed.info/sct"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"


def quantity(value: str, code: str, **more: Any) -> dict[str, Any]:
    return {"value": Decimal(value), "unit": code, "system": UCUM, "code": code, **more}


def unit(code: str, url: str = extensions.UNIT_OPTION) -> dict[str, Any]:
    return {"url": url, "valueCoding": {"system": UCUM, "code": code, "display": code}}


def parsed(text: str) -> Any:
    """A value as FHIRPath gives it."""
    (value,) = fhirpath.compile(text).evaluate(None)
    return value


COPD = {"system": ICD, "code": "J44.9", "display": "COPD"}
OPTIONS = [{"valueCoding": COPD}, {"valueCoding": {"system": SNOMED, "code": "13645005"}}]
YES = {"valueString": "yes"}
DOCUMENT = {
    "resourceType": "DocumentReference",
    "id": "d",
    "content": [{"attachment": {"contentType": "application/pdf", "url": "Binary/1"}}],
}


@pytest.mark.parametrize(
    ("kind", "more", "result", "answer"),
    [
        ("boolean", {}, True, {"valueBoolean": True}),
        ("boolean", {}, False, {"valueBoolean": False}),
        ("string", {}, "left knee", {"valueString": "left knee"}),
        ("text", {}, "left knee", {"valueString": "left knee"}),
        ("string", {"maxLength": 3}, "abc", {"valueString": "abc"}),
        ("string", {"answerOption": [YES]}, "yes", YES),
        ("integer", {}, 3, {"valueInteger": 3}),
        ("integer", {}, Decimal("3.0"), {"valueInteger": 3}),
        ("decimal", {}, 3, {"valueDecimal": Decimal(3)}),
        ("decimal", {}, Decimal("2.50"), {"valueDecimal": Decimal("2.50")}),
        (
            "decimal",
            {"extension": [unit("kg", extensions.UNIT)]},
            quantity("2500", "g"),
            {"valueDecimal": Decimal("2.5")},
        ),
        ("integer", {"extension": [unit("%", extensions.UNIT)]}, quantity("88", "%"), {"valueInteger": 88}),
        ("date", {}, parsed("@2026-11-01"), {"valueDate": "2026-11-01"}),
        ("date", {}, parsed("@2026-11"), {"valueDate": "2026-11"}),
        ("dateTime", {}, parsed("@2026-11-01T10:30:00Z"), {"valueDateTime": "2026-11-01T10:30:00Z"}),
        ("dateTime", {}, parsed("@2026-11-01"), {"valueDateTime": "2026-11-01"}),
        ("time", {}, parsed("@T10:30:00"), {"valueTime": "10:30:00"}),
        ("choice", {"answerOption": OPTIONS}, {"system": ICD, "code": "j449"}, {"valueCoding": COPD}),
        ("choice", {"answerOption": OPTIONS}, "J44.9", {"valueCoding": COPD}),
        ("choice", {"answerOption": [YES]}, "yes", YES),
        ("choice", {}, COPD | {"userSelected": True}, {"valueCoding": COPD}),
        ("open-choice", {"answerOption": OPTIONS}, COPD, {"valueCoding": COPD}),
        ("open-choice", {"answerOption": OPTIONS}, "J44.9", {"valueCoding": COPD}),
        ("open-choice", {"answerOption": OPTIONS}, "a rare disease", {"valueString": "a rare disease"}),
        ("quantity", {}, quantity("4", "L/min"), {"valueQuantity": quantity("4", "L/min")}),
        ("quantity", {}, quantity("4", "mg", comparator="<"), {"valueQuantity": quantity("4", "mg", comparator="<")}),
        ("quantity", {}, parsed("4 'mg'"), {"valueQuantity": quantity("4", "mg")}),
        ("quantity", {"extension": [unit("mg")]}, quantity("4", "mg"), {"valueQuantity": quantity("4", "mg")}),
        (
            "quantity",
            {"extension": [unit("d"), unit("g")]},
            quantity("500", "mg"),
            {"valueQuantity": quantity("0.5", "g")},
        ),
        (
            "reference",
            {},
            {"resourceType": "Practitioner", "id": "p"},
            {"valueReference": {"reference": "Practitioner/p"}},
        ),
        (
            "reference",
            {"extension": [{"url": extensions.REFERENCE_RESOURCE, "valueCode": "Practitioner"}]},
            {"reference": "Practitioner/p", "display": "Dr. Day"},
            {"valueReference": {"reference": "Practitioner/p", "display": "Dr. Day"}},
        ),
        ("attachment", {}, {"url": "Binary/1"}, {"valueAttachment": {"url": "Binary/1"}}),
        (
            "attachment",
            {},
            {"resourceType": "Binary", "id": "b", "contentType": "text/plain", "data": "eA=="},
            {"valueAttachment": {"contentType": "text/plain", "data": "eA=="}},
        ),
        ("attachment", {}, DOCUMENT, {"valueAttachment": {"contentType": "application/pdf", "url": "Binary/1"}}),
        ("url", {}, "https://example.org", {"valueUri": "https://example.org"}),
    ],
)
def test_what_suits(kind: str, more: dict[str, Any], result: Any, answer: dict[str, Any]) -> None:
    coerced = coerce({"linkId": "1", "type": kind, **more}, [result], {}, lambda _: None)
    assert coerced.answers == (answer,)
    assert coerced.refused == ()


@pytest.mark.parametrize(
    ("kind", "more", "result", "why"),
    [
        ("boolean", {}, "true", "the item takes true or false, not a text"),
        ("string", {}, 3, ".toString() makes one"),
        ("string", {}, {"text": "x"}, "not a CodeableConcept"),
        ("string", {"maxLength": 3}, "abcd", "longer than the 3 characters"),
        ("string", {"answerOption": [YES]}, "no", "none of the item's options"),
        ("integer", {}, Decimal("2.5"), "a whole number"),
        ("integer", {}, True, "not true or false"),
        ("decimal", {}, quantity("2", "g"), "names no unit"),
        ("decimal", {"extension": [unit("kg", extensions.UNIT)]}, quantity("2", "d"), "does not convert"),
        ("decimal", {"extension": [unit("g", extensions.UNIT)]}, quantity("2", "g", comparator="<"), "a bound"),
        ("date", {}, parsed("@2026-11-01T10:30:00Z"), ".toDate() makes one of it"),
        ("date", {}, "2026-11-01", "not a text"),
        ("dateTime", {}, parsed("@T10:30:00"), "not a time"),
        ("time", {}, parsed("@2026-11-01"), "not a date"),
        ("choice", {"answerOption": OPTIONS}, {"coding": [COPD]}, "not a CodeableConcept; .coding"),
        ("choice", {"answerOption": OPTIONS}, {"text": "COPD"}, "not a CodeableConcept"),
        ("choice", {"answerOption": OPTIONS}, {"system": ICD, "code": "J45"}, "none of the item's options"),
        ("choice", {"answerOption": OPTIONS}, "J45", "the code is none"),
        (
            "choice",
            {"answerOption": [*OPTIONS, {"valueCoding": {"system": "x", "code": "J44.9"}}]},
            "J44.9",
            "of several",
        ),
        ("choice", {}, "J44.9", "says no system"),
        ("choice", {"answerValueSet": "http://example.org/vs"}, COPD, "value set of its answers is not at hand"),
        ("open-choice", {}, 3, "not a number"),
        ("quantity", {}, 3, "not a number"),
        ("quantity", {}, {"system": UCUM, "code": "mg"}, "takes a Quantity"),
        ("quantity", {"extension": [unit("kg")]}, quantity("2", "d"), "converts to none"),
        ("quantity", {"extension": [unit("g")]}, quantity("2", "mg", comparator="<"), "converts to none"),
        (
            "quantity",
            {"extension": [{"url": extensions.UNIT_VALUE_SET}]},
            quantity("2", "d"),
            "value set of the item's",
        ),
        ("reference", {}, "Practitioner/p", "not a text"),
        ("reference", {}, {"reference": "#p"}, "takes a resource or a Reference"),
        (
            "reference",
            {"extension": [{"url": extensions.REFERENCE_RESOURCE, "valueCode": "Patient"}]},
            {"reference": "Practitioner/p"},
            "a reference to Patient, not to Practitioner",
        ),
        ("attachment", {}, {"contentType": "text/plain"}, "takes an Attachment"),
        ("attachment", {}, {"resourceType": "DocumentReference", "content": []}, "takes an Attachment"),
        ("url", {}, 1, "takes an address"),
        ("group", {}, True, "'group' takes no answer"),
        ("display", {}, True, "'display' takes no answer"),
    ],
)
def test_what_does_not(kind: str, more: dict[str, Any], result: Any, why: str) -> None:
    coerced = coerce({"linkId": "1", "type": kind, **more}, [result], {}, lambda _: None)
    assert coerced.answers == ()
    (told,) = coerced.refused
    assert why in told
    assert str(result) not in told or result in (True, "true", "no"), "a value in the words"


def test_empty_is_not_false() -> None:
    assert coerce({"type": "boolean"}, [], {}, lambda _: None).answers == ()


def test_the_same_answer_stands_once_and_what_suits_stays() -> None:
    item = {"type": "choice", "answerOption": OPTIONS}
    coerced = coerce(item, [COPD, "J44.9", {"system": ICD, "code": "J45"}], {}, lambda _: None)
    assert coerced.answers == ({"valueCoding": COPD},)
    assert coerced.refused == ("the Coding is none of the item's options",)


CONCEPTS = {"compose": {"include": [{"system": ICD, "concept": [{"code": "J44.9", "display": "COPD"}]}]}}
EXPANDED = {"expansion": {"contains": [{"system": ICD, "code": "J44", "abstract": True, "contains": [COPD]}]}}


@pytest.mark.parametrize("content", [CONCEPTS, EXPANDED], ids=["compose", "expansion"])
def test_value_sets_in_the_form(content: dict[str, Any]) -> None:
    form = {"contained": [{"resourceType": "ValueSet", "id": "vs", **content}]}
    item = {"type": "choice", "answerValueSet": "#vs"}
    assert coerce(item, ["J44.9"], form, lambda _: None).answers == ({"valueCoding": COPD},)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"compose": {"include": [{"system": ICD}]}},
        {"compose": {"include": [{"system": ICD, "filter": []}], "exclude": [{"system": ICD}]}},
    ],
)
def test_value_sets_that_are_not_listed(content: dict[str, Any]) -> None:
    form = {"contained": [{"resourceType": "ValueSet", "id": "vs", **content}]}
    assert (
        "not at hand" in coerce({"type": "choice", "answerValueSet": "#vs"}, ["J44.9"], form, lambda _: None).refused[0]
    )


def test_value_sets_by_canonical() -> None:
    known = {"http://example.org/vs": [COPD]}
    item = {"type": "choice", "answerValueSet": "http://example.org/vs"}
    assert coerce(item, ["J44.9"], {}, known.get).answers == ({"valueCoding": COPD},)
