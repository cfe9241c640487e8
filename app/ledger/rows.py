"""Between records and table rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import msgspec

from app.ledger.blobs import Blobs, pack, unpack
from app.ledger.chain import content_digest
from app.ledger.publication import Publication, PublicationRecord
from app.ledger.records import (
    AssertionRecord,
    CardRecord,
    FeedbackRecord,
    Invocation,
    RulebookRecord,
    SnapshotRecord,
    StoredAssertion,
    StoredFeedback,
    StoredInvocation,
)

Row = dict[str, Any]
"""Column name to value, as the database driver takes it."""


def instant(moment: datetime) -> str:
    """ISO 8601 in UTC, always with microseconds, so that text sorts as time. ValueError for a naive datetime."""
    if moment.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def invocation_row(call: Invocation, blobs: Blobs) -> Row:
    """The `invocation` row of a call; ValueError where the request is not of the size it is said to be.

    Numbers are brought to their column's type: the digest sees what is stored.
    """
    if call.request is not None and len(call.request) != call.request_size:
        raise ValueError("request_size is not the request's")
    return {
        "invocation_id": call.invocation_id,
        "received_at": instant(call.received_at),
        "answered_in_ms": float(call.answered_in_ms),
        "service_id": call.service_id,
        "hook": call.hook,
        "hook_instance": call.hook_instance,
        "client": call.client,
        "fhir_server": call.fhir_server,
        "protocol_version": call.protocol_version,
        "status": int(call.status),
        "request_kept": call.request is not None,
        "request_size": call.request_size,
        "request_sha256": call.request_sha256,
        "response_sha256": content_digest(call.response),
        "exchange": blobs.keep((call.request or b"") + call.response, "invocation.exchange", call.invocation_id),
        "token_use": call.token_use,
        "rulebook_hash": call.rulebook_hash,
        "fetched": _keep_optional(blobs, call.fetched, "invocation.fetched", call.invocation_id),
        "basis": _keep_optional(blobs, call.basis, "invocation.basis", call.invocation_id),
        "timings": _json(call.timings),
        "issues": _json(call.issues),
    }


def _keep_optional(blobs: Blobs, content: bytes | None, column: str, key: str) -> bytes | None:
    return None if content is None else blobs.keep(content, column, key)


def invocation_blob(row: Mapping[str, Any], name: str, blobs: Blobs) -> bytes | None:
    """What is kept in the column `name` of an `invocation` row; None where nothing is."""
    kept = row[name]
    return None if kept is None else blobs.give(kept, f"invocation.{name}", row["invocation_id"])


def split_exchange(row: Mapping[str, Any], blobs: Blobs) -> tuple[bytes | None, bytes]:
    """Request, None where it was not kept, and response."""
    exchange = blobs.give(row["exchange"], "invocation.exchange", row["invocation_id"])
    if not row["request_kept"]:
        return None, exchange
    return exchange[: row["request_size"]], exchange[row["request_size"] :]


def stored_invocation(row: Mapping[str, Any], blobs: Blobs) -> StoredInvocation:
    """An `invocation` row as a record."""
    request, response = split_exchange(row, blobs)
    return StoredInvocation(
        invocation_id=row["invocation_id"],
        received_at=datetime.fromisoformat(row["received_at"]),
        answered_in_ms=row["answered_in_ms"],
        service_id=row["service_id"],
        hook=row["hook"],
        hook_instance=row["hook_instance"],
        client=row["client"],
        fhir_server=row["fhir_server"],
        protocol_version=row["protocol_version"],
        status=row["status"],
        request=request,
        request_size=row["request_size"],
        request_sha256=row["request_sha256"],
        response=response,
        response_sha256=row["response_sha256"],
        token_use=row["token_use"],
        rulebook_hash=row["rulebook_hash"],
        fetched=invocation_blob(row, "fetched", blobs),
        basis=invocation_blob(row, "basis", blobs),
        timings=msgspec.json.decode(row["timings"], type=dict[str, float]),
        issues=msgspec.json.decode(row["issues"], type=tuple[str, ...]),
    )


def assertion_row(record: AssertionRecord, call: Invocation, blobs: Blobs) -> Row:
    """The `assertion` row of a determination given in an invocation."""
    return {
        "assertion_id": record.assertion_id,
        "invocation_id": call.invocation_id,
        "order_ref": record.order_ref,
        "coverage_ref": record.coverage_ref,
        "member_id": record.member_id,
        "line_of_business": record.line_of_business,
        "track": record.track,
        "covered": record.covered,
        "pa_needed": record.pa_needed,
        "content_hash": record.content_hash,
        "expires_on": None if record.expires_on is None else record.expires_on.isoformat(),
        "rule_ids": _json(record.rule_ids),
        "facts": blobs.keep(record.facts, "assertion.facts", record.assertion_id),
        "answer": blobs.keep(record.answer, "assertion.answer", record.assertion_id),
        "supersedes": record.supersedes,
        "told_as": record.told_as,
        "received_at": instant(call.received_at),
    }


def assertion_blobs(row: Mapping[str, Any], blobs: Blobs) -> tuple[bytes, bytes]:
    """Facts and answer of an `assertion` row."""
    key = row["assertion_id"]
    return blobs.give(row["facts"], "assertion.facts", key), blobs.give(row["answer"], "assertion.answer", key)


def stored_assertion(row: Mapping[str, Any], blobs: Blobs) -> StoredAssertion:
    """An `assertion` row as a record."""
    facts, answer = assertion_blobs(row, blobs)
    return StoredAssertion(
        assertion_id=row["assertion_id"],
        invocation_id=row["invocation_id"],
        order_ref=row["order_ref"],
        coverage_ref=row["coverage_ref"],
        member_id=row["member_id"],
        line_of_business=row["line_of_business"],
        track=row["track"],
        covered=row["covered"],
        pa_needed=row["pa_needed"],
        content_hash=row["content_hash"],
        expires_on=None if row["expires_on"] is None else date.fromisoformat(row["expires_on"]),
        rule_ids=msgspec.json.decode(row["rule_ids"], type=tuple[str, ...]),
        facts=facts,
        answer=answer,
        supersedes=row["supersedes"],
        told_as=row["told_as"],
    )


def snapshot_row(record: SnapshotRecord) -> Row:
    """The `snapshot` row of an assertion of the same call. Sealed bytes do not compress."""
    return {
        "assertion_id": record.assertion_id,
        "taken_at": instant(record.taken_at),
        "expires_at": instant(record.expires_at),
        "content": record.content,
    }


def stored_snapshot(row: Mapping[str, Any]) -> SnapshotRecord:
    """A `snapshot` row as a record, in UTC."""
    return SnapshotRecord(
        assertion_id=row["assertion_id"],
        taken_at=datetime.fromisoformat(row["taken_at"]),
        expires_at=datetime.fromisoformat(row["expires_at"]),
        content=row["content"],
    )


def card_row(record: CardRecord, call: Invocation) -> Row:
    """The `card` row of a card shown in an invocation's response."""
    return {
        "card_id": record.card_id,
        "invocation_id": call.invocation_id,
        "guidance": record.guidance,
        "response": record.response,
        "topic": record.topic,
        "order_refs": _json(record.order_refs),
        "suggestion_ids": _json(record.suggestion_ids),
        "received_at": instant(call.received_at),
    }


