from __future__ import annotations

import pytest

from app.rulebook.answer import Answer, Reason, contradictions

WHY = (Reason("because"),)


def broken(answer: Answer) -> set[str]:
    """The invariants an answer breaks: q1 to q9."""
    return {text.rsplit("(crd-ci-", 1)[1].rstrip(")") for text in contradictions(answer)}


@pytest.mark.parametrize(
    ("answer", "rules"),
    [
        (Answer("covered", "no-auth"), set()),
        (Answer("not-covered"), set()),
        (Answer("covered", "auth-needed", ("clinical",), ("withpa",), reasons=WHY, questionnaires=("form",)), set()),
        # q1: a questionnaire says what it is for
        (Answer("covered", "auth-needed", questionnaires=("form",)), {"q1"}),
        (Answer("covered", "auth-needed", ("clinical",), questionnaires=("form",)), set()),
        (Answer("covered", "auth-needed", ("clinical",)), set()),
        # q2: not covered, so nothing to authorize
        (Answer("not-covered", "auth-needed"), {"q2"}),
        (Answer("not-covered", "no-auth"), {"q2"}),
        (Answer("covered", "auth-needed"), set()),
        # q3, forwards: whatever is conditional waits for something
        (Answer("conditional", "no-auth"), {"q3"}),
        (Answer("covered", "conditional"), {"q3"}),
        (Answer("covered", "no-auth", ("conditional",)), {"q3"}),
        (Answer("conditional", "no-auth", info_needed=("location",)), set()),
        (Answer("covered", "conditional", info_needed=("location",)), set()),
        (Answer("covered", "no-auth", ("conditional",), info_needed=("location",)), set()),
        # q3, backwards: what waits for something is conditional
        (Answer("covered", "no-auth", info_needed=("location",)), {"q3"}),
        (Answer("covered", "auth-needed", ("clinical",), info_needed=("performer",)), {"q3"}),
        # q4: no authorization, so nothing goes with one
        (Answer("covered", "no-auth", ("clinical",), ("withpa",), reasons=WHY), {"q4"}),
        (Answer("covered", "satisfied", ("clinical",), ("withpa",), reasons=WHY, satisfied_pa_id="1"), {"q4"}),
        (Answer("not-covered", None, ("clinical",), ("withpa",), reasons=WHY), {"q4"}),
        (Answer("covered", "no-auth", ("clinical",), ("withclaim",), reasons=WHY), set()),
        (Answer("covered", "performpa", ("clinical",), ("withpa",), reasons=WHY), set()),
        # q5: the number and the state go together
        (Answer("covered", "satisfied"), {"q5"}),
        (Answer("covered", "auth-needed", satisfied_pa_id="1"), {"q5"}),
        (Answer("covered", "satisfied", satisfied_pa_id="1"), set()),
        # q6: something else is needed, so say what
        (Answer("covered", "conditional", info_needed=("OTH",)), {"q6"}),
        (Answer("covered", "conditional", info_needed=("OTH",), reasons=WHY), set()),
        # q7: words, or a code of CRD's
        (Answer("covered", "no-auth", reasons=(Reason("", "house-code"),)), {"q7"}),
        (Answer("covered", "no-auth", reasons=(Reason(""),)), {"q7"}),
        (Answer("covered", "no-auth", reasons=(*WHY, Reason(""))), {"q7"}),
        (Answer("covered", "no-auth", reasons=(Reason("words", "house-code"),)), set()),
        (Answer("covered", "no-auth", reasons=(Reason("", "gold-card"),)), set()),
        # q8: documents are asked for with a reason
        (Answer("covered", "auth-needed", ("clinical",), ("withpa",)), {"q8"}),
        (Answer("covered", "auth-needed", ("clinical",), ("withorder", "retain-doc")), {"q8"}),
        # q9: what cannot be said is explained
        (Answer("indeterminate", "no-auth"), {"q9"}),
        (Answer("covered", "indeterminate"), {"q9"}),
        (Answer("covered", "no-auth", ("indeterminate",)), {"q9"}),
        (Answer("indeterminate", "indeterminate", reasons=WHY), set()),
        # all at once
        (
            Answer(
                "not-covered", "conditional", (), ("withpa",), questionnaires=("form",), satisfied_pa_id="1"
            ),
            {"q1", "q2", "q3", "q4", "q5", "q8"},
        ),
    ],
)  # fmt: skip
def test_contradictions(answer: Answer, rules: set[str]) -> None:
    assert broken(answer) == rules
