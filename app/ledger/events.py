"""The events of the chain, as rows still to be numbered and chained (`Part._append`)."""

from __future__ import annotations

from datetime import timedelta

from app.ledger import chain
from app.ledger.records import AssertionRecord, Call, StoredAssertion
from app.ledger.rows import Row, instant


def call_events(
    call: Call, asked: Row, answered: list[Row], shown: list[Row], honoured: list[tuple[StoredAssertion, str]]
) -> list[Row]:
    """The events of a call, still to be numbered and chained. Every call has one: none is off the chain."""
    told, cards = chain.invocation_digest(asked, call.fetched, call.basis), chain.cards_digest(shown)
    occurred_at = instant(call.received_at + timedelta(milliseconds=call.answered_in_ms))

    def event(kind: str, about: AssertionRecord | None = None, digest: str | None = None) -> Row:
        return {
            "occurred_at": occurred_at,
            "event_type": kind,
            "invocation_id": call.invocation_id,
            "assertion_id": about.assertion_id if about else None,
            "order_ref": about.order_ref if about else None,
            "track": about.track if about else None,
            "payload_hash": chain.payload_hash(told, digest, cards),
            "feedback_id": None,
            "publication": None,
            "form_id": None,
        }

    events = [
        event("crd_returned", record, chain.assertion_digest(row, record.facts, record.answer))
        for row, record in zip(answered, call.assertions, strict=True)
    ]
    events += [event("crd_honoured", record, digest) for record, digest in honoured]
    if call.status >= 400 or not events:
        events.append(event("call_failed" if call.status >= 400 else "call_answered"))
    return events


def publication_event(act: Row) -> Row:
    """The event of a `publication` row."""
    return {
        "occurred_at": act["at"],
        "event_type": f"rulebook_{act['act'].replace('-', '_')}",
        "invocation_id": None,
        "assertion_id": None,
        "order_ref": None,
        "track": None,
        "payload_hash": chain.publication_digest(act),
        "feedback_id": None,
        "publication": act["number"],
        "form_id": None,
    }


def form_event(row: Row, invocation_id: str | None) -> Row:
    """The event of a `returned_form` row, for an assertion made in that invocation."""
    return {
        "occurred_at": row["received_at"],
        "event_type": "form_returned",
        "invocation_id": invocation_id,
        "assertion_id": row["assertion_id"],
        "order_ref": row["order_ref"],
        "track": None,
        "payload_hash": chain.returned_form_digest(row),
        "feedback_id": None,
        "publication": None,
        "form_id": row["form_id"],
    }


def reading_event(row: Row) -> Row:
    """The event of a `reading` row. Its answer or call is told in the row: ids that were asked for may not exist."""
    return {
        "occurred_at": row["at"],
        "event_type": "record_read",
        "invocation_id": None,
        "assertion_id": None,
        "order_ref": None,
        "track": None,
        "payload_hash": chain.reading_digest(row),
        "feedback_id": None,
        "publication": None,
        "form_id": None,
        "reading_id": row["reading_id"],
    }


def feedback_event(said: Row, invocation_id: str | None) -> Row:
    """The event of a `feedback` row on a card of that invocation, None for a card nobody knows."""
    return {
        "occurred_at": said["outcome_at"],
        "event_type": "feedback",
        "invocation_id": invocation_id,
        "assertion_id": None,
        "order_ref": None,
        "track": None,
        "payload_hash": chain.feedback_digest(said),
        "feedback_id": said["feedback_id"],
        "publication": None,
        "form_id": None,
    }
