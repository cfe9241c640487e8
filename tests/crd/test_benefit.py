"""The shapes of each road: medical, pharmacy, bundled, neither, not to be told."""

from __future__ import annotations

from typing import Any

import pytest

from app.crd.benefit import TRACK_WORDS, bundled, by_row, handoff_for, marked
from app.members import Member
from app.rulebook.answer import Answer, contradictions
from benefit_router import TRACKS, Outcome, RouteDecision
from tests.crd.builders import (
    AUTH,
    NO_AUTH,
    NOT_COVERED,
    answer_to,
    case,
    concept,
    decide_one,
    details,
    drug,
    facts_of,
    policy,
    row,
    rulebook,
    shape,
    words,
)

GOLD = Member("1", "roster", line="commercial", plan="gold")
BARE = Member("1", "roster", line="commercial", plan="bare")
CLASSIC = Member("1", "roster", line="ma", plan="classic")
ESSENTIAL = Member("1", "roster", line="ma", plan="essential")
ELSEWHERE = Member("1", "coverage", line="commercial", pharmacy="unheard-of")

J = {"match_system": "HCPCS", "match_code": "J0001"}
RX = {"match_system": "RxNorm", "match_code": "100", "track": "pharmacy", "handoff": "rx"}
INFUSION = drug("HCPCS J0001")
PEN = drug("RxNorm 100", "NDC 57894-030-01")

OTH = {"covered": "conditional", "pa": "conditional", "info": ("OTH",)}
PHARMACY_CODES = ("NDC 57894003001", "RxNorm 100")


