"""The calls of a span of time with what they answered, as metrics are computed from them: no request, no response."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, select

from app.ledger.blobs import Blobs
from app.ledger.rows import instant
from app.ledger.tables import assertion, event, invocation

_ROWS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredAssertion:
    """One assertion that a response gave, new or honoured. Fields are as in AssertionRecord."""

    line_of_business: str | None
    track: str | None
    covered: str
    pa_needed: str | None
    rule_ids: tuple[str, ...]
    answer: bytes
    facts: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredCall:
    """One call, the fields as in Invocation, and the assertions its response gave."""

    received_at: datetime
    answered_in_ms: float
    hook: str
    client: str | None
    protocol_version: str | None
    status: int
    token_use: str
    assertions: tuple[MeasuredAssertion, ...] = ()


def measured_calls(
    connection: Connection, since: datetime | None, until: datetime | None, blobs: Blobs
) -> Iterator[MeasuredCall]:
    """The calls received from `since` up to, not including, `until`, oldest first. Reads a few rows at a time."""
    # Through the events, since an assertion honoured again stands under the call that first made it.
    gave = and_(
        event.c.invocation_id == invocation.c.invocation_id,
        event.c.archive.is_(None),  # as of every call that is here; it is what the index holds
        event.c.event_type.in_(("crd_returned", "crd_honoured")),
    )
    rows = (
        select(
            invocation.c.invocation_id,
            invocation.c.received_at,
            invocation.c.answered_in_ms,
            invocation.c.hook,
            invocation.c.client,
            invocation.c.protocol_version,
            invocation.c.status,
            invocation.c.token_use,
            assertion.c.line_of_business,
            assertion.c.track,
            assertion.c.covered,
            assertion.c.pa_needed,
            assertion.c.rule_ids,
            assertion.c.assertion_id,
            assertion.c.answer,
            assertion.c.facts,
        )
        .select_from(
            invocation.outerjoin(event, gave).outerjoin(assertion, assertion.c.assertion_id == event.c.assertion_id)
        )
        .order_by(invocation.c.received_at, invocation.c.invocation_id)
    )
    if since is not None:
        rows = rows.where(invocation.c.received_at >= instant(since))
    if until is not None:
        rows = rows.where(invocation.c.received_at < instant(until))
    found = connection.execute(rows.execution_options(yield_per=_ROWS_AT_ONCE))
    for _, of_call in groupby(found, lambda row: row.invocation_id):
        yield _call(list(of_call), blobs)


def _call(rows: Sequence[Any], blobs: Blobs) -> MeasuredCall:
    first = rows[0]
    return MeasuredCall(
        received_at=datetime.fromisoformat(first.received_at),
        answered_in_ms=first.answered_in_ms,
        hook=first.hook,
        client=first.client,
        protocol_version=first.protocol_version,
        status=first.status,
        token_use=first.token_use,
        assertions=tuple(
            MeasuredAssertion(
                line_of_business=row.line_of_business,
                track=row.track,
                covered=row.covered,
                pa_needed=row.pa_needed,
                rule_ids=msgspec.json.decode(row.rule_ids, type=tuple[str, ...]),
                answer=blobs.give(row.answer, "assertion.answer", row.assertion_id),
                facts=blobs.give(row.facts, "assertion.facts", row.assertion_id),
            )
            for row in rows
            if row.covered is not None
        ),
    )
