"""Subsetting."""

from __future__ import annotations

from app.fhirpath.collection import Seen, distinct, integer
from app.fhirpath.element import Items
from app.fhirpath.errors import FhirPathError
from app.fhirpath.functions.registry import function
from app.fhirpath.scope import Scope

_SECTION = "FHIRPath N1, Subsetting"


def at(scope: Scope, items: Items, index: Items) -> Items:
    """`items[index]`, counted from 0; empty beyond the end."""
    del scope
    position = integer(index, "the index")
    if position is None or position < 0:
        return []
    return items[position : position + 1]


@function("single()", _SECTION)
def single_(scope: Scope, items: Items) -> Items:
    """The one item; an error when there are several."""
    if len(items) > 1:
        raise FhirPathError(f"single() on {len(items)} items")
    return items


@function("first()", _SECTION)
def first(scope: Scope, items: Items) -> Items:
    """The first item."""
    return items[:1]


@function("last()", _SECTION)
def last(scope: Scope, items: Items) -> Items:
    """The last item."""
    return items[-1:]


@function("tail()", _SECTION)
def tail(scope: Scope, items: Items) -> Items:
    """All items but the first."""
    return items[1:]


@function("skip(number: Integer)", _SECTION)
def skip(scope: Scope, items: Items, number: Items) -> Items:
    """All items but the first `number`."""
    return items[max(integer(number, "the argument of skip()") or 0, 0) :]


@function("take(number: Integer)", _SECTION)
def take(scope: Scope, items: Items, number: Items) -> Items:
    """The first `number` items."""
    return items[: max(integer(number, "the argument of take()") or 0, 0)]


@function("intersect(other: collection)", _SECTION)
def intersect(scope: Scope, items: Items, other: Items) -> Items:
    """The items that are in both, without repetitions."""
    scope.hold(len(items) + len(other))
    seen = Seen(scope, other)
    return distinct(scope, [item for item in items if item in seen])


@function("exclude(other: collection)", _SECTION)
def exclude(scope: Scope, items: Items, other: Items) -> Items:
    """The items that are not in `other`, repetitions kept."""
    scope.hold(len(items) + len(other))
    seen = Seen(scope, other)
    return [item for item in items if item not in seen]
