"""The routing question takes the hook's own way to a decision."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from app.crd.routing import RoutingQuestion, route
from app.crd.scenarios import rehearse
from app.crd.shorthand import hook_request
from app.rulebook.rulebook import Rulebook, load
from app.rulebook.scenarios import Scenario, read_scenarios
from app.settings import ROOT

ROSTER = ROOT / "rules" / "members" / "roster.csv"
_book = load(ROOT / "rules", ROOT / "questionnaires").rulebook
assert _book is not None
SCENARIOS = [
    each
    for each in read_scenarios(ROOT / "rules" / "scenarios", _book)[0]
    if each.request is None and len(each.orders) == 1
]


def told(question: RoutingQuestion, scenario: Scenario, rulebook: Rulebook) -> tuple[Any, ...]:
    directory = rehearse(scenario, rulebook, ROSTER).directory
    today = date.fromisoformat(scenario.on)
    answer = route(question, rulebook=rulebook, directory=directory, any_payer=True, today=today)
    return answer["track"], answer.get("confidence"), (answer.get("rule") or {}).get("id")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.id)
def test_it_is_the_hooks_own_decision(scenario: Scenario, sample_rulebook: Rulebook) -> None:
    """FHIR has no way to say that there is no encounter: an order that names none may be left undetermined by it."""
    (decided,) = rehearse(scenario, sample_rulebook, ROSTER).decide(sample_rulebook)
    assert decided.play is not None
    hooks = decided.play.route
    expected = (hooks.track, hooks.confidence, hooks.rule_id) if hooks is not None else (None, None, None)

    call = hook_request(scenario, sample_rulebook)
    order = call["context"]["draftOrders"]["entry"][0]["resource"]
    sent = [entry["resource"] for name in ("patient", "others") for entry in _entries(call["prefetch"][name])]
    encounters = [each["id"] for each in sent if each["resourceType"] == "Encounter"]
    if encounters:
        order["encounter"] = {"reference": f"Encounter/{encounters[0]}"}
    coverage = call["prefetch"]["coverage"]["entry"][0]["resource"]
    got = told(RoutingQuestion(order, coverage, tuple(sent)), scenario, sample_rulebook)
    if encounters or got[0] != "undetermined":
        assert got[0] == expected[0]
    if encounters:
        assert got == expected
    if isinstance(scenario.member, str):
        shorthand = RoutingQuestion({"encounter": "none", **scenario.orders[0]}, member=scenario.member)
        assert told(shorthand, scenario, sample_rulebook) == expected


def _entries(value: dict[str, Any]) -> list[dict[str, Any]]:
    return value["entry"] if value["resourceType"] == "Bundle" else [{"resource": value}]
