"""`+ - * / div mod &` and unary minus (FHIRPath N1, "Math")."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal
from typing import Any

from app.fhirpath import quantity as quantities
from app.fhirpath.collection import kind_of, single, text
from app.fhirpath.element import Element, Items, quantity
from app.fhirpath.errors import FhirPathError
from app.fhirpath.numeric import CONTEXT, fitting
from app.fhirpath.quantity import Quantity
from app.fhirpath.scope import Scope
from app.fhirpath.temporal import Temporal, add


def _operands(left: Items, right: Items, operator: str) -> tuple[Any, Any] | None:
    a, b = single(left, f"the left side of {operator}"), single(right, f"the right side of {operator}")
    if a is None or b is None:
        return None
    if type(a) is Element:
        a = quantity(a) or a
    if type(b) is Element:
        b = quantity(b) or b
    return a, b


def _is_number(value: Any) -> bool:
    return type(value) is int or type(value) is Decimal


def _mismatch(a: Any, operator: str, b: Any) -> FhirPathError:
    return FhirPathError(f"{kind_of(a)} {operator} {kind_of(b)} is not defined")


def _as_quantities(a: Any, b: Any) -> tuple[Quantity, Quantity] | None:
    """Both as quantities when at least one is; numbers count as unit '1'."""
    if type(a) is not Quantity and type(b) is not Quantity:
        return None
    if not all(_is_number(side) or type(side) is Quantity for side in (a, b)):
        return None
    first = a if type(a) is Quantity else Quantity(Decimal(a))
    second = b if type(b) is Quantity else Quantity(Decimal(b))
    return first, second


def plus(scope: Scope, left: Items, right: Items, sign: int = 1) -> Items:
    """`+`, and `-` with sign -1."""
    operator = "+" if sign > 0 else "-"
    pair = _operands(left, right, operator)
    if pair is None:
        return []
    a, b = pair
    if _is_number(a) and _is_number(b):
        if type(a) is int and type(b) is int:
            return fitting(a + sign * b)
        return fitting(CONTEXT.add(Decimal(a), Decimal(b) if sign > 0 else CONTEXT.minus(Decimal(b))))
    if type(a) is str and type(b) is str and sign > 0:
        scope.write(len(a) + len(b))
        return [a + b]
    if isinstance(a, Temporal) and type(b) is Quantity:
        unit = b.calendar_unit
        if unit is None:
            raise FhirPathError(
                f"a date cannot be moved by the unit '{b.unit}'; use a calendar unit such as years or days"
            )
        moved = add(a, CONTEXT.multiply(b.value, Decimal(sign)), unit)
        return [] if moved is None else [moved]
    both = _as_quantities(a, b)
    if both is None:
        raise _mismatch(a, operator, b)
    first, second = both
    total = quantities.add(first, second, sign)
    return [] if total is None else [total]


def minus(scope: Scope, left: Items, right: Items) -> Items:
    """`-`."""
    return plus(scope, left, right, -1)


def multiply(scope: Scope, left: Items, right: Items) -> Items:
    """`*`."""
    del scope
    pair = _operands(left, right, "*")
    if pair is None:
        return []
    a, b = pair
    if _is_number(a) and _is_number(b):
        return fitting(a * b if type(a) is int and type(b) is int else CONTEXT.multiply(Decimal(a), Decimal(b)))
    return _scaled(a, b, "*")


def divide(scope: Scope, left: Items, right: Items) -> Items:
    """`/`: always decimal, empty on zero."""
    del scope
    pair = _operands(left, right, "/")
    if pair is None:
        return []
    a, b = pair
    if _is_number(a) and _is_number(b):
        return fitting(CONTEXT.divide(Decimal(a), Decimal(b))) if b else []
    return _scaled(a, b, "/")


def _scaled(a: Any, b: Any, operator: str) -> Items:
    both = _as_quantities(a, b)
    if both is None:
        raise _mismatch(a, operator, b)
    result = quantities.multiply(*both, divide=operator == "/")
    return [] if result is None else [result]


def _whole(operator: str, integers: Callable[[int, int], int], decimals: Callable[[Decimal, Decimal], Any]) -> Any:
    def apply(scope: Scope, left: Items, right: Items) -> Items:
        del scope
        pair = _operands(left, right, operator)
        if pair is None:
            return []
        a, b = pair
        if not _is_number(a) or not _is_number(b):
            raise _mismatch(a, operator, b)
        if not b:
            return []
        if type(a) is int and type(b) is int:
            return fitting(integers(a, b))
        return fitting(decimals(Decimal(a), Decimal(b)))

    return apply


def _truncated(a: int, b: int) -> int:
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


div = _whole("div", _truncated, lambda a, b: int(CONTEXT.divide(a, b).to_integral_value(ROUND_DOWN)))
mod = _whole("mod", lambda a, b: a - b * _truncated(a, b), CONTEXT.remainder)


def concatenate(scope: Scope, left: Items, right: Items) -> Items:
    """`&`: an empty side counts as the empty string."""
    a, b = text(left, "the left side of &") or "", text(right, "the right side of &") or ""
    scope.write(len(a) + len(b))
    return [a + b]


def negate(items: Items) -> Items:
    """Unary minus."""
    value = single(items, "the operand of -")
    if value is None:
        return []
    if _is_number(value):
        return fitting(-value if type(value) is int else CONTEXT.minus(value))
    amount = quantity(value)
    if amount is None:
        raise FhirPathError(f"- is not defined for {kind_of(value)}")
    return [amount.with_value(CONTEXT.minus(amount.value))]


def posit(items: Items) -> Items:
    """Unary plus."""
    value = single(items, "the operand of +")
    if value is None or _is_number(value) or quantity(value) is not None:
        return items
    raise FhirPathError(f"+ is not defined for {kind_of(value)}")


OPERATORS: dict[str, Callable[[Scope, Items, Items], Items]] = {
    "+": plus, "-": minus, "*": multiply, "/": divide, "div": div, "mod": mod, "&": concatenate,
}  # fmt: skip
