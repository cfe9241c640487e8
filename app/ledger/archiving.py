"""Moving old calls out of the ledger and into files, while the service goes on.

What the payer may still be held to stays. Span by span, the newest first, files are written and read back; then the
rows go, each file with an event on the chain. Newest first, since a call may have given an older answer again: the
event of the later one vouches for the earlier one's assertion too. Ended halfway, it leaves files of one span that the
ledger does not know; the spans before it are archived.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, delete, exists, false, func, or_, select, update

from app.encryption import Encryption
from app.errors import LedgerError
from app.ledger import chain, partitions
from app.ledger.archive_file import ArchivedCall, events_digest, read, write
from app.ledger.blobs import Blobs
from app.ledger.rows import Row, assertion_blobs, instant, invocation_blob
from app.ledger.store import Cursor, Store
from app.ledger.tables import archive, assertion, card, event, invocation, returned_form, snapshot
from app.ledger.texts import Texts

T = TypeVar("T")
Append = Callable[[Cursor, dict[str, list[Row]]], None]
"""Inserts rows by table and chains the events among them."""

CALLS_A_FILE = 2000  # held in memory, and removed in one transaction, for which the service's writers wait
CALLS_A_SPAN = 50_000  # whose ids are held in memory
_CALLS_A_PART = 200
_AT_ONCE = 1000
_DOING = "nothing more was archived"


@dataclass(frozen=True, slots=True)
class Archived:
    """`files` were written and hold `calls`; `kept` calls are as old, and stay for what they are still needed for."""

    files: list[Path]
    calls: int
    kept: int


def move(
    store: Store, encryption: Encryption, append: Append, before: datetime, folder: Path, now: datetime
) -> Archived:
    """Move the calls received before an instant to files in a folder, but for those still needed. LedgerError."""
    old, until = 0, instant(before)
    again = store.read(_DOING, partial(_given_again, before=until))
    done: list[Row] = []
    gone: set[str] = set()  # of those that gave an answer again
    while (span := store.read(_DOING, partial(_span, until=until))) is not None:
        since, calls = span
        old += calls
        chosen = store.read(_DOING, partial(_chosen, since=since, until=until, before=instant(before), now=now))
        leaving = chosen | gone
        while stay := {first for later, first in again if first in chosen and later not in leaving}:
            chosen -= stay
            leaving -= stay
        done += _move_span(store, encryption, append, chosen, folder, now)
        gone |= {later for later, _ in again if later in chosen}
        until = since
    if store.dialect == "postgresql":
        partitions.drop_empty(store, instant(before))
    moved = sum(row["calls"] for row in done)
    return Archived([folder / row["file"] for row in done], moved, old - moved)


def _move_span(
    store: Store, encryption: Encryption, append: Append, chosen: set[str], folder: Path, now: datetime
) -> list[Row]:
    """Move these calls; the `archive` rows of their files. When a file cannot be written, none of them goes."""
    found = _calls(store, chosen, Blobs(encryption), Texts(encryption))
    number = store.read(_DOING, lambda each: each.execute(select(func.max(archive.c.number))).scalar() or 0)
    moves: list[tuple[Row, list[str]]] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while calls := list(islice(found, CALLS_A_FILE)):
            number = next(each for each in range(number + 1, number + 10**6) if not _path(folder, each).exists())
            row = _written(_path(folder, number), number, calls, encryption, now)
            moves.append((row, [each.invocation["invocation_id"] for each in calls]))
    except (OSError, LedgerError) as error:
        for row, _ in moves:
            (folder / row["file"]).unlink(missing_ok=True)
        if isinstance(error, LedgerError):
            raise
        raise LedgerError(f"the archive in {folder} cannot be written: {error.strerror}") from None
    for row, ids in reversed(moves):
        store.write(_DOING, partial(_remove, row=row, ids=ids, append=append))
    return [row for row, _ in moves]


def _path(folder: Path, number: int) -> Path:
    return folder / f"ledger-{number:06}.archive"


def _span(connection: Connection, until: str) -> tuple[str, int] | None:
    """Since when the newest calls before an instant were received, and how many they are; None where there are none."""
    received = invocation.c.received_at
    newest = select(received).where(received < until).order_by(received.desc()).limit(CALLS_A_SPAN).subquery()
    since = connection.execute(select(func.min(newest.c.received_at))).scalar()
    if since is None:
        return None
    within = select(func.count()).select_from(invocation).where(received >= since, received < until)
    return since, connection.execute(within).scalar_one()


def _chosen(connection: Connection, since: str, until: str, before: str, now: datetime) -> set[str]:
    """Ids of the calls of a span that may go, so far as they themselves are concerned."""
    made = assertion.c.invocation_id == invocation.c.invocation_id
    holds = or_(assertion.c.expires_on.is_(None), assertion.c.expires_on >= now.astimezone(UTC).date().isoformat())
    needed = or_(
        exists().where(made, holds),
        exists().where(made, snapshot.c.assertion_id == assertion.c.assertion_id, snapshot.c.expires_at > instant(now)),
        # Whoever sends a form takes the case up: it is as old as its last form.
        exists().where(
            made, returned_form.c.assertion_id == assertion.c.assertion_id, returned_form.c.received_at >= before
        ),
    )
    received = invocation.c.received_at
    within = select(invocation.c.invocation_id).where(received >= since, received < until)
    return set(connection.execute(within.where(~needed)).scalars())


def _given_again(connection: Connection, before: str) -> list[tuple[str, str]]:
    """Calls that rest on an old one, each with that: they gave its answer again, or told another under its id."""
    again = and_(assertion.c.assertion_id == event.c.assertion_id, assertion.c.received_at < before)
    gave_again = (
        select(event.c.invocation_id, assertion.c.invocation_id)
        .join(assertion, again)
        .where(event.c.event_type == "crd_honoured", event.c.archive.is_(None))
    )
    newer = assertion.alias("newer")
    told_again = select(newer.c.invocation_id, assertion.c.invocation_id).join(
        assertion, and_(assertion.c.assertion_id == newer.c.told_as, assertion.c.received_at < before)
    )
    found = (*connection.execute(gave_again), *connection.execute(told_again))
    return [(later, first) for later, first in found]


def _calls(store: Store, chosen: set[str], blobs: Blobs, texts: Texts) -> Iterator[ArchivedCall]:
    """The chosen calls, in the order of the chain."""
    for part in _chunks(store.read(_DOING, partial(_in_order, chosen=chosen)), _CALLS_A_PART):
        yield from store.read(_DOING, partial(_opened, part=part, blobs=blobs, texts=texts))


_of_calls = and_(
    event.c.archive.is_(None),
    event.c.invocation_id.is_not(None),
    event.c.feedback_id.is_(None),
    event.c.form_id.is_(None),
)


def _in_order(connection: Connection, chosen: set[str]) -> list[str]:
    ids = select(event.c.invocation_id).where(_of_calls).order_by(event.c.seq)
    found = connection.execute(ids.execution_options(yield_per=_AT_ONCE)).scalars()
    return list(dict.fromkeys(each for each in found if each in chosen))


def _rows(connection: Connection, query: Select[Any]) -> list[Row]:
    return [row._asdict() for row in connection.execute(query)]


def _opened(connection: Connection, part: list[str], blobs: Blobs, texts: Texts) -> list[ArchivedCall]:
    """Calls with all their rows, by their ids."""

    def of(table: Table, *which: ColumnElement[bool]) -> dict[str, list[Row]]:
        found: dict[str, list[Row]] = {each: [] for each in part}
        query = select(table).where(table.c.invocation_id.in_(part), *which)
        for row in _rows(connection, query.order_by(event.c.seq) if table is event else query):
            found[row["invocation_id"]].append(texts.opened(row))
        return found

    invocations, events = of(invocation), of(event, _of_calls)
    received = [row["received_at"] for rows in invocations.values() for row in rows]

    def in_time(table: Table) -> ColumnElement[bool]:
        """What the ids say already, for PostgreSQL to look into one month's partition instead of all."""
        return table.c.received_at.between(min(received), max(received)) if received else false()

    assertions, cards = of(assertion, in_time(assertion)), of(card, in_time(card))
    again = {row["assertion_id"] for rows in events.values() for row in rows if row["event_type"] == "crd_honoured"}
    earlier = _rows(connection, select(assertion).where(assertion.c.assertion_id.in_(again)))
    digests = {
        row["assertion_id"]: chain.assertion_digest(texts.opened(row), *assertion_blobs(row, blobs)) for row in earlier
    }
    return [
        ArchivedCall(
            invocation={
                **row,
                **{name: invocation_blob(row, name, blobs) for name in ("exchange", "fetched", "basis")},
            },
            assertions=[
                {**made, **dict(zip(("facts", "answer"), assertion_blobs(made, blobs), strict=True))}
                for made in assertions[invocation_id]
            ],
            cards=cards[invocation_id],
            events=events[invocation_id],
            honoured={
                each: digests[each]
                for row in events[invocation_id]
                if row["event_type"] == "crd_honoured" and (each := row["assertion_id"]) in digests
            },
        )
        for invocation_id in part
        for row in invocations[invocation_id]
    ]


