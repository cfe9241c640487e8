"""The sample rulebook holds to every scenario, also when the order says less than it might."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.crd.scenarios import answer, at_ingredient_level, run, without_route
from app.rulebook.rulebook import Rulebook, load
from app.rulebook.scenarios import Scenario, read_scenarios
from app.settings import ROOT

ROSTER = ROOT / "rules" / "members" / "roster.csv"
_book = load(ROOT / "rules", ROOT / "questionnaires").rulebook
assert _book is not None
SCENARIOS, PROBLEMS = read_scenarios(ROOT / "rules" / "scenarios", _book)
PROMISES = {"no-auth", "satisfied"}


def by_id(scenario: Scenario) -> str:
    return scenario.id


def test_the_files_are_good_and_complete() -> None:
    assert PROBLEMS == []
    ids = {scenario.id for scenario in SCENARIOS}
    assert {f"T{number:02}" for number in range(1, 51)} <= {each.split("-")[0] for each in ids}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=by_id)
def test_scenario(scenario: Scenario, sample_rulebook: Rulebook) -> None:
    outcome = run(scenario, sample_rulebook, ROSTER)
    assert outcome.differences == ()


@pytest.mark.parametrize(
    "less",
    [
        lambda scenario, book: without_route(scenario),
        at_ingredient_level,
        lambda scenario, book: without_route(at_ingredient_level(scenario, book)),
    ],
    ids=["no route", "ingredient only", "neither"],
)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=by_id)
def test_saying_less_never_changes_the_road(
    scenario: Scenario, sample_rulebook: Rulebook, less: Callable[[Scenario, Rulebook], Scenario]
) -> None:
    """The benefit stays or becomes undetermined, and no promise appears that was not there."""
    full, _ = answer(scenario, sample_rulebook, ROSTER)
    poorer, _ = answer(less(scenario, sample_rulebook), sample_rulebook, ROSTER)
    for before, after in zip(full, poorer, strict=True):
        tracks = [each.route.track if each.route else None for each in (before, after)]
        assert tracks[1] in (tracks[0], "undetermined")
        promised = {a.pa_needed for a in before.answers} & PROMISES
        assert {a.pa_needed for a in after.answers} & PROMISES <= promised
