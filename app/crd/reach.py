"""How far the scenarios reach: which rules decide one of them, which are only considered, and which none touches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from app.crd.scenarios import Outcome
from app.rulebook.places import Places
from app.rulebook.rulebook import Rulebook

Kind = Literal["row", "case", "card"]
Level = Literal["decides", "considered", "untouched"]


@dataclass(frozen=True, slots=True)
class Reached:
    """One rule by the name past answers give it (`route:x`, `policy:x#case`, `card:x`), and how far scenarios reach it.

    *Decides*: some scenario gets its answer, or its card. *Considered*: it was looked at, and did not decide.
    """

    kind: Kind
    name: str
    place: str
    level: Level


def reach(outcomes: Iterable[Outcome], rulebook: Rulebook) -> list[Reached]:
    """Every routing row, policy case and card of a rulebook, in the order of the files."""
    deciding: set[str] = set()
    considered: set[str] = set()
    for outcome in outcomes:
        for decided in outcome.decided:
            determination, route = decided.determination, decided.determination.route
            deciding.update(determination.rule_ids)
            if route is not None:
                considered.update(f"route:{each.rule_id}" for each in route.considered)
            considered.update(f"policy:{each.policy}#{each.case}" for each in determination.tried)
            if decided.play is not None:
                considered.update(f"card:{each.scope.slug}" for each in decided.play.guidance)
        deciding.update(f"card:{slug}" for shown in outcome.shown.values() for slug in shown)

    def level(name: str) -> Level:
        return "decides" if name in deciding else "considered" if name in considered else "untouched"

    return [Reached(kind, name, place, level(name)) for kind, name, place in _every(rulebook)]


def _every(rulebook: Rulebook) -> Iterator[tuple[Kind, str, str]]:
    places = Places(rulebook.files)
    for rule in sorted(rulebook.table.rules, key=lambda rule: rule.line):
        yield "row", f"route:{rule.rule_id}", places.row(rule)
    for policy in rulebook.policies:
        slug = policy.scope.slug
        for position, case in enumerate(policy.cases):
            yield "case", f"policy:{slug}#{case.name}", places.case(slug, position)
    for guidance in rulebook.guidance:
        yield "card", f"card:{guidance.scope.slug}", places.card(guidance.scope.slug)
