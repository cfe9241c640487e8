"""Who read what the ledger keeps of a person: written before it is shown, and vouched for by the chain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Select, select

from app.ledger.events import reading_event
from app.ledger.part import Part
from app.ledger.rows import Row, instant
from app.ledger.tables import reading

Kind = Literal["answer", "call", "search"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Somebody read something.

    `reader` is the account, or on the command line the user of the machine; `through` is "console" or "command line".
    `about` is the id of the answer or call, or what was searched for; `member_id` whose it is, None where nobody is
    known.
    """

    reading_id: str
    at: datetime
    reader: str
    through: str
    kind: Kind
    about: str
    member_id: str | None = None


def reading_row(record: Reading) -> Row:
    """The `reading` row of a record."""
    return {
        "reading_id": record.reading_id,
        "at": instant(record.at),
        "reader": record.reader,
        "through": record.through,
        "kind": record.kind,
        "about": record.about,
        "member_id": record.member_id,
    }


def stored_reading(row: Mapping[str, Any]) -> Reading:
    """A `reading` row as a record; `at` is in UTC."""
    return Reading(**{**row, "at": datetime.fromisoformat(row["at"])})


def readings_between(
    since: datetime | None, until: datetime | None, reader: str | None, member_id: Sequence[str] | None, limit: int
) -> Select[Any]:
    """The newest readings first, of a half-open span of time, a reader or a member."""
    query = select(reading).order_by(reading.c.at.desc(), reading.c.reading_id).limit(limit)
    if since is not None:
        query = query.where(reading.c.at >= instant(since))
    if until is not None:
        query = query.where(reading.c.at < instant(until))
    if reader is not None:
        query = query.where(reading.c.reader == reader)
    if member_id is not None:
        query = query.where(reading.c.member_id.in_(member_id))
    return query


class Readings(Part):
    """Keeps who read what."""

    def record_reading(self, record: Reading) -> None:
        """Write that somebody reads what is kept of a person, with its event. Show nothing unless it is written."""
        row = reading_row(record)
        rows = {"reading": [row], "event": [reading_event(row)]}
        self._store.write_fast("the reading was not recorded", lambda cursor: self._append(cursor, rows))

    def readings(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        reader: str | None = None,
        member_id: str | None = None,
        limit: int = 200,
    ) -> list[Reading]:
        """Who read what, newest first."""
        wanted = None if member_id is None else self._texts.wanted(member_id, "member_id")
        return self._find(readings_between(since, until, reader, wanted, limit), stored_reading)
