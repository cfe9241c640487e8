"""Which policies and cards are about an order, its member, its day and its benefit."""

from __future__ import annotations

from typing import Any

import pytest

from app.crd.chart import Resource
from app.crd.in_play import InPlay, rules_in_play
from app.members import Member, MemberMatch
from app.rulebook.rulebook import Rulebook
from app.rulebook.scope import Need
from tests.crd.builders import (
    AUTH,
    INSTRUCTIONS,
    MEMBER,
    NO_AUTH,
    concept,
    drug,
    facts_of,
    guidance,
    policy,
    row,
    rulebook,
    service,
)

MRI = ["CPT 72148"]
UNKNOWN = Member("1", "coverage")


def play_of(order: Resource, rules: Rulebook, hook: str = "order-sign", **rest: Any) -> InPlay:
    return rules_in_play(facts_of(order, rules=rules, **rest), hook, rules)


def names(play: InPlay) -> list[str | None]:
    return [policy.scope.slug if policy is not None else None for policy in play.policies]


def on(day: str) -> Resource:
    return service("CPT 72148", occurrenceDateTime=day)


@pytest.mark.parametrize(
    ("policies", "order", "member", "expected"),
    [
        pytest.param([], on("2026-06-15"), MEMBER, [None], id="no-policy"),
        pytest.param([policy("a", MRI, AUTH)], on("2026-06-15"), MEMBER, ["a"], id="one"),
        pytest.param([policy("a", ["CPT 99999"], AUTH)], on("2026-06-15"), MEMBER, [None], id="about-something-else"),
        pytest.param([policy("a", MRI, AUTH, lines=["ma"])], on("2026-06-15"), MEMBER, [None], id="other-line"),
        pytest.param([policy("a", MRI, AUTH, plans=["bare"])], on("2026-06-15"), MEMBER, [None], id="other-plan"),
        pytest.param(
            [
                policy("a", MRI, AUTH),
                policy("b", MRI, AUTH, lines=["commercial"]),
                policy("c", MRI, AUTH, plans=["gold"]),
            ],
            on("2026-06-15"),
            MEMBER,
            ["c"],
            id="plan-beats-line-beats-all",
        ),
        pytest.param(
            [policy("a", MRI, AUTH), policy("b", MRI, AUTH, lines=["commercial"])],
            on("2026-06-15"),
            MEMBER,
            ["b"],
            id="line",
        ),
        pytest.param(
            [policy("a", MRI, AUTH), policy("b", MRI, AUTH, effective={"from": "2026-01-01"})],
            on("2026-06-15"),
            MEMBER,
            ["b"],
            id="newer",
        ),
        # A line or plan that nobody knows leaves every policy possible, and that there is none.
        pytest.param([policy("a", MRI, AUTH, lines=["ma"])], on("2026-06-15"), UNKNOWN, ["a", None], id="line-unknown"),
        pytest.param(
            [policy("a", MRI, AUTH, plans=["gold"]), policy("b", MRI, AUTH)],
            on("2026-06-15"),
            UNKNOWN,
            ["a", "b"],
            id="plan-unknown",
        ),
        pytest.param(
            [policy("a", MRI, AUTH, plans=["gold"])],
            on("2026-06-15"),
            Member("1", "roster", line="ma"),
            [None],
            id="no-plan",
        ),
        pytest.param([policy("a", MRI, AUTH, track="medical")], on("2026-06-15"), MEMBER, [None], id="for-drugs"),
    ],
)
def test_policies(policies: list[dict[str, Any]], order: Resource, member: Member, expected: list[str | None]) -> None:
    assert names(play_of(order, rulebook(policies=policies), member=member)) == expected


@pytest.mark.parametrize(
    ("day", "expected"),
    [("2025-12-31", None), ("2026-01-01", "a"), ("2026-06-30", "a"), ("2026-07-01", None)],
)
def test_dates_are_half_open_and_judged_at_the_service_date(day: str, expected: str | None) -> None:
    rules = rulebook(policies=[policy("a", MRI, AUTH, effective={"from": "2026-01-01", "to": "2026-07-01"})])
    assert names(play_of(on(day), rules)) == [expected]


OPTIONS = [policy("a", ["CPT 77061"], AUTH), policy("b", ["CPT 77062"], NO_AUTH)]


@pytest.mark.parametrize(
    ("codes", "options", "expected"),
    [
        (["SNOMED 726551006"], ["CPT 77061"], ["a"]),
        (["SNOMED 726551006"], ["CPT 77061", "CPT 77062"], ["a", "b"]),
        (["SNOMED 726551006"], ["CPT 77061", "CPT 77063"], ["a", None]),
        (["SNOMED 726551006"], [], [None]),
        # What is stated goes before what it may be billed as.
        (["CPT 77062"], ["CPT 77061"], ["b"]),
    ],
)
def test_billing_options_when_nothing_speaks_of_the_order(
    codes: list[str], options: list[str], expected: list[str | None]
) -> None:
    order = {**service(), "code": concept(*codes, options=options)}
    assert names(play_of(order, rulebook(policies=OPTIONS))) == expected


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ({"baseFormulaType": concept("HCPCS B4150")}, ["a"]),
        ({"baseFormulaType": concept("HCPCS B4150"), "additiveType": concept("HCPCS B4104")}, ["a", "b"]),
        ({"baseFormulaType": concept("HCPCS B4150"), "additiveType": concept("HCPCS B9999")}, ["a", None]),
        ({"baseFormulaType": concept("HCPCS B4150"), "additiveType": concept("HCPCS B4152")}, ["a"]),
    ],
)
def test_an_order_for_several_products_asks_the_policy_of_each(
    formula: dict[str, Any], expected: list[str | None]
) -> None:
    rules = rulebook(
        policies=[policy("a", ["HCPCS B4150", "HCPCS B4152"], NO_AUTH), policy("b", ["HCPCS B4104"], AUTH)]
    )
    order = {
        "resourceType": "NutritionOrder",
        "id": "n",
        "oralDiet": {"type": [concept("SNOMED 1")]},
        "enteralFormula": formula,
    }
    assert names(play_of(order, rules)) == expected


