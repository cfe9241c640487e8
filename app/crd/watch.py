"""The scenarios as a watch over the rules: which of them notices a change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from app.crd.determine import Decided
from app.crd.facts import OrderFacts
from app.crd.mutation import Mutation
from app.crd.rehearsal import Rehearsal
from app.crd.scenarios import Outcome, judge, rehearse
from app.rulebook.rulebook import Rulebook
from app.rulebook.scenarios import Scenario


@dataclass(frozen=True, slots=True)
class _Watcher:
    """A scenario that holds, ready to be run again. `near` are the rules that may speak of it, `all_rows`: any row."""

    scenario: Scenario
    rehearsal: Rehearsal
    near: frozenset[str]
    deciding: frozenset[str]
    all_rows: bool

    def may_notice(self, mutation: Mutation) -> bool:
        """Whether it could; a change of rules about other orders cannot reach it."""
        return not self.near.isdisjoint(mutation.touches) or (
            self.all_rows and any(name.startswith("route:") for name in mutation.touches)
        )


class Watch:
    """Scenarios that hold under a rulebook. Those that fail already notice nothing, and are left out."""

    def __init__(self, watchers: Sequence[_Watcher], rulebook: Rulebook) -> None:
        self._watchers = watchers
        self._rulebook = rulebook

    @classmethod
    def of(cls, scenarios: Iterable[tuple[Scenario, Outcome]], rulebook: Rulebook, roster: Path) -> Self:
        """Make scenarios that were run ready to run many times."""
        watchers = []
        for scenario, outcome in scenarios:
            if outcome.passed:
                deciding = {name.partition("#")[0] for each in outcome.determinations for name in each.rule_ids}
                near, all_rows = _near(outcome.decided, rulebook)
                rehearsal = rehearse(scenario, rulebook, roster)
                watchers.append(_Watcher(scenario, rehearsal, near, frozenset(deciding), all_rows))
        return cls(watchers, rulebook)

    def may_notice(self, mutation: Mutation) -> bool:
        """Whether a scenario is about what a mutation changes."""
        return any(watcher.may_notice(mutation) for watcher in self._watchers)

    def noticed_by(self, mutation: Mutation) -> str | None:
        """The id of a scenario that no longer holds under a mutation; None when all still do."""
        changed = mutation.apply(self._rulebook)
        able = (watcher for watcher in self._watchers if watcher.may_notice(mutation))
        # Those that the rule decides are asked first: most changes are noticed at once.
        for watcher in sorted(able, key=lambda each: each.deciding.isdisjoint(mutation.touches)):
            if not judge(watcher.scenario, watcher.rehearsal, changed).passed:
                return watcher.scenario.id
        return None


def _near(decided: Iterable[Decided], rulebook: Rulebook) -> tuple[frozenset[str], bool]:
    """Rules that name what the orders may mean, whatever the day and the member, and whether any row may matter."""
    near: set[str] = set()
    all_rows = False
    for each in decided:
        if each.play is None:
            continue
        facts = each.play.facts
        codes = facts.signals.codes.union(facts.codes, facts.options, *facts.products)
        near.update(f"policy:{policy.scope.slug}" for policy in rulebook.policies_about(codes))
        near.update(f"card:{guidance.scope.slug}" for guidance in rulebook.guidance_about(codes))
        if facts.is_drug:
            near.update(_rows(facts, rulebook))
            all_rows = all_rows or not any(code in rulebook.table.catalog for code in facts.signals.codes)
    return frozenset(near), all_rows


def _rows(facts: OrderFacts, rulebook: Rulebook) -> Iterable[str]:
    """Rows that may speak of a drug, in force or not."""
    meant = rulebook.table.catalog.candidates(facts.signals.codes)
    return (f"route:{each.rule.rule_id}" for each in rulebook.table.candidates(facts.signals.codes, meant, known=True))
