"""Elements of FHIR data on plain dicts, and the step from an element to its children.

A collection is a list whose items are `Element`s (FHIR data) or System values: str, bool, int, Decimal, Date,
DateTime, Time, Quantity.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from app.fhirpath import model
from app.fhirpath.errors import FhirPathError, GapError
from app.fhirpath.gaps import Incomplete, Unobtainable
from app.fhirpath.model import UNTYPED, Child, Type
from app.fhirpath.numeric import bounded, decimal
from app.fhirpath.quantity import CALENDAR_UNITS, Quantity
from app.fhirpath.temporal import Date, DateTime, Temporal

Items = list[Any]
UCUM = "http://unitsofmeasure.org"


class Element(msgspec.Struct, eq=False, gc=False):
    """One FHIR element.

    `value` is the JSON as handed in, None for a primitive with extensions only; `sibling` the JSON of a
    primitive's `_name`; `home` the resource against which a reference `#id` is resolved.
    """

    value: Any
    type: Type
    sibling: Any
    home: Any


def lift(value: Any, type_hint: Type | None = None) -> Items:
    """Plain Python data handed in by the caller → a collection."""
    items: Items = []
    _lift_into(items, value, type_hint)
    return items


def _lift_into(items: Items, value: Any, hint: Type | None) -> None:
    kind = type(value)
    if value is None:
        return
    if kind is dict:
        items.append(Element(value, _type_of(value, hint or UNTYPED), None, value))
    elif isinstance(value, Mapping):
        _lift_into(items, dict(value), hint)
    elif kind is list or kind is tuple:
        for item in value:
            _lift_into(items, item, hint)
    elif hint is not None and hint.is_primitive and kind in (str, bool, int, Decimal, float):
        items.append(Element(value, hint, None, None))
    else:
        items.append(system(value))


def system(value: Any) -> Any:
    """A scalar of Python as a System value."""
    kind = type(value)
    if kind in (str, bool, int, Quantity, Element) or isinstance(value, Temporal):
        return value
    if kind is Decimal:
        return bounded(value)
    if kind is float:
        return decimal(value)
    if isinstance(value, Unobtainable | Incomplete):
        raise GapError(value.reason)
    if isinstance(value, dt.datetime):
        return DateTime.from_datetime(value)
    if isinstance(value, dt.date):
        return Date.of((value.year, value.month, value.day))
    if isinstance(value, str):
        return str(value)
    raise FhirPathError(f"a value of type {kind.__name__} cannot be used in FHIRPath")


def _type_of(value: dict[str, Any], declared: Type) -> Type:
    name = value.get("resourceType")
    return (model.find(name) or declared) if type(name) is str else declared


def step(items: Items, name: str) -> Items:
    """The children called `name` of every item, in order."""
    out: Items = []
    for item in items:
        if type(item) is not Element:
            continue
        value = item.value
        if type(value) is not dict:
            _step_primitive(out, item, name)
            continue
        child = item.type.children.get(name)
        if child is None or child.choices is not None:
            _step_by_key(out, item, name, child)
            continue
        raw = value.get(name)
        kind = child.type
        if child.sibling is None:
            if raw is None:
                continue
            if type(raw) is list:
                for entry in raw:
                    if type(entry) is dict:
                        if "resourceType" in entry:
                            _add_resource(out, entry, kind, item, name)
                        else:
                            out.append(Element(entry, kind, None, item.home))
                    else:
                        _add(out, entry, kind, None, item.home)
            elif type(raw) is dict and "resourceType" not in raw:
                out.append(Element(raw, kind, None, item.home))
            elif type(raw) is dict:
                _add_resource(out, raw, kind, item, name)
            else:
                _add(out, raw, kind, None, item.home)
        else:
            sibling = value.get(child.sibling)
            if sibling is None and type(raw) is str:
                out.append(Element(raw, kind, None, item.home))
            elif raw is not None or sibling is not None:
                _add(out, raw, kind, sibling, item.home)
    return out


def _add(out: Items, raw: Any, kind: Type, sibling: Any, home: Any) -> None:
    """Any JSON under a key: a scalar, a list, a gap, or only a sibling."""
    if type(raw) is tuple:
        raw = list(raw)
    if type(raw) is list or type(sibling) is list:
        raws = raw if type(raw) is list else []
        siblings = sibling if type(sibling) is list else []
        for index in range(max(len(raws), len(siblings))):
            entry = raws[index] if index < len(raws) else None
            beside = siblings[index] if index < len(siblings) else None
            if entry is not None or beside is not None:
                _add(out, entry, kind, beside, home)
    elif raw is None and sibling is None:
        return
    elif isinstance(raw, Unobtainable | Incomplete):
        raise GapError(raw.reason)
    elif kind is not UNTYPED:
        out.append(Element(raw, kind, sibling, home))
    elif type(raw) is not dict and isinstance(raw, Mapping):
        _add(out, dict(raw), kind, sibling, home)
    elif type(raw) is dict:
        kind = _type_of(raw, UNTYPED)
        out.append(Element(raw, kind, None, raw if kind is not UNTYPED else home))
    else:
        out.append(Element(None, UNTYPED, sibling, home) if raw is None else system(raw))


def _add_resource(out: Items, raw: dict[str, Any], declared: Type, parent: Element, name: str) -> None:
    home = parent.home if name == "contained" else raw
    out.append(Element(raw, _type_of(raw, declared), None, home))


def _step_primitive(out: Items, item: Element, name: str) -> None:
    """`id` and `extension` of a primitive stand beside it."""
    sibling = item.sibling
    if type(sibling) is dict and name in ("id", "extension") and sibling.get(name) is not None:
        _add(out, sibling[name], model.get("Extension" if name == "extension" else "string"), None, item.home)


def _step_by_key(out: Items, item: Element, name: str, child: Child | None) -> None:
    """Choice elements, and elements no table knows."""
    value = item.value
    if child is not None:
        choices = child.choices or {}
        for key, raw in value.items():
            if key in choices:
                kind = choices[key]
                _add(out, raw, kind, value.get(f"_{key}") if kind.is_primitive else None, item.home)
            elif key[:1] == "_" and key[1:] in choices and key[1:] not in value:
                _add(out, None, choices[key[1:]], raw, item.home)
        return
    if name in value and name != "resourceType":
        if item.type is UNTYPED and name == "extension":
            _add(out, value[name], model.get("Extension"), None, item.home)
        elif name not in item.type.choice_keys:
            _add(out, value[name], UNTYPED, value.get(f"_{name}"), item.home)
        return
    if item.type is not UNTYPED:
        return
    for key, raw in value.items():
        # Untyped JSON: valueQuantity answers to value, if Quantity is a type.
        if key.startswith(name) and key[len(name) : len(name) + 1].isupper():
            suffix = key[len(name) :]
            chosen = model.find(suffix) or model.find(suffix[0].lower() + suffix[1:])
            if chosen is not None:
                _add(out, raw, chosen, value.get(f"_{key}"), item.home)


def all_children(item: Any) -> Items:
    """Every child element, in the order of the JSON."""
    out: Items = []
    if type(item) is not Element:
        return out
    if type(item.value) is not dict:
        for name in ("id", "extension"):
            _step_primitive(out, item, name)
        return out
    for name in _element_names(item):
        out.extend(step([item], name))
    return out


def _element_names(item: Element) -> Iterator[str]:
    names: dict[str, None] = {}
    choices = item.type.choice_keys
    for key in item.value:
        bare = key[1:] if key.startswith("_") else key
        if bare != "resourceType":
            names[choices.get(bare, bare)] = None
    yield from names


def plain(item: Any) -> Any:
    """The System value of a primitive element; complex elements and System values as they are."""
    if type(item) is not Element:
        return item
    value = item.value
    kind = type(value)
    if kind is str:
        temporal = item.type.temporal
        if temporal is None:
            return value
        return temporal.parse(value) or value
    if kind is dict or value is None:
        return item
    if kind is bool:
        return value
    if kind is Decimal:
        return bounded(value)
    return decimal(value) if kind is float or (item.type.is_decimal and kind is int) else value


def quantity(item: Any) -> Quantity | None:
    """A System or FHIR Quantity as a System Quantity (FHIR R4 fhirpath.html, "Use of FHIR Quantity").

    None for anything else, for a Quantity with a comparator (it stands for a range) and for one without a value.
    """
    if type(item) is Quantity:
        return item
    if type(item) is not Element or type(item.value) is not dict:
        return None
    data = item.value
    if not item.type.is_quantity and not (item.type is UNTYPED and "value" in data):
        return None
    for key in ("value", "unit", "code", "system", "comparator"):
        if isinstance(data.get(key), Unobtainable | Incomplete):
            raise GapError(data[key].reason)
    amount = data.get("value")
    if not isinstance(amount, int | float | Decimal) or isinstance(amount, bool) or data.get("comparator"):
        return None
    value = bounded(amount) if isinstance(amount, Decimal) else decimal(amount)
    if data.get("system") == UCUM and data.get("code"):
        return Quantity(value, data["code"])
    unit = data.get("code") or data.get("unit")
    if unit is None:
        return Quantity(value, "1")
    return Quantity(value, unit, calendar=unit in CALENDAR_UNITS and "system" in data and data["system"] != UCUM)


def output(item: Any) -> Any:
    """An item as `evaluate` returns it: plain Python, dates and quantities as value types, dicts as handed in."""
    if type(item) is not Element:
        return item
    value = plain(item)
    return value.value if type(value) is Element else value
