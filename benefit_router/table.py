"""The routing table in memory: rows indexed by the codes they speak of.

The cost of a decision depends on how many rows speak of *this* drug, not on how many there are: 100,000 rows answer as
fast as 100. Rows that name no code (`inpatient stay`) are looked at for every order, so there should be few.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from benefit_router.catalog import Candidates, DrugCatalog
from benefit_router.codes import Code, CodeList
from benefit_router.rule import Authorization, Rule, Track

# A claim carries one of these for a drug, so two of them on an order are two things it may mean.
_BILLED = ("HCPCS", "CPT")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row that may speak of the order; `certain` when it does so whichever product was meant."""

    rule: Rule
    certain: bool


@dataclass(slots=True)
class RoutingTable:
    """Rows, strongest first, and their index. Build with `of`; do not change afterwards."""

    rules: tuple[Rule, ...]
    catalog: DrugCatalog
    _position: dict[str, int] = field(default_factory=dict)
    _by_code: dict[Code, tuple[Rule, ...]] = field(default_factory=dict)
    _by_prefix: tuple[Rule, ...] = ()
    _any_drug: tuple[Rule, ...] = ()
    _any_order: tuple[Rule, ...] = ()
    _contested: frozenset[str] = frozenset()

    @classmethod
    def of(cls, rules: Iterable[Rule], catalog: DrugCatalog | None = None) -> RoutingTable:
        """Rank and index `rules`."""
        ranked = tuple(sorted(rules, key=lambda rule: rule.rank))
        table = cls(ranked, catalog or DrugCatalog())
        table._position = {rule.rule_id: position for position, rule in enumerate(ranked)}
        index: dict[Code, list[Rule]] = {}
        for rule in ranked:
            for code in indexed_codes(rule):
                index.setdefault(code, []).append(rule)
        table._by_code = {code: tuple(found) for code, found in index.items()}
        table._by_prefix = tuple(r for r in ranked if not isinstance(r.codes, str) and r.codes and r.codes.prefixes)
        table._any_drug = tuple(r for r in ranked if r.codes == "*" and not r.drug_class)
        table._any_order = tuple(r for r in ranked if r.for_any_order)
        table._contested = frozenset(_contested(ranked))
        return table

    def __len__(self) -> int:
        return len(self.rules)

    def rule(self, rule_id: str) -> Rule | None:
        """The row of that name."""
        position = self._position.get(rule_id)
        return None if position is None else self.rules[position]

    def speaks_of(self, codes: Iterable[Code]) -> bool:
        """Whether any row names one of these codes."""
        return any(True for _ in self._naming(codes))

    def routes(self, codes: Iterable[Code]) -> bool:
        """Whether an order of these codes is a drug to this table: the catalog holds it, or a row names it."""
        stated = tuple(codes)
        return any(code in self.catalog for code in stated) or self.speaks_of(stated)

    def contested(self, rule: Rule) -> bool:
        """Whether the row is for any order, and rows for certain drugs that rank as high decide otherwise."""
        return rule.rule_id in self._contested

    def candidates(self, stated: Iterable[Code], meant: Candidates, *, known: bool) -> Iterator[Candidate]:
        """Rows that may speak of the order, strongest first. `known` says whether rows for any drug apply."""
        hits: dict[str, int] = {}
        found: dict[str, Rule] = {}
        for product in meant.products:
            spoken = {rule.rule_id: rule for rule in self._naming(product.identities)}
            for rule_id, rule in spoken.items():
                if _class_agrees(rule, product.classes):
                    found[rule_id] = rule
                    hits[rule_id] = hits.get(rule_id, 0) + 1
        every = len(meant.products)
        codes = tuple(stated)
        billed = [code for code in codes if code[0] in _BILLED]
        apart = [code for code in codes if code not in self.catalog]
        # Of several billing codes that the catalog does not bring together, any one may be what is meant.
        either = billed if len(billed) > 1 and not self.catalog.by_code.keys() >= set(billed) else []
        # A code the catalog does not hold still counts when a row names it outright; of its classes nothing is known.
        for rule in self._naming(apart):
            found[rule.rule_id] = rule
            hits[rule.rule_id] = hits.get(rule.rule_id, 0) if rule.drug_class else every
        for rule_id, rule in found.items():
            if not all(isinstance(rule.codes, CodeList) and code in rule.codes for code in either):
                hits[rule_id] = 0
        for rule in self._any_order + (self._any_drug if known else ()):
            found[rule.rule_id] = rule
            hits[rule.rule_id] = every
        for rule_id in sorted(found, key=self._position.__getitem__):
            yield Candidate(found[rule_id], certain=hits[rule_id] == every)

    def _naming(self, codes: Iterable[Code]) -> Iterator[Rule]:
        """Rows that name one of the codes, whole or by prefix; a row may come up more than once."""
        stated = tuple(codes)
        for code in stated:
            yield from self._by_code.get(code, ())
        for rule in self._by_prefix:
            if any(code in rule.codes for code in stated):  # type: ignore[operator]  # these rows have a list
                yield rule


def indexed_codes(rule: Rule) -> Iterator[Code]:
    """The keys a row is found under: its codes, or its drug classes when it names no code."""
    if rule.codes is None or isinstance(rule.codes, str):
        for tag in rule.drug_class:
            yield ("class", tag)
    else:
        yield from rule.codes.exact


def _contested(ranked: Iterable[Rule]) -> Iterator[str]:
    """Dates and conditions are not looked at: this is settled once, at load, and errs towards contested."""
    general: list[Rule] = []
    strongest: dict[tuple[Track, Authorization | None], tuple[int, ...]] = {}
    for rule in ranked:
        decided = (rule.outcome.track, rule.outcome.pa)
        if rule.for_any_order:
            general.append(rule)
        elif decided not in strongest:
            strongest[decided] = rule.rank[:4]
    for rule in general:
        others = (rank for decided, rank in strongest.items() if decided != (rule.outcome.track, rule.outcome.pa))
        if any(rank <= rule.rank[:4] for rank in others):
            yield rule.rule_id


def _class_agrees(rule: Rule, classes: frozenset[str]) -> bool:
    return not rule.drug_class or not rule.drug_class.isdisjoint(classes)
