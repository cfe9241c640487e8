"""Several answers still possible: what is said must be true whichever of them it turns out to be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.crd.merge import merge, merge_by_code
from app.rulebook.answer import Answer, Detail, Reason, contradictions
from tests.crd.builders import shape
from tests.crd.generated import CODES, broken_promises, sets_of_answers

A, B, C = CODES
NO_AUTH = Answer("covered", "no-auth", reasons=(Reason("Meets it."),))
AUTH = Answer(
    "covered",
    "auth-needed",
    doc_needed=("clinical",),
    doc_purpose=("withpa",),
    questionnaires=("form",),
    reasons=(Reason("Does not."),),
)
NOT_COVERED = Answer("not-covered", reasons=(Reason("Excluded."),))
CONDITIONAL = Answer("conditional", "conditional", info_needed=("location",), reasons=(Reason("Depends."),))
SATISFIED = Answer("covered", "satisfied", satisfied_pa_id="PA1", reasons=(Reason("On file."),))
OTHER_SATISFIED = Answer("covered", "satisfied", satisfied_pa_id="PA2", reasons=(Reason("On file."),))


def with_codes(answer: Answer, *codes: tuple[str, str]) -> Answer:
    return replace(answer, billing_codes=codes)


@pytest.mark.parametrize(
    ("possible", "expected"),
    [
        ([NO_AUTH], {"covered": "covered", "pa": "no-auth"}),
        ([NO_AUTH, NO_AUTH], {"covered": "covered", "pa": "no-auth"}),
        (
            [NO_AUTH, AUTH],
            {
                "covered": "covered",
                "pa": "conditional",
                "docs": ("conditional",),
                "purpose": ("withpa",),
                "info": ("OTH",),
                "questionnaire": ("form",),
            },
        ),
        # Q2: "not-covered" and "no-auth" agree on nothing, and nothing of either is left.
        ([NOT_COVERED, NO_AUTH], {"covered": "conditional", "pa": "conditional", "info": ("OTH",)}),
        ([NO_AUTH, NOT_COVERED], {"covered": "conditional", "pa": "conditional", "info": ("OTH",)}),
        ([NOT_COVERED, NOT_COVERED], {"covered": "not-covered"}),
        ([CONDITIONAL, NO_AUTH], {"covered": "conditional", "pa": "conditional", "info": ("OTH", "location")}),
        ([CONDITIONAL, CONDITIONAL], {"covered": "conditional", "pa": "conditional", "info": ("location",)}),
        ([SATISFIED, SATISFIED], {"covered": "covered", "pa": "satisfied"}),
        ([SATISFIED, NO_AUTH], {"covered": "covered", "pa": "conditional", "info": ("OTH",)}),
        ([SATISFIED, OTHER_SATISFIED], {"covered": "covered", "pa": "conditional", "info": ("OTH",)}),
        (
            [Answer("indeterminate", "indeterminate", reasons=(Reason("?"),)), NO_AUTH],
            {"covered": "conditional", "pa": "conditional", "info": ("OTH",)},
        ),
        # No authorization in any case, but documents in one: they cannot be for an authorization.
        (
            [NO_AUTH, Answer("covered", "no-auth", ("admin",), ("withclaim", "retain-doc"), reasons=(Reason("x"),))],
            {
                "covered": "covered",
                "pa": "no-auth",
                "docs": ("conditional",),
                "purpose": ("withclaim", "retain-doc"),
                "info": ("OTH",),
            },
        ),
        # Answers under different billing codes: neither promise can be kept for the other's code.
        (
            [with_codes(NO_AUTH, A), with_codes(NO_AUTH, B)],
            {
                "covered": "conditional",
                "pa": "conditional",
                "info": ("OTH",),
                "billing": ("HCPCS A0001", "HCPCS B0002"),
            },
        ),
        (
            [with_codes(NO_AUTH, A, B), with_codes(NO_AUTH, B, A)],
            {"covered": "covered", "pa": "no-auth", "billing": ("HCPCS A0001", "HCPCS B0002")},
        ),
        ([with_codes(NO_AUTH, A), NO_AUTH], {"covered": "covered", "pa": "no-auth", "billing": ("HCPCS A0001",)}),
    ],
)
def test_merge(possible: list[Answer], expected: dict[str, Any]) -> None:
    merged = merge(possible, "The record could not be read.")
    assert shape(merged) == expected
    assert not list(contradictions(merged))


def test_an_answer_all_agree_on_keeps_its_words() -> None:
    assert merge([NO_AUTH, NO_AUTH], "why") == NO_AUTH


def test_a_reason_only_one_gives_is_not_repeated() -> None:
    shared = Reason("Reviewed yearly.")
    one = Answer("covered", "no-auth", reasons=(Reason("Diabetes shown."), shared))
    two = Answer("covered", "no-auth", reasons=(shared,))
    assert merge([one, two], "Why.").reasons == (Reason("Why."), shared)
    assert merge([one, AUTH], "Why.").reasons == (Reason("Why."),)


def test_limits_of_every_possible_answer_stay() -> None:
    ten, five = Detail("allowed-quantity", "10"), Detail("allowed-quantity", "5")
    one = Answer("covered", "no-auth", details=(ten,), contacts=("desk",), valid_days=365)
    two = Answer("covered", "no-auth", details=(five,), contacts=("page",), valid_days=30)
    merged = merge([one, two], "Why.")
    assert (merged.details, merged.contacts, merged.valid_days) == ((ten, five), ("desk", "page"), 30)


@pytest.mark.parametrize(
    ("possible", "expected"),
    [
        ([(NO_AUTH,), (AUTH,)], [("conditional", ())]),
        # Each part of a divided answer is merged with what the other says of it.
        ([(with_codes(NO_AUTH, A), with_codes(AUTH, B)), (AUTH,)], [("conditional", (A,)), ("auth-needed", (B,))]),
        ([(NO_AUTH,), (with_codes(NO_AUTH, A), with_codes(AUTH, B))], [("no-auth", (A,)), ("conditional", (B,))]),
        (
            [
                (with_codes(NO_AUTH, A), with_codes(NO_AUTH, B)),
                (with_codes(NO_AUTH, B), with_codes(AUTH, A)),
            ],
            [("conditional", (A,)), ("no-auth", (B,))],
        ),
        # Divided by other codes: nothing can be promised for any of them.
        (
            [(with_codes(NO_AUTH, A), with_codes(NO_AUTH, B)), (with_codes(NO_AUTH, A), with_codes(NO_AUTH, C))],
            [("conditional", (A, B, C))],
        ),
        ([(with_codes(NO_AUTH, A), with_codes(NO_AUTH, B)), (with_codes(NO_AUTH, A),)], [("conditional", (A, B))]),
    ],
)
def test_merge_by_code(
    possible: list[tuple[Answer, ...]], expected: list[tuple[str, tuple[tuple[str, str], ...]]]
) -> None:
    merged = merge_by_code(possible, "Why.")
    assert [(answer.pa_needed, answer.billing_codes) for answer in merged] == expected


@given(st.lists(sets_of_answers(), min_size=1, max_size=4))
def test_a_merged_answer_promises_only_what_every_possible_one_does(possible: list[tuple[Answer, ...]]) -> None:
    merged = merge_by_code(possible, "Something is missing.")
    assert [words for answer in merged for words in contradictions(answer)] == []
    assert broken_promises(merged, possible) == []


@given(st.lists(sets_of_answers(), min_size=1, max_size=4))
def test_no_billing_code_has_two_merged_answers(possible: list[tuple[Answer, ...]]) -> None:
    codes = [code for answer in merge_by_code(possible, "Why.") for code in answer.billing_codes]
    assert len(codes) == len(set(codes))
