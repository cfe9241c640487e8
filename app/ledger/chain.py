"""The hash chain over `event`, and the digests that tie the other tables to it.

Every event carries a payload hash over the invocation and assertion it speaks of, and the hash of the event before
it, so a row that is changed, removed or slipped in later shows. What enters a digest is listed here and not taken
from the tables: a column added by a later migration must not change the digests of rows already written.
"""

from __future__ import annotations

from collections.abc import Mapping
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


def invocation_digest(row: Mapping[str, Any], fetched: bytes | None) -> str:
    """Digest of an `invocation` row; the exchange enters through the two hashes the row holds."""
    read = None if fetched is None else content_digest(fetched)
    return _digest([*(row[name] for name in _INVOCATION), read])


def assertion_digest(row: Mapping[str, Any], facts: bytes, answer: bytes) -> str:
    """Digest of an `assertion` row."""
    return _digest([*(row[name] for name in _ASSERTION), content_digest(facts), content_digest(answer)])


def payload_hash(invocation: str, assertion: str | None) -> str:
    """What an event vouches for: the digests of its invocation and, where it speaks of one, its assertion."""
    return _digest([invocation, assertion])


def event_hash(row: Mapping[str, Any]) -> str:
    """Hash of an `event` row, its number and its predecessor's hash included."""
    return _digest([row[name] for name in _EVENT])
