"""The decision for one order: fixed answers, policies, unknown conditions, dates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.crd.decide import decide, sentence, technical
from app.crd.determination import CaseTried
from app.crd.gather import Kept
from app.crd.in_play import InPlay
from app.members import Member, MemberMatch
from app.rulebook.answer import Answer, Reason, contradictions
from app.rulebook.conditions import Condition, Finding, compile_condition
from app.rulebook.policies import Case, Policy
from benefit_router import CodeList
from tests.crd.builders import (
    AUTH,
    NO_AUTH,
    NOT_COVERED,
    TODAY,
    answer_to,
    case,
    concept,
    decide_one,
    drug,
    facts_of,
    patient,
    policy,
    row,
    rulebook,
    service,
    shape,
    words,
)
from tests.crd.generated import CODES as GENERATED_CODES
from tests.crd.generated import broken_promises, sets_of_answers, speaking_of

MRI = service("CPT 72148")
CODES = ["CPT 72148"]
EMPTY = rulebook()
BILLED = {"billing": ("CPT 72148",)}
OF_ALL_KINDS = rulebook(
    rows=[
        row("by-clinic", match_system="HCPCS", match_code="J0001", track="medical", pa="yes"),
        row("by-oneself", match_system="HCPCS", match_code="J0002", track="pharmacy", pa="yes", handoff="rx"),
    ],
    policies=[policy("imaging", CODES, AUTH)],
)
UNLESS = {"covered": "conditional", "pa": "conditional"}


# ---------------------------------------------------------------------------------------------------------------------
# Fixed answers (domain: "Fixed answers"; davinci-crd resp-43 to resp-45)


@pytest.mark.parametrize(
    ("outcome", "code"),
    [("not-found", "no-member-found"), ("ended", "no-active-coverage"), ("unclear", "coverage-not-found")],
)
@pytest.mark.parametrize("order", [MRI, drug("HCPCS J0001"), drug()])
def test_without_a_member(outcome: Any, code: str, order: dict[str, Any]) -> None:
    rules = rulebook(
        rows=[row("r", match_system="HCPCS", match_code="J0001", track="medical", pa="no")],
        policies=[policy("a", CODES, NO_AUTH)],
    )
    answer = answer_to(order, rules=rules, member=MemberMatch(outcome, words="Why not."))
    assert shape(answer) == {"covered": "not-covered"}
    assert answer.reasons == (Reason("Why not.", code),)


def test_a_member_whose_coverage_ended_keeps_that_answer_even_when_the_drug_could_not_be_read() -> None:
    order = drug(medicationReference={"reference": "Medication/x"})
    member = MemberMatch("ended", Member("1", "roster"), "Ended.")
    assert answer_to(order, rules=EMPTY, member=member).reasons[0].code == "no-active-coverage"


def test_technical_trouble() -> None:
    determination = technical("ServiceRequest/s1", "The EHR did not answer.", TODAY)
    (answer,) = determination.answers
    assert shape(answer) == {"covered": "indeterminate", "pa": "indeterminate"}
    assert answer.reasons == (Reason("The EHR did not answer.", "technical"),)
    assert (determination.on, determination.expires, determination.rule_ids) == (TODAY, TODAY, ())
    assert not list(contradictions(answer))


def test_a_drug_the_ehr_failed_to_give_is_technical_trouble() -> None:
    order = drug(medicationReference={"reference": "Medication/x"})
    facts = facts_of(order)
    troubled = replace(facts, trouble="No answer.")
    play = InPlay(troubled, None, (), ())
    determination = decide(play, FakeEvidence({}), rulebook=EMPTY, today=TODAY)  # type: ignore[arg-type]
    assert determination.answers[0].reasons == (Reason("No answer.", "technical"),)


@pytest.mark.parametrize(
    ("order", "expected", "reason"),
    [
        (MRI, {**UNLESS, "info": ("OTH",), **BILLED}, "The rules of this plan do not speak about CPT 72148."),
        (
            {**service(), "code": concept(text="Something")},
            {**UNLESS, "info": ("OTH",)},
            "The rules of this plan do not speak about Something.",
        ),
        (
            {**service(), "code": concept("SNOMED 1", options=["CPT 77061", "HCPCS G0279"])},
            {**UNLESS, "info": ("OTH",), "billing": ("CPT 77061", "HCPCS G0279")},
            "do not speak about",
        ),
        (
            {"resourceType": "DeviceRequest", "id": "d", "codeReference": {"reference": "Device/gone"}},
            {**UNLESS, "info": ("detail-code",)},
            "What the order points to was not sent.",
        ),
        (
            {"resourceType": "DeviceRequest", "id": "d"},
            {**UNLESS, "info": ("detail-code",)},
            "The order names no drug or device.",
        ),
        (drug(), {**UNLESS, "info": ("detail-code",)}, "The order names no drug or device."),
        (
            drug(medicationReference={"reference": "#gone"}),
            {**UNLESS, "info": ("detail-code",)},
            "What the order points to was not sent.",
        ),
        (
            drug("RxNorm 424242"),
            {**UNLESS, "info": ("detail-code",)},
            "This drug code is not known to the payer's tables.",
        ),
    ],
)
def test_where_no_rule_speaks_nothing_is_promised(order: dict[str, Any], expected: dict[str, Any], reason: str) -> None:
    answer = answer_to(order, rules=EMPTY)
    assert shape(answer) == expected
    assert reason in words(answer)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"doNotPerform": True}, "The order says that this is not to be done (doNotPerform)"),
        *(
            ({"status": status}, f"The order's status is {status}")
            for status in ("revoked", "cancelled", "stopped", "entered-in-error", "noshow")
        ),
    ],
)
@pytest.mark.parametrize("order", [MRI, drug("HCPCS J0001"), drug("HCPCS J0002")])
def test_an_order_that_asks_for_nothing(order: dict[str, Any], change: dict[str, Any], reason: str) -> None:
    decided = decide_one({**order, **change}, rules=OF_ALL_KINDS)
    (answer,) = decided.answers
    assert shape(answer) == {**UNLESS, "info": ("OTH",)}
    assert words(answer).startswith(f"{reason}, so there is nothing to answer yet.")
    assert (decided.policy, decided.route, decided.handoff) == (None, None, None)


@pytest.mark.parametrize("change", [{"doNotPerform": False}, {"status": "active"}, {"status": "completed"}])
def test_an_order_that_asks_for_something(change: dict[str, Any]) -> None:
    assert answer_to({**MRI, **change}, rules=OF_ALL_KINDS) == answer_to(MRI, rules=OF_ALL_KINDS)


# ---------------------------------------------------------------------------------------------------------------------
# Policies


@dataclass
class FakeEvidence:
    """Conditions come to what the test says, by their text."""

    findings: Mapping[str, Finding]

    def judge(self, condition: Condition | None) -> Finding:
        return Finding(True) if condition is None else self.findings[condition.text]


FEMALE, MALE, AT_OFFICE = "%patient.gender = 'female'", "%patient.gender = 'male'", "%facts.site = '11'"
LACKS_SITE = "The order does not say where it will be given."
AUTH_SHAPE = {
    "covered": "covered",
    "pa": "auth-needed",
    "docs": ("clinical",),
    "purpose": ("withpa",),
    "questionnaire": ("form",),
    **BILLED,
}
NO_AUTH_SHAPE = {"covered": "covered", "pa": "no-auth", **BILLED}
OPEN_SHAPE = {
    "covered": "covered",
    "pa": "conditional",
    "docs": ("conditional",),
    "purpose": ("withpa",),
    "questionnaire": ("form",),
    "info": ("OTH",),
    **BILLED,
}


@pytest.mark.parametrize(
    ("cases", "expected", "decided_by"),
    [
        pytest.param([AUTH], AUTH_SHAPE, "otherwise", id="one-case"),
        pytest.param([case("w", FEMALE, NO_AUTH), AUTH], NO_AUTH_SHAPE, "w", id="first-holds"),
        pytest.param([case("m", MALE, NO_AUTH), AUTH], AUTH_SHAPE, "otherwise", id="first-does-not"),
        pytest.param(
            [case("w", FEMALE, AUTH), case("w2", FEMALE, NO_AUTH), NOT_COVERED], AUTH_SHAPE, "w", id="first-of-two"
        ),
        # Unknown is neither: the answer must hold whichever it is.
        pytest.param([case("site", AT_OFFICE, NO_AUTH), AUTH], OPEN_SHAPE, None, id="unknown-then-otherwise"),
        pytest.param([case("site", AT_OFFICE, AUTH), NO_AUTH], OPEN_SHAPE, None, id="unknown-then-no-auth"),
        pytest.param(
            [case("site", AT_OFFICE, NO_AUTH), case("w", FEMALE, NO_AUTH), AUTH],
            NO_AUTH_SHAPE,
            None,
            id="unknown-but-the-same",
        ),
        pytest.param(
            [case("w", FEMALE, NO_AUTH), case("site", AT_OFFICE, AUTH), AUTH], NO_AUTH_SHAPE, "w", id="unknown-after"
        ),
        pytest.param(
            [case("site", AT_OFFICE, NOT_COVERED), NO_AUTH],
            {**UNLESS, "info": ("OTH",), **BILLED},
            None,
            id="not-covered-or-no-auth",
        ),
        pytest.param(
            [case("site", AT_OFFICE, NOT_COVERED), NOT_COVERED],
            {"covered": "not-covered", **BILLED},
            None,
            id="not-covered-anyway",
        ),
    ],
)
def test_the_first_case_that_holds_answers(
    cases: list[dict[str, Any]], expected: dict[str, Any], decided_by: str | None
) -> None:
    determination = decide_one(MRI, rules=rulebook(policies=[policy("mri", CODES, *cases)]))
    (answer,) = determination.answers
    assert shape(answer) == expected
    assert not list(contradictions(answer))
    assert (determination.policy, determination.case) == ("mri", decided_by)
    assert determination.rule_ids == (f"policy:mri#{decided_by}" if decided_by else "policy:mri",)


def test_what_was_tried_and_what_was_lacking_is_kept() -> None:
    cases = [case("m", MALE, NO_AUTH), case("site", AT_OFFICE, NO_AUTH), AUTH]
    determination = decide_one(MRI, rules=rulebook(policies=[policy("mri", CODES, *cases)]))
    assert determination.tried == (
        CaseTried("mri", "m", False),
        CaseTried("mri", "site", None, ("the order does not say where it will be given",)),
        CaseTried("mri", "otherwise", True),
    )
    assert words(determination.answers[0]) == LACKS_SITE


def test_each_thing_lacking_is_named_once() -> None:
    cases = [case("a", AT_OFFICE, NO_AUTH), case("b", f"{AT_OFFICE} and %facts.network = 'in'", NO_AUTH), AUTH]
    answer = answer_to(MRI, rules=rulebook(policies=[policy("mri", CODES, *cases)]))
    assert words(answer) == (
        "The order does not say where it will be given; it is not known whether the performer is in network."
    )


def test_an_unknown_without_words_still_has_a_reason() -> None:
    rules = rulebook(policies=[policy("mri", CODES, case("a", FEMALE, NO_AUTH), AUTH)])
    facts = facts_of(MRI, rules=rules)
    play = InPlay(facts, None, rules.policies, ())
    answer = decide(play, FakeEvidence({FEMALE: Finding(None)}), rulebook=rules, today=TODAY).answers[0]  # type: ignore[arg-type]
    assert words(answer) == "What the policy asks could not be established."


@pytest.mark.parametrize(
    ("record", "pa"),
    [
        (Kept(()), "auth-needed"),
        (Kept(({"resourceType": "Condition", "code": concept("ICD-10-CM M54.5")},)), "no-auth"),
        (Kept((), "The EHR did not answer."), "conditional"),
        (
            Kept(({"resourceType": "Condition", "code": concept("ICD-10-CM I10")},), "The EHR holds more."),
            "conditional",
        ),
        (Kept(({"resourceType": "Condition", "code": concept("ICD-10-CM M54.5")},), "The EHR holds more."), "no-auth"),
    ],
)
def test_a_record_that_could_not_be_read_never_decides(record: Kept, pa: str) -> None:
    rules = rulebook(
        lists={"back": "ICD-10-CM,M54*,back pain"},
        policies=[
            policy(
                "mri",
                CODES,
                case("back", "%conditions.exists(code.memberOf('list:back'))", NO_AUTH),
                AUTH,
                needs=["conditions"],
            )
        ],
    )
    assert answer_to(MRI, rules=rules, record={"conditions": record}).pa_needed == pa


def test_a_policy_without_last_case_is_a_fault_of_the_loader() -> None:
    scope = rulebook(policies=[policy("mri", CODES, AUTH)]).policies[0].scope
    broken = Policy(scope, (), (Case("a", compile_condition(FEMALE), (Answer("covered", "no-auth"),)),))
    play = InPlay(facts_of(MRI), None, (broken,), ())
    with pytest.raises(AssertionError, match="last case"):
        decide(play, FakeEvidence({FEMALE: Finding(False)}), rulebook=EMPTY, today=TODAY)  # type: ignore[arg-type]


TWO = [policy("a", ["CPT 77061"], AUTH), policy("b", ["CPT 77062"], NO_AUTH)]


@pytest.mark.parametrize(
    ("options", "expected", "reason", "policy_named"),
    [
        (
            ["CPT 77061"],
            {
                "covered": "covered",
                "pa": "auth-needed",
                "docs": ("clinical",),
                "purpose": ("withpa",),
                "questionnaire": ("form",),
                "billing": ("CPT 77061",),
            },
            "Criteria not shown.",
            "a",
        ),
        (["CPT 77062"], {"covered": "covered", "pa": "no-auth", "billing": ("CPT 77062",)}, "Meets the criteria.", "b"),
        (
            ["CPT 77061", "CPT 77062"],
            {
                "covered": "covered",
                "pa": "conditional",
                "docs": ("conditional",),
                "purpose": ("withpa",),
                "questionnaire": ("form",),
                "info": ("detail-code",),
                "billing": ("CPT 77061", "CPT 77062"),
            },
            "The answer depends on the exact code billed for SNOMED CT 726551006.",
            "a",
        ),
        (
            ["CPT 77062", "CPT 77063"],
            {**UNLESS, "info": ("detail-code", "OTH"), "billing": ("CPT 77062", "CPT 77063")},
            "The answer depends on the exact code billed",
            "b",
        ),
    ],
)
def test_an_order_that_may_be_billed_in_several_ways(
    options: list[str], expected: dict[str, Any], reason: str, policy_named: str
) -> None:
    order = {**service(), "code": concept("SNOMED 726551006", options=options)}
    determination = decide_one(order, rules=rulebook(policies=TWO))
    assert shape(determination.answers[0]) == expected
    assert reason in words(determination.answers[0])
    assert determination.policy == policy_named


def test_several_products_are_never_promised_what_only_one_gets() -> None:
    order = {
        "resourceType": "NutritionOrder",
        "id": "n",
        "enteralFormula": {"baseFormulaType": concept("HCPCS B4150"), "additiveType": concept("HCPCS B4104")},
    }
    rules = rulebook(
        policies=[
            policy("a", ["HCPCS B4104"], AUTH),
            policy("b", ["HCPCS B4150"], NO_AUTH, effective={"from": "2026-01-01"}),
        ]
    )
    answer = answer_to(order, rules=rules)
    assert (answer.covered, answer.pa_needed) == ("covered", "conditional")


def test_an_answer_that_depends_on_the_members_plan() -> None:
    rules = rulebook(policies=[policy("a", CODES, NO_AUTH, plans=["gold"]), policy("b", CODES, AUTH)])
    answer = answer_to(MRI, rules=rules, member=Member("1", "coverage"))
    assert shape(answer) == OPEN_SHAPE
    assert words(answer) == "The answer depends on the member's line of business or plan, which is not known."


def test_several_answers_of_one_case_are_several_repetitions() -> None:
    both = case("otherwise", None, {**NO_AUTH, "billing": ["CPT 77065"]}, {**AUTH, "billing": ["CPT 77061"]})
    rules = rulebook(policies=[policy("mri", CODES, both)])
    answers = decide_one(MRI, rules=rules).answers
    assert [(answer.pa_needed, answer.billing_codes) for answer in answers] == [
        ("no-auth", (("CPT", "77065"),)),
        ("auth-needed", (("CPT", "77061"),)),
    ]


def test_codes_that_are_no_billing_codes_limit_nothing() -> None:
    rules = rulebook(policies=[policy("a", ["SNOMED 1"], NO_AUTH)])
    assert answer_to(service("SNOMED 1"), rules=rules).billing_codes == ()


# ---------------------------------------------------------------------------------------------------------------------
# Dates


def days(number: int) -> date:
    return TODAY + timedelta(days=number)


@pytest.mark.parametrize(
    ("answers", "effective_to", "expires"),
    [
        ([NO_AUTH], None, days(90)),
        ([{**NO_AUTH, "valid_days": 30}], None, days(30)),
        ([{**NO_AUTH, "valid_days": 200}], None, days(200)),
        ([{**NO_AUTH, "billing": ["CPT 1"], "valid_days": 200}, {**AUTH, "billing": ["CPT 2"]}], None, days(90)),
        ([{**NO_AUTH, "billing": ["CPT 1"], "valid_days": 20}, {**AUTH, "billing": ["CPT 2"]}], None, days(20)),
        # Half-open: the last day is the one before.
        ([NO_AUTH], days(10), days(9)),
        ([NO_AUTH], days(1), TODAY),
        ([NO_AUTH], days(300), days(90)),
    ],
)
def test_expiry_is_the_shortest_validity_and_never_after_the_policy(
    answers: list[dict[str, Any]], effective_to: date | None, expires: date
) -> None:
    effective = {"from": "2026-01-01"} | ({"to": effective_to.isoformat()} if effective_to else {})
    rules = rulebook(policies=[policy("mri", CODES, case("otherwise", None, *answers), effective=effective)])
    determination = decide_one(MRI, rules=rules)
    assert (determination.on, determination.expires) == (TODAY, expires)


@pytest.mark.parametrize(("effective_to", "expires"), [("2026-06-20", date(2026, 6, 19)), ("", days(90))])
def test_expiry_never_after_the_routing_row(effective_to: str, expires: date) -> None:
    cells = {"match_system": "HCPCS", "match_code": "J0001", "track": "medical", "pa": "no"}
    rules = rulebook(rows=[row("r", **cells, effective_to=effective_to)])
    assert decide_one(drug("HCPCS J0001"), rules=rules).expires == expires


@pytest.mark.parametrize(
    ("service_date", "policy_named", "expires"),
    [
        # A past service under a policy that has ended since: the answer stands, for today.
        ("2026-03-01", "old", TODAY),
        ("2026-06-01", "new", days(90)),
        ("2026-12-01", "new", days(90)),
        ("2019-01-01", None, days(90)),
    ],
)
def test_the_policy_is_the_one_in_force_on_the_day_of_service(
    service_date: str, policy_named: str | None, expires: date
) -> None:
    rules = rulebook(
        policies=[
            policy("old", CODES, AUTH, effective={"from": "2020-01-01", "to": "2026-05-01"}),
            policy("new", CODES, NO_AUTH, effective={"from": "2026-05-01"}),
        ]
    )
    determination = decide_one(service("CPT 72148", occurrenceDateTime=service_date), rules=rules)
    assert (determination.policy, determination.expires) == (policy_named, expires)
    assert determination.on.isoformat() == service_date


def test_codings_that_contradict_each_other_are_not_settled_by_the_route() -> None:
    """Else an order whose codes are of two drugs would get the answer of the one that is given so."""
    rules = rulebook(
        rows=[
            row("vaccine", match_system="HCPCS", match_code="G0008", track="medical", pa="no"),
            row("infused", match_system="HCPCS", match_code="J1745", track="medical", pa="yes"),
        ],
        drugs="p1,Vaccine,,,,G0008,pen\np2,Inflix,,,,J1745,vial\n",
    )
    assert answer_to(drug("HCPCS G0008", route="subcutaneous"), rules=rules).pa_needed == "no-auth"
    assert answer_to(drug("HCPCS G0008", "HCPCS J1745", route="subcutaneous"), rules=rules).pa_needed == "conditional"


def test_two_billing_codes_under_different_policies_promise_nothing() -> None:
    rules = rulebook(policies=[policy("plain", ["CPT 70551"], NO_AUTH), policy("contrast", ["CPT 70553"], AUTH)])
    assert answer_to(service("CPT 70551"), rules=rules).pa_needed == "no-auth"
    answer = answer_to(service("CPT 70551", "CPT 70553"), rules=rules)
    assert (answer.pa_needed, "detail-code" in answer.info_needed) == ("conditional", True)
    # Nor does one that no policy speaks of.
    assert answer_to(service("CPT 70551", "CPT 70552"), rules=rules).pa_needed == "conditional"


@pytest.mark.parametrize(
    ("column", "cell", "order", "rest"),
    [
        pytest.param("sex", "female", {}, {"prefetch": {"patient": patient(gender="unknown")}}, id="sex unknown"),
        pytest.param(
            "dx",
            "C50*",
            {"reasonCode": [concept("ICD-10-CM M54.5")], "reasonReference": [{"reference": "Condition/gone"}]},
            {},
            id="one reason was not sent",
        ),
        pytest.param("site_pos", "22", {"locationCode": [concept("POS hospital")]}, {}, id="no place of service"),
        pytest.param(
            "enc_class",
            "AMB",
            {"encounter": {"reference": "Encounter/e1"}},
            {"prefetch": {"e": {"resourceType": "Encounter", "id": "e1", "class": {"code": "outpatient"}}}},
            id="a class of the EHR's own",
        ),
        pytest.param(
            "plan_id",
            "gold",
            {},
            {"member": Member("1", "coverage", "commercial", plan="Gold PPO")},
            id="plan in words",
        ),
    ],
)
def test_what_cannot_be_read_refutes_no_row(
    column: str, cell: str, order: dict[str, Any], rest: dict[str, Any]
) -> None:
    """Else the row that asks for authorization would be passed over for one that does not."""
    drug_row = {"match_system": "HCPCS", "match_code": "J0001", "track": "medical"}
    rules = rulebook(rows=[row("strict", **drug_row, pa="yes", **{column: cell}), row("free", **drug_row, pa="no")])
    answer = answer_to(service("HCPCS J0001", **order), rules=rules, **rest)
    assert answer.pa_needed == "conditional"


@pytest.mark.parametrize(("text", "expected"), [("no route.", "No route."), ("X", "X."), ("it is so", "It is so.")])
def test_sentence(text: str, expected: str) -> None:
    assert sentence(text) == expected


# ---------------------------------------------------------------------------------------------------------------------
# Any policy at all


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from([True, False, None]), sets_of_answers()), max_size=3).flatmap(
            lambda cases: st.tuples(st.just(cases), sets_of_answers())
        ),
        min_size=1,
        max_size=3,
    )
)
def test_what_is_said_holds_whatever_the_unknown_turns_out_to_be(
    policies: list[tuple[list[tuple[bool | None, tuple[Answer, ...]]], tuple[Answer, ...]]],
) -> None:
    """For generated policies that may govern one order, with conditions that hold, do not, or are unknown."""
    scope = _SCOPED.policies[0].scope
    built, findings, possible = [], {}, []
    for number, (conditioned, otherwise) in enumerate(policies):
        cases = []
        open_cases = []
        for position, (held, answers) in enumerate(conditioned):
            condition = compile_condition(f"{number} = {position}")
            findings[condition.text] = Finding(held, () if held is not None else (f"{number}.{position}",))
            cases.append(Case(f"c{position}", condition, answers))
        for held, answers in [*conditioned, (True, otherwise)]:
            if held is not False:
                open_cases.append(answers)
            if held:
                break
        possible += open_cases
        built.append(Policy(scope, (), (*cases, Case("otherwise", None, otherwise))))
    play = InPlay(_FACTS, None, tuple(built), ())
    determination = decide(play, FakeEvidence(findings), rulebook=_SCOPED, today=TODAY)  # type: ignore[arg-type]
    assert [broken for answer in determination.answers for broken in contradictions(answer)] == []
    assert broken_promises(determination.answers, possible) == []
    codes = {code for answer in determination.answers for code in answer.billing_codes or GENERATED_CODES}
    spoken = [each for said in possible for code in codes if (each := speaking_of(code, said)) is not None]
    assert determination.expires <= TODAY + timedelta(days=min(answer.valid_days or 90 for answer in spoken))


_SCOPED = rulebook(policies=[policy("mri", ["SNOMED 1"], AUTH)])
_FACTS = facts_of(service("SNOMED 1"), rules=_SCOPED)


def test_the_same_arguments_give_the_same_answer() -> None:
    rules = rulebook(policies=[policy("mri", CODES, case("site", AT_OFFICE, NO_AUTH), AUTH)])
    assert decide_one(MRI, rules=rules) == decide_one(MRI, rules=rules)


def test_a_list_of_prefixes_governs_too() -> None:
    rules = rulebook(lists={"spine": "CPT,7214*,spine"}, policies=[policy("mri", "list:spine", NO_AUTH)])
    assert isinstance(rules.policies[0].scope.codes, CodeList)
    assert answer_to(MRI, rules=rules).pa_needed == "no-auth"
