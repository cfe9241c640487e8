"""What a lint is, and what it looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from app.rulebook.expansions import Expansion
from app.rulebook.places import Places
from app.rulebook.rulebook import ROUTES_FILE, Rulebook
from app.rulebook.validity import Validity
from benefit_router import Code, CodeList, Problem, Product, Rule
from benefit_router.problems import Severity


class Found(NamedTuple):
    """One finding of a lint: `place` is file:line, `column` a header name or a key."""

    place: str
    column: str | None
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Subject:
    """A rulebook that loads, with what the lints compare it with.

    `on` is today. `scenarios` are the names of all scenarios, and `decided` the rules that decide one of them, as past
    answers name them (`policy:x#case`); None when nobody ran them. `expansions` of ValueSets, and the days
    of codes by a HCPCS `release`, are there where someone gave them.
    """

    book: Rulebook
    on: date
    scenarios: frozenset[str] = frozenset()
    decided: frozenset[str] | None = None
    expansions: tuple[Expansion, ...] = ()
    release: Mapping[Code, Validity] = field(default_factory=dict)
    places: Places = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "places", Places(self.book.files))

    @property
    def validity(self) -> Mapping[Code, Validity]:
        """Days of codes: the release's, and the rulebook's own for what it does not say."""
        return {**self.book.validity, **self.release}

    def rows(self) -> Iterator[Rule]:
        """Routing rows in the order of the file."""
        return iter(sorted(self.book.table.rules, key=lambda rule: rule.line))

    def products(self, rule: Rule) -> tuple[Product, ...]:
        """Products of the catalog that a row names, by code or by class; none for rows about any drug or order."""
        catalog = self.book.table.catalog
        if isinstance(rule.codes, CodeList):
            named = [product for code in sorted(rule.codes.exact) for product in catalog.by_code.get(code, ())]
            if rule.codes.prefixes:
                named += [p for p in catalog.products if any(code in rule.codes for code in p.identities)]
            return tuple(p for p in dict.fromkeys(named) if not rule.drug_class or rule.drug_class & p.classes)
        named = [product for tag in sorted(rule.drug_class) for product in catalog.by_code.get(("class", tag), ())]
        return tuple(dict.fromkeys(named))

    def at(self, rule: Rule, column: str | None, message: str, remedy: str) -> Found:
        """A finding in a routing row."""
        return Found(f"{ROUTES_FILE}:{rule.line}", column, f"'{rule.rule_id}': {message}", remedy)


Check = Callable[[Subject], Iterable[Found]]


@dataclass(frozen=True, slots=True)
class Lint:
    """A check with its stable id, how much its findings weigh, and what it looks for."""

    id: str
    severity: Severity
    meaning: str
    check: Check

    def problems(self, subject: Subject) -> Iterator[Problem]:
        """What it finds."""
        for found in self.check(subject):
            file, _, line = found.place.rpartition(":")
            yield Problem(file, int(line), found.column, found.message, found.remedy, self.severity, self.id)
