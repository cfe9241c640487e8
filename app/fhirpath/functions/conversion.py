"""Conversion: toX() gives empty where there is no conversion, convertsToX() says whether there is one."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from app.fhirpath.collection import single, text, truth
from app.fhirpath.element import Items, quantity
from app.fhirpath.errors import FhirPathError
from app.fhirpath.functions.registry import function
from app.fhirpath.quantity import CALENDAR_UNITS, Quantity, convert
from app.fhirpath.scope import Body, Scope
from app.fhirpath.temporal import Date, DateTime, Temporal, Time

_SECTION = "FHIRPath N1, Conversion"
_INTEGER = re.compile(r"[+-]?\d{1,10}\Z")
_DECIMAL = re.compile(r"[+-]?\d{1,40}(\.\d{1,40})?\Z")
_QUANTITY = re.compile(r"(?P<value>[+-]?\d{1,40}(?:\.\d{1,40})?)(?:\s*'(?P<unit>[^']+)'|\s*(?P<calendar>[a-zA-Z]+))?\Z")
_TRUE = frozenset({"true", "t", "yes", "y", "1", "1.0"})
_FALSE = frozenset({"false", "f", "no", "n", "0", "0.0"})


@function("iif(criterion: expression, true_result: expression, otherwise_result?: expression)", _SECTION, flow="whole")
def iif(scope: Scope, items: Items, criterion: Body, then: Body, otherwise: Body | None = None) -> Items:
    """The second argument when the criterion holds, else the third; only that one is evaluated."""
    if len(items) > 1:
        raise FhirPathError(f"iif() on {len(items)} items where one is allowed")
    if truth(criterion(scope, items), "the criterion of iif()"):
        return then(scope, items)
    return otherwise(scope, items) if otherwise else []


def to_boolean(value: Any) -> bool | None:
    if type(value) is bool:
        return value
    if type(value) is str:
        lowered = value.lower()
        return True if lowered in _TRUE else False if lowered in _FALSE else None
    if type(value) in (int, Decimal):
        return True if value == 1 else False if value == 0 else None
    return None


def to_integer(value: Any) -> int | None:
    if type(value) is bool:
        return int(value)
    if type(value) is int:
        return value
    if type(value) is str and _INTEGER.match(value):
        number = int(value)
        return number if -(2**31) <= number < 2**31 else None
    return None


def to_decimal(value: Any) -> Decimal | None:
    if type(value) is Decimal:
        return value
    if type(value) in (bool, int):
        return Decimal(int(value))
    if type(value) is str and _DECIMAL.match(value):
        return Decimal(value)
    return None


def to_string(value: Any) -> str | None:
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int:
        return str(value)
    if type(value) is Decimal:
        return f"{value:f}"
    if isinstance(value, Temporal):
        return str(value)
    amount = quantity(value)
    return None if amount is None else str(amount)


def to_date(value: Any) -> Date | None:
    if type(value) is Date:
        return value
    if type(value) is DateTime:
        return Date.of(value.parts[:3])
    if type(value) is str:
        moment = DateTime.parse(value)
        return None if moment is None else Date.of(moment.parts[:3])
    return None


def to_date_time(value: Any) -> DateTime | None:
    if type(value) is DateTime:
        return value
    if type(value) is Date:
        return DateTime.of(value.parts)
    return DateTime.parse(value) if type(value) is str else None


def to_time(value: Any) -> Time | None:
    if type(value) is Time:
        return value
    return Time.parse(value) if type(value) is str else None


def to_quantity(value: Any) -> Quantity | None:
    amount = quantity(value)
    if amount is not None:
        return amount
    if type(value) in (bool, int, Decimal):
        return Quantity(Decimal(int(value) if type(value) is bool else value))
    if type(value) is not str:
        return None
    found = _QUANTITY.match(value)
    if found is None:
        return None
    number = Decimal(found["value"])
    if found["calendar"]:
        return Quantity(number, found["calendar"], calendar=True) if found["calendar"] in CALENDAR_UNITS else None
    return Quantity(number, found["unit"] or "1")


def _declare(name: str, convert: Callable[[Any], Any]) -> None:
    """to<Name>() and convertsTo<Name>()."""

    def to(scope: Scope, items: Items) -> Items:
        value = single(items, f"the input of to{name}()")
        converted = None if value is None else convert(value)
        return [] if converted is None else [converted]

    def converts_to(scope: Scope, items: Items) -> Items:
        value = single(items, f"the input of convertsTo{name}()")
        return [] if value is None else [convert(value) is not None]

    to.__doc__ = f"The item as {name}; empty when it cannot be converted."
    converts_to.__doc__ = f"Whether to{name}() gives a value."
    function(f"to{name}()", _SECTION)(to)
    function(f"convertsTo{name}()", _SECTION)(converts_to)


for _name, _convert in (
    ("Boolean", to_boolean), ("Integer", to_integer), ("Decimal", to_decimal), ("String", to_string),
    ("Date", to_date), ("DateTime", to_date_time), ("Time", to_time),
):  # fmt: skip
    _declare(_name, _convert)


def _in_unit(items: Items, unit: Items | None, name: str) -> Quantity | None:
    value = single(items, f"the input of {name}()")
    amount = None if value is None else to_quantity(value)
    wanted = text(unit, f"the unit of {name}()") if unit else None
    return amount if amount is None or wanted is None else convert(amount, wanted)


@function("toQuantity(unit?: String)", _SECTION)
def to_quantity_(scope: Scope, items: Items, unit: Items | None = None) -> Items:
    """The item as Quantity, converted to `unit`; empty when it cannot be."""
    amount = _in_unit(items, unit, "toQuantity")
    return [] if amount is None else [amount]


@function("convertsToQuantity(unit?: String)", _SECTION)
def converts_to_quantity(scope: Scope, items: Items, unit: Items | None = None) -> Items:
    """Whether toQuantity() gives a value."""
    return [_in_unit(items, unit, "convertsToQuantity") is not None] if items else []
