"""What a policy answers for an order: the content of one coverage-information repetition, before any protocol version.

Codes are those of CRD 2.2 (davinci-crd, CodeSystem coverage-information-codes).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from benefit_router import Code

# CRD's own reasons (davinci-crd, ValueSet coverageAssertionReasons); any other reason is text.
REASONS = {
    "gold-card": "Gold card",
    "no-member-found": "No member found",
    "no-active-coverage": "No active coverage",
    "coverage-not-found": "Coverage not found",
    "auth-out-network": "Authorization needed out-of-network",
    "technical": "Technical issue",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why: a coded reason of CRD's, words, or both."""

    text: str
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its UCUM unit."""

    value: Decimal
    unit: str


@dataclass(frozen=True, slots=True)
class Detail:
    """A structured detail. `link` tells a url from other text."""

    code: str
    value: bool | str | Quantity
    category: Literal["cat-limitation", "cat-decisional", "cat-other"] = "cat-other"
    qualification: str | None = None
    link: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. `questionnaires` and `contacts` are names in the rulebook; `valid_days` None: the payer's default."""

    covered: str
    pa_needed: str | None = None
    doc_needed: tuple[str, ...] = ()
    doc_purpose: tuple[str, ...] = ()
    info_needed: tuple[str, ...] = ()
    billing_codes: tuple[Code, ...] = ()
    reasons: tuple[Reason, ...] = ()
    details: tuple[Detail, ...] = ()
    questionnaires: tuple[str, ...] = ()
    contacts: tuple[str, ...] = ()
    satisfied_pa_id: str | None = None
    valid_days: int | None = None


def contradictions(answer: Answer) -> Iterator[str]:
    """Every rule of coverage-information this answer breaks, in words.

    The invariants crd-ci-q1 to q9 of davinci-crd 2.2 by their meaning: q3 both ways and q4 as their texts say
    (the published expression misspells `no-auth` and so misses it).
    """
    states = (answer.covered, answer.pa_needed, *answer.doc_needed)
    if answer.questionnaires and not answer.doc_needed:
        yield "a questionnaire needs 'docs' to say what it is for (crd-ci-q1)"
    if answer.covered == "not-covered" and answer.pa_needed is not None:
        yield "'not-covered' leaves no room for 'pa' (crd-ci-q2)"
    if "conditional" in states and not answer.info_needed:
        yield "'conditional' must say in 'info' what it waits for (crd-ci-q3)"
    if answer.info_needed and "conditional" not in states:
        yield "'info' only goes with something 'conditional' (crd-ci-q3)"
    settled = answer.pa_needed in ("satisfied", "no-auth") or answer.covered == "not-covered"
    if settled and "withpa" in answer.doc_purpose:
        yield "no authorization will be asked for, so documents cannot be 'withpa' (crd-ci-q4)"
    if (answer.pa_needed == "satisfied") != (answer.satisfied_pa_id is not None):
        yield "an authorization number goes with 'satisfied', and only with it (crd-ci-q5)"
    if "OTH" in answer.info_needed and not answer.reasons:
        yield "'OTH' needs a 'reason' (crd-ci-q6)"
    if any(reason.code not in REASONS and not reason.text for reason in answer.reasons):
        yield "a reason that is not one of CRD's codes needs text (crd-ci-q7)"
    if answer.doc_purpose and not answer.reasons:
        yield "'purpose' needs a 'reason' (crd-ci-q8)"
    if "indeterminate" in states and not answer.reasons:
        yield "'indeterminate' needs a 'reason' (crd-ci-q9)"