@pytest.mark.parametrize(
    ("cells", "order", "member", "expected", "told"),
    [
        pytest.param(
            {**J, "track": "medical", "pa": "yes", "questionnaire": "form", "billing_codes": "HCPCS J0001"},
            INFUSION,
            GOLD,
            {
                "covered": "covered",
                "pa": "auth-needed",
                "docs": ("clinical",),
                "purpose": ("withpa",),
                "questionnaire": ("form",),
                "billing": ("HCPCS J0001",),
            },
            {"benefit-track": "medical", "routing-rule": "r"},
            id="medical-with-authorization",
        ),
        pytest.param(
            {**J, "track": "medical", "pa": "yes", "questionnaire": "form", "doc_purpose": "withclaim"},
            INFUSION,
            GOLD,
            {
                "covered": "covered",
                "pa": "auth-needed",
                "docs": ("clinical",),
                "purpose": ("withclaim",),
                "questionnaire": ("form",),
                "billing": ("HCPCS J0001",),
            },
            {"benefit-track": "medical", "routing-rule": "r"},
            id="medical-with-documents-for-the-claim",
        ),
        pytest.param(
            {**J, "track": "medical", "pa": "yes"},
            INFUSION,
            GOLD,
            {"covered": "covered", "pa": "auth-needed", "billing": ("HCPCS J0001",)},
            {"benefit-track": "medical", "routing-rule": "r"},
            id="medical-with-authorization-without-a-form",
        ),
        pytest.param(
            {**J, "track": "medical", "pa": "performer"},
            INFUSION,
            GOLD,
            {"covered": "covered", "pa": "performpa", "billing": ("HCPCS J0001",)},
            {"benefit-track": "medical", "routing-rule": "r"},
            id="medical-performer-starts-it",
        ),
        pytest.param(
            {**J, "track": "medical", "pa": "no"},
            INFUSION,
            GOLD,
            {"covered": "covered", "pa": "no-auth", "billing": ("HCPCS J0001",)},
            {"benefit-track": "medical", "routing-rule": "r"},
            id="medical-without-authorization",
        ),
        pytest.param(
            {**J, "track": "medical", "pa": "conditional", "info_needed": "location"},
            INFUSION,
            GOLD,
            {"covered": "covered", "pa": "conditional", "info": ("location",), "billing": ("HCPCS J0001",)},
            {"benefit-track": "medical", "routing-rule": "r"},
            id="medical-depends",
        ),
        pytest.param(
            {**J, "track": "medical"},
            INFUSION,
            GOLD,
            {**OTH, "billing": ("HCPCS J0001",)},
            {"benefit-track": "medical", "routing-rule": "r"},
            id="medical-nobody-says",
        ),
        pytest.param(
            {**RX, "pa": "yes"},
            PEN,
            GOLD,
            {"covered": "covered", "pa": "auth-needed", "billing": PHARMACY_CODES, "contact": ("rx",)},
            {
                "benefit-track": "pharmacy",
                "routing-rule": "r",
                "epa-standard": "NCPDP SCRIPT 2023011",
                "instructions": "If authorization is needed, the prescriber starts it by NCPDP SCRIPT electronic prior "
                "authorization with Test Rx (1-555-010-0100).",
            },
            id="pharmacy-same-plan",
        ),
        pytest.param(
            {**RX, "pa": "no", "billing_codes": "RxNorm 7"},
            PEN,
            GOLD,
            {"covered": "covered", "pa": "no-auth", "billing": ("RxNorm 7",), "contact": ("rx",)},
            {"benefit-track": "pharmacy"},
            id="pharmacy-same-plan-without-authorization",
        ),
        pytest.param(
            RX,
            PEN,
            GOLD,
            {
                "covered": "covered",
                "pa": "conditional",
                "info": ("OTH",),
                "billing": PHARMACY_CODES,
                "contact": ("rx",),
            },
            {"benefit-track": "pharmacy"},
            id="pharmacy-same-plan-nobody-says",
        ),
        pytest.param(
            {**RX, "pa": "yes"},
            PEN,
            CLASSIC,
            {**OTH, "billing": PHARMACY_CODES, "contact": ("part-d",)},
            {"benefit-track": "pharmacy", "epa-standard": "NCPDP SCRIPT 2023011"},
            id="pharmacy-same-payer",
        ),
        pytest.param(
            {**RX, "pa": "yes"},
            PEN,
            ESSENTIAL,
            {"covered": "not-covered", "billing": PHARMACY_CODES, "contact": ("elsewhere",)},
            {"benefit-track": "pharmacy"},
            id="pharmacy-somebody-else-pays",
        ),
        pytest.param(
            {**RX, "pa": "yes", "confidence": "presumptive"},
            PEN,
            ESSENTIAL,
            {**OTH, "billing": PHARMACY_CODES, "contact": ("elsewhere",)},
            {"benefit-track": "pharmacy"},
            id="pharmacy-somebody-else-presumably",
        ),
        pytest.param(
            {**RX, "pa": "yes"},
            PEN,
            BARE,
            {"covered": "covered", "pa": "auth-needed", "billing": PHARMACY_CODES, "contact": ("rx",)},
            {"benefit-track": "pharmacy"},
            id="pharmacy-of-the-row",
        ),
        pytest.param(
            {**RX, "pa": "yes"},
            PEN,
            ELSEWHERE,
            {**OTH, "billing": PHARMACY_CODES},
            {"benefit-track": "pharmacy"},
            id="pharmacy-unknown",
        ),
        pytest.param(
            {**J, "track": "medical-bundled", "pa": "no", "billing_codes": "HCPCS J0001"},
            INFUSION,
            GOLD,
            {"covered": "covered", "pa": "no-auth", "billing": ("HCPCS J0001",)},
            {"benefit-track": "medical-bundled", "routing-rule": "r"},
            id="bundled",
        ),
        pytest.param(
            {**J, "track": "medical-bundled", "pa": "conditional", "info_needed": "location"},
            INFUSION,
            GOLD,
            {"covered": "covered", "pa": "conditional", "info": ("location",), "billing": ("HCPCS J0001",)},
            {"benefit-track": "medical-bundled"},
            id="bundled-depends",
        ),
        pytest.param(
            {**J, "track": "none"},
            INFUSION,
            GOLD,
            {"covered": "not-covered"},
            {"benefit-track": "none", "routing-rule": "r"},
            id="neither",
        ),
        pytest.param(
            {**J, "track": "none", "confidence": "presumptive"},
            INFUSION,
            GOLD,
            OTH,
            {"benefit-track": "none"},
            id="neither-presumably",
        ),
        pytest.param(
            {
                "match_system": "HCPCS",
                "match_code": "J3490",
                "track": "undetermined",
                "info_needed": "detail-code",
                "billing_codes": "HCPCS J3490",
            },
            drug("HCPCS J3490"),
            GOLD,
            {"covered": "conditional", "pa": "conditional", "info": ("detail-code",), "billing": ("HCPCS J3490",)},
            {"benefit-track": "undetermined", "routing-rule": "r"},
            id="unclassified",
        ),
        pytest.param(
            {**J, "track": "undetermined"},
            INFUSION,
            GOLD,
            OTH,
            {"benefit-track": "undetermined"},
            id="undetermined-for-some-reason",
        ),
        pytest.param(
            {**J, "track": "medical", "site_pos": "11", "supply_channel": "buy-bill"},
            INFUSION,
            GOLD,
            {"covered": "conditional", "pa": "conditional", "info": ("location", "performer")},
            {"benefit-track": "undetermined"},
            id="depends-on-who-supplies-and-where",
        ),
        pytest.param(
            {**J, "track": "medical"},
            drug("HCPCS J9999"),
            GOLD,
            {"covered": "conditional", "pa": "conditional", "info": ("detail-code",)},
            {"benefit-track": "undetermined"},
            id="unknown-drug",
        ),
    ],
)
def test_shapes(
    cells: dict[str, str], order: dict[str, Any], member: Member, expected: dict[str, Any], told: dict[str, Any]
) -> None:
    answer = answer_to(order, rules=rulebook(rows=[row("r", **cells)]), member=member)
    assert shape(answer) == expected
    assert details(answer).items() >= told.items()
    assert not list(contradictions(answer))
    assert "withpa" not in answer.doc_purpose or details(answer)["benefit-track"] == "medical"
    assert words(answer).startswith(
        TRACK_WORDS[details(answer)["benefit-track"]]
    )  # the track, for those who read only words


