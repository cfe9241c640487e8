"""Valid answers of every kind, for properties that must hold whatever the rules say."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from app.rulebook.answer import Answer, Detail, Reason

CODES = (("HCPCS", "A0001"), ("HCPCS", "B0002"), ("HCPCS", "C0003"))
_REASONS = st.builds(Reason, st.sampled_from(["One.", "Two.", "Three."]))


def _some(*words: str, least: int = 0) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(words), min_size=least, max_size=2, unique=True).map(tuple)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """An answer that breaks no rule of coverage-information."""
    covered = draw(st.sampled_from(["covered", "covered", "not-covered", "conditional", "indeterminate"]))
    states = ["no-auth", "auth-needed", "satisfied", "performpa", "conditional", "indeterminate"]
    needed = None if covered == "not-covered" else draw(st.sampled_from(states))
    docs = draw(_some("clinical", "admin", "patient", "conditional"))
    settled = needed in (None, "no-auth", "satisfied")
    purpose = draw(_some("withclaim", "OTH") if settled else _some("withpa", "withclaim"))
    return Answer(
        covered,
        needed,
        docs,
        purpose,
        draw(_some("performer", "OTH", least=1)) if "conditional" in (covered, needed, *docs) else (),
        reasons=draw(st.lists(_REASONS, min_size=1, max_size=2, unique=True).map(tuple)),
        details=draw(
            st.lists(st.builds(Detail, st.just("instructions"), st.sampled_from("ab")), max_size=2).map(tuple)
        ),
        questionnaires=draw(_some("form", "other")) if docs else (),
        satisfied_pa_id=draw(st.sampled_from(["PA1", "PA2"])) if needed == "satisfied" else None,
        valid_days=draw(st.sampled_from([None, 30, 365])),
    )


@st.composite
def sets_of_answers(draw: st.DrawFn) -> tuple[Answer, ...]:
    """What one case answers: one answer, or several each for billing codes of its own."""
    a, b, c = CODES
    divided = draw(st.sampled_from([((),), ((),), ((a,),), ((a,), (b,)), ((b,), (a,)), ((a, b),), ((a,), (b,), (c,))]))
    return tuple(replace(draw(answers()), billing_codes=codes) for codes in divided)


def speaking_of(code: tuple[str, str], said: tuple[Answer, ...]) -> Answer | None:
    """The answer that counts for a billing code."""
    return next((answer for answer in said if not answer.billing_codes or code in answer.billing_codes), None)


def broken_promises(given: tuple[Answer, ...], possible: list[tuple[Answer, ...]]) -> list[str]:
    """Where `given` promises what not every one of the possible answers does, billing code by billing code."""
    found = []
    for answer in given:
        for code in answer.billing_codes or (*CODES, ("HCPCS", "Z0009")):
            alternatives = [speaking_of(code, said) for said in possible]
            if answer.covered in ("covered", "not-covered"):
                found += [
                    f"{code} {answer.covered}" for each in alternatives if not each or each.covered != answer.covered
                ]
            if answer.pa_needed in ("no-auth", "satisfied"):
                stated = (answer.pa_needed, answer.satisfied_pa_id)
                found += [
                    f"{code} {stated}"
                    for each in alternatives
                    if not each or (each.pa_needed, each.satisfied_pa_id) != stated
                ]
    return found
