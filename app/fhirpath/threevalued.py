"""Kleene's logic, and the functions that need a three-valued form of their own.

Every function here takes `(scope, label, items, *arguments)`; a criterion is a closure whose result may be `Partial`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from app.fhirpath.collection import Seen, equal, text, truth
from app.fhirpath.element import Element, Items
from app.fhirpath.errors import FhirPathError, GapError
from app.fhirpath.functions import FUNCTIONS
from app.fhirpath.functions.existence import booleans
from app.fhirpath.functions.fhir import UNRESOLVED, asked, resolved
from app.fhirpath.gaps import Incomplete, Missing, Unobtainable
from app.fhirpath.partial import Partial, absent, because, is_open, open_because, unknown
from app.fhirpath.scope import Body, Scope


def truth3(items: Items, what: str) -> bool | None:
    """True or False where certain; None for unknown and for empty."""
    return None if is_open(items) else truth(items, what)


def _undecided(*operands: Items) -> Items:
    """What is left of an operator that did not decide, with the reasons of the operands that did not."""
    vague = [items for items in operands if is_open(items) or not items]
    return Partial([], because(*vague), open=any(map(is_open, vague)))


def _and(left: Body, right: Body) -> Body:
    def run(scope: Scope, this: Items) -> Items:
        first = left(scope, this)
        one = truth3(first, "the left side of and")
        if one is False:
            return [False]
        second = right(scope, this)
        two = truth3(second, "the right side of and")
        if two is False:
            return [False]
        return [True] if one and two else _undecided(first, second)

    return run


def _or(left: Body, right: Body) -> Body:
    def run(scope: Scope, this: Items) -> Items:
        first = left(scope, this)
        one = truth3(first, "the left side of or")
        if one:
            return [True]
        second = right(scope, this)
        two = truth3(second, "the right side of or")
        if two:
            return [True]
        return _undecided(first, second) if one is None or two is None else [False]

    return run


def _xor(left: Body, right: Body) -> Body:
    def run(scope: Scope, this: Items) -> Items:
        first, second = left(scope, this), right(scope, this)
        one, two = truth3(first, "the left side of xor"), truth3(second, "the right side of xor")
        return _undecided(first, second) if one is None or two is None else [one != two]

    return run


def _implies(left: Body, right: Body) -> Body:
    def run(scope: Scope, this: Items) -> Items:
        first = left(scope, this)
        one = truth3(first, "the left side of implies")
        if one is False:
            return [True]
        second = right(scope, this)
        two = truth3(second, "the right side of implies")
        if two:
            return [True]
        return _undecided(first, second) if one is None or two is None else [False]

    return run


LOGIC: dict[str, Callable[[Body, Body], Body]] = {"and": _and, "or": _or, "xor": _xor, "implies": _implies}


def _criteria(scope: Scope, items: Items, criteria: Body) -> Iterator[tuple[Any, bool | None, Items]]:
    """Each item with the verdict on it: True, False (also for empty), or None for unknown."""
    scope.hold(len(items))
    for position, item in enumerate(items):
        scope.index = _index(items, position)
        result = criteria(scope, [item])
        yield item, None if is_open(result) else bool(truth(result)), result


def _index(items: Items, position: int) -> Items:
    """$index: where items may be missing, nobody knows the place of those that are there."""
    return Partial([], open_because(items), open=True) if is_open(items) else [position]


def _empty(scope: Scope, label: str, items: Items) -> Items:
    return [False] if items else _or_open([True], items)


def _or_open(decided: Items, *collections: Items) -> Items:
    """`decided`, unless one of the collections is open."""
    if any(map(is_open, collections)):
        return Partial([], open_because(*collections), open=True)
    return decided


def _exists(scope: Scope, label: str, items: Items, criteria: Body | None = None) -> Items:
    if criteria is None:
        return [True] if items else _or_open([False], items)
    vague: list[Items] = []
    for _, holds, result in _criteria(scope, items, criteria):
        if holds:
            return [True]
        if holds is None:
            vague.append(result)
    return _or_open([False], *vague, items)


def _all(scope: Scope, label: str, items: Items, criteria: Body) -> Items:
    vague: list[Items] = []
    for _, holds, result in _criteria(scope, items, criteria):
        if holds is False:
            return [False]
        if holds is None:
            vague.append(result)
    return _or_open([True], *vague, items)


def _quantified(name: str, looked_for: bool, found: bool) -> Callable[..., Items]:
    """allTrue() and its kin: `found` once an item is `looked_for`, the contrary when none is."""

    def run(scope: Scope, label: str, items: Items) -> Items:
        if looked_for in booleans(items, name):
            return [found]
        return _or_open([not found], items)

    return run


def _where(scope: Scope, label: str, items: Items, criteria: Body) -> Items:
    kept: Items = []
    vague: list[Items] = []
    for item, holds, result in _criteria(scope, items, criteria):
        if holds:
            kept.append(item)
        elif holds is None:
            vague.append(result)
    if vague or is_open(items):
        return Partial(kept, open_because(*vague, items), open=True)
    if kept:
        return kept
    return absent(label, "none meets the criteria") if items else Partial([], because(items), open=False)


def _select(scope: Scope, label: str, items: Items, projection: Body) -> Items:
    out: Items = []
    parts: list[Items] = [items]
    for position, item in enumerate(items):
        scope.index = _index(items, position)
        found = projection(scope, [item])
        out += found
        if type(found) is Partial:
            parts.append(found)
    scope.hold(len(items) + len(out))
    return _gathered(out, parts)


def _gathered(out: Items, parts: list[Items]) -> Items:
    if any(map(is_open, parts)):
        return Partial(out, open_because(*parts), open=True)
    return out or Partial([], because(*parts), open=False)


def _repeating(*, distinct: bool) -> Callable[..., Items]:
    def run(scope: Scope, label: str, items: Items, projection: Body) -> Items:
        out: Items = []
        seen = Seen(scope)
        queue = list(items)
        parts: list[Items] = [items]
        position = 0
        while position < len(queue):
            scope.index = [position]
            found = projection(scope, [queue[position]])
            position += 1
            if is_open(found):
                parts.append(found)
            new = [item for item in found if not distinct or seen.add(item)]
            out += new
            queue += new
            scope.hold(1 + (len(found) if distinct else len(out)))
        if any(map(is_open, parts)):
            return Partial(out, open_because(*parts), open=True)
        return out or absent(label, "no value")

    return run


def _iif(scope: Scope, label: str, items: Items, criterion: Body, then: Body, otherwise: Body | None = None) -> Items:
    """With an unknown criterion the result is known only where both ways give the same."""
    if len(items) > 1:
        raise FhirPathError(f"iif() on {len(items)} items where one is allowed")
    condition = criterion(scope, items)
    if is_open(condition):
        first = then(scope, items)
        second = otherwise(scope, items) if otherwise else []
        if not is_open(first) and not is_open(second) and (equal(first, second) or not (first or second)):
            return first
        return Partial([], open_because(condition, first, second), open=True)
    if truth(condition, "the criterion of iif()"):
        return then(scope, items)
    return otherwise(scope, items) if otherwise else Partial([], because(condition), open=False)


def _coalesce(scope: Scope, label: str, items: Items, *values: Body) -> Items:
    """The first that certainly has items; before an open one that may have some, nothing is certain."""
    empty: list[Items] = []
    for value in values:
        found = value(scope, items)
        if found or is_open(found):
            return found
        empty.append(found)
    return Partial([], because(*empty), open=False)


def _aggregate(scope: Scope, label: str, items: Items, aggregator: Body, init: Items | None = None) -> Items:
    if is_open(items):
        return Partial([], open_because(items), open=True)
    return FUNCTIONS["aggregate"].run(scope, items, aggregator, init)  # type: ignore[no-any-return]


def _sort(scope: Scope, label: str, items: Items, *keys: tuple[Body, bool, bool]) -> Items:
    """The order is not asked for while items are missing; unknown keys leave it unknown."""
    if is_open(items):
        return items
    for body, *_ in keys:
        for item in items:
            if is_open(key := body(scope, [item])):
                return Partial([], open_because(key), open=True)
    return FUNCTIONS["sort"].run(scope, items, *keys) or items


def _passing(name: str) -> Callable[..., Items]:
    """trace() and defineVariable() give their input back, open or not; now() and its kin do not look at it."""
    run = FUNCTIONS[name].run
    return lambda scope, label, items, *arguments: run(scope, items, *arguments)


def _resolve(scope: Scope, label: str, items: Items) -> Items:
    """A reference that does not resolve is a resource nobody could get."""
    out: Items = []
    missing: list[Missing] = list(open_because(items))
    scope.hold(len(items))
    for item in items:
        try:
            found = resolved(scope, item)
        except GapError as gap:
            found = Unobtainable(gap.reason)
        if isinstance(found, Element):
            out.append(found)
        else:
            reason = found.reason if found is not None else UNRESOLVED
            missing.append(Missing(label, reason, "unobtainable"))
    if missing or is_open(items):
        return Partial(out, tuple(dict.fromkeys(missing)), open=True)
    return out or Partial([], because(items), open=False)


def _member_of(scope: Scope, label: str, items: Items, valueset: Items) -> Items:
    if is_open(items) or is_open(valueset):
        return Partial([], open_because(items, valueset), open=True)
    name = text(valueset, "the value set of memberOf()")
    if len(items) > 1 or not items or name is None:
        return FUNCTIONS["memberOf"].run(scope, items, valueset) or Partial([], because(items), open=False)
    item = items[0]
    reasons: dict[str, None] = {}
    if type(item) is Element and type(item.value) is dict:
        item = Element(_pruned(item.value, reasons), item.type, item.sibling, item.home)
    answer = asked(scope, item, name)
    if answer is None:
        return unknown(Missing(label, f"membership in {name} is not known", "unobtainable"))
    if reasons and not answer:
        return unknown(*(Missing(label, reason, "unobtainable") for reason in reasons))
    return [answer]


def _pruned(value: Any, reasons: dict[str, None]) -> Any:
    """Plain data without its gaps; the very same object when there are none."""
    if isinstance(value, Unobtainable | Incomplete):
        reasons[value.reason] = None
        return _pruned(value.items, reasons) if isinstance(value, Incomplete) else None
    if isinstance(value, dict):
        pruned = {key: _pruned(entry, reasons) for key, entry in value.items()}
        return {key: entry for key, entry in pruned.items() if entry is not None} if reasons else value
    if isinstance(value, list):
        entries = [_pruned(entry, reasons) for entry in value]
        return [entry for entry in entries if entry is not None] if reasons else value
    return value


WHOLE: dict[str, Callable[..., Items]] = {
    "empty": _empty,
    "exists": _exists,
    "all": _all,
    "allTrue": _quantified("allTrue", False, False),
    "anyTrue": _quantified("anyTrue", True, True),
    "allFalse": _quantified("allFalse", True, False),
    "anyFalse": _quantified("anyFalse", False, True),
    "where": _where,
    "select": _select,
    "repeat": _repeating(distinct=True),
    "repeatAll": _repeating(distinct=False),
    "iif": _iif,
    "coalesce": _coalesce,
    "aggregate": _aggregate,
    "sort": _sort,
    "now": _passing("now"),
    "today": _passing("today"),
    "timeOfDay": _passing("timeOfDay"),
    "trace": _passing("trace"),
    "defineVariable": _passing("defineVariable"),
    "resolve": _resolve,
    "memberOf": _member_of,
}
