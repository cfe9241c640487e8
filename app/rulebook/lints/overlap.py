"""Rows of one band that can hold for the same order and name different benefits."""

from __future__ import annotations

from collections.abc import Iterator

from app.rulebook.lints.comparing import implies
from app.rulebook.lints.lint import Found, Subject
from benefit_router import Rule
from benefit_router.conflicts import can_meet
from benefit_router.table import indexed_codes


def overlapping_rows(subject: Subject) -> Iterator[Found]:
    """Neither row is the narrower, so which benefit pays is settled by weights or dates that nobody may have meant."""
    groups: dict[object, list[Rule]] = {}
    for rule in subject.book.table.rules:
        for key in indexed_codes(rule):
            groups.setdefault((rule.band, key), []).append(rule)
    seen: set[tuple[str, str]] = set()
    for group in groups.values():
        for position, strong in enumerate(group):
            for weak in group[position + 1 :]:
                pair = (strong.rule_id, weak.rule_id)
                if pair not in seen and _unsettled(strong, weak):
                    seen.add(pair)
                    message = (
                        f"it and '{strong.rule_id}' (line {strong.line}) can hold for the same order in band "
                        f"{weak.band} and name different benefits; '{strong.rule_id}' wins only by {_by(strong, weak)}."
                    )
                    yield subject.at(
                        weak, "priority", message, "Give one of them a condition that tells them apart, or a priority."
                    )


def _unsettled(strong: Rule, weak: Rule) -> bool:
    return (
        strong.outcome.track != weak.outcome.track
        and strong.priority == weak.priority
        and can_meet(strong, weak)
        and not implies(strong, weak)
        and not implies(weak, strong)
    )


def _by(strong: Rule, weak: Rule) -> str:
    return "its weight" if strong.specificity != weak.specificity else "its later date"
