"""Codes: what rows name, what the catalog holds, and what each benefit is billed by."""

from __future__ import annotations

from collections.abc import Iterator

from app.rulebook.lints.lint import Found, Subject
from benefit_router import CodeList, Product, Rule
from benefit_router.rule import OneOf, Stated

_MEDICAL = frozenset({"HCPCS", "CPT", "CVX"})
_PHARMACY = frozenset({"RxNorm", "NDC"})


def drugs_not_in_catalog(subject: Subject) -> Iterator[Found]:
    """RxNorm and NDC codes and classes of a row that no product has: nothing more is known of such a drug."""
    catalog = subject.book.table.catalog
    for rule in subject.rows():
        if isinstance(rule.codes, CodeList):
            for system, code in sorted(rule.codes.exact):
                if system in _PHARMACY and (system, code) not in catalog:
                    yield subject.at(
                        rule,
                        "match_code",
                        f"no product of the catalog has {system} {code}.",
                        "Add it to crosswalks/drugs.csv, or correct the code.",
                    )
        for tag in sorted(rule.drug_class):
            if ("class", tag) not in catalog:
                yield subject.at(
                    rule,
                    "drug_class",
                    f"no product of the catalog is of class '{tag}'.",
                    "Add the class in crosswalks/drugs.csv, or correct it.",
                )


def billing_of_another_drug(subject: Subject) -> Iterator[Found]:
    """A billing code that the catalog gives to other drugs than those the row names."""
    catalog = subject.book.table.catalog
    for rule in subject.rows():
        mine = frozenset(subject.products(rule))
        for code in rule.outcome.billing_codes:
            owners = frozenset(catalog.by_code.get(code, ()))
            if mine and owners and mine.isdisjoint(owners):
                names = ", ".join(sorted(product.name for product in owners))
                yield subject.at(
                    rule,
                    "billing_codes",
                    f"{' '.join(code)} bills {names}, which the row is not about.",
                    "Correct the billing code, or the catalog.",
                )


def medical_without_hcpcs(subject: Subject) -> Iterator[Found]:
    """A drug on the medical benefit that no claim could name."""
    for rule, short in _nameless(subject, "medical", _MEDICAL):
        message = f"it is medical, and nothing says what {short} is billed by."
        yield subject.at(rule, "billing_codes", message, "Write the HCPCS code, here or in crosswalks/drugs.csv.")


def pharmacy_without_product(subject: Subject) -> Iterator[Found]:
    """A drug on the pharmacy benefit that no prescription could name."""
    for rule, short in _nameless(subject, "pharmacy", _PHARMACY):
        message = f"it is pharmacy, and the catalog has neither RxNorm nor NDC for {short}."
        yield subject.at(rule, "match_code", message, "Add the RxNorm or NDC code in crosswalks/drugs.csv.")


def _nameless(subject: Subject, track: str, systems: frozenset[str]) -> Iterator[tuple[Rule, str]]:
    """Rows of a track that name no code of its systems, each with a drug of theirs that has none either."""
    for rule in subject.rows():
        if rule.outcome.track == track and not _any(rule, systems) and (short := _lacking(subject, rule, systems)):
            yield rule, short


def _any(rule: Rule, systems: frozenset[str]) -> bool:
    named = set(rule.codes.systems) if isinstance(rule.codes, CodeList) else set()
    return bool(systems & (named | {system for system, _ in rule.outcome.billing_codes}))


def _lacking(subject: Subject, rule: Rule, systems: frozenset[str]) -> str | None:
    """What has no code of these systems: a product, or a code the catalog does not hold; None when all have one."""
    products = subject.products(rule)
    if not products:
        return rule.codes.name if isinstance(rule.codes, CodeList) else None

    def bare(product: Product) -> bool:
        return not any(system in systems for system, _ in product.identities | product.billing_codes)

    return next((product.name for product in products if bare(product)), None)


def underivable(subject: Subject) -> Iterator[Found]:
    """A row that may go by an inferred route or form, of drugs for which none can be inferred."""
    for rule in subject.rows():
        for condition in rule.conditions:
            if not isinstance(condition, OneOf) or condition.signal not in ("route", "dose_form"):
                continue
            if not condition.derived_ok:
                continue
            column = condition.signal
            if Stated(column) in rule.conditions:
                message = f"derived_ok lets {column} be inferred, and requires_signals forbids it."
                yield subject.at(
                    rule, "requires_signals", message, f"Leave {column} out of requires_signals, or derived_ok blank."
                )
                continue
            for product in subject.products(rule):
                if not (product.routes if column == "route" else product.dose_form):
                    message = f"{column} is required but not derivable: the catalog has none for {product.name}."
                    yield subject.at(
                        rule,
                        column,
                        message,
                        "Add it in crosswalks/drugs.csv; until then only orders that state it are answered.",
                    )
                    break
