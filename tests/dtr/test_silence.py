"""A true or false needs something recorded to rest on."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from app import fhirpath
from app.dtr.silence import rests_on_silence


def saturation(value: int) -> dict[str, Any]:
    quantity = {"value": Decimal(value), "code": "%", "system": "http://unitsofmeasure.org"}
    return {"resourceType": "Observation", "status": "final", "valueQuantity": quantity}


VARIABLES: dict[str, Any] = {
    "found": [saturation(87), saturation(92)],
    "one": saturation(87),
    "none": [],
    "patient": {"resourceType": "Patient", "active": False},
}


@pytest.mark.parametrize(
    ("text", "value", "silent"),
    [
        ("%found.exists(value <= 88 '%' and (status.empty() or status = 'final'))", True, False),
        ("%found.exists(value <= 80 '%')", False, True),
        ("(%found.exists())", True, False),
        ("%none.exists()", False, True),
        ("%none.exists().not()", True, True),
        ("%none.empty()", True, True),
        ("%found.empty()", False, False),
        ("%found.where(status = 'x').empty().not()", False, True),
        ("%patient.active", False, False),
        ("%patient.deceased.exists()", False, True),
        ("%one.value <= 80 '%'", False, False),
        ("iif(%one.exists(), %one.value <= 80 '%', {})", False, False),
        ("%found.where(status = 'final').count() >= 2", True, False),
        ("%found.count() > 1", True, False),
        ("%found.count() >= 4", False, True),
        ("%found.count() < 4", True, True),
        ("'x' in %found.status", False, True),
        ("%found.status contains 'x'", False, True),
        ("'final' in %found.status", True, False),
        ("%found.all(status = 'final')", True, False),
        ("%found.all(status = 'x')", False, False),
        ("%none.all(status = 'final')", True, True),
        ("%none.exists() or %found.exists()", True, False),
        ("%found.exists() or %none.exists()", True, False),
        ("%none.exists() or %none.exists()", False, True),
        ("%none.empty() or %none.exists()", True, True),
        ("%found.exists() and %none.exists()", False, True),
        ("%one.value <= 80 '%' and %none.exists()", False, False),
        ("%none.exists() implies %one.exists()", True, True),
    ],
)
def test_what_it_rests_on(text: str, value: bool, silent: bool) -> None:
    trace = fhirpath.compile(text).trace(None, variables=VARIABLES)
    assert trace.value == [value]
    assert rests_on_silence(trace) is silent
