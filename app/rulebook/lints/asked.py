"""What conditions ask about: codes that no order of their rule states."""

from __future__ import annotations

from collections.abc import Iterator

from app import fhirpath
from app.rulebook.conditions import Condition
from app.rulebook.lints.lint import Found, Subject
from app.rulebook.scope import Scope
from benefit_router import CodeList

# Where a condition sees the codes of the order itself. Those of the record may be any.
_ORDERED = frozenset({"%facts.codes.code", "%order.code.coding.code", "%order.medication.coding.code"})
_ORDERED_AS_CODING = frozenset({path.removesuffix(".code") for path in _ORDERED} | {"%order.code", "%order.medication"})


def codes_not_in_list(subject: Subject) -> Iterator[Found]:
    """A condition asks the order for a code or a list that is none of what its policy or card is about."""
    for scope, condition, place in _conditions(subject):
        about = _about(subject, scope.codes)
        for question in dict.fromkeys(condition.asked):
            if (what := _missing(subject, about, question)) is not None:
                message = f"'{scope.slug}' asks the order for {what}, which is none of the codes it is about."
                remedy = "Correct it, or add the code to 'applies_to' or its list."
                yield Found(place, "when", message, remedy)


def _conditions(subject: Subject) -> Iterator[tuple[Scope, Condition, str]]:
    for policy in subject.book.policies:
        for position, case in enumerate(policy.cases):
            if case.condition is not None:
                yield policy.scope, case.condition, subject.places.case(policy.scope.slug, position)
    for card in subject.book.guidance:
        if card.condition is not None:
            yield card.scope, card.condition, subject.places.card(card.scope.slug)


def _about(subject: Subject, codes: CodeList) -> CodeList:
    """The codes an order may state for a rule about `codes`: these, the other codes of their products, and what is
    billed by them.
    """
    walks = subject.book.crosswalks
    products = [p for p in walks.catalog.products if any(code in codes for code in p.identities | p.billing_codes)]
    named = frozenset().union(*(product.identities for product in products))
    billed = frozenset(code for code, carried in walks.billing.items() if any(each in codes for each in carried))
    return CodeList(codes.name, codes.exact | named | billed, codes.prefixes)


def _missing(subject: Subject, about: CodeList, asked: fhirpath.Asked) -> str | None:
    if asked.member_of:
        listed = subject.book.lists.get(asked.text.removeprefix("list:"))
        if asked.path not in _ORDERED_AS_CODING or listed is None or _meet(listed, about):
            return None
        return f"'{asked.text}'"
    if asked.path not in _ORDERED or any((system, asked.text) in about for system in about.systems):
        return None
    return f"the code '{asked.text}'"


def _meet(one: CodeList, other: CodeList) -> bool:
    """Whether a code can be in both."""
    return (
        any(code in other for code in one.exact)
        or any(code in one for code in other.exact)
        or any(
            system == theirs and (start.startswith(prefix) or prefix.startswith(start))
            for system, start in one.prefixes
            for theirs, prefix in other.prefixes
        )
    )
