"""Existence."""

from __future__ import annotations

from app.fhirpath.collection import Seen, distinct, truth
from app.fhirpath.element import Element, Items
from app.fhirpath.errors import FhirPathError
from app.fhirpath.functions.registry import function
from app.fhirpath.scope import Body, Scope

_SECTION = "FHIRPath N1, Existence"


@function("empty()", _SECTION, flow="whole")
def empty(scope: Scope, items: Items) -> Items:
    """True when the input is empty."""
    return [not items]


@function("exists(criteria?: expression)", _SECTION, flow="whole")
def exists(scope: Scope, items: Items, criteria: Body | None = None) -> Items:
    """True when the input has an item, or one that meets the criteria."""
    if criteria is None:
        return [bool(items)]
    scope.hold(len(items))
    for position, item in enumerate(items):
        scope.index = [position]
        if truth(criteria(scope, [item])):
            return [True]
    return [False]


@function("not()", _SECTION, flow="strict")
def not_(scope: Scope, items: Items) -> Items:
    """True for false and false for true; empty for empty."""
    value = truth(items, "the input of not()")
    return [] if value is None else [not value]


@function("all(criteria: expression)", _SECTION, flow="whole")
def all_(scope: Scope, items: Items, criteria: Body) -> Items:
    """True when every item meets the criteria; true for an empty input."""
    scope.hold(len(items))
    for position, item in enumerate(items):
        scope.index = [position]
        if truth(criteria(scope, [item])) is not True:
            return [False]
    return [True]


def booleans(items: Items, name: str) -> list[bool]:
    """Every item as Boolean; FhirPathError for anything else."""
    values = [item.value if type(item) is Element else item for item in items]
    if any(type(value) is not bool for value in values):
        raise FhirPathError(f"the input of {name}() is not all Boolean")
    return values


@function("allTrue()", _SECTION, flow="whole")
def all_true(scope: Scope, items: Items) -> Items:
    """True when all items are true."""
    return [all(booleans(items, "allTrue"))]


@function("anyTrue()", _SECTION, flow="whole")
def any_true(scope: Scope, items: Items) -> Items:
    """True when any item is true."""
    return [any(booleans(items, "anyTrue"))]


@function("allFalse()", _SECTION, flow="whole")
def all_false(scope: Scope, items: Items) -> Items:
    """True when all items are false."""
    return [not any(booleans(items, "allFalse"))]


@function("anyFalse()", _SECTION, flow="whole")
def any_false(scope: Scope, items: Items) -> Items:
    """True when any item is false."""
    return [not all(booleans(items, "anyFalse"))]


@function("subsetOf(other: collection)", _SECTION)
def subset_of(scope: Scope, items: Items, other: Items) -> Items:
    """True when every item of the input is also in `other`."""
    scope.hold(len(items) + len(other))
    seen = Seen(scope, other)
    return [all(item in seen for item in items)]


@function("supersetOf(other: collection)", _SECTION)
def superset_of(scope: Scope, items: Items, other: Items) -> Items:
    """True when every item of `other` is also in the input."""
    return subset_of(scope, other, items)


@function("count()", _SECTION)
def count(scope: Scope, items: Items) -> Items:
    """The number of items."""
    return [len(items)]


@function("distinct()", _SECTION)
def distinct_(scope: Scope, items: Items) -> Items:
    """The items without repetitions."""
    scope.hold(len(items))
    return distinct(scope, items)


@function("isDistinct()", _SECTION)
def is_distinct(scope: Scope, items: Items) -> Items:
    """True when no item is repeated."""
    scope.hold(len(items))
    return [len(distinct(scope, items)) == len(items)]
