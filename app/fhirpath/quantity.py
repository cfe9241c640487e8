"""Quantities: a decimal and a unit, UCUM or calendar (FHIRPath N1, "Quantity")."""

from __future__ import annotations

from decimal import Decimal

from app.fhirpath import units

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

    def with_value(self, value: Decimal) -> Quantity:
        """The same unit, another value."""
        return Quantity(value, self.unit, calendar=self.calendar)


def _is_variable(quantity: Quantity) -> bool:
    return quantity.calendar and CALENDAR_UNITS[quantity.unit] in ("year", "month")


def comparable(left: Quantity, right: Quantity, *, loosely: bool = False) -> tuple[Decimal, Decimal] | None:
    """Both values in one unit; None when the units have none in common.

    Calendar years and months have no fixed length, so they compare with each other, and with UCUM's only
    `loosely` (for `~`: FHIRPath N1, "Time-valued Quantities").
    """
    if left.unit == right.unit and left.calendar == right.calendar:
        return left.value, right.value
    if not loosely and _is_variable(left) != _is_variable(right):
        return None
    if _is_variable(left) and _is_variable(right):
        months = [12 if CALENDAR_UNITS[q.unit] == "year" else 1 for q in (left, right)]
        return left.value * months[0], right.value * months[1]
    a, b = units.parse(left.ucum), units.parse(right.ucum)
    if a is None or b is None:
        return (left.value, right.value) if left.ucum == right.ucum else None
    if a.dimension != b.dimension or a.offset != b.offset:
        return None
    if a.factor == b.factor:
        return left.value, right.value
    return left.value * a.factor, right.value * b.factor


def convert(amount: Quantity, unit: str) -> Quantity | None:
    """`amount` in another unit, a UCUM code or a calendar keyword; None when it does not convert."""
    wanted = Quantity(Decimal(1), unit, calendar=unit in CALENDAR_UNITS)
    pair = comparable(amount, wanted)
    return None if pair is None else wanted.with_value(pair[0] / pair[1])


def multiply(left: Quantity, right: Quantity, *, divide: bool = False) -> Quantity | None:
    """The product or quotient; None for an unknown unit or division by zero."""
    if divide and right.value == 0:
        return None
    if right.ucum == "1":
        value = left.value / right.value if divide else left.value * right.value
        return Quantity(value, left.ucum)
    if left.ucum == "1" and not divide:
        return Quantity(left.value * right.value, right.ucum)
    a, b = units.parse(left.ucum), units.parse(right.ucum)
    if a is None or b is None or a.offset or b.offset:
        return None
    result = a.over(b) if divide else a.times(b)
    value = left.value / right.value if divide else left.value * right.value
    if result.dimension == ():
        return Quantity(value * result.factor, "1")
    return Quantity(value * result.factor, result.base_text())
