"""Every rule that speaks about something: a drug, a code, a policy. By line of business and day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from app.rulebook.rulebook import Rulebook
from app.rulebook.scope import Scope
from benefit_router import Code, Rule
from benefit_router.rule import OneOf

MOST_CODES = 400
"""More codes than this are no question about one thing."""


@dataclass(frozen=True, slots=True)
class RowFound:
    """A routing row. `names_it` False: it speaks of every drug, or every order, and so of this one too."""

    rule: Rule
    names_it: bool


@dataclass(frozen=True, slots=True)
class ListFound:
    """A code list with those of its codes that were meant; all of them when it was meant by its name."""

    name: str
    codes: tuple[Code, ...]
    whole: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What speaks about the thing. `products` are names of drugs that were meant, `codes` all codes."""

    products: tuple[str, ...]
    codes: tuple[Code, ...]
    rows: tuple[RowFound, ...]
    policies: tuple[Scope, ...]
    cards: tuple[Scope, ...]
    lists: tuple[ListFound, ...]
    forms: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Whether nothing speaks about it."""
        return not (self.rows or self.policies or self.cards or self.lists or self.forms)


def speaking_of(words: str, rulebook: Rulebook, *, line: str | None = None, on: date | None = None) -> Found:
    """What speaks about a code, the name of a drug, policy, card, row or list, or words in its title.

    `line` and `on` leave out what is for other lines of business or not in force that day.
    """
    asked = words.strip().casefold()
    products = [each for each in rulebook.table.catalog.products if asked in each.name.casefold()] if asked else []
    codes = {code for product in products for code in product.identities if code[0] != "class"}
    codes |= {code for code in _every_code(rulebook) if _is_meant(code, asked)}
    codes |= set(rulebook_displays(rulebook, asked))
    if len(codes) > MOST_CODES:
        codes = set()
    names = {name for name in rulebook.lists if asked and asked in name.casefold()}
    lists = [_list(name, rulebook, codes, name in names) for name in sorted(rulebook.lists)]
    return Found(
        products=tuple(sorted({each.name for each in products})),
        codes=tuple(sorted(codes)),
        rows=tuple(each for each in _rows(asked, codes, rulebook) if _holds(each.rule, line, on)),
        policies=tuple(_scopes((each.scope for each in rulebook.policies), asked, codes, line, on)),
        cards=tuple(_scopes((each.scope for each in rulebook.guidance), asked, codes, line, on)),
        lists=tuple(each for each in lists if each.codes),
        forms=tuple(sorted(slug for slug in rulebook.forms if asked and asked in _form_words(rulebook, slug))),
    )


def rows_of(rulebook: Rulebook, *, line: str | None = None, on: date | None = None) -> list[Rule]:
    """The rows for a line of business and day, strongest first."""
    return [rule for rule in rulebook.table.rules if _holds(rule, line, on)]


def lines_of(rule: Rule) -> frozenset[str]:
    """The lines of business a row is for; empty: every line."""
    return next((each.allowed for each in rule.conditions if isinstance(each, OneOf) and each.signal == "lob"), _EVERY)


_EVERY: frozenset[str] = frozenset()


def codes_in_words(rule: Rule) -> str:
    """What a row is about, in words."""
    if rule.codes == "*":
        about = "any drug known here"
    elif rule.codes is None:
        about = "any order" if not rule.drug_class else ""
    else:
        named = sorted({*rule.codes.exact, *((system, f"{start}*") for system, start in rule.codes.prefixes)})
        shown = ", ".join(" ".join(code) for code in named[:4])
        about = shown + (f" and {len(named) - 4} more" if len(named) > 4 else "")
    classes = f"class {' or '.join(sorted(rule.drug_class))}" if rule.drug_class else ""
    return ", ".join(filter(None, (about, classes)))


def conditions_in_words(rule: Rule) -> list[tuple[str, str]]:
    """What a row asks for beside the drug: column and wanted value."""
    return [(each.signal, each.wanted()) for each in rule.conditions if each.signal != "lob"]


def rulebook_displays(rulebook: Rulebook, asked: str) -> Iterator[Code]:
    """Codes whose words in a list's file hold what was asked."""
    from app.rulebook.codes import parse_code
    from app.rulebook.tables import LISTS
    from benefit_router import rows

    for path, text in rulebook.files.items():
        if asked and path.startswith("lists/") and asked in text.casefold():
            for _, row in rows(text, path, LISTS.columns, []):
                code = parse_code(f"{row['system']} {row['code']}")
                if code is not None and asked in row.get("display", "").casefold():
                    yield code


def _every_code(rulebook: Rulebook) -> Iterator[Code]:
    yield from rulebook.table.catalog.by_code
    for codes in rulebook.lists.values():
        yield from codes.exact
    for rule in rulebook.table.rules:
        if not isinstance(rule.codes, str) and rule.codes is not None:
            yield from rule.codes.exact
        yield from rule.outcome.billing_codes
    for scope in (*(each.scope for each in rulebook.policies), *(each.scope for each in rulebook.guidance)):
        yield from scope.codes.exact


def _is_meant(code: Code, asked: str) -> bool:
    system, value = code[0].casefold(), code[1].casefold()
    return asked in (value, f"{system} {value}") or asked.replace("-", "") == value


def _rows(asked: str, codes: set[Code], rulebook: Rulebook) -> Iterator[RowFound]:
    table = rulebook.table
    naming: dict[str, bool] = {}
    for code in codes:
        meant = table.catalog.candidates([code])
        known = meant.known or table.speaks_of([code])
        if not known:
            continue  # no drug, so no row is asked
        for candidate in table.candidates([code], meant, known=known):
            rule = candidate.rule
            naming[rule.rule_id] = naming.get(rule.rule_id, False) or not (rule.codes == "*" or rule.for_any_order)
    for rule in table.rules:
        text = f"{rule.rule_id} {rule.title} {' '.join(sorted(rule.drug_class))}".casefold()
        if asked and asked in text:
            naming[rule.rule_id] = True
        if rule.rule_id in naming:
            yield RowFound(rule, naming[rule.rule_id])


def _holds(rule: Rule, line: str | None, on: date | None) -> bool:
    lines = lines_of(rule)
    return (line is None or not lines or line in lines) and (on is None or rule.in_force(on))


def _scopes(
    scopes: Iterable[Scope], asked: str, codes: set[Code], line: str | None, on: date | None
) -> Iterator[Scope]:
    for scope in sorted(scopes, key=lambda each: each.slug):
        named = asked and asked in f"{scope.slug} {scope.title}".casefold()
        if not named and not any(code in scope.codes for code in codes):
            continue
        if (line is None or not scope.lines or line in scope.lines) and (on is None or scope.in_force(on)):
            yield scope


def _list(name: str, rulebook: Rulebook, codes: set[Code], whole: bool) -> ListFound:
    codes_of = rulebook.lists[name]
    if whole:
        every = {*codes_of.exact, *((system, f"{start}*") for system, start in codes_of.prefixes)}
        return ListFound(name, tuple(sorted(every)), whole=True)
    return ListFound(name, tuple(sorted(code for code in codes if code in codes_of)), whole=False)


def _form_words(rulebook: Rulebook, slug: str) -> str:
    return f"{slug} {rulebook.forms[slug].get('title', '')}".casefold()