def _written(path: Path, number: int, calls: list[ArchivedCall], encryption: Encryption, now: datetime) -> Row:
    """Write a file and read it back; its `archive` row."""
    parts = (calls[start : start + _CALLS_A_PART] for start in range(0, len(calls), _CALLS_A_PART))
    digest = write(path, number, parts, encryption)
    hashes, received = [], []
    for each in read(path, encryption):
        if faults := each.faults():
            path.unlink()
            raise LedgerError(f"nothing was archived, since the ledger is not whole: {faults[0]}")
        hashes += [row["hash"] for row in each.events]
        received.append(each.invocation["received_at"])
    return {
        "number": number,
        "made_at": instant(now),
        "received_from": min(received),
        "received_to": max(received),
        "file": path.name,
        "file_sha256": digest,
        "calls": len(received),
        "events": len(hashes),
        "events_sha256": events_digest(hashes),
    }


def _remove(connection: Connection, row: Row, ids: list[str], append: Append) -> None:
    act = {
        "occurred_at": row["made_at"],
        "event_type": "archived",
        **dict.fromkeys(
            ("invocation_id", "assertion_id", "order_ref", "track", "feedback_id", "publication", "form_id")
        ),
        "payload_hash": chain.archive_digest(row),
        "archive": row["number"],
    }
    append(connection.connection.cursor(), {"archive": [row], "event": [act]})
    for part in _chunks(ids):
        theirs = update(event).where(event.c.invocation_id.in_(part), _of_calls)
        connection.execute(theirs.values(archive=row["number"]))
        made = select(assertion.c.assertion_id).where(assertion.c.invocation_id.in_(part))
        connection.execute(delete(snapshot).where(snapshot.c.assertion_id.in_(made)))
        for table in (card, assertion, invocation):
            # The time, which the ids say already, lets PostgreSQL look into the months of the file only.
            within = table.c.received_at.between(row["received_from"], row["received_to"])
            connection.execute(delete(table).where(table.c.invocation_id.in_(part), within))


def _chunks(items: list[T], size: int = _AT_ONCE) -> Iterator[list[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
