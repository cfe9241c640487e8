"""The documentation says what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.fhirpath import reference
from app.fhirpath.functions import FUNCTIONS
from app.fhirpath.threevalued import WHOLE

DOCUMENT = Path(__file__).parents[2] / "docs" / "fhirpath.md"


def test_the_function_table_is_fresh() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert reference.refreshed(text) == text, "run: python -m app.fhirpath.reference docs/fhirpath.md"


def test_a_document_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="markers"):
        reference.refreshed("# FHIRPath")


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_is_described(name: str) -> None:
    assert FUNCTIONS[name].summary.endswith(".")
    assert FUNCTIONS[name].section.startswith("FHIR")


def test_every_function_that_claims_a_three_valued_form_has_one() -> None:
    assert {name for name, function in FUNCTIONS.items() if function.flow == "whole"} == set(WHOLE)
