"""Dates: versions of one rule that leave a gap or speak at once, and rules whose time is over."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from app.rulebook.lints.lint import Found, Subject
from app.rulebook.rulebook import ROUTES_FILE
from app.rulebook.scope import Scope
from benefit_router import CodeList


@dataclass(frozen=True, slots=True)
class _Version:
    """One version of a rule; those with the same `subject` are versions of one another."""

    subject: Hashable
    name: str
    start: date
    end: date | None
    place: str
    column: str


def gaps(subject: Subject) -> Iterator[Found]:
    """Days between two versions on which neither speaks."""
    for before, after in _neighbours(subject):
        if before.end is not None and before.end < after.start:
            message = (
                f"'{before.name}' ends on {before.end}, and '{after.name}' begins on {after.start}: nothing between."
            )
            yield Found(
                after.place, after.column, message, f"Begin it on {before.end}, or say in a rule what holds between."
            )


def overlaps(subject: Subject) -> Iterator[Found]:
    """Days on which two versions speak; the newer wins."""
    for before, after in _neighbours(subject):
        if before.end is None or before.end > after.start:
            message = (
                f"'{before.name}' still speaks when '{after.name}' begins on {after.start}; the newer wins unsaid."
            )
            yield Found(before.place, before.column, message, f"End '{before.name}' on {after.start}.")


def expired(subject: Subject) -> Iterator[Found]:
    """Rules that speak only of days gone by."""
    for each in _every(subject):
        if each.end is not None and each.end <= subject.on:
            message = f"'{each.name}' ended on {each.end}: it only answers orders for earlier days."
            yield Found(each.place, each.column, message, "Remove it when no such orders come any more.")


def _neighbours(subject: Subject) -> Iterator[tuple[_Version, _Version]]:
    groups: dict[Hashable, list[_Version]] = {}
    for each in _every(subject):
        groups.setdefault(each.subject, []).append(each)
    for versions in groups.values():
        yield from pairwise(sorted(versions, key=lambda each: (each.start, each.end or date.max, each.name)))


def _every(subject: Subject) -> Iterator[_Version]:
    for rule in subject.rows():
        codes = (rule.codes.exact, rule.codes.prefixes) if isinstance(rule.codes, CodeList) else rule.codes
        about = (rule.band, rule.priority, codes, rule.drug_class, _asked(rule.conditions))
        place = f"{ROUTES_FILE}:{rule.line}"
        yield _Version(about, rule.rule_id, rule.effective_from, rule.effective_to, place, "effective_to")
    for policy in subject.book.policies:
        scope = policy.scope
        yield _version("policy", scope, subject.places.policy(scope.slug))
    for card in subject.book.guidance:
        # Several cards may speak of one order, so two about the same are no versions of each other.
        scope = card.scope
        yield _Version(
            scope.slug,
            scope.slug,
            scope.effective_from,
            scope.effective_to,
            subject.places.card(scope.slug),
            "effective",
        )


def _version(kind: str, scope: Scope, place: str) -> _Version:
    about = (kind, scope.codes.exact, scope.codes.prefixes, scope.track, scope.lines, scope.plans)
    return _Version(about, scope.slug, scope.effective_from, scope.effective_to, place, "effective")


def _asked(conditions: Iterable[object]) -> frozenset[str]:
    """Conditions as values: two lists of the same codes are the same question."""
    return frozenset(map(repr, conditions))
