"""Everything that can be said against rules, as `signpost rules check` and the console say it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path

from app.crd.reach import reach
from app.crd.scenarios import run
from app.rulebook.expansions import Expansion
from app.rulebook.lints import Subject, lint
from app.rulebook.rulebook import Rulebook
from app.rulebook.scenarios import build_scenarios
from app.rulebook.validity import Validity
from benefit_router import Code, Problem


def linted(
    book: Rulebook,
    scenarios: Mapping[str, str],
    roster: Path | None,
    today: date,
    *,
    expansions: Iterable[Expansion] = (),
    release: Mapping[Code, Validity] | None = None,
) -> Sequence[Problem]:
    """What the lints say, and what is wrong with the scenarios that they are told of.

    `scenarios` are their texts by path. Without a roster they are not run, which takes seconds; then what they reach is
    not judged. With `expansions`, lists taken from those ValueSets are compared with them; `release` says which codes
    HCPCS ended.
    """
    found, problems = build_scenarios(scenarios, book)
    decided = None
    if roster is not None and roster.is_file():
        outcomes = (run(scenario, book, roster) for scenario in found)
        decided = frozenset(each.name for each in reach(outcomes, book) if each.level == "decides")
    names = frozenset(scenario.id for scenario in found)
    return [*problems, *lint(Subject(book, today, names, decided, tuple(expansions), release or {}))]
