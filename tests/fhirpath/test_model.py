"""The type table: fresh, whole, and right where R4 is often got wrong."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from app.fhirpath import model

PACKAGE = Path(model.__file__).parent


def test_the_table_is_what_the_builder_makes() -> None:
    pytest.importorskip("fhir.resources", reason="fhir.resources, a development dependency, is not installed")
    from app.fhirpath import build_types

    assert json.loads(build_types.TABLE.read_text("utf-8")) == build_types.build()


ELEMENTS = [
    ("Patient", "name", "HumanName", True),
    ("Patient", "id", "id", False),
    ("Patient", "extension", "Extension", True),
    ("Patient", "contact", "Patient.contact", True),
    ("HumanName", "given", "string", True),
    ("Questionnaire.item", "item", "Questionnaire.item", True),
    ("Observation.component", "referenceRange", "Observation.referenceRange", True),
    ("Bundle.entry", "resource", "Resource", False),
    ("ServiceRequest", "reasonCode", "CodeableConcept", True),
    ("Coverage", "subscriberId", "string", False),
    ("Claim.item", "productOrService", "CodeableConcept", False),
    ("Quantity", "value", "decimal", False),
    ("Narrative", "div", "xhtml", False),
    ("Age", "code", "code", False),
]


@pytest.mark.parametrize(("owner", "name", "kind", "repeats"), ELEMENTS)
def test_elements(owner: str, name: str, kind: str, repeats: bool) -> None:
    child = model.get(owner).children[name]
    assert (child.type.name, child.repeats, child.choices) == (kind, repeats, None)


CHOICES = [
    ("Observation", "value", "valueCodeableConcept"),
    ("MedicationRequest", "medication", "medicationReference"),
    ("ServiceRequest", "occurrence", "occurrencePeriod"),
    ("ServiceRequest", "quantity", "quantityQuantity"),
    ("Extension", "value", "valueBase64Binary"),
    ("PlanDefinition", "subject", "subjectReference"),
]


@pytest.mark.parametrize(("owner", "name", "key"), CHOICES)
def test_choices(owner: str, name: str, key: str) -> None:
    assert key in (model.get(owner).children[name].choices or {})


@pytest.mark.parametrize(
    ("name", "ancestor", "is_a"),
    [("Patient", "DomainResource", True), ("Bundle", "DomainResource", False), ("Age", "Quantity", True),
     ("uuid", "uri", True), ("code", "string", True), ("string", "code", False), ("positiveInt", "integer", True)],
)  # fmt: skip
def test_ancestry(name: str, ancestor: str, is_a: bool) -> None:
    assert model.get(name).is_a(ancestor) is is_a


def test_every_type_of_the_table_can_be_built() -> None:
    table = json.loads((PACKAGE / "r4.json").read_text("utf-8"))
    for name, (_, elements) in table.items():
        assert {element.removesuffix("[x]") for element in elements} <= set(model.get(name).children)


def test_the_library_imports_nothing_of_the_service() -> None:
    imported: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module)
            elif isinstance(node, ast.Import):
                imported.update(alias.name for alias in node.names)
    assert {name for name in imported if name.startswith("app") and not name.startswith("app.fhirpath")} == set()
    assert "fhirpathpy" not in imported