def test_the_pharmacy_road_has_a_handoff_and_the_others_none() -> None:
    rules = rulebook(rows=[row("r", **RX), row("m", **J, track="medical")])
    assert decide_one(PEN, rules=rules, member=CLASSIC).handoff == "part-d"
    assert decide_one(PEN, rules=rules, member=ELSEWHERE).handoff is None
    assert decide_one(INFUSION, rules=rules).handoff is None


@pytest.mark.parametrize(
    ("member", "slug"),
    [(GOLD, "rx"), (CLASSIC, "part-d"), (Member("1", "roster", plan="gold", pharmacy="elsewhere"), "elsewhere")],
)
def test_the_members_own_processor_goes_before_the_plans_and_the_rows(member: Member, slug: str) -> None:
    rules = rulebook(rows=[row("r", **RX)])
    route = decide_one(PEN, rules=rules, member=member).route
    assert route is not None
    found = handoff_for(facts_of(PEN, rules=rules, member=member), route, rules)
    assert found is not None
    assert found.slug == slug


def by_route(rule_id: str, route: str, **cells: str) -> dict[str, str]:
    drug_named = {"match_system": "RxNorm", "match_code": "191831", "match_level": "ingredient"}
    return row(rule_id, **drug_named, route=route, derived_ok="yes", pa="yes", **cells)


DUAL = rulebook(
    rows=[
        by_route("iv", "intravenous", track="medical", billing_codes="HCPCS J1745"),
        by_route("sc", "subcutaneous", track="pharmacy", handoff="rx"),
    ],
    drugs="p1,Vial,191831,1000001,,J1745,vial\np2,Pen,191831,1000002,,,pen\n",
)


@pytest.mark.parametrize(
    ("order", "track", "confidence"),
    [
        (drug("RxNorm 191831", route="intravenous"), "medical", "determined"),
        (drug("RxNorm 191831", route="subcutaneous"), "pharmacy", "determined"),
        (drug("RxNorm 1000001"), "medical", "presumptive"),
        (drug("RxNorm 1000002"), "pharmacy", "presumptive"),
        (drug("HCPCS J1745"), "medical", "presumptive"),
        # The molecule alone, or a route that says nothing or too much, leaves the benefit open.
        (drug("RxNorm 191831"), "undetermined", "determined"),
        (drug("RxNorm 191831", route="oral"), "undetermined", "determined"),
        (drug("RxNorm 191831", dosageInstruction=[{"route": concept("SNOMED 999")}]), "undetermined", "determined"),
        (
            drug(
                "RxNorm 191831",
                dosageInstruction=[{"route": concept("SNOMED 47625008")}, {"route": concept("SNOMED 34206005")}],
            ),
            "undetermined",
            "determined",
        ),
    ],
)
def test_a_drug_of_two_benefits(order: dict[str, Any], track: str, confidence: str) -> None:
    determination = decide_one(order, rules=DUAL)
    assert determination.route is not None
    assert (determination.route.track, determination.route.confidence) == (track, confidence)
    answer = determination.answers[0]
    assert details(answer)["benefit-track"] == track
    presumed = "(presumptive: route taken from the product)" in words(answer)
    assert presumed is (confidence == "presumptive")
    if track == "undetermined":
        assert (answer.covered, answer.pa_needed) == ("conditional", "conditional")


