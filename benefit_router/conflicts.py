"""Rows that would contradict each other: equal in rank, able to hold for the same order, different in outcome."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from benefit_router.codes import CodeList
from benefit_router.problems import Problem
from benefit_router.rule import AgeRange, Flag, OneOf, Rule
from benefit_router.table import indexed_codes


def conflicts(rules: Iterable[Rule], file: str) -> list[Problem]:
    """Every pair of rows that could both hold for one order with no rank to choose between them.

    Rows are only compared inside one code and one rank, so a large table stays quick to check.
    """
    about: dict[object, list[Rule]] = {}
    for rule in rules:
        for key in tuple(indexed_codes(rule)) or (rule.codes.name if isinstance(rule.codes, CodeList) else rule.codes,):
            about.setdefault(key, []).append(rule)
    found: dict[tuple[str, str], Problem] = {}
    for equals in chain.from_iterable(_by_rank(same) for same in about.values() if len(same) > 1):
        for position, first in enumerate(equals):
            for second in equals[position + 1 :]:
                if first.outcome != second.outcome and can_meet(first, second):
                    found[(first.rule_id, second.rule_id)] = Problem(
                        file,
                        second.line,
                        "rule_id",
                        f"'{second.rule_id}' and '{first.rule_id}' (line {first.line}) can hold for the same order, "
                        "have equal rank and decide differently.",
                        "Make one of them more specific, or give one a higher priority.",
                    )
    return list(found.values())


def _by_rank(rules: Iterable[Rule]) -> Iterable[list[Rule]]:
    ranked: dict[tuple[object, ...], list[Rule]] = {}
    for rule in rules:
        ranked.setdefault(rule.rank[:4], []).append(rule)
    return ranked.values()


def can_meet(first: Rule, second: Rule) -> bool:
    """Whether some order could satisfy both rows."""
    if first.effective_to is not None and first.effective_to <= second.effective_from:
        return False
    if second.effective_to is not None and second.effective_to <= first.effective_from:
        return False
    if first.drug_class and second.drug_class and first.drug_class.isdisjoint(second.drug_class):
        return False
    mine = {condition.signal: condition for condition in first.conditions if isinstance(condition, OneOf)}
    for condition in second.conditions:
        other = mine.get(condition.signal)
        if isinstance(condition, OneOf) and other is not None and other.allowed.isdisjoint(condition.allowed):
            return False
    return not any(_exclude(one, two) for one in first.conditions for two in second.conditions)


def _exclude(one: object, two: object) -> bool:
    if isinstance(one, Flag) and isinstance(two, Flag):
        return one.name == two.name and one.expected is not two.expected
    if isinstance(one, AgeRange) and isinstance(two, AgeRange):
        return _below(one, two) or _below(two, one)
    return False


def _below(one: AgeRange, two: AgeRange) -> bool:
    return one.maximum is not None and two.minimum is not None and one.maximum < two.minimum
