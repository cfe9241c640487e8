"""Filtering and projection."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from app.fhirpath.collection import Seen, kind_of, single, truth
from app.fhirpath.element import Items
from app.fhirpath.errors import FhirPathError
from app.fhirpath.functions.registry import function
from app.fhirpath.functions.types import TypeTarget
from app.fhirpath.scope import Body, Scope
from app.fhirpath.temporal import Date, DateTime, Time

_SECTION = "FHIRPath N1, Filtering and Projection"


@function("where(criteria: expression)", _SECTION, flow="whole")
def where(scope: Scope, items: Items, criteria: Body) -> Items:
    """The items that meet the criteria."""
    scope.hold(len(items))
    out: Items = []
    for position, item in enumerate(items):
        scope.index = [position]
        if truth(criteria(scope, [item])):
            out.append(item)
    return out


@function("select(projection: expression)", _SECTION, flow="whole")
def select(scope: Scope, items: Items, projection: Body) -> Items:
    """What the projection gives for each item, in one collection."""
    out: Items = []
    for position, item in enumerate(items):
        scope.index = [position]
        out.extend(projection(scope, [item]))
    scope.hold(len(items) + len(out))
    return out


@function("repeat(projection: expression)", _SECTION, flow="whole")
def repeat(scope: Scope, items: Items, projection: Body) -> Items:
    """The projection of each item, of the results, and so on, until nothing new comes."""
    out: Items = []
    seen = Seen(scope)
    queue = list(items)
    position = 0
    while position < len(queue):
        scope.index = [position]
        found = projection(scope, [queue[position]])
        position += 1
        scope.hold(1 + len(found))
        for item in found:
            if seen.add(item):
                out.append(item)
                queue.append(item)
    scope.hold(len(out))
    return out


@function("repeatAll(projection: expression)", _SECTION, flow="whole")
def repeat_all(scope: Scope, items: Items, projection: Body) -> Items:
    """As repeat(), keeping items that are equal."""
    out: Items = []
    queue = list(items)
    position = 0
    while position < len(queue):
        scope.index = [position]
        found = projection(scope, [queue[position]])
        position += 1
        out.extend(found)
        queue.extend(found)
        scope.hold(1 + len(out))
    return out


@function("coalesce(value: expression, values?: expression*)", "FHIRPath 3.0.0-ballot, coalesce", flow="whole")
def coalesce(scope: Scope, items: Items, *values: Body) -> Items:
    """The first of the arguments that is not empty."""
    for value in values:
        if found := value(scope, items):
            return found
    return []


@function("ofType(type: type)", _SECTION, flow="each")
def of_type(scope: Scope, items: Items, target: TypeTarget) -> Items:
    """The items of the type; a complex type includes those derived from it."""
    return [item for item in items if target.selects(item)]


@function("sort(key?: sortkey*)", "FHIRPath 3.0.0-ballot, sort", flow="whole")
def sort(scope: Scope, items: Items, *keys: tuple[Body, bool, bool]) -> Items:
    """The items in the order of each key in turn: ascending, `desc` descending, or negated by a leading minus.

    No key is lower than any key, so such items come first, and last with `desc`.
    """
    scope.hold(len(items))
    out = list(items)
    for body, negated, descending in reversed(keys or ((_itself, False, False),)):
        keyed = [(_sort_key(body(scope, [item])), item) for item in out]
        _check_comparable([key for key, _ in keyed if key])
        without = [item for key, item in keyed if not key]
        ordered = sorted((pair for pair in keyed if pair[0]), key=lambda pair: pair[0], reverse=negated != descending)
        found = [item for _, item in ordered]
        out = found + without if descending else without + found
    return out


def _itself(scope: Scope, this: Items) -> Items:
    del scope
    return this


def _sort_key(items: Items) -> tuple[Any, ...]:
    """The kind of value and the value; the empty tuple for no value."""
    if not items:
        return ()
    value = single(items, "a key of sort()")
    if isinstance(value, Date | DateTime):
        return ("date", value.bounds(0, 0)[0])
    if isinstance(value, Time):
        return ("time", value.parts)
    if type(value) in (str, int, Decimal):
        return ("string" if type(value) is str else "number", value)
    raise FhirPathError(f"sort() cannot order {kind_of(value)}")


def _check_comparable(keys: list[tuple[Any, ...]]) -> None:
    if len({kind for kind, _ in keys}) > 1:
        raise FhirPathError("the keys of sort() are of several types")