def test_giving_a_drug_that_is_paid_apart_is_a_line_of_its_own() -> None:
    cells = {**RX, "pa": "yes", "administration_codes": "CPT 96413"}
    drug_line, giving = decide_one(PEN, rules=rulebook(rows=[row("r", **cells)])).answers
    assert shape(drug_line)["pa"] == "auth-needed"
    assert shape(giving) == {"covered": "covered", "pa": "conditional", "info": ("OTH",), "billing": ("CPT 96413",)}
    assert details(giving) == {"benefit-track": "medical"}


def test_a_policy_on_the_medical_benefit_speaks_instead_of_the_row_and_is_marked_too() -> None:
    rules = rulebook(
        rows=[row("r", **J, track="medical", pa="no", administration_codes="CPT 96413")],
        policies=[policy("p", ["HCPCS J0001"], AUTH, track="medical")],
    )
    determination = decide_one(INFUSION, rules=rules)
    answer, giving = determination.answers
    assert shape(answer) == {
        "covered": "covered",
        "pa": "auth-needed",
        "docs": ("clinical",),
        "purpose": ("withpa",),
        "questionnaire": ("form",),
        "billing": ("HCPCS J0001",),
    }
    assert details(answer) == {"benefit-track": "medical", "routing-rule": "r"}
    assert words(answer) == "Medical benefit. Criteria not shown."
    assert giving.billing_codes == (("CPT", "96413"),)
    assert determination.rule_ids == ("route:r", "policy:p#otherwise")


def test_each_answer_of_a_policy_is_marked() -> None:
    two = case("otherwise", None, {**NO_AUTH, "billing": ["HCPCS J0001"]}, {**NOT_COVERED, "billing": ["HCPCS J0002"]})
    rules = rulebook(rows=[row("r", **J, track="medical")], policies=[policy("p", ["HCPCS J0001"], two)])
    answers = decide_one(INFUSION, rules=rules).answers
    assert [shape(answer)["billing"] for answer in answers] == [("HCPCS J0001",), ("HCPCS J0002",)]
    assert [details(answer)["benefit-track"] for answer in answers] == ["medical", "medical"]


OF_THE_ROW = {"modifiers": "JA; JZ", "clock_profile": "fast", "patient_text": "Your clinic bills it."}
MODIFIERS = {"billing-modifiers": "JA, JZ"}
TIMES = {"decision-time": "standard 72 h, expedited 24 h"}
NOTE = {"patient-note": "Your clinic bills it."}


@pytest.mark.parametrize(
    ("cells", "order", "member", "told"),
    [
        ({**J, "track": "medical", "pa": "yes"}, INFUSION, GOLD, MODIFIERS | TIMES | NOTE),
        ({**J, "track": "medical", "pa": "performer"}, INFUSION, GOLD, MODIFIERS | TIMES | NOTE),
        ({**J, "track": "medical", "pa": "no"}, INFUSION, GOLD, MODIFIERS | NOTE),
        ({**J, "track": "medical-bundled", "pa": "no"}, INFUSION, GOLD, MODIFIERS | NOTE),
        # Nobody says what the answer is: the row's sentence could promise too much.
        ({**J, "track": "medical"}, INFUSION, GOLD, MODIFIERS | TIMES),
        ({**J, "track": "medical", "pa": "yes", "clock_profile": "planned"}, INFUSION, GOLD, MODIFIERS | NOTE),
        ({**J, "track": "medical", "pa": "yes", "confidence": "presumptive"}, INFUSION, GOLD, MODIFIERS | TIMES),
        ({**RX, "pa": "yes"}, PEN, GOLD, TIMES | NOTE),
        ({**RX, "pa": "yes"}, PEN, CLASSIC, TIMES | NOTE),
        ({**RX, "pa": "yes"}, PEN, ESSENTIAL, NOTE),
        ({**J, "track": "none"}, INFUSION, GOLD, {}),
        ({**J, "track": "undetermined"}, INFUSION, GOLD, {}),
    ],
)
def test_what_a_row_says_beside_the_benefit(
    cells: dict[str, str], order: dict[str, Any], member: Member, told: dict[str, str]
) -> None:
    answer = answer_to(order, rules=rulebook(rows=[row("r", **{**OF_THE_ROW, **cells})]), member=member)
    own = {"billing-modifiers", "decision-time", "patient-note"}
    assert {name: value for name, value in details(answer).items() if name in own} == told
    assert {detail.qualification for detail in answer.details if detail.code == "decision-time"} <= {"42 CFR 1"}


