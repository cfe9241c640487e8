"""Combining, and the aggregates built on one total."""

from __future__ import annotations

from app.fhirpath import arithmetic
from app.fhirpath.collection import compare, distinct, text
from app.fhirpath.element import Items
from app.fhirpath.functions.registry import function
from app.fhirpath.scope import Body, Scope

_SECTION = "FHIRPath N1, Combining"
_AGGREGATES = "FHIRPath N1, Aggregates"
_SUMS = "FHIRPath 3.0.0-ballot, aggregates"


@function("union(other: collection)", _SECTION, flow="each")
def union(scope: Scope, items: Items, other: Items) -> Items:
    """Both collections without repetitions; the same as `|`."""
    scope.hold(len(items) + len(other))
    return distinct(scope, items + other)


@function("combine(other: collection, preserveOrder?: Boolean)", _SECTION, flow="each")
def combine(scope: Scope, items: Items, other: Items, preserve_order: Items | None = None) -> Items:
    """Both collections, repetitions kept; the order is kept in any case."""
    scope.hold(len(items) + len(other))
    return items + other


@function("aggregate(aggregator: expression, init?: collection)", _AGGREGATES, flow="whole")
def aggregate(scope: Scope, items: Items, aggregator: Body, init: Items | None = None) -> Items:
    """The last value of $total, which the aggregator gives anew for each item."""
    scope.hold(len(items))
    total: Items = init or []
    for position, item in enumerate(items):
        scope.index, scope.total = [position], total
        total = aggregator(scope, [item])
        scope.hold(len(total))
    return total


@function("sum()", _SUMS)
def sum_(scope: Scope, items: Items) -> Items:
    """The sum of numbers or quantities; empty for an empty input."""
    total = items[:1]
    for item in items[1:]:
        total = arithmetic.plus(scope, total, [item])
    return total


def _extreme(scope: Scope, items: Items, sign: int, name: str) -> Items:
    best = items[:1]
    for item in items[1:]:
        order = compare([item], best, f"{name}()")
        if order is None:
            return []
        if order == sign:
            best = [item]
    scope.hold(len(items))
    return best


@function("min()", _SUMS)
def min_(scope: Scope, items: Items) -> Items:
    """The least item; empty for an empty input."""
    return _extreme(scope, items, -1, "min")


@function("max()", _SUMS)
def max_(scope: Scope, items: Items) -> Items:
    """The greatest item; empty for an empty input."""
    return _extreme(scope, items, 1, "max")


@function("avg()", _SUMS)
def avg(scope: Scope, items: Items) -> Items:
    """The mean of numbers or quantities; empty for an empty input."""
    total = sum_(scope, items)
    return arithmetic.divide(scope, total, [len(items)]) if total else []


@function("join(separator?: String)", "FHIRPath 2.1.0, join")
def join(scope: Scope, items: Items, separator: Items | None = None) -> Items:
    """The strings in one, with the separator between them; the empty string for an empty input."""
    between = (text(separator, "the separator of join()") if separator else "") or ""
    parts = [text([item], "an item of join()") or "" for item in items]
    scope.hold(len(parts))
    scope.write(sum(map(len, parts)) + len(between) * len(parts))
    return [between.join(parts)]
