"""Quantities and units: FHIRPath's examples, and UCUM conversions."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from app import fhirpath
from app.fhirpath import Quantity, units

YES, NO, OPEN = [True], [False], []

COMPARISONS = [
    ("1 'cm' = 10.0 'mm'", YES),
    ("1 'cm' = 1 'm'", NO),
    ("1 'cm' = 1 's'", OPEN),
    ("23 'Cel' = 73.4 '[degF]'", YES),
    ("23 = 23 '1'", YES),
    ("1 'h' = 3600 's'", YES),
    ("1 hour = 3600 's'", YES),
    ("1 year = 1 'a'", OPEN),
    ("1 year.toQuantity('a') = 1 'a'", YES),
    ("1 year = 12 months", YES),
    ("1 year = 12 'mo'", OPEN),
    ("1 month = 30 days", YES),
    ("7 days = 1 'wk'", YES),
    ("1 week = 7 'd'", YES),
    ("2.1 'cm' ~ 21 'mm'", YES),
    ("21 'mm' ~ 2 'cm'", YES),
    ("4 'g' ~ 4040 'mg'", YES),
    ("4 'g' ~ 4600 'mg'", NO),
    ("1 '[in_i]' ~ 2.5 'cm'", YES),
    ("1 year ~ 1 'a'", YES),
    ("1 year ~ 12 'mo'", YES),
    ("1 year ~ 11 months", YES),
    ("1 'mg' ~ 1 's'", NO),
    ("1 year > 1 'a'", OPEN),
    ("10 seconds > 1 's'", YES),
    ("6 months > 1 year", NO),
    ("1 'mg/dL' = 10 'mg/L'", YES),
    ("1 'kg/m2' > 900 'g/m2'", YES),
    ("1 'm' = 1 '[lb_av]'", OPEN),
    ("1 '[lb_av]' > 450 'g'", YES),
    ("1 'mm[Hg]' = 133.322 'Pa'", YES),
    ("5 'widgets' = 5 'widgets'", YES),
    ("5 'widgets' = 5 'gadgets'", OPEN),
    ("5 'U/L' > 4 'U/L'", YES),
    ("10 '[iU]' = 10 '[IU]'", YES),
    ("1 '10*3/uL' = 1 '10*9/L'", YES),
    ("1 '{score}' = 1 '1'", YES),
    ("50 '%' = 0.5 '1'", YES),
]


@pytest.mark.parametrize(("text", "result"), COMPARISONS)
def test_comparison(text: str, result: list[bool]) -> None:
    assert fhirpath.compile(text).evaluate({}) == result


ARITHMETIC = [
    ("3 'm' + 3 'cm'", "303 'cm'"),
    ("3 'cm' + 3 'm'", "303 'cm'"),
    ("3 'cm' - 3 'm'", "-297 'cm'"),
    ("2 + 2 '1'", "4 '1'"),
    ("2 minutes + 60 seconds", "180 seconds"),
    ("60 's' + 2 minutes", "180 seconds"),
    ("1 'wk' + 2 days", "9 days"),
    ("1 week + 14 days", "21 days"),
    ("3 'd' + 1 'wk'", "10 'd'"),
    ("1 year.toQuantity('month') + 12 month", "24 month"),
    ("3 * 2 'cm'", "6 'cm'"),
    ("2 'cm' * 3", "6 'cm'"),
    ("60 's' / 2", "30 's'"),
    ("12 'mg' / 4 'mg'", "3 '1'"),
    ("120 'm' / 60 's'", "2 'm.s-1'"),
    ("-(5 'mg')", "-5 'mg'"),
]


@pytest.mark.parametrize(("text", "result"), ARITHMETIC)
def test_arithmetic(text: str, result: str) -> None:
    assert [str(value) for value in fhirpath.compile(text).evaluate({})] == [result]


@pytest.mark.parametrize(
    "text",
    [
        "2 + 2 'cm'",
        "1 year + 12 months",
        "1 year + 12 'mo'",
        "12 day * 45 'm'",
        "1 'm' + 1 's'",
        "1 'm' / 0 's'",
        "1 'Cel' + 1 '[degF]'",
        "1 'a' / 'b'",
    ],
)
def test_what_has_no_result(text: str) -> None:
    if text.endswith("'b'"):
        with pytest.raises(fhirpath.FhirPathError):
            fhirpath.compile(text).evaluate({})
    else:
        assert fhirpath.compile(text).evaluate({}) == []


FHIR_QUANTITIES: list[tuple[dict[str, Any], str, list[bool]]] = [
    ({"value": 5, "system": "http://unitsofmeasure.org", "code": "mg"}, "value > 4 'mg'", YES),
    ({"value": 5, "system": "http://unitsofmeasure.org", "code": "mg"}, "value = 0.005 'g'", YES),
    ({"value": 5, "unit": "mg"}, "value = 5 'mg'", YES),
    ({"value": 5, "system": "http://other.example.org", "code": "xx"}, "value = 5 'mg'", OPEN),
    ({"value": 5}, "value = 5", YES),
    ({"value": 5, "comparator": "<", "unit": "mg"}, "value < 6 'mg'", OPEN),
    ({"value": 5, "comparator": "<", "unit": "mg"}, "value = 5 'mg'", OPEN),
    ({"unit": "mg"}, "value < 6 'mg'", OPEN),
    ({"value": 7.2, "unit": "%"}, "value.value = 7.2", YES),
    ({"value": 0.1, "unit": "mg"}, "value.value + 0.2 = 0.3", YES),
    ({"value": Decimal("7.20"), "unit": "%"}, "value.value.toString() = '7.20'", YES),
    ({"value": 5, "unit": "mg"}, "value.toQuantity() + 1 'mg' = 6 'mg'", YES),
    ({"value": 5, "unit": "mg"}, "value = value", YES),
    ({"value": 5, "system": "http://unitsofmeasure.org", "code": "mg"}, "value * 2 = 10 'mg'", YES),
]


@pytest.mark.parametrize(("quantity", "text", "result"), FHIR_QUANTITIES)
def test_fhir_quantity(quantity: dict[str, Any], text: str, result: list[bool]) -> None:
    observation = {"resourceType": "Observation", "valueQuantity": quantity}
    assert fhirpath.compile(text, root="Observation").evaluate(observation) == result


UNITS = [
    ("kg", Fraction(1000), (("g", 1),)),
    ("mL", Fraction(1, 1000000), (("m", 3),)),
    ("mg/dL", Fraction(10), (("g", 1), ("m", -3))),
    ("/min", Fraction(1, 60), (("s", -1),)),
    ("m2", Fraction(1), (("m", 2),)),
    ("10*3/uL", Fraction(10) ** 12, (("m", -3),)),
    ("mg{total}/(24.h)", Fraction(1, 86400000), (("g", 1), ("s", -1))),
    ("dag", Fraction(10), (("g", 1),)),
]


@pytest.mark.parametrize(("code", "factor", "dimension"), UNITS)
def test_ucum(code: str, factor: Fraction, dimension: units.Dimension) -> None:
    assert units.parse(code) == units.Unit(factor, dimension)


@pytest.mark.parametrize("code", ["", "wibble", "mg//dL", "(mg", "mg/", "kwk", "m99", "x" * 200, "Cel/m", "mm[hg]"])
def test_not_ucum(code: str) -> None:
    assert units.parse(code) is None


@pytest.mark.parametrize("code", sorted([*units._METRIC, *units._PLAIN]))
def test_every_unit_of_the_table_is_sound(code: str) -> None:
    unit = units.parse(code)
    assert unit is not None
    assert unit.factor > 0


def test_values_are_values() -> None:
    assert Quantity(Decimal("1.0"), "mg") == Quantity(Decimal("1.0"), "mg") != Quantity(Decimal("1"), "mg")
    assert len({Quantity(Decimal(1), "day", calendar=True), Quantity(Decimal(1), "day")}) == 2