VIAL_OR_PEN = "p1,Drug vial,191831,1000001,,J1745,vial\np2,Drug pen,191831,1000002,,,pen\n"
MEDICAL = row("iv", match_system="RxNorm", match_code="191831", match_level="ingredient", track="medical", pa="yes")


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (drug("HCPCS J1745"), ["vial"]),
        (drug("RxNorm 1000002"), ["pen"]),
        # The molecule alone may mean either product; the route may say which.
        (drug("RxNorm 191831"), ["vial", "pen"]),
        (drug("RxNorm 191831", route="subcutaneous"), ["pen"]),
        (drug("RxNorm 191831", "HCPCS J1745"), ["vial"]),
    ],
)
def test_a_drug_has_a_policy_for_each_product_it_may_mean(order: Resource, expected: list[str | None]) -> None:
    rules = rulebook(
        rows=[MEDICAL],
        drugs=VIAL_OR_PEN,
        policies=[policy("vial", ["HCPCS J1745"], AUTH, track="medical"), policy("pen", ["RxNorm 1000002"], NO_AUTH)],
    )
    play = play_of(order, rules)
    assert play.track == "medical"
    assert names(play) == expected


@pytest.mark.parametrize("track", ["pharmacy", "medical-bundled", "none", "undetermined"])
def test_policies_speak_of_the_medical_benefit_only(track: str) -> None:
    handoff = {"handoff": "rx"} if track == "pharmacy" else {}
    rules = rulebook(
        rows=[row("r", match_system="HCPCS", match_code="J0001", track=track, **handoff)],
        policies=[policy("a", ["HCPCS J0001"], NO_AUTH)],
        cards=[
            guidance("here", ["HCPCS J0001"], INSTRUCTIONS, track=track),
            guidance("elsewhere", ["HCPCS J0001"], INSTRUCTIONS, track="medical"),
        ],
    )
    play = play_of(drug("HCPCS J0001"), rules)
    assert play.track == track
    assert names(play) == []
    assert [each.scope.slug for each in play.guidance] == ["here"]


@pytest.mark.parametrize("outcome", ["not-found", "ended", "unclear"])
def test_nothing_is_in_play_without_a_member(outcome: Any) -> None:
    rules = rulebook(policies=[policy("a", MRI, AUTH)], cards=[guidance("note", MRI, INSTRUCTIONS)])
    play = play_of(on("2026-06-15"), rules, member=MemberMatch(outcome))
    assert (play.policies, play.guidance, list(play.needs)) == ((), (), [])


@pytest.mark.parametrize(
    ("card", "order", "hook", "member", "in_play"),
    [
        ({}, on("2026-06-15"), "order-sign", MEMBER, True),
        ({"hooks": ["order-select"]}, on("2026-06-15"), "order-sign", MEMBER, False),
        ({"hooks": ["order-select"]}, on("2026-06-15"), "order-select", MEMBER, True),
        ({"lines": ["ma"]}, on("2026-06-15"), "order-sign", MEMBER, False),
        ({"lines": ["commercial"]}, on("2026-06-15"), "order-sign", UNKNOWN, False),
        ({"effective": {"from": "2027-01-01"}}, on("2026-06-15"), "order-sign", MEMBER, False),
        ({}, {**service(), "code": concept("SNOMED 1", options=["CPT 72148"])}, "order-sign", MEMBER, True),
    ],
)
def test_guidance(card: dict[str, Any], order: Resource, hook: str, member: Member, in_play: bool) -> None:
    rules = rulebook(cards=[guidance("note", MRI, INSTRUCTIONS, **card)])
    assert bool(play_of(order, rules, hook=hook, member=member).guidance) is in_play


@pytest.mark.parametrize(("codes", "in_play"), [(["HCPCS J1745"], False), (["HCPCS J1745", "RxNorm 1000002"], True)])
def test_a_card_is_about_a_drug_only_when_it_is_about_every_product_it_may_mean(
    codes: list[str], in_play: bool
) -> None:
    rules = rulebook(rows=[MEDICAL], drugs=VIAL_OR_PEN, cards=[guidance("note", codes, INSTRUCTIONS)])
    assert bool(play_of(drug("RxNorm 191831"), rules).guidance) is in_play


def test_needs_are_those_of_the_rules_in_play() -> None:
    lists = {"found": "ICD-10-CM,M54*,back"}
    rules = rulebook(
        lists=lists,
        policies=[policy("a", MRI, AUTH, needs=["conditions"]), policy("b", ["CPT 1"], AUTH, needs=["allergies"])],
        cards=[guidance("note", MRI, INSTRUCTIONS, needs=[{"observations": "list:found"}])],
    )
    assert list(play_of(on("2026-06-15"), rules).needs) == [Need("conditions"), Need("observations", "found")]
    assert play_of(on("2026-06-15"), rules).track is None
    assert list(play_of(service("CPT 5"), rules).needs) == []
