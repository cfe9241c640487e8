"""Singletons, equality, equivalence, order and sets (FHIRPath N1, "Singleton Evaluation of Collections", "Equality",
"Comparison")."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from app.fhirpath.element import Element, Items, plain, quantity, system
from app.fhirpath.errors import FhirPathError, GapError
from app.fhirpath.gaps import Incomplete, Unobtainable, gap_in
from app.fhirpath.numeric import CONTEXT
from app.fhirpath.quantity import Quantity, common, decimal
from app.fhirpath.scope import Scope
from app.fhirpath.temporal import Date, DateTime, Temporal

_WHITE_SPACE = re.compile(r"\s")
TRUE: Items = [True]
FALSE: Items = [False]


def verdict(value: bool | None) -> Items:
    """A Boolean as a collection, None as the empty one."""
    return [] if value is None else [value]


def kind_of(value: Any) -> str:
    """What messages call a value; never the value itself."""
    if type(value) is Element:
        return value.type.name or "untyped JSON"
    names = {str: "String", bool: "Boolean", int: "Integer"}
    return names.get(type(value), type(value).__name__)


def single(items: Items, what: str) -> Any:
    """The one item as a System value where it has one, None when empty; FhirPathError for several."""
    if not items:
        return None
    if len(items) > 1:
        raise FhirPathError(f"{what} has {len(items)} items where one is allowed")
    return plain(items[0])


def truth(items: Items, what: str = "the criterion") -> bool | None:
    """Singleton evaluation as Boolean: a single item that is no Boolean counts as true."""
    if not items:
        return None
    if len(items) > 1:
        raise FhirPathError(f"{what} has {len(items)} items where one Boolean is allowed")
    item = items[0]
    if type(item) is Element:
        item = item.value
    return item if type(item) is bool else True


def text(items: Items, what: str) -> str | None:
    """One string; FhirPathError for anything else."""
    value = single(items, what)
    if value is None:
        return None
    if type(value) is str:
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            raise FhirPathError(f"{what} holds half a character")
        return value
    if isinstance(value, Temporal) and type(items[0]) is Element:
        return str(value)  # FHIR date types have a string as their JSON value
    raise FhirPathError(f"{what} is {kind_of(value)}, not String")


def integer(items: Items, what: str) -> int | None:
    """One integer; FhirPathError for anything else."""
    value = single(items, what)
    if value is None or type(value) is int:
        return value
    raise FhirPathError(f"{what} is {kind_of(value)}, not Integer")


def number(items: Items, what: str) -> int | Decimal | None:
    """One integer or decimal; FhirPathError for anything else."""
    value = single(items, what)
    if value is None or type(value) is int or type(value) is Decimal:
        return value
    raise FhirPathError(f"{what} is {kind_of(value)}, not a number")


def equal_items(left: Any, right: Any) -> bool | None:
    """`=` on two items; None where precision or units leave it open."""
    a, b = plain(left), plain(right)
    kind, other = type(a), type(b)
    if kind is other:
        if kind is str or kind is int or kind is bool or kind is Decimal:
            return bool(a == b)
        if kind is Element:
            _refuse_gaps(a, b)
            if a.value is None or b.value is None:
                return bool(a.value is b.value and a.sibling == b.sibling)
            if a.value == b.value:
                return True
            return _equal_quantities(a, b) if a.type.is_quantity and b.type.is_quantity else False
        if kind is Quantity:
            return _equal_quantities(a, b)
    if (kind is int and other is Decimal) or (kind is Decimal and other is int):
        return bool(a == b)
    if isinstance(a, Temporal) and isinstance(b, Temporal):
        if kind is not other and not {kind, other} <= {Date, DateTime}:
            return False
        order = a.compare(b)
        return None if order is None else order == 0
    if kind is Quantity or other is Quantity or kind is Element or other is Element:
        return _equal_quantities(a, b)
    return False


def _refuse_gaps(a: Element, b: Element) -> None:
    """A comparison of complex elements looks at everything inside them."""
    reason = gap_in([a.value, a.sibling, b.value, b.sibling])
    if reason is not None:
        raise GapError(reason)


def _equal_quantities(left: Any, right: Any) -> bool | None:
    a, b = _as_quantity(left), _as_quantity(right)
    if a is None or b is None:
        # A FHIR Quantity that is no System Quantity has a comparator or lacks its value: nothing is known.
        return None if _is_fhir_quantity(left) or _is_fhir_quantity(right) else False
    pair = common(a, b)
    return None if pair is None else pair[0] == pair[1]


def _is_fhir_quantity(value: Any) -> bool:
    return type(value) is Element and value.type.is_quantity


def _as_quantity(value: Any) -> Quantity | None:
    if type(value) is int or type(value) is Decimal:
        return Quantity(Decimal(value))
    return quantity(value)


def equal(left: Items, right: Items) -> bool | None:
    """`=` on collections: same items in the same order; None when either is empty."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    outcome: bool | None = True
    for a, b in zip(left, right, strict=True):
        same = equal_items(a, b)
        if same is False:
            return False
        if same is None:
            outcome = None
    return outcome


