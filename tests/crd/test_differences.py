"""What two rulebooks answer differently, in sentences."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from app.crd.differences import Difference, difference, rule_sentence, sentence
from app.crd.mutation import mutations
from app.crd.scenarios import run
from app.crd.watch import Watch
from app.fhir.json import encode
from app.rulebook.rulebook import Rulebook
from app.rulebook.scenarios import read_scenarios
from app.settings import ROOT
from tests.crd.builders import AUTH, INSTRUCTIONS, NO_AUTH, case, guidance, policy, row, rulebook

SINCE = date(2026, 6, 1)
PEN = {"match_system": "RxNorm", "match_code": "100", "track": "pharmacy", "pa": "no", "handoff": "rx"}
VIAL = {"match_system": "HCPCS", "match_code": "J0001", "track": "medical", "pa": "yes", "lob": "commercial"}
STAY = {"match_code": "*", "band": "1", "enc_class": "IMP", "track": "medical-bundled", "pa": "no"}
SHOWN = case("shown", "%conditions.exists(code.memberOf('list:back'))", NO_AUTH)
YES, NO, OPEN = "authorization needed", "no authorization needed", "authorization depends on what is missing"
STAYS = ", except where stay decides."
MRI_DECIDES = "policy mri decides (no-auth or auth-needed)"
MEDICAL = {"track": "medical", "pa": "yes", "handoff": "", "billing_codes": "HCPCS J9999"}
MRI = {"codes": ["CPT 72148"], "needs": ["conditions"]}


def book(
    *,
    pen: dict[str, str] | None = None,
    vial: dict[str, str] | None = None,
    more: tuple[dict[str, str], ...] = (),
    mri: tuple[Any, ...] = (SHOWN, AUTH),
    scope: dict[str, Any] | None = None,
    cards: tuple[Any, ...] = (),
    back: str = "ICD-10-CM,M54*,back",
    policies: tuple[Any, ...] = (),
    drugs: str = "p1,Pen,1,100,,,pen\np2,Vial,1,,,J0001,vial\n",
) -> Rulebook:
    """The rulebook of these tests, with something else in some place."""
    rows = [row("stay", **STAY)]
    rows += [row("pen", **(PEN | pen))] if pen is not None else [row("pen", **PEN)]
    rows += [row("vial", **(VIAL | (vial or {})))]
    return rulebook(
        rows=[*rows, *more],
        drugs=drugs,
        lists={"back": back},
        policies=[policy("mri", MRI["codes"], *mri, needs=MRI["needs"], **(scope or {})), *policies],
        cards=[guidance("note", ["CPT 72148"], INSTRUCTIONS), *cards],
    )


OLD = book()


def found(new: Rulebook, old: Rulebook = OLD) -> Difference:
    return difference(old, new, since=SINCE)


@pytest.mark.parametrize(
    ("new", "authorization"),
    [
        (book(pen={"pa": "yes"}), ("not needed", "needed")),
        (book(pen={"handoff": "part-d"}), None),
    ],
)
def test_what_was_said_of_authorization_is_told_apart(new: Rulebook, authorization: tuple[str, str] | None) -> None:
    assert {each.authorization for each in found(new).answers} == {authorization}


@pytest.mark.parametrize(
    ("new", "sentences"),
    [
        (book(), []),
        (
            book(pen={"pa": "yes"}),
            [f"Pen: {YES} (before: {NO}){STAYS}"],
        ),
        (
            book(
                pen={"effective_to": "2026-07-01"},
                more=(
                    row(
                        "pen-medical",
                        **PEN
                        | {
                            "track": "medical",
                            "pa": "yes",
                            "handoff": "",
                            "effective_from": "2026-07-01",
                            "billing_codes": "HCPCS J9999",
                        },
                    ),
                ),
            ),
            [
                f"From 2026-07-01, Pen moves from pharmacy to medical; "
                f"{YES} (before: {NO}); billed as HCPCS J9999{STAYS}"
            ],
        ),
        (
            book(more=(row("pen-gold", **PEN | {"band": "2", "plan_id": "gold", "pa": "yes"}),)),
            [f"Pen for commercial (plan gold): {YES} (before: {NO}){STAYS}"],
        ),
        (
            book(vial={"lob": "ma; commercial"}),
            [
                f"Vial for ma moves from undetermined to medical; "
                f"authorization needed (before: authorization depends on what is missing){STAYS}"
            ],
        ),
        (
            book(pen={"site_pos": "12"}),
            [f"Pen, site any other, moves from pharmacy to undetermined; {OPEN} (before: {NO}){STAYS}"],
        ),
        (
            book(vial={"age_min": "18"}),
            [f"Vial for commercial, age under 18, moves from medical to undetermined; {OPEN} (before: {YES}){STAYS}"],
        ),
        (
            book(vial={"dx": "M54*"}),
            [
                f"Vial for commercial, diagnosis any other, moves from medical to undetermined; "
                f"{OPEN} (before: {YES}){STAYS}"
            ],
        ),
        (
            book(vial={"condition_flag": "!esrd"}),
            [f"Vial for commercial, esrd yes, moves from medical to undetermined; {OPEN} (before: {YES}){STAYS}"],
        ),
        (
            book(vial={"questionnaire": "form"}),
            [f"Vial for commercial: form form (before: none){STAYS}"],
        ),
        (
            book(vial={"billing_codes": "HCPCS J0001"}),
            [f"Vial for commercial: billed as HCPCS J0001 (before: none){STAYS}"],
        ),
        (book(pen={"handoff": "part-d"}), [f"Pen: handled by part-d (before: rx){STAYS}"]),
        (
            book(pen={"confidence": "presumptive"}),
            [f"Pen: presumptive (before: determined){STAYS}"],
        ),
        (
            book(policies=(policy("vial", ["HCPCS J0001"], AUTH, track="medical"),)),
            [f"Vial for commercial: policy vial decides (auth-needed) (before: authorization needed){STAYS}"],
        ),
        (
            book(mri=(SHOWN, NO_AUTH)),
            [
                "CPT 72148: case mri#otherwise: pa no-auth instead of auth-needed; case mri#otherwise: docs none "
                "instead of clinical; case mri#otherwise: purpose none instead of withpa; case mri#otherwise: "
                "form none instead of form."
            ],
        ),
        (book(mri=(AUTH,)), ["CPT 72148: case mri#shown is gone."]),
        (
            book(mri=(SHOWN, case("new", "%patient.exists()", NO_AUTH), AUTH)),
            ["CPT 72148: case mri#new is new (covered, pa no-auth)."],
        ),
        (
            book(mri=(case("shown", "%conditions.exists()", NO_AUTH), AUTH)),
            [
                "CPT 72148: case mri#shown: now asks `%conditions.exists()`; case mri#shown: no longer asks "
                "`%conditions.exists(code.memberOf('list:back'))`."
            ],
        ),
        (
            book(back="ICD-10-CM,M99*,back"),
            ["CPT 72148: case mri#shown: its criteria ask for list:back, which is another."],
        ),
        (
            book(scope={"lines": ["ma"]}),
            [f"CPT 72148 for commercial: no policy speaks (before: {MRI_DECIDES})."],
        ),
        (
            book(scope={"effective": {"from": "2020-01-01", "to": "2027-01-01"}}),
            [f"From 2027-01-01, CPT 72148: no policy speaks (before: {MRI_DECIDES})."],
        ),
        (
            book(scope={"effective": {"from": "2026-09-01", "to": "2027-01-01"}}),
            [
                f"From 2027-01-01, CPT 72148: no policy speaks (before: {MRI_DECIDES}).",
                f"Until 2026-09-01, CPT 72148: no policy speaks (before: {MRI_DECIDES}).",
            ],
        ),
    ],
)
def test_an_edit_in_one_sentence(new: Rulebook, sentences: list[str]) -> None:
    told = found(new)
    assert sorted(sentence(each) for each in told.answers) == sentences
    assert told.cut_short == ()
    assert encode(told)


@pytest.mark.parametrize(
    ("new", "silent"),
    [
        (book(pen={"explanation_text": "Because."}), "route:pen reworded"),
        (book(pen={"effective_from": "2021-01-01"}), "route:pen changed (from 2021-01-01 instead of 2020-01-01)"),
        (book(more=(row("weak", **PEN | {"band": "7", "pa": "yes"}),)), "route:weak added"),
        (book(more=(row("past", **PEN | {"band": "1", "effective_to": "2022-01-01"}),)), "route:past added"),
        (book(mri=(SHOWN, AUTH | {"reason": "Other words."})), "policy:mri reworded"),
    ],
)
def test_changes_that_change_no_answer_are_said(new: Rulebook, silent: str) -> None:
    told = found(new)
    assert told.answers == ()
    (one,) = [rule_sentence(each) for each in told.silent]
    assert one.startswith(f"{silent}: ")


def test_backwards_a_removal_is_told() -> None:
    (one,) = found(OLD, book(more=(row("weak", **PEN | {"band": "7", "pa": "yes"}),))).silent
    assert rule_sentence(one).startswith("route:weak removed: benefit_routes.csv:")


def test_cards_lists_drugs_and_forms_beside_the_answers() -> None:
    new = book(cards=(guidance("other", ["CPT 1"], INSTRUCTIONS),), back="ICD-10-CM,M54*,back\nICD-10-CM,M51*,back")
    told = found(new)
    assert [rule_sentence(each) for each in told.cards] == ["card:other added: guidance/other.yaml:1"]
    assert [rule_sentence(each) for each in told.others] == [
        "list:back changed (with ICD-10-CM M51*): lists/back.csv:1"
    ]
    told = found(book(drugs="p1,Pen,1,100,,,pen\np2,Vial,1,,,J0001,vial\np3,Tablet,1,300,,,\n"))
    assert [rule_sentence(each) for each in told.others] == ["Tablet added: crosswalks/drugs.csv"]


def test_the_space_is_bounded_and_says_so() -> None:
    told = difference(OLD, book(vial={"age_min": "18", "site_pos": "11"}), since=SINCE, most=1)
    assert told.cut_short == ("Vial",)


def test_many_subjects_are_shortened() -> None:
    drugs = "".join(f"p{n},Drug {n},1,{100 + n},,,pen\n" for n in range(9))
    codes = {"match_code": "; ".join(str(100 + n) for n in range(9))}
    (one,) = found(book(drugs=drugs, pen=codes | {"pa": "yes"}), book(drugs=drugs, pen=codes)).answers
    assert len(one.subjects) == 9
    assert sentence(one).startswith("Drug 0, Drug 1, Drug 2, Drug 3, Drug 4 and 4 others: ")


def test_nothing_that_a_scenario_notices_is_left_unsaid(sample_rulebook: Rulebook) -> None:
    """Changed one at a time, the sample rules differ in words wherever a scenario's answer differs."""
    roster = Path(ROOT / "rules" / "members" / "roster.csv")
    scenarios, _ = read_scenarios(ROOT / "rules" / "scenarios", sample_rulebook)
    watch = Watch.of([(each, run(each, sample_rulebook, roster)) for each in scenarios], sample_rulebook, roster)
    tried = [each for each in mutations(sample_rulebook) if "inpatient" not in each.rule][::17]
    assert len(tried) > 50
    for mutation in tried:
        if watch.noticed_by(mutation):
            told = difference(sample_rulebook, mutation.apply(sample_rulebook), since=date(2015, 1, 1))
            assert told.answers or told.cards, (mutation.rule, mutation.words)
