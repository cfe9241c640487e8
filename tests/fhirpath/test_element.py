"""FHIR JSON as a tree: primitives and what stands beside them, choices, types, references; and input left as it was."""

from __future__ import annotations

import copy
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest

from app import fhirpath

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "_gender": {"extension": [{"url": "why", "valueCode": "masked"}]},
    "birthDate": "1961-03-09",
    "_birthDate": {"id": "b1", "extension": [{"url": "time", "valueDateTime": "1961-03-09T04:30:00Z"}]},
    "name": [{"given": ["Ada", None, "Bo"], "_given": [None, {"extension": [{"url": "u", "valueString": "x"}]}]}],
    "deceasedBoolean": False,
    "_multipleBirthInteger": {"extension": [{"url": "why", "valueCode": "unknown"}]},
    "contained": [{"resourceType": "Organization", "id": "o", "name": "Contained", "partOf": {"reference": "#"}}],
    "managingOrganization": {"reference": "#o"},
    "generalPractitioner": [{"reference": "Practitioner/x"}, {"display": "nobody"}],
    "address": [],
    "telecom": None,
}

PATHS: list[tuple[str, list[Any]]] = [
    ("gender", [None]),
    ("gender.exists() and gender.hasValue().not()", [True]),
    ("gender.extension('why').value", ["masked"]),
    ("gender = 'male'", [False]),
    ("birthDate.id", ["b1"]),
    ("birthDate.extension('time').value > birthDate", []),
    ("name.given.where(hasValue())", ["Ada", "Bo"]),
    ("name.given.extension('u').value", ["x"]),
    ("name.given.count()", [3]),
    ("deceased", [False]),
    ("deceased is boolean", [True]),
    ("deceasedBoolean", []),
    ("multipleBirth.extension.value", ["unknown"]),
    ("multipleBirth.hasValue()", [False]),
    ("managingOrganization.resolve().name", ["Contained"]),
    ("contained.partOf.resolve().id", ["p"]),
    ("generalPractitioner.resolve().id", ["found"]),
    ("'Practitioner/x'.resolve().id", ["found"]),
    ("address.exists() or telecom.exists()", [False]),
    ("resourceType", []),
    ("Resource.id | DomainResource.id | Patient.id", ["p"]),
    ("Observation.id", []),
    ("children().count()", [10]),
    ("descendants().where($this is Organization).name", ["Contained"]),
    ("contained.type().name", ["Organization"]),
    ("name.type().namespace", ["FHIR"]),
]


def resolve(reference: str) -> dict[str, Any] | None:
    return {"resourceType": "Practitioner", "id": "found"} if reference == "Practitioner/x" else None


@pytest.mark.parametrize(("text", "result"), PATHS)
def test_paths(text: str, result: list[Any]) -> None:
    before = copy.deepcopy(PATIENT)
    found = fhirpath.compile(text).evaluate(PATIENT, resolve=resolve)
    assert [getattr(item, "value", item) for item in found] == result
    assert before == PATIENT


def test_an_element_comes_back_as_it_went_in() -> None:
    (name,) = fhirpath.compile("name").evaluate(PATIENT)
    assert name is PATIENT["name"][0]


BUNDLE: dict[str, Any] = {
    "resourceType": "Bundle",
    "entry": [
        {
            "fullUrl": f"urn:uuid:{name}",
            "resource": {
                "resourceType": "MedicationRequest",
                "id": name,
                "contained": [{"resourceType": "Medication", "id": "med", "code": {"text": name}}],
                "medicationReference": {"reference": "#med"},
                "basedOn": [{"reference": "urn:uuid:a"}],
            },
        }
        for name in "ab"
    ],
}


def test_a_contained_reference_belongs_to_its_own_resource() -> None:
    orders = "Bundle.entry.resource.ofType(MedicationRequest)"
    assert fhirpath.compile(f"{orders}.medication.resolve().code.text").evaluate(BUNDLE) == ["a", "b"]
    assert fhirpath.compile("%order.medication.resolve().code.text").evaluate(
        BUNDLE, variables={"order": BUNDLE["entry"][1]["resource"]}
    ) == ["b"]


