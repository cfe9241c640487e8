"""Quantities: a decimal and a unit, UCUM or calendar (FHIRPath N1, "Quantity")."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

from app.fhirpath import units
from app.fhirpath.numeric import CONTEXT

# Keyword → singular keyword (FHIRPath N1, "Time-valued Quantities").
CALENDAR_UNITS = {
    plural: unit
    for unit in ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
    for plural in (unit, unit + "s")
}
# Calendar unit → the UCUM unit it equals, or for year and month is merely equivalent to.
_UCUM_OF = {
    "year": "a", "month": "mo", "week": "wk", "day": "d",
    "hour": "h", "minute": "min", "second": "s", "millisecond": "ms",
}  # fmt: skip
_CALENDAR_OF = {ucum: unit for unit, ucum in _UCUM_OF.items()}


class Quantity:
    """`unit` is as written; `calendar` tells the keyword `days` from the UCUM string `'d'`."""

    __slots__ = ("calendar", "unit", "value")

    def __init__(self, value: Decimal, unit: str = "1", *, calendar: bool = False) -> None:
        self.value = value
        self.unit = unit
        self.calendar = calendar

    def __str__(self) -> str:
        return f"{self.value:f} {self.unit}" if self.calendar else f"{self.value:f} '{self.unit}'"

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    @property
    def keyword(self) -> str | None:
        """The calendar unit, singular; None for a UCUM unit."""
        return CALENDAR_UNITS[self.unit] if self.calendar else None

    @property
    def ucum(self) -> str:
        """The unit in UCUM."""
        return _UCUM_OF[CALENDAR_UNITS[self.unit]] if self.calendar else self.unit

    @property
    def calendar_unit(self) -> str | None:
        """The calendar unit a date can be moved by, None where there is none.

        Year and month in UCUM (`'a'`, `'mo'`) are fixed lengths of time and no calendar units.
        """
        if self.unit in CALENDAR_UNITS:
            return CALENDAR_UNITS[self.unit]
        return None if self.unit in ("a", "mo") else _CALENDAR_OF.get(self.unit)

    def mark(self) -> Any:
        """A hashable mark that equal quantities share; for the unit '1' that of the number."""
        unit = None if self.keyword in _DAYS else units.parse(self.ucum)
        if unit is None:
            return None if self.keyword else (Fraction(self.value), self.unit)
        value = Fraction(self.value) * unit.factor + unit.zero
        return (value, unit.dimension) if unit.dimension else value

    def with_value(self, value: Decimal) -> Quantity:
        """The same unit, another value."""
        return Quantity(value, self.unit, calendar=self.calendar)


_ORDER = ("millisecond", "second", "minute", "hour", "day", "week", "month", "year")
# FHIRPath, "Time-valued unit conversions"; year and month convert to each other by 12, not by way of days.
_DAYS = {"year": 365, "month": 30}


def _calendar_factor(unit: str, target: str) -> Fraction:
    """How many `target` one calendar `unit` is."""
    if {unit, target} == {"year", "month"}:
        return Fraction(12) if unit == "year" else Fraction(1, 12)
    sizes = [Fraction(_DAYS[name] * 86400) if name in _DAYS else _factor(_UCUM_OF[name]) for name in (unit, target)]
    return sizes[0] / sizes[1]


def _factor(code: str) -> Fraction:
    unit = units.parse(code)
    if unit is None:
        raise ValueError(code)
    return unit.factor


def decimal(value: Fraction) -> Decimal:
    """Exact where the value has an end, else to 28 digits."""
    return CONTEXT.divide(Decimal(value.numerator), Decimal(value.denominator))


def common(left: Quantity, right: Quantity, *, loosely: bool = False) -> tuple[Fraction, Fraction] | None:
    """Both values in the larger of their two units; None when there is no common one.

    Calendar years and months are no fixed lengths of time: with UCUM units they compare only `loosely`, for `~`
    (FHIRPath, "Quantity Equality" and "Quantity Equivalence").
    """
    a, b = Fraction(left.value), Fraction(right.value)
    first, second = left.keyword, right.keyword
    if first and second:
        if _ORDER.index(first) >= _ORDER.index(second):
            return a, b * _calendar_factor(second, first)
        return a * _calendar_factor(first, second), b
    if left.unit == right.unit and not (first or second):
        return a, b
    if not loosely and (first in _DAYS or second in _DAYS):
        return None
    one, two = units.parse(left.ucum), units.parse(right.ucum)
    if one is None or two is None or one.dimension != two.dimension:
        return None
    larger = max(one.factor, two.factor)
    return (a * one.factor + one.zero) / larger, (b * two.factor + two.zero) / larger


def convert(amount: Quantity, unit: str) -> Quantity | None:
    """`amount` in another unit, a UCUM code or a calendar keyword; None when it does not convert.

    Between calendar and UCUM units the step is made in the system the amount is in, then the unit is exchanged for
    its counterpart (FHIRPath, "Time-valued unit conversions").
    """
    source, target = amount.keyword, CALENDAR_UNITS.get(unit)
    counterpart = target or _CALENDAR_OF.get(unit)
    if source and counterpart:
        value = Fraction(amount.value) * _calendar_factor(source, counterpart)
        return Quantity(decimal(value), unit, calendar=target is not None)
    if source or amount.unit == unit:
        return amount if amount.unit == unit else None
    one, two = units.parse(amount.unit), units.parse(_UCUM_OF[target] if target else unit)
    if one is None or two is None or one.dimension != two.dimension:
        return None
    value = (Fraction(amount.value) * one.factor + one.zero - two.zero) / two.factor
    return Quantity(decimal(value), unit, calendar=target is not None)


def add(left: Quantity, right: Quantity, sign: int) -> Quantity | None:
    """The sum (difference with sign -1) in the smaller unit; None for units that do not add.

    A calendar and a UCUM unit add up to calendar units; years and months add only to themselves.
    """
    first, second = left.keyword, right.keyword
    if (first or left.unit) == (second or right.unit) and bool(first) == bool(second):
        return left.with_value(CONTEXT.add(left.value, CONTEXT.multiply(right.value, Decimal(sign))))
    one, two = units.parse(left.ucum), units.parse(right.ucum)
    if first in _DAYS or second in _DAYS or one is None or two is None or one.dimension != two.dimension:
        return None
    if one.zero or two.zero:
        return None
    smaller = left if one.factor <= two.factor else right
    total = Fraction(left.value) * one.factor + sign * Fraction(right.value) * two.factor
    value = decimal(total / min(one.factor, two.factor))
    if bool(first) == bool(second) or smaller.calendar:
        return smaller.with_value(value)
    return Quantity(value, f"{_CALENDAR_OF[smaller.unit]}s", calendar=True) if smaller.unit in _CALENDAR_OF else None


def multiply(left: Quantity, right: Quantity, *, divide: bool = False) -> Quantity | None:
    """The product or quotient; None for an unknown unit, a calendar unit, or division by zero."""
    if divide and right.value == 0:
        return None
    value = CONTEXT.divide(left.value, right.value) if divide else CONTEXT.multiply(left.value, right.value)
    if right.unit == "1":
        return left.with_value(value)
    if left.unit == "1" and not divide:
        return right.with_value(value)
    one, two = units.parse(left.unit), units.parse(right.unit)
    if left.calendar or right.calendar or one is None or two is None or one.zero or two.zero:
        return None
    result = one.over(two) if divide else one.times(two)
    return Quantity(decimal(Fraction(value) * result.factor), result.base_text() or "1")
