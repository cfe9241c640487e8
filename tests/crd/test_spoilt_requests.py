"""Every scenario's call with one element gone or spoilt: what is missing frees no order of its authorization."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from app.crd.scenarios import rehearse
from app.crd.shorthand import hook_request
from app.errors import RequestError
from app.fhir.json import decode, encode
from app.rulebook.rulebook import Rulebook
from app.rulebook.scenarios import Scenario, build_scenarios, scenario_files
from app.settings import ROOT

ROSTER = ROOT / "rules" / "members" / "roster.csv"
FREE = {"no-auth", "satisfied"}
EACH = 12
"""Spoilt calls of one scenario. There are some 90 places in each; which are taken depends on its name alone."""


@pytest.fixture(scope="module")
def scenarios(sample_rulebook: Rulebook) -> list[Scenario]:
    found, problems = build_scenarios(scenario_files(ROOT / "rules" / "scenarios"), sample_rulebook)
    assert problems == []
    return found


def answered(scenario: Scenario, body: Any, rulebook: Rulebook) -> list[tuple[str | None, set[str | None]]]:
    """The benefit and what is said of authorization for each order; [] for a call that is refused."""
    try:
        decided = rehearse(replace(scenario, request=encode(body)), rulebook, ROSTER).decide(rulebook)
    except RequestError:
        return []
    return [
        (one.play.track if one.play else None, {each.pa_needed for each in one.determination.answers})
        for one in decided
    ]


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    steps: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inside in steps:
        yield (*path, step)
        yield from places(inside, (*path, step))


def spoilt(body: Any, path: tuple[str | int, ...], *, gone: bool) -> Any:
    whole = copy.deepcopy(body)
    holder = whole
    for step in path[:-1]:
        holder = holder[step]
    if gone:
        del holder[path[-1]]
    elif isinstance(holder[path[-1]], str):
        holder[path[-1]] = "unknown"
    return whole


def test_what_is_missing_frees_nothing(scenarios: list[Scenario], sample_rulebook: Rulebook) -> None:
    tried = 0
    for scenario in scenarios:
        body = decode(scenario.request or encode(hook_request(scenario, sample_rulebook)))
        before = answered(scenario, body, sample_rulebook)
        chance = random.Random(scenario.id)  # noqa: S311  # a choice of cases
        # Without an encounter a hook is fired outside any: that is said, not missing.
        every = [path for path in places(body) if path[0] in ("context", "prefetch") and path[-1] != "encounterId"]
        for path in chance.sample(every, min(EACH, len(every))):
            after = answered(scenario, spoilt(body, path, gone=chance.random() < 0.5), sample_rulebook)
            if len(after) != len(before):  # refused, or an order is gone
                continue
            for (track, said), (track_after, said_after) in zip(before, after, strict=True):
                tried += 1
                where = f"{scenario.id}: {'.'.join(map(str, path))}"
                assert said & FREE or not said_after & FREE, f"{where} frees the order of its authorization"
                certain = {track, track_after} - {None, "undetermined"}
                assert len(certain) < 2, f"{where} takes {track} for {track_after}"
    assert tried > 1000
