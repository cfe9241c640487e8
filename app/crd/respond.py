"""From determinations to the answer that leaves: system actions on the orders exactly as they came, and cards.

Nothing leaves that breaks a rule of coverage-information: an answer that contradicts itself is replaced by an honest
`indeterminate`, and the contradiction is logged as the fault it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import structlog

from app.crd.coverage_information import (
    Extension,
    Repetition,
    Serializer,
    coverage_information,
    coverage_key,
    expired,
    stated,
    substance,
)
from app.crd.coverage_information_2_0 import coverage_information_2_0
from app.crd.decide import technical
from app.crd.determination import Determination
from app.fhir import references
from app.fhir.json import encode, with_member
from app.hooks.request import DraftOrder
from app.rulebook.answer import Answer, contradictions
from app.rulebook.rulebook import Rulebook

log = structlog.get_logger("signpost.crd")

SERIALIZERS: dict[str, Serializer] = {"2.0": coverage_information_2_0, "2.2": coverage_information}
SECONDARY_HOOKS = frozenset({"order-select", "encounter-start", "encounter-discharge"})
_OFFICE_DOCUMENTS = frozenset({"clinical", "admin", "conditional"})


@dataclass(frozen=True, slots=True)
class Given:
    """A determination as it leaves under a coverage-assertion-id, one repetition an answer.

    `action` None: the order already says so, and nothing is sent or promised anew.
    """

    determination: Determination
    assertion_id: str
    repetitions: tuple[Repetition, ...]
    action: dict[str, Any] | None
    superseded: tuple[Extension, ...] = ()
    fresh: tuple[Extension, ...] = ()


def give(
    order: DraftOrder,
    determination: Determination,
    *,
    hook: str,
    version: str,
    coverage: dict[str, Any],
    dependencies: tuple[str, ...],
    rulebook: Rulebook,
    today: date,
    new_id: Callable[[], str],
    told_as: str | None = None,
    given_on: date | None = None,
) -> Given:
    """The system action for one order: the order as received with coverage-information added (resp-37).

    `told_as` is the assertion id that an earlier answer was told under, when this is told under it too; `given_on` the
    day that an answer given again was first given.
    """
    determination = finished(determination, hook, today)
    assertion_id = told_as or new_id()
    day = given_on or today
    repetitions = tuple(
        Repetition(answer, coverage, assertion_id, day, determination.expires, dependencies)
        for answer in determination.answers
    )
    fresh = [SERIALIZERS[version](each, rulebook) for each in repetitions]
    key = references.local_key(coverage)
    before = stated(order.resource)
    superseded = [repetition for repetition in before if coverage_key(repetition) == key]
    said = [substance(each) for each in superseded if not expired(each, today)]
    if said == [substance(each) for each in fresh]:
        return Given(determination, assertion_id, repetitions, None)
    action = _action(order, superseded, fresh)
    return Given(determination, assertion_id, repetitions, action, tuple(superseded), tuple(fresh))


def joined(order: DraftOrder, given: Sequence[Given]) -> dict[str, Any] | None:
    """One action for all that is new under several Coverages of one order, in the order of the Coverages."""
    new = [each for each in given if each.action is not None]
    if len(new) <= 1:
        return new[0].action if new else None
    superseded = [extension for each in new for extension in each.superseded]
    return _action(order, superseded, [extension for each in new for extension in each.fresh])


def _action(order: DraftOrder, superseded: list[Extension], fresh: list[Extension]) -> dict[str, Any]:
    extensions = order.resource.get("extension")
    kept = [each for each in extensions if each not in superseded] if isinstance(extensions, list) else []
    return {
        "type": "update",
        "description": "Add the payer's coverage information to the order",
        "resource": with_member(order.raw, "extension", [*kept, *fresh]),
    }


def finished(determination: Determination, hook: str, today: date) -> Determination:
    """The determination as it may leave: sound, and without what a secondary hook must not ask for."""
    if hook in SECONDARY_HOOKS:
        determination = replace(determination, answers=tuple(without_documents(a) for a in determination.answers))
    return sound(determination, today)


def sound(determination: Determination, today: date) -> Determination:
    """The determination, or an honest `indeterminate` when an answer breaks an invariant (crd-ci-q1 to q9)."""
    broken = [words for answer in determination.answers for words in contradictions(answer)]
    if not broken:
        return determination
    log.error("answer.contradicts_itself", order=determination.order_key, rules=determination.rule_ids, broken=broken)
    instead = technical(determination.order_key, "The payer's rules gave an answer that contradicts itself.", today)
    return replace(determination, answers=instead.answers, expires=instead.expires)


def without_documents(answer: Answer) -> Answer:
    """Secondary hooks must not ask for clinical or administrative documents yet (hook-19)."""
    kept = tuple(code for code in answer.doc_needed if code not in _OFFICE_DOCUMENTS)
    states = (answer.covered, answer.pa_needed, *kept)
    return replace(
        answer,
        doc_needed=kept,
        doc_purpose=answer.doc_purpose if kept else (),
        questionnaires=answer.questionnaires if kept else (),
        info_needed=answer.info_needed if "conditional" in states else (),
    )


def body(cards: Sequence[dict[str, Any]], actions: Sequence[dict[str, Any] | None]) -> bytes:
    """The response body. An empty list is left out, as CRDHooksResponseBase has it (resp-13)."""
    new = [action for action in actions if action is not None]
    return encode({"cards": list(cards), **({"systemActions": new} if new else {})})
