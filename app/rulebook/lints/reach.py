"""Rules that can never answer: something else always does, or what they ask for cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from app import fhirpath
from app.rulebook.conditions import VARIABLES, Condition, compile_condition
from app.rulebook.lints.comparing import Stronger, implies, within
from app.rulebook.lints.lint import Found, Subject
from app.rulebook.policies import Policy
from benefit_router.rule import OneOf

_UNKNOWN = {name: fhirpath.Unobtainable("not looked at") for name in VARIABLES}


def shadowed_rows(subject: Subject) -> Iterator[Found]:
    """A stronger row that asks for no more: where the weaker one holds, so does the stronger."""
    table = subject.book.table
    rows = Stronger(table.rules)
    for rule in subject.rows():
        for other in rows.than(rule):
            if not table.contested(other) and implies(rule, other):
                message = (
                    f"it never decides: '{other.rule_id}' (line {other.line}) holds whenever it does, and is stronger."
                )
                yield subject.at(
                    rule, "rule_id", message, "Narrow the stronger row, give this one a stronger band, or remove it."
                )
                break


def shadowed_policies(subject: Subject) -> Iterator[Found]:
    """A policy whose codes, members and dates a more specific one all covers."""
    for policy in subject.book.policies:
        about = subject.book.policies_about(policy.scope.codes.exact) or subject.book.policies
        for other in about:
            if other.scope.specificity > policy.scope.specificity and _covers(subject, other, policy):
                slug = policy.scope.slug
                message = f"'{slug}' never speaks: '{other.scope.slug}' is about all its codes, members and dates."
                yield Found(
                    subject.places.policy(slug), "policy", message, "Narrow the other policy, or remove this one."
                )
                break


def _covers(subject: Subject, wide: Policy, narrow: Policy) -> bool:
    one, two, plans = wide.scope, narrow.scope, subject.book.payer.plans
    lines = two.lines or frozenset(plans[plan].line for plan in two.plans)
    return (
        within(two.codes, one.codes)
        and one.track in (None, two.track)
        and (not one.plans or bool(two.plans) and two.plans <= one.plans)
        and (not one.lines or bool(lines) and lines <= one.lines)
        and one.effective_from <= two.effective_from
        and (one.effective_to is None or (two.effective_to is not None and two.effective_to <= one.effective_to))
    )


def unreachable_cases(subject: Subject) -> Iterator[Found]:
    """Cases after one that always holds, or after one that asks for no more than they do."""
    for policy in subject.book.policies:
        for position, case in enumerate(policy.cases):
            for before in policy.cases[:position]:
                if before.condition is None:
                    continue
                always = _folded(subject, before.condition) is True
                asked = set(case.condition.criteria) if case.condition is not None else set()
                if always or set(before.condition.criteria) <= asked:
                    why = "always holds" if always else "asks for no more"
                    message = f"case '{case.name}' never answers: '{before.name}' comes before it and {why}."
                    remedy = "Move the narrower case up, or correct the earlier 'when'."
                    yield Found(subject.places.case(policy.scope.slug, position), "when", message, remedy)
                    break


def impossible_conditions(subject: Subject) -> Iterator[Found]:
    """Conditions that come out false though nothing is known of the order, the member or the record."""
    for policy in subject.book.policies:
        for position, case in enumerate(policy.cases):
            if case.condition is not None and (part := _never(subject, case.condition)):
                message = f"the condition of case '{case.name}' can never hold: '{part}' is always false."
                place = subject.places.case(policy.scope.slug, position)
                yield Found(place, "when", message, "Correct it, fill the list it asks about, or remove the case.")
    for card in subject.book.guidance:
        if card.condition is not None and (part := _never(subject, card.condition)):
            message = f"the condition of '{card.scope.slug}' can never hold: '{part}' is always false."
            place = subject.places.card(card.scope.slug)
            yield Found(place, "when", message, "Correct it, fill the list it asks about, or remove the card.")


def _never(subject: Subject, condition: Condition) -> str | None:
    """The part of a condition that is always false."""
    if _folded(subject, condition) is not False:
        return None
    parts = (part for part in condition.criteria if _folded(subject, compile_condition(part)) is False)
    return next(parts, " ".join(condition.text.split()))


def _folded(subject: Subject, condition: Condition) -> bool | None:
    """What a condition comes to whatever the facts and the day are; None when it depends on them."""
    found = {
        condition.judge(
            _UNKNOWN,
            now=datetime(year, 6, 1, 12, tzinfo=UTC),
            member_of=subject.book.member_of,
            resolve=lambda _: None,
        ).value
        for year in (1900, subject.on.year, 2900)
    }
    return found.pop() if len(found) == 1 else None


def impossible_columns(subject: Subject) -> Iterator[Found]:
    """Cells of one row that no order can meet together."""
    book = subject.book
    for rule in subject.rows():
        asked = {each.signal: each.allowed for each in rule.conditions if isinstance(each, OneOf)}
        products = subject.products(rule)
        routes, forms = asked.get("route", frozenset()), asked.get("dose_form", frozenset())
        if routes and products and all(p.routes and p.routes.isdisjoint(routes) for p in products):
            known = ", ".join(sorted(frozenset().union(*(p.routes for p in products))))
            yield subject.at(
                rule,
                "route",
                f"none of its drugs is given so; the catalog says {known}.",
                "Correct the route, or crosswalks/drugs.csv.",
            )
        if forms and products and all(p.dose_form and p.dose_form not in forms for p in products):
            known = ", ".join(sorted({p.dose_form for p in products if p.dose_form}))
            yield subject.at(
                rule,
                "dose_form",
                f"none of its drugs has this form; the catalog says {known}.",
                "Correct the form, or crosswalks/drugs.csv.",
            )
        given = [book.crosswalks.routes_of_form.get(form, frozenset()) for form in forms]
        if routes and given and all(each and each.isdisjoint(routes) for each in given):
            yield subject.at(
                rule,
                "route",
                "the dose form it asks for is not given by this route.",
                "Correct one of them, or crosswalks/dose_forms.csv.",
            )
        lines = asked.get("lob", frozenset())
        plans = [book.payer.plans[plan] for plan in asked.get("plan_id", ()) if plan in book.payer.plans]
        if lines and plans and all(plan.line not in lines for plan in plans):
            yield subject.at(rule, "plan_id", "its plans are not of its lines of business.", "Correct lob or plan_id.")


def empty_lists(subject: Subject) -> Iterator[Found]:
    """Lists with no code: whatever asks about them never holds."""
    for name, codes in sorted(subject.book.lists.items()):
        if not codes.systems:
            yield Found(
                f"lists/{name}.csv:1",
                None,
                f"the list '{name}' has no code, so nothing is in it.",
                "Fill it, or remove it and what names it.",
            )
