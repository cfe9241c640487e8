"""Rules changed one at a time, and the scenarios that notice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.crd.mutation import mutations
from app.crd.reach import reach
from app.crd.scenarios import run
from app.crd.watch import Watch
from app.rulebook.answer import contradictions
from app.rulebook.scenarios import Scenario
from tests.crd.builders import AUTH, INSTRUCTIONS, NO_AUTH, case, guidance, policy, row, rulebook

RULES = rulebook(
    rows=[
        row(
            "iv",
            match_system="HCPCS",
            match_code="J0001; J0002",
            lob="commercial; ma",
            route="intravenous",
            age_min="18",
            condition_flag="!esrd",
            effective_to="2030-01-01",
            track="medical",
            pa="yes",
            billing_codes="HCPCS J0001",
            modifiers="JA",
            clock_profile="fast",
            patient_text="Your doctor's office bills this.",
        ),
        row("sc", match_system="RxNorm", match_code="100", track="pharmacy", pa="no", handoff="rx"),
        row("own", match_system="RxNorm", match_code="list:pens", dx="list:back", track="pharmacy", handoff="rx"),
        row("nobody", match_system="RxNorm", match_code="999", track="none"),
    ],
    lists={"back": "ICD-10-CM,M54*,back", "pens": "RxNorm,200,a\nRxNorm,201,b"},
    policies=[
        policy(
            "mri",
            ["CPT 72148", "CPT 72149"],
            case("back", "%conditions.exists(code.memberOf('list:back'))", NO_AUTH),
            AUTH,
            needs=["conditions"],
            lines=["commercial"],
        )
    ],
    cards=[
        guidance("note", ["CPT 72148"], INSTRUCTIONS, when="%patient.gender = 'female'"),
        guidance("other", ["CPT 99999"], INSTRUCTIONS),
    ],
)
MEMBER = {"line": "commercial", "plan": "gold", "sex": "female", "birth_date": "1970-01-01", "flags": {"esrd": False}}
MRI = {"type": "ServiceRequest", "codes": ["CPT 72148"]}
DRUG = {"type": "MedicationRequest", "codes": ["HCPCS J0001"], "route": "intravenous"}
NO_ROSTER = Path("no-such-roster.csv")


def scenario(name: str, order: dict[str, Any], expect: dict[str, Any], **rest: Any) -> Scenario:
    stated: dict[str, Any] = {"title": "t", "hook": "order-sign", "on": "2026-06-15", "record": {}, "member": MEMBER}
    return Scenario(id=name, orders=(order,), expect=(expect,), file="f.yaml", line=1, **(stated | rest))


SCENARIOS = [
    scenario("mri", MRI, {"pa": "auth-needed", "cards": ["note"]}),
    scenario("back", MRI, {"pa": "no-auth"}, record={"conditions": ["ICD-10-CM M54.50"]}),
    scenario("infusion", DRUG, {"track": "medical", "pa": "auth-needed"}),
    scenario("minor", DRUG, {"track": "undetermined"}, member={**MEMBER, "birth_date": "2010-01-01"}),
    scenario("last-day", DRUG, {"track": "medical"}, on="2029-12-31"),
    scenario("unknown-drug", {"type": "MedicationRequest", "codes": ["RxNorm 777"]}, {"track": "undetermined"}),
    scenario("fails", MRI, {"pa": "satisfied"}),
    scenario("modifier", DRUG, {"modifiers": ["JA"]}),
    scenario("clock", DRUG, {"decision_time": "standard 72 h, expedited 24 h"}),
    scenario("patient", DRUG, {"patient_text": "doctor's OFFICE"}),
]
RAN = [(each, run(each, RULES, NO_ROSTER)) for each in SCENARIOS]
WATCH = Watch.of(RAN, RULES, NO_ROSTER)
TRIED = {(each.rule, each.words): each for each in mutations(RULES)}


@pytest.mark.parametrize(
    ("rule", "words", "noticed_by"),
    [
        ("route:iv", "left out", "infusion"),
        ("route:iv", "track pharmacy instead of medical", "infusion"),
        ("route:iv", "pa no instead of yes", "infusion"),
        ("route:iv", "billing_codes left out", None),
        ("route:iv", "modifiers left out", "modifier"),
        ("route:iv", "clock_profile slow instead of fast", "clock"),
        ("route:iv", "patient_text left out", "patient"),
        ("route:iv", "starts a day later", None),
        ("route:iv", "starts a day earlier", None),
        ("route:iv", "ends a day earlier", "last-day"),
        ("route:iv", "ends a day later", None),
        ("route:iv", "match_code without HCPCS J0001", "infusion"),
        ("route:iv", "match_code without HCPCS J0002", None),
        ("route:iv", "lob (commercial or ma) left out", None),
        ("route:iv", "lob without commercial", "infusion"),
        ("route:iv", "lob without ma", None),
        ("route:iv", "route (intravenous) left out", None),
        ("route:iv", "age (18 or older) left out", "minor"),
        ("route:iv", "age 19 or older", None),
        ("route:iv", "condition_flag esrd", "infusion"),
        ("route:iv", "condition_flag (!esrd) left out", None),
        ("route:sc", "track medical instead of pharmacy", None),
        ("policy:mri", "left out", "mri"),
        ("policy:mri", "lines left out", None),
        ("policy:mri", "codes without CPT 72148", "mri"),
        ("policy:mri", "codes without CPT 72149", None),
        ("policy:mri#back", "left out", "back"),
        ("policy:mri#back", "when negated", "mri"),
        ("policy:mri#back", "pa auth-needed instead of no-auth", "back"),
        ("policy:mri#back", "not-covered instead of covered", "back"),
        ("policy:mri#otherwise", "pa no-auth instead of auth-needed", "mri"),
        ("policy:mri#otherwise", "docs left out", None),
        ("card:note", "left out", "mri"),
        ("card:note", "when negated", "mri"),
        ("card:note", "when left out", None),
        ("card:other", "left out", None),
        ("list:back", "without ICD-10-CM M54*", "back"),
        ("list:pens", "without RxNorm 200", None),
    ],
)
def test_who_notices(rule: str, words: str, noticed_by: str | None) -> None:
    assert WATCH.noticed_by(TRIED[rule, words]) == noticed_by


def test_a_mutation_leaves_out_nothing_a_scenario_could_notice() -> None:
    """What is not asked of a scenario would not have been noticed by it: the same as trying everything on everyone."""
    for mutation in TRIED.values():
        changed = mutation.apply(RULES)
        failing = {each.id for each, outcome in RAN if outcome.passed and not run(each, changed, NO_ROSTER).passed}
        assert (WATCH.noticed_by(mutation) in failing) if failing else WATCH.noticed_by(mutation) is None
        assert WATCH.may_notice(mutation) or not failing


def test_a_mutated_answer_is_still_a_sound_one() -> None:
    """One that contradicts itself would be noticed for that, whatever the scenario expects."""
    for mutation in TRIED.values():
        for each in mutation.apply(RULES).policies:
            assert [
                list(contradictions(answer))
                for part in each.cases
                for answer in part.answers
                if list(contradictions(answer))
            ] == []


def test_the_rulebook_itself_stays_as_it_is() -> None:
    for mutation in TRIED.values():
        mutation.apply(RULES)
    assert [run(each, RULES, NO_ROSTER).passed for each in SCENARIOS] == [outcome.passed for _, outcome in RAN]


def test_every_mutation_has_its_place_and_happens_once() -> None:
    every = mutations(RULES)
    assert len(every) == len(TRIED)
    assert {each.place.partition(":")[0] for each in every} == {
        "benefit_routes.csv", "policies/mri.yaml", "guidance/note.yaml", "guidance/other.yaml", "lists/back.csv",
        "lists/pens.csv",
    }  # fmt: skip
    assert TRIED["list:pens", "without RxNorm 201"].place == "lists/pens.csv:3"


def test_reach() -> None:
    found = {each.name: each.level for each in reach((outcome for _, outcome in RAN), RULES)}
    assert found == {
        "route:iv": "decides",
        "route:sc": "untouched",
        "route:own": "untouched",
        "route:nobody": "untouched",
        "route:unused": "untouched",  # builders put one row into every rulebook
        "policy:mri#back": "decides",
        "policy:mri#otherwise": "decides",
        "card:note": "decides",
        "card:other": "untouched",
    }
    only_minor = reach([RAN[3][1]], RULES)
    assert [each.level for each in only_minor if each.name == "route:iv"] == ["considered"]
    assert [each.place for each in only_minor if each.kind == "row"] == [f"benefit_routes.csv:{n}" for n in range(2, 7)]
