"""Math."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Any

from app.fhirpath.collection import integer, kind_of, number, single
from app.fhirpath.element import Items, quantity
from app.fhirpath.errors import FhirPathError
from app.fhirpath.functions.registry import function
from app.fhirpath.numeric import CONTEXT, fitting
from app.fhirpath.scope import Scope

_SECTION = "FHIRPath N1, Math"
_ROUND_DIGITS = Decimal("1e-16")


def _number(items: Items, name: str) -> Any:
    return number(items, f"the input of {name}()")


def _decimal(items: Items, name: str, compute: Callable[[Decimal], Decimal]) -> Items:
    value = _number(items, name)
    return [] if value is None else _rounded(compute(Decimal(value)))


def _rounded(value: Decimal) -> Items:
    """Transcendental results to 16 decimal places, so that 16.log(2) is 4."""
    if not value.is_finite():
        return []
    rounded = value.quantize(_ROUND_DIGITS, context=CONTEXT)
    return [rounded.normalize(CONTEXT) + Decimal("0.0") if rounded.is_finite() else value]


@function("abs()", _SECTION)
def abs_(scope: Scope, items: Items) -> Items:
    """The absolute value of a number or quantity."""
    value = single(items, "the input of abs()")
    if value is None:
        return []
    if type(value) in (int, Decimal):
        return fitting(abs(value) if type(value) is int else CONTEXT.abs(value))
    amount = quantity(value)
    if amount is None:
        raise FhirPathError(f"abs() is not defined for {kind_of(value)}")
    return [amount.with_value(CONTEXT.abs(amount.value))]


def _to_integer(items: Items, name: str, rounding: str) -> Items:
    value = single(items, f"the input of {name}()")
    amount = quantity(value)
    if amount is not None:
        return [amount.with_value(amount.value.to_integral_value(rounding))]
    number_ = _number(items, name)
    return [] if number_ is None else fitting(int(Decimal(number_).to_integral_value(rounding)))


@function("ceiling()", _SECTION)
def ceiling(scope: Scope, items: Items) -> Items:
    """The least integer not below the number; works on quantities too."""
    return _to_integer(items, "ceiling", ROUND_CEILING)


@function("floor()", _SECTION)
def floor(scope: Scope, items: Items) -> Items:
    """The greatest integer not above the number; works on quantities too."""
    return _to_integer(items, "floor", ROUND_FLOOR)


@function("truncate()", _SECTION)
def truncate(scope: Scope, items: Items) -> Items:
    """The number or quantity without its fraction."""
    return _to_integer(items, "truncate", ROUND_DOWN)


@function("round(precision?: Integer)", _SECTION)
def round_(scope: Scope, items: Items, precision: Items | None = None) -> Items:
    """The number or quantity to `precision` decimal places, 0 without, half away from zero."""
    places = integer(precision, "the precision of round()") if precision else 0
    if places is None or places < 0:
        raise FhirPathError("the precision of round() is negative")
    quantum = Decimal(1).scaleb(-min(places, 28))
    amount = quantity(single(items, "the input of round()"))
    if amount is not None:
        return [
            amount.with_value(rounded) for rounded in fitting(amount.value.quantize(quantum, ROUND_HALF_UP, CONTEXT))
        ]
    value = _number(items, "round")
    return [] if value is None else fitting(Decimal(value).quantize(quantum, ROUND_HALF_UP, CONTEXT))


@function("exp()", _SECTION)
def exp(scope: Scope, items: Items) -> Items:
    """e to the power of the number."""
    return _decimal(items, "exp", CONTEXT.exp)


@function("ln()", _SECTION)
def ln(scope: Scope, items: Items) -> Items:
    """The natural logarithm; empty for a number not above 0."""
    return _decimal(items, "ln", CONTEXT.ln)


@function("log(base: Decimal)", _SECTION)
def log(scope: Scope, items: Items, base: Items) -> Items:
    """The logarithm to `base`; empty where there is none."""
    value, radix = _number(items, "log"), number(base, "the base of log()")
    if value is None or radix is None or value <= 0 or radix <= 0 or radix == 1:
        return []
    return _rounded(CONTEXT.divide(CONTEXT.ln(Decimal(value)), CONTEXT.ln(Decimal(radix))))


@function("power(exponent: Decimal)", _SECTION)
def power(scope: Scope, items: Items, exponent: Items) -> Items:
    """The number to a power; empty where there is no real one."""
    value, raised = _number(items, "power"), number(exponent, "the exponent of power()")
    if value is None or raised is None:
        return []
    result = CONTEXT.power(Decimal(value), Decimal(raised))
    if not result.is_finite():
        return []
    if type(value) is int and type(raised) is int and raised >= 0:
        return fitting(int(result)) if abs(result) < 2**32 else []
    return [result]


@function("sqrt()", _SECTION)
def sqrt(scope: Scope, items: Items) -> Items:
    """The square root; empty for a negative number."""
    return _decimal(items, "sqrt", CONTEXT.sqrt)
