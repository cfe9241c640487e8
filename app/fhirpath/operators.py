"""The infix operators on two collections, and the logical ones, which may decide from one side."""

from __future__ import annotations

from collections.abc import Callable

from app.fhirpath.arithmetic import OPERATORS
from app.fhirpath.collection import FALSE, TRUE, Seen, compare, distinct, equal, equivalent, single, truth, verdict
from app.fhirpath.element import Items
from app.fhirpath.scope import Body, Scope

Operation = Callable[[Scope, Items, Items], Items]


def equals(scope: Scope, left: Items, right: Items) -> Items:
    """`=`."""
    return verdict(equal(left, right))


def differs(scope: Scope, left: Items, right: Items) -> Items:
    """`!=`."""
    same = equal(left, right)
    return [] if same is None else [not same]


def member(scope: Scope, left: Items, right: Items) -> Items:
    """`in`: empty on the left gives empty."""
    if not left:
        return []
    single(left, "the item looked for")
    scope.hold(len(right))
    return [left[0] in Seen(scope, right)]


def union(scope: Scope, left: Items, right: Items) -> Items:
    """`|`."""
    scope.hold(len(left) + len(right))
    return distinct(scope, left + right)


def _ordering(operator: str, accepts: Callable[[int], bool]) -> Operation:
    def apply(scope: Scope, left: Items, right: Items) -> Items:
        order = compare(left, right, operator)
        return [] if order is None else [accepts(order)]

    return apply


BINARY: dict[str, Operation] = {
    **OPERATORS,
    "=": equals,
    "!=": differs,
    "~": lambda scope, left, right: [equivalent(scope, left, right)],
    "!~": lambda scope, left, right: [not equivalent(scope, left, right)],
    "<": _ordering("<", lambda order: order < 0),
    "<=": _ordering("<=", lambda order: order <= 0),
    ">": _ordering(">", lambda order: order > 0),
    ">=": _ordering(">=", lambda order: order >= 0),
    "|": union,
    "in": member,
    "contains": lambda scope, left, right: member(scope, right, left),
}


def _and(left: Body, right: Body) -> Body:
    def run(scope: Scope, this: Items) -> Items:
        first = truth(left(scope, this), "the left side of and")
        if first is False:
            return FALSE
        second = truth(right(scope, this), "the right side of and")
        if second is False:
            return FALSE
        return TRUE if first and second else []

    return run


def _or(left: Body, right: Body) -> Body:
    def run(scope: Scope, this: Items) -> Items:
        first = truth(left(scope, this), "the left side of or")
        if first:
            return TRUE
        second = truth(right(scope, this), "the right side of or")
        if second:
            return TRUE
        return [] if first is None or second is None else FALSE

    return run


def _xor(left: Body, right: Body) -> Body:
    def run(scope: Scope, this: Items) -> Items:
        first = truth(left(scope, this), "the left side of xor")
        second = truth(right(scope, this), "the right side of xor")
        return [] if first is None or second is None else [first != second]

    return run


def _implies(left: Body, right: Body) -> Body:
    def run(scope: Scope, this: Items) -> Items:
        first = truth(left(scope, this), "the left side of implies")
        if first is False:
            return TRUE
        second = truth(right(scope, this), "the right side of implies")
        if second:
            return TRUE
        return [] if first is None or second is None else FALSE

    return run


LOGIC: dict[str, Callable[[Body, Body], Body]] = {"and": _and, "or": _or, "xor": _xor, "implies": _implies}
