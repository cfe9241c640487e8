"""Boundaries and precision of decimals, dates and times."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from app.fhirpath.collection import integer, kind_of, single
from app.fhirpath.element import Items, quantity
from app.fhirpath.errors import FhirPathError
from app.fhirpath.functions.conversion import to_quantity
from app.fhirpath.functions.registry import function
from app.fhirpath.numeric import CONTEXT
from app.fhirpath.quantity import Quantity, common
from app.fhirpath.scope import Scope
from app.fhirpath.temporal import Date, DateTime, Temporal, Time, filled

_SECTION = "FHIRPath 2.1.0, lowBoundary / highBoundary / precision"
_MAX_PLACES = 28
_DATE_DIGITS = {4: 1, 6: 2, 8: 3, 10: 4, 12: 5, 14: 6, 17: 6}
_TIME_DIGITS = {2: 1, 4: 2, 6: 3, 9: 3}
_EARLIEST_ZONE, _LATEST_ZONE = 14 * 60, -12 * 60


@function("lowBoundary(precision?: Integer)", _SECTION)
def low_boundary(scope: Scope, items: Items, precision: Items | None = None) -> Items:
    """The least value the input can stand for, to `precision` decimal places or digits of a date."""
    return _boundary(items, precision, last=False)


@function("highBoundary(precision?: Integer)", _SECTION)
def high_boundary(scope: Scope, items: Items, precision: Items | None = None) -> Items:
    """The greatest value the input can stand for, to `precision` decimal places or digits of a date."""
    return _boundary(items, precision, last=True)


def _boundary(items: Items, precision: Items | None, *, last: bool) -> Items:
    name = "highBoundary" if last else "lowBoundary"
    value = single(items, f"the input of {name}()")
    digits = integer(precision, f"the precision of {name}()") if precision else None
    if value is None:
        return []
    if type(value) in (int, Decimal):
        bound: Any = _decimal_boundary(Decimal(value), digits, last=last)
    elif isinstance(value, Temporal):
        bound = _temporal_boundary(value, digits, last=last)
    elif (amount := quantity(value)) is not None:
        number = _decimal_boundary(amount.value, digits, last=last)
        bound = None if number is None else amount.with_value(number)
    else:
        raise FhirPathError(f"{name}() is not defined for {kind_of(value)}")
    return [] if bound is None else [bound]


def _decimal_boundary(value: Decimal, places: int | None, *, last: bool) -> Decimal | None:
    if places is None:
        places = 8
    if not 0 <= places <= _MAX_PLACES:
        return None
    half = Decimal(5).scaleb(_exponent(value) - 1)
    edge = CONTEXT.add(value, half if last else -half)
    bound = edge.quantize(Decimal(1).scaleb(-places), ROUND_CEILING if last else ROUND_FLOOR, CONTEXT)
    return bound if bound.is_finite() else None


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return min(exponent, 0) if isinstance(exponent, int) else 0


def _temporal_boundary(value: Temporal, digits: int | None, *, last: bool) -> Temporal | None:
    if isinstance(value, Time):
        count = _TIME_DIGITS.get(9 if digits is None else digits)
        if count is None:
            return None
        clock = filled((2000, 1, 1, *value.parts), last=last, places=0 if digits == 6 else 3)[3:]
        return Time.of(clock[:count])
    default = 8 if isinstance(value, Date) else 17
    wanted = default if digits is None else digits
    count = _DATE_DIGITS.get(wanted)
    if count is None:
        return None
    parts = filled(value.parts, last=last, places=0 if wanted == 14 else 3)[:count]
    if count <= 3:
        return Date.of(parts)
    offset = value.offset if value.offset is not None else (_LATEST_ZONE if last else _EARLIEST_ZONE)
    return DateTime.of(parts, offset)


@function("precision()", _SECTION)
def precision_(scope: Scope, items: Items) -> Items:
    """The number of decimal places, or of digits of a date or time."""
    value = single(items, "the input of precision()")
    if value is None:
        return []
    if type(value) in (int, Decimal):
        return [max(-_exponent(Decimal(value)), 0)]
    if isinstance(value, Temporal):
        return [sum(character.isdigit() for character in str(value).split("+")[0].rstrip("Z"))]
    raise FhirPathError(f"precision() is not defined for {kind_of(value)}")


@function("comparable(other: Quantity)", "FHIRPath 3.0.0-ballot, comparable")
def comparable_(scope: Scope, items: Items, other: Items) -> Items:
    """Whether two quantities have units that convert into each other."""
    pair = [single(items, "the input of comparable()"), single(other, "the argument of comparable()")]
    if None in pair:
        return []
    first, second = (to_quantity(value) if type(value) in (int, Decimal) else quantity(value) for value in pair)
    if not isinstance(first, Quantity) or not isinstance(second, Quantity):
        return []
    return [common(first, second) is not None]