def equivalent(scope: Scope, left: Items, right: Items) -> bool:
    """`~` on collections: same items in any order."""
    if len(left) != len(right):
        return False
    scope.spend(len(left) * len(right))
    rest = list(right)
    for item in left:
        for position, other in enumerate(rest):
            if equivalent_items(item, other):
                del rest[position]
                break
        else:
            return False
    return True


def equivalent_items(left: Any, right: Any) -> bool:
    """`~` on two items: strings ignore case and the kind of white space, decimals what only one side gives."""
    a, b = plain(left), plain(right)
    if type(a) is bool or type(b) is bool:
        return a is b
    if type(a) is str and type(b) is str:
        return _WHITE_SPACE.sub(" ", a).lower() == _WHITE_SPACE.sub(" ", b).lower()
    if isinstance(a, int | Decimal) and isinstance(b, int | Decimal):
        return _close(Decimal(a), Decimal(b))
    if isinstance(a, Temporal) and isinstance(b, Temporal):
        return bool(equal_items(a, b))
    if type(a) is Element and type(b) is Element:
        _refuse_gaps(a, b)
        if a.value == b.value:
            return True
        if not (a.type.is_quantity and b.type.is_quantity):
            return _equivalent_json(a.value, b.value)
    first, second = _as_quantity(a), _as_quantity(b)
    if first is None or second is None:
        return False
    pair = common(first, second, loosely=True)
    if pair is None:
        return False
    return _close(decimal(pair[0]), decimal(pair[1]))


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _close(a: Decimal, b: Decimal) -> bool:
    """Equal when rounded to the decimal places of the less precise one; trailing zeros do not count."""
    a, b = a.normalize(CONTEXT), b.normalize(CONTEXT)
    quantum = Decimal(1).scaleb(max(min(_exponent(a), 0), min(_exponent(b), 0)))
    return a.quantize(quantum, ROUND_HALF_EVEN, CONTEXT) == b.quantize(quantum, ROUND_HALF_EVEN, CONTEXT)


def _equivalent_json(a: Any, b: Any) -> bool:
    """Complex elements: the same children, equivalent ones, lists in any order; `id` does not count."""
    if isinstance(a, dict) and isinstance(b, dict):
        keys = [key for key in a if key != "id"]
        return set(keys) == {key for key in b if key != "id"} and all(_equivalent_json(a[k], b[k]) for k in keys)
    if isinstance(a, list) and isinstance(b, list):
        rest = list(b)
        for item in a:
            match = next((index for index, other in enumerate(rest) if _equivalent_json(item, other)), None)
            if match is None:
                return False
            del rest[match]
        return not rest
    if isinstance(a, dict | list) or isinstance(b, dict | list) or a is None or b is None:
        return a is b
    return equivalent_items(system(a), system(b))


def compare(left: Items, right: Items, operator: str) -> int | None:
    """-1, 0 or 1; None when either side is empty or the order is open. FhirPathError across types."""
    a, b = single(left, f"the left side of {operator}"), single(right, f"the right side of {operator}")
    if a is None or b is None:
        return None
    kind, other = type(a), type(b)
    if (kind is str and other is str) or (kind in (int, Decimal) and other in (int, Decimal)):
        return int(a > b) - int(a < b)
    if isinstance(a, Temporal) and isinstance(b, Temporal) and (kind is other or {kind, other} <= {Date, DateTime}):
        return a.compare(b)
    first, second = _as_quantity(a), _as_quantity(b)
    if first is not None and second is not None:
        pair = common(first, second)
        return None if pair is None else (pair[0] > pair[1]) - (pair[0] < pair[1])
    if _is_fhir_quantity(a) or _is_fhir_quantity(b):
        return None  # a Quantity with a comparator or without a value has no place in the order
    raise FhirPathError(f"{kind_of(a)} {operator} {kind_of(b)} cannot be compared")


def bucket(item: Any) -> Any:
    """A hashable mark that equal items share, and few others."""
    value = plain(item)
    if isinstance(value, Temporal):
        return value.mark()
    amount = quantity(value)
    if amount is not None:
        return amount.mark()
    if type(value) is Element:
        fields = value.value.values() if type(value.value) is dict else ()
        for entry in fields:
            if isinstance(entry, Unobtainable | Incomplete):
                raise GapError(entry.reason)
        return frozenset(entry for entry in fields if type(entry) is str)
    return value


class Seen:
    """The items met so far, by equality. Comparisons beyond the first are charged to the scope."""

    def __init__(self, scope: Scope, items: Iterable[Any] = ()) -> None:
        self._scope = scope
        self._buckets: dict[Any, Items] = {}
        for item in items:
            self.add(item)

    def _known(self, item: Any, entries: Items) -> bool:
        if len(entries) > 1:
            self._scope.spend(len(entries))
        return any(equal_items(item, other) for other in entries)

    def __contains__(self, item: Any) -> bool:
        return self._known(item, self._buckets.get(bucket(item), []))

    def add(self, item: Any) -> bool:
        """Keep `item`; False when an equal one was there."""
        entries = self._buckets.setdefault(bucket(item), [])
        if self._known(item, entries):
            return False
        entries.append(item)
        return True


def distinct(scope: Scope, items: Items) -> Items:
    """The items without repetitions, first ones kept."""
    if len(items) < 2:
        return items
    seen = Seen(scope)
    return [item for item in items if seen.add(item)]
