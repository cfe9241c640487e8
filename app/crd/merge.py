"""Several answers still possible: what can be said all the same.

When a condition is unknown, or the order may mean different products, more than one answer is possible. What they agree
on is said; what they differ in becomes `conditional`, so that missing data never turns into a promise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from app.rulebook.answer import Answer, Reason
from benefit_router import Code

T = TypeVar("T")


def merge_by_code(
    possible: Sequence[tuple[Answer, ...]], why: str, info_needed: Iterable[str] = ("OTH",)
) -> tuple[Answer, ...]:
    """Merge sets of answers. Where they divide the order by the same billing codes, each part is merged apart."""
    divided = next((answers for answers in possible if len(answers) > 1), None)
    if divided is None:
        return (merge([answers[0] for answers in possible], why, info_needed),)
    parts = []
    for part in divided:
        alike = [_part(answers, part.billing_codes) for answers in possible]
        if None in alike:
            return (merge([answer for answers in possible for answer in answers], why, info_needed),)
        merged = merge([answer for answer in alike if answer is not None], why, info_needed)
        parts.append(replace(merged, billing_codes=part.billing_codes))
    return tuple(parts)


def _part(answers: tuple[Answer, ...], codes: tuple[Code, ...]) -> Answer | None:
    """The answer for these billing codes: the one that names them, or the only one."""
    if len(answers) == 1 and not answers[0].billing_codes:
        return answers[0]
    return next((answer for answer in answers if answer.billing_codes == codes), None)


def merge(possible: Sequence[Answer], why: str, info_needed: Iterable[str] = ("OTH",)) -> Answer:
    """One answer that is true whichever of `possible` it turns out to be. `why` says what is missing."""
    first = possible[0]
    # Answers limited to different billing codes agree on none of them.
    one_scope = len({frozenset(answer.billing_codes) for answer in possible} - {frozenset()}) <= 1
    same = one_scope and len({_promise(answer) for answer in possible}) == 1
    one_authorization = len({answer.satisfied_pa_id for answer in possible}) == 1
    covered = _agreed({answer.covered for answer in possible}) if one_scope else "conditional"
    # "Not covered" says nothing of authorization, so it agrees with no answer that does.
    needed = _agreed({answer.pa_needed or answer.covered for answer in possible})
    if not (one_scope and one_authorization):
        needed = "conditional"
    docs = {answer.doc_needed for answer in possible}
    doc_needed = first.doc_needed if len(docs) == 1 else ("conditional",)
    settled = covered == "not-covered" or needed in ("no-auth", "satisfied")
    purposes = _union(answer.doc_purpose for answer in possible)
    asked = any(state == "conditional" for state in (covered, needed, *doc_needed))
    # A reason that only one of them gives may be untrue of this order.
    shared = [reason for reason in first.reasons if all(reason in answer.reasons for answer in possible)]
    undisputed = same and all(answer.reasons == first.reasons for answer in possible)
    info = _union([tuple(info_needed), *(answer.info_needed for answer in possible)]) if asked else ()
    return replace(
        first,
        covered=covered,
        pa_needed=None if covered == "not-covered" else needed,
        doc_needed=doc_needed,
        doc_purpose=tuple(purpose for purpose in purposes if not (settled and purpose == "withpa")),
        info_needed=first.info_needed if same else info,
        questionnaires=_union(answer.questionnaires for answer in possible) if doc_needed else (),
        reasons=first.reasons if undisputed else (Reason(why), *shared),
        contacts=_union(answer.contacts for answer in possible),
        billing_codes=_union(answer.billing_codes for answer in possible),
        satisfied_pa_id=first.satisfied_pa_id if needed == "satisfied" else None,
        details=tuple(dict.fromkeys(detail for answer in possible for detail in answer.details)),
        valid_days=min((answer.valid_days for answer in possible if answer.valid_days), default=None),
    )


def _promise(answer: Answer) -> tuple[object, ...]:
    """What an answer asks of the clinician and promises."""
    return (
        answer.covered,
        answer.pa_needed,
        answer.satisfied_pa_id,
        answer.doc_needed,
        answer.doc_purpose,
        answer.questionnaires,
        answer.info_needed,
    )


def _agreed(values: set[str]) -> str:
    return values.pop() if len(values) == 1 else "conditional"


def _union(groups: Iterable[tuple[T, ...]]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(item for group in groups for item in group))