def test_a_rows_sentence_for_the_patient_gives_way_to_a_policy_that_does_not_cover() -> None:
    rows = [row("r", **{**OF_THE_ROW, **J, "track": "medical"})]
    for policy_says, shown in ((AUTH, True), (NOT_COVERED, False)):
        rules = rulebook(rows=rows, policies=[policy("p", ["HCPCS J0001"], policy_says, track="medical")])
        assert ("patient-note" in details(answer_to(INFUSION, rules=rules))) is shown


@pytest.mark.parametrize(
    ("coded", "billing"),
    [
        ("RxNorm 1000001", ("HCPCS J1745",)),
        ("HCPCS J1745", ("HCPCS J1745",)),
        # Two products of one molecule that are billed differently: no code is sure.
        ("RxNorm 191831", ()),
    ],
)
def test_billing_codes_follow_from_the_product_where_neither_row_nor_order_names_one(
    coded: str, billing: tuple[str, ...]
) -> None:
    rules = rulebook(
        rows=[row("r", match_system="RxNorm", match_code="191831", match_level="ingredient", track="medical", pa="no")],
        drugs="p1,Vial,191831,1000001,,J1745,vial\np2,Other vial,191831,1000002,,Q5103,vial\n",
    )
    assert shape(answer_to(drug(coded), rules=rules)).get("billing", ()) == billing


def route(**members: Any) -> RouteDecision:
    stated: dict[str, Any] = {
        "track": "medical", "confidence": "determined", "outcome": None, "pa": None, "rule_id": None, "considered": (),
        "missing_signals": (), "derived_signals": (), "info_needed": (), "reason": "Because.", "products": (),
    }  # fmt: skip
    return RouteDecision(**{**stated, **members})


@pytest.mark.parametrize(
    ("decision", "text"),
    [
        (route(), "Medical benefit. Because."),
        (route(confidence="presumptive"), "Medical benefit (presumptive). Because."),
        (
            route(confidence="presumptive", derived_signals=("route", "supply_channel", "phase")),
            "Medical benefit (presumptive: route taken from the product, supplier taken from who dispenses, "
            "phase inferred). Because.",
        ),
        (route(track="undetermined", confidence="presumptive"), "Which benefit pays cannot be told yet. Because."),
    ],
)
def test_an_answer_without_a_reason_gets_the_routes(decision: RouteDecision, text: str) -> None:
    assert words(marked(Answer("covered", "no-auth"), decision, rulebook().payer)) == text


@pytest.mark.parametrize("track", TRACKS)
def test_every_track_has_words(track: Any) -> None:
    assert details(marked(Answer("covered", "no-auth"), route(track=track), rulebook().payer))["benefit-track"] == track


def test_a_form_is_asked_for_only_with_an_authorization() -> None:
    decision = route(pa="no", outcome=Outcome("medical", pa="no", questionnaire="form"))
    assert shape(by_row(facts_of(INFUSION), decision)) == {"covered": "covered", "pa": "no-auth"}


@pytest.mark.parametrize(
    "answer", [by_row(facts_of(INFUSION), route(pa="conditional")), bundled(route(pa="conditional"))]
)
def test_what_depends_on_nothing_named_depends_on_something_else(answer: Answer) -> None:
    assert shape(answer) == {"covered": "covered", "pa": "conditional", "info": ("OTH",)}


def test_bundled_with_authorization_of_its_own() -> None:
    assert shape(bundled(route(track="medical-bundled", pa="yes"))) == {"covered": "covered", "pa": "auth-needed"}
