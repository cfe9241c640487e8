"""What the ledger keeps of an answer: what the rules looked at, which of them decided, and what was said."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Any

from app import fhirpath
from app.crd.cards import Shown
from app.crd.facts import OrderFacts
from app.crd.respond import Given
from app.crd.standing import content_hash
from app.fhir.json import encode
from app.ledger import AssertionRecord, CardRecord
from app.rulebook.rulebook import Rulebook


def assertion_record(
    facts: OrderFacts | None,
    given: Given,
    rulebook: Rulebook | None,
    *,
    today: date | None = None,
    supersedes: str | None = None,
    assertion_id: str | None = None,
) -> AssertionRecord:
    """The ledger's record of one determination. `facts` None: it was never got as far as facts.

    `assertion_id`: its own, where the client is told that of an earlier one.
    """
    determination = given.determination
    route = determination.route
    first = determination.answers[0]
    resource = given.action["resource"] if given.action else b""
    coverage = facts.coverage.get("id") if facts is not None else None
    return AssertionRecord(
        assertion_id=assertion_id or given.assertion_id,
        order_ref=determination.order_key,
        coverage_ref=f"Coverage/{coverage}" if coverage else "Coverage",
        member_id=facts.match.member.member_id if facts is not None and facts.match.member else None,
        line_of_business=facts.line if facts is not None else None,
        track=route.track if route else None,
        covered=first.covered,
        pa_needed=first.pa_needed,
        content_hash=content_hash(facts.order.resource) if facts is not None else hashlib.sha256(resource).hexdigest(),
        expires_on=determination.expires,
        rule_ids=determination.rule_ids,
        facts=encode(_facts(facts)) if facts is not None else b"{}",
        answer=encode(
            {"determination": determination, "rulebook": rulebook.label if rulebook else None, "given_on": today}
        ),
        supersedes=supersedes,
        told_as=given.assertion_id if assertion_id not in (None, given.assertion_id) else None,
    )


def card_record(shown: Shown, card: dict[str, Any]) -> CardRecord:
    """The ledger's record of a card as it leaves."""
    return CardRecord(
        card_id=card["uuid"],
        guidance=shown.guidance.scope.slug,
        response=shown.guidance.response,
        topic=shown.guidance.topic,
        order_refs=tuple(facts.order.key for facts in shown.orders),
        suggestion_ids=tuple((offer["uuid"], offer["label"]) for offer in card.get("suggestions", ())),
    )


def _facts(facts: OrderFacts) -> dict[str, Any]:
    """`%facts` as the rules saw them; what was missing keeps the words for it."""
    return {
        "on": facts.on.isoformat(),
        "words": facts.content.words,
        "member": {"outcome": facts.match.outcome, "source": facts.match.member.source if facts.match.member else None},
        **{name: _plain(value) for name, value in facts.view.items()},
    }


def _plain(value: Any) -> Any:
    if isinstance(value, fhirpath.Unobtainable):
        return {"missing": value.reason}
    return value.items if isinstance(value, fhirpath.Incomplete) else value
