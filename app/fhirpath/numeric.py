"""Decimals: one context for all arithmetic, and bounds for what comes in and what goes out."""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Any

from app.fhirpath.errors import FhirPathError

# A context of our own: the thread's may have been changed by the application around us. Nothing is trapped;
# what has no result is not finite, and `fitting` makes it empty.
CONTEXT = Context(prec=34, Emin=-999, Emax=999, traps=[])
MIN_INTEGER, MAX_INTEGER = -(2**31), 2**31 - 1
_MAX_EXPONENT = 100


def bounded(value: Decimal) -> Decimal:
    """`value`, unless it is so large or small that spelling it out would take for ever; FhirPathError then."""
    if not value.is_finite() or not -_MAX_EXPONENT <= value.adjusted() <= _MAX_EXPONENT:
        raise FhirPathError(f"a number is beyond 10^{_MAX_EXPONENT}")
    return value


def decimal(value: int | float) -> Decimal:
    """The decimal a JSON number stands for: 1.1 is 1.1, not its binary neighbour."""
    return bounded(Decimal(repr(value)))


def fitting(value: Any) -> list[Any]:
    """The number as a collection; empty on overflow, as the specification asks."""
    if type(value) is int:
        return [value] if MIN_INTEGER <= value <= MAX_INTEGER else []
    return [value] if value.is_finite() else []