def test_a_reference_within_the_bundle_needs_no_caller() -> None:
    assert fhirpath.compile("entry[1].resource.basedOn.resolve().id").evaluate(BUNDLE) == ["a"]
    assert fhirpath.compile("'MedicationRequest/b'.resolve().id").evaluate(BUNDLE) == ["b"]


def test_what_the_resolver_gives_must_be_a_resource() -> None:
    with pytest.raises(fhirpath.FhirPathError, match="no FHIR R4 resource"):
        fhirpath.compile("'Patient/1'.resolve()").evaluate(None, resolve=lambda reference: {"name": "x"})


UNTYPED: list[tuple[str, list[Any]]] = [
    ("%facts.site.code", ["11"]),
    ("%facts.lines.amount.sum()", [Decimal("3.3")]),
    ("%facts.lines.where(amount > 2).name", ["b"]),
    ("%facts.order.occurrence.start", ["2026-12-01"]),
    ("%facts.valueQuantity.unit | %facts.value.unit", ["mg"]),
    ("%facts.value > 1 'mg'", [True]),
    ("%facts.nothing", []),
    ("%facts.null", []),
    ("%facts.extension('u').value", ["x"]),
    ("%facts.flag and %facts.count = 2", [True]),
    ("%facts.children().count() > 5", [True]),
]
FACTS: dict[str, Any] = {
    "site": {"code": "11"},
    "lines": ({"name": "a", "amount": 1.1}, {"name": "b", "amount": 2.2}),
    "order": {"resourceType": "ServiceRequest", "occurrencePeriod": {"start": "2026-12-01"}},
    "valueQuantity": {"value": 2, "unit": "mg"},
    "null": None,
    "extension": [{"url": "u", "valueString": "x"}],
    "flag": True,
    "count": 2,
}


@pytest.mark.parametrize(("text", "result"), UNTYPED)
@pytest.mark.parametrize("facts", [FACTS, MappingProxyType(FACTS)])
def test_plain_dicts_follow_their_keys(text: str, result: list[Any], facts: Any) -> None:
    found = fhirpath.compile(text).evaluate(None, variables={"facts": facts})
    assert [item if isinstance(item, bool | int | str | Decimal) else str(item) for item in found] == result


def test_a_hint_types_what_has_no_resource_type() -> None:
    concept = {"coding": [{"code": "a"}]}
    plain = fhirpath.compile("%c is CodeableConcept")
    hinted = fhirpath.compile("%c is CodeableConcept", types={"c": "CodeableConcept"})
    assert plain.evaluate(None, variables={"c": concept}) == [False]
    assert hinted.evaluate(None, variables={"c": concept}) == [True]
    assert fhirpath.compile("coding.code", root="CodeableConcept").evaluate(concept) == ["a"]


def test_without_the_element_check_data_is_read_the_same() -> None:
    assert fhirpath.compile("Patient.id | Patient.nothing", model=None).evaluate(PATIENT) == ["p"]


def test_floats_bring_no_binary_noise() -> None:
    observation = {"resourceType": "Observation", "valueQuantity": {"value": 1.1}}
    assert fhirpath.compile("Observation.value.value * 3 = 3.3").evaluate(observation) == [True]
    assert fhirpath.compile("%x + 0.2").evaluate(None, variables={"x": 0.1}) == [Decimal("0.3")]


def test_resources_newer_than_the_table_can_still_be_read() -> None:
    assert fhirpath.compile("foo.bar").evaluate({"resourceType": "NewThing", "foo": {"bar": 1}}) == [1]
    assert fhirpath.compile("newElement").evaluate({"resourceType": "Patient", "newElement": "x"}) == ["x"]


def test_a_variable_must_be_passed() -> None:
    with pytest.raises(fhirpath.FhirPathError, match="%order was not passed"):
        fhirpath.compile("%order").evaluate({})


def test_what_is_no_data_is_refused() -> None:
    with pytest.raises(fhirpath.FhirPathError, match="object"):
        fhirpath.compile("%x").evaluate({}, variables={"x": object()})


def test_the_context_variables_can_be_replaced() -> None:
    expression = fhirpath.compile("%resource.id | %rootResource.id | %context.linkId")
    item = {"linkId": "1"}
    response = {"resourceType": "QuestionnaireResponse", "id": "r", "item": [item]}
    assert expression.evaluate(item, variables={"resource": response}) == ["r", "1"]
