"""How routing rows stand to each other: whether one always holds when another does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from benefit_router import Code, CodeList, Rule
from benefit_router.rule import AgeRange, Condition, Flag, Indication, OneOf, Stated
from benefit_router.table import indexed_codes


def implies(narrow: Rule, wide: Rule) -> bool:
    """Whether `wide` surely holds for every order, on every day, that `narrow` holds for."""
    return (
        wide.effective_from <= narrow.effective_from
        and (
            wide.effective_to is None or (narrow.effective_to is not None and narrow.effective_to <= wide.effective_to)
        )
        and _drugs_within(narrow, wide)
        and all(any(_asks_as_much(mine, theirs) for mine in narrow.conditions) for theirs in wide.conditions)
    )


def within(inner: CodeList, outer: CodeList) -> bool:
    """Whether every code of `inner` is in `outer`."""
    return all(code in outer for code in inner.exact) and all(
        any(system == other and prefix.startswith(start) for other, start in outer.prefixes)
        for system, prefix in inner.prefixes
    )


def _drugs_within(narrow: Rule, wide: Rule) -> bool:
    if wide.drug_class and not (narrow.drug_class and narrow.drug_class <= wide.drug_class):
        return False
    if wide.codes is None:
        return True
    if isinstance(wide.codes, str):  # any drug the catalog knows
        return narrow.codes == "*" or bool(narrow.drug_class)
    return isinstance(narrow.codes, CodeList) and within(narrow.codes, wide.codes)


def _asks_as_much(mine: Condition, theirs: Condition) -> bool:
    """Whether an order that meets `mine` surely meets `theirs`."""
    if isinstance(mine, OneOf) and isinstance(theirs, OneOf):
        known_enough = theirs.derived_ok or not mine.derived_ok
        return mine.signal == theirs.signal and mine.allowed <= theirs.allowed and known_enough
    if isinstance(mine, Indication) and isinstance(theirs, Indication):
        return within(mine.codes, theirs.codes)
    if isinstance(mine, AgeRange) and isinstance(theirs, AgeRange):
        low = theirs.minimum is None or (mine.minimum is not None and mine.minimum >= theirs.minimum)
        high = theirs.maximum is None or (mine.maximum is not None and mine.maximum <= theirs.maximum)
        return low and high
    if isinstance(mine, (Flag, Stated)):
        return mine == theirs
    return False


class Stronger:
    """Rows by what they name, so that a large table is not compared row by row with itself."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        """`rules` come strongest first."""
        self._by_code: dict[Code, list[Rule]] = {}
        self._anywhere: list[Rule] = []
        for rule in rules:
            keys = list(indexed_codes(rule))
            for key in keys:
                self._by_code.setdefault(key, []).append(rule)
            if not keys or (isinstance(rule.codes, CodeList) and rule.codes.prefixes):
                self._anywhere.append(rule)

    def than(self, rule: Rule) -> Iterator[Rule]:
        """Stronger rows that could hold whenever this one does."""
        code = next(indexed_codes(rule), None)
        for other in (*self._by_code.get(code or ("", ""), ()), *self._anywhere):
            if other.rank < rule.rank:
                yield other