def stored_card(row: Mapping[str, Any]) -> CardRecord:
    """A `card` row as a record."""
    return CardRecord(
        card_id=row["card_id"],
        guidance=row["guidance"],
        response=row["response"],
        topic=row["topic"],
        order_refs=msgspec.json.decode(row["order_refs"], type=tuple[str, ...]),
        suggestion_ids=msgspec.json.decode(row["suggestion_ids"], type=tuple[tuple[str, str], ...]),
    )


def feedback_row(record: FeedbackRecord, *, known: bool) -> Row:
    """The `feedback` row of what a user did with a card, known to this ledger or not."""
    return {
        "feedback_id": record.feedback_id,
        "card_id": record.card_id,
        "known": known,
        "outcome": record.outcome,
        "accepted_suggestions": _json(record.accepted_suggestions),
        "override_reason_code": record.override_reason_code,
        "override_reason_system": record.override_reason_system,
        "override_reason_display": record.override_reason_display,
        "user_comment": record.user_comment,
        "outcome_at": instant(record.outcome_at),
        "received_at": instant(record.received_at),
        "client": record.client,
    }


def stored_feedback(row: Mapping[str, Any]) -> StoredFeedback:
    """A `feedback` row as a record."""
    return StoredFeedback(
        feedback_id=row["feedback_id"],
        card_id=row["card_id"],
        known=row["known"],
        outcome=row["outcome"],
        accepted_suggestions=msgspec.json.decode(row["accepted_suggestions"], type=tuple[str, ...]),
        override_reason_code=row["override_reason_code"],
        override_reason_system=row["override_reason_system"],
        override_reason_display=row["override_reason_display"],
        user_comment=row["user_comment"],
        outcome_at=datetime.fromisoformat(row["outcome_at"]),
        received_at=datetime.fromisoformat(row["received_at"]),
        client=row["client"],
    )


def rulebook_row(record: RulebookRecord) -> Row:
    """The `rulebook` row of a rulebook version."""
    return {
        "hash": record.hash,
        "label": record.label,
        "files": pack(record.files),
        "loaded_at": instant(record.loaded_at),
    }


def stored_rulebook(row: Mapping[str, Any]) -> RulebookRecord:
    """A `rulebook` row as a record; `loaded_at` is in UTC."""
    return RulebookRecord(
        hash=row["hash"],
        label=row["label"],
        files=unpack(row["files"]),
        loaded_at=datetime.fromisoformat(row["loaded_at"]),
    )


def publication_row(record: PublicationRecord, number: int) -> Row:
    """The `publication` row of an act on a rulebook."""
    return {
        "number": number,
        "act": record.act,
        "rulebook_hash": record.rulebook_hash,
        "label": record.label,
        "actor": record.actor,
        "author": record.author,
        "at": instant(record.at),
        "effective_at": None if record.effective_at is None else instant(record.effective_at),
        "about": record.about,
        "checks": record.checks,
        "note": record.note,
    }


def stored_publication(row: Mapping[str, Any]) -> Publication:
    """A `publication` row as a record; instants are in UTC."""
    effective = row["effective_at"]
    return Publication(
        number=row["number"],
        act=row["act"],
        rulebook_hash=row["rulebook_hash"],
        label=row["label"],
        actor=row["actor"],
        author=row["author"],
        at=datetime.fromisoformat(row["at"]),
        effective_at=None if effective is None else datetime.fromisoformat(effective),
        about=row["about"],
        checks=row["checks"],
        note=row["note"],
    )
