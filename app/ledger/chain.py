"""The hash chain over `event`, and the digests that tie the other tables to it.

Every event carries a payload hash over what it speaks of (an invocation with its cards and at most one assertion, or
a piece of feedback) and the hash of the event before it, so a row that is changed, removed or slipped in later shows.
What enters a digest is listed here and not taken from the tables: a column added by a later migration must not change
the digests of rows already written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

import msgspec

GENESIS = "0" * 64
"""What the first event has for a previous hash."""

_INVOCATION = (
    "invocation_id",
    "received_at",
    "answered_in_ms",
    "service_id",
    "hook",
    "hook_instance",
    "client",
    "fhir_server",
    "protocol_version",
    "status",
    "request_kept",
    "request_size",
    "request_sha256",
    "response_sha256",
    "token_use",
    "rulebook_hash",
    "timings",
    "issues",
)
_ASSERTION = (
    "assertion_id",
    "invocation_id",
    "order_ref",
    "coverage_ref",
    "member_id",
    "line_of_business",
    "track",
    "covered",
    "pa_needed",
    "content_hash",
    "expires_on",
    "rule_ids",
    "supersedes",
)
_CARD = (
    "card_id",
    "invocation_id",
    "guidance",
    "response",
    "topic",
    "order_refs",
    "suggestion_ids",
)
_FEEDBACK = (
    "feedback_id",
    "card_id",
    "known",
    "outcome",
    "accepted_suggestions",
    "override_reason_code",
    "override_reason_system",
    "override_reason_display",
    "user_comment",
    "outcome_at",
    "received_at",
    "client",
)
_PUBLICATION = (
    "number",
    "act",
    "rulebook_hash",
    "label",
    "actor",
    "author",
    "at",
    "effective_at",
    "about",
    "checks",
    "note",
)
_RETURNED_FORM = (
    "form_id",
    "assertion_id",
    "member_id",
    "order_ref",
    "questionnaire",
    "status",
    "received_at",
    "client",
)
_ARCHIVE = (
    "number",
    "made_at",
    "received_from",
    "received_to",
    "file",
    "file_sha256",
    "calls",
    "events",
    "events_sha256",
)
_READING = ("reading_id", "at", "reader", "through", "kind", "about", "member_id")
# Not feedback_id, publication, form_id and reading_id, which are younger than the chain: the payload vouches for them
# and holds them too. Not archive, which is set when a call leaves: the event of its archive vouches for it.
_EVENT = (
    "seq",
    "occurred_at",
    "recorded_at",
    "event_type",
    "invocation_id",
    "assertion_id",
    "order_ref",
    "track",
    "payload_hash",
    "prev_hash",
)


def content_digest(content: bytes) -> str:
    """SHA-256 of a blob's uncompressed content, hex."""
    return sha256(content).hexdigest()


def _digest(values: list[Any]) -> str:
    return sha256(msgspec.json.encode(values)).hexdigest()


def invocation_digest(row: Mapping[str, Any], fetched: bytes | None, basis: bytes | None) -> str:
    """Digest of an `invocation` row; the exchange enters through the two hashes the row holds."""
    told = [*(row[name] for name in _INVOCATION), None if fetched is None else content_digest(fetched)]
    if basis is not None:  # a call from before a basis was kept hashes as it did
        told.append(content_digest(basis))
    return _digest(told)


def assertion_digest(row: Mapping[str, Any], facts: bytes, answer: bytes) -> str:
    """Digest of an `assertion` row."""
    told = [*(row[name] for name in _ASSERTION), content_digest(facts), content_digest(answer)]
    if row.get("told_as") is not None:  # one told under its own id hashes as it did, in older archives too
        told.append(row["told_as"])
    return _digest(told)


def cards_digest(rows: Iterable[Mapping[str, Any]]) -> str | None:
    """Digest of the `card` rows of one invocation, in whatever order; None where there are none."""
    digests = sorted(_digest([row[name] for name in _CARD]) for row in rows)
    return _digest(digests) if digests else None


def feedback_digest(row: Mapping[str, Any]) -> str:
    """Digest of a `feedback` row, which is the payload hash of its event."""
    return _digest([row[name] for name in _FEEDBACK])


def returned_form_digest(row: Mapping[str, Any]) -> str:
    """Digest of a `returned_form` row, which is the payload hash of its event."""
    return _digest([*(row[name] for name in _RETURNED_FORM), content_digest(row["content"])])


def reading_digest(row: Mapping[str, Any]) -> str:
    """Digest of a `reading` row, which is the payload hash of its event."""
    return _digest([row[name] for name in _READING])


def publication_digest(row: Mapping[str, Any]) -> str:
    """Digest of a `publication` row, which is the payload hash of its event."""
    return _digest([row[name] for name in _PUBLICATION])


def archive_digest(row: Mapping[str, Any]) -> str:
    """Digest of an `archive` row, which is the payload hash of its event."""
    return _digest([row[name] for name in _ARCHIVE])


def payload_hash(invocation: str, assertion: str | None, cards: str | None) -> str:
    """What an event of a call vouches for: its invocation, its assertion if any, and the invocation's cards."""
    told = [invocation, assertion]
    if cards is not None:  # a call without cards hashes as it did before cards were kept
        told.append(cards)
    return _digest(told)


def event_hash(row: Mapping[str, Any]) -> str:
    """Hash of an `event` row, its number and its predecessor's hash included."""
    return _digest([row[name] for name in _EVENT])
