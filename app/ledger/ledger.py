"""The ledger itself: written once a hook call, before the answer leaves, and read when somebody asks why."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, Select, select

from app.errors import LedgerError
from app.ledger import chain, schema
from app.ledger.audit import audit
from app.ledger.records import Call, RulebookRecord, StoredAssertion, StoredInvocation
from app.ledger.rows import (
    Row,
    assertion_row,
    instant,
    invocation_row,
    rulebook_row,
    stored_assertion,
    stored_invocation,
    stored_rulebook,
)
from app.ledger.store import Store, Synchronous, create_sqlite_file
from app.ledger.tables import assertion, invocation, metadata, rulebook

T = TypeVar("T")

_TAIL = "SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1"
# Changes nothing, yet is a write: SQLite gives the lock on a read-only file and refuses only the statement.
_TOUCH = "UPDATE event SET seq = seq WHERE seq = 0"


class Ledger:
    """Every method raises LedgerError, and nothing else, when the store does not do as asked.

    Safe to share between threads. Holds no connection across a fork: one opened before gunicorn forks serves the
    workers too.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._insert = {table.name: store.insert_sql(table) for table in metadata.tables.values()}

    @classmethod
    def open(cls, url: str, *, synchronous: Synchronous = "full") -> Self:
        """The ledger at `sqlite:///path` (made and migrated where needed) or `postgresql://…` (at head already).

        `synchronous` is SQLite's: "full" survives a power cut, "normal" may lose the last answers to one.
        """
        store = Store(url, synchronous)
        if store.dialect == "sqlite":
            _migrate_sqlite(store)
        else:
            found = store.read("the ledger cannot be opened", schema.version)
            if found != schema.HEAD:
                raise LedgerError(
                    f"the ledger's schema is {found or 'empty'}, this version of Signpost needs {schema.HEAD}:"
                    " run `signpost ledger migrate`"
                )
        store.close_idle()
        return cls(store)

    @staticmethod
    def migrate(url: str) -> None:
        """Bring the store at `url` to this version's schema, however many processes try at once."""
        store = Store(url)
        if store.dialect == "sqlite":
            _migrate_sqlite(store)
        else:
            store.write("the ledger cannot be migrated", schema.upgrade)
        store.close_idle()

    def record(self, call: Call) -> None:
        """Write the invocation, its assertions and their events in one transaction, or nothing.

        The call's rulebook must be in the store (`record_rulebook`): an answer nobody can replay is not an answer.
        """
        doing = f"invocation {call.invocation_id} was not recorded"
        try:
            asked = invocation_row(call)
            answered = [assertion_row(record, call.invocation_id) for record in call.assertions]
            events = _events(call, asked, answered)
        except Exception as error:
            # Outside the handler again, and by its kind only: the message may quote the value.
            reason = type(error).__name__
        else:
            self._store.write(doing, lambda connection: self._append(connection, asked, answered, events))
            return
        raise LedgerError(f"{doing}: the call holds a value of the wrong kind ({reason})")

    def _append(self, connection: Connection, asked: Row, answered: list[Row], events: list[Row]) -> None:
        # Straight to the driver: SQLAlchemy's way through a statement costs more here than SQLite's own work.
        cursor = connection.connection.cursor()
        cursor.execute(self._insert["invocation"], asked)
        if answered:
            cursor.executemany(self._insert["assertion"], answered)
        cursor.execute(_TAIL)
        seq, previous = cursor.fetchone() or (0, chain.GENESIS)
        recorded_at = instant(datetime.now(UTC))
        for row in events:
            seq += 1
            row.update(seq=seq, recorded_at=recorded_at, prev_hash=previous)
            row["hash"] = previous = chain.event_hash(row)
        cursor.executemany(self._insert["event"], events)
        cursor.close()

    def record_rulebook(self, record: RulebookRecord) -> None:
        """Keep a rulebook version before its first answer leaves; one already kept is left as it is."""

        def keep(connection: Connection) -> None:
            kept = select(rulebook.c.hash).where(rulebook.c.hash == record.hash)
            if connection.execute(kept).first() is None:
                connection.exec_driver_sql(self._insert["rulebook"], rulebook_row(record))

        self._store.write(f"rulebook {record.hash} was not recorded", keep)

    def assertion(self, assertion_id: str) -> StoredAssertion | None:
        """The assertion of that id, None where there is none."""
        query = select(assertion).where(assertion.c.assertion_id == assertion_id)
        return next(iter(self._find(query, stored_assertion)), None)

    def assertions_of(self, invocation_id: str) -> list[StoredAssertion]:
        """The assertions an invocation's response made, by order; [] for an unknown invocation."""
        of = select(assertion).where(assertion.c.invocation_id == invocation_id)
        return self._find(of.order_by(assertion.c.order_ref, assertion.c.assertion_id), stored_assertion)

    def invocation(self, invocation_id: str) -> StoredInvocation | None:
        """The invocation of that id, None where there is none."""
        query = select(invocation).where(invocation.c.invocation_id == invocation_id)
        return next(iter(self._find(query, stored_invocation)), None)

    def recent(self, limit: int) -> list[StoredInvocation]:
        """The latest invocations, newest first."""
        newest = select(invocation).order_by(invocation.c.received_at.desc(), invocation.c.invocation_id)
        return self._find(newest.limit(limit), stored_invocation)

    def rulebook(self, rulebook_hash: str) -> RulebookRecord | None:
        """The rulebook version of that hash, None where there is none."""
        query = select(rulebook).where(rulebook.c.hash == rulebook_hash)
        return next(iter(self._find(query, stored_rulebook)), None)

    def _find(self, query: Select[Any], record: Callable[[Row], T]) -> list[T]:
        def find(connection: Connection) -> list[T]:
            return [record(row._asdict()) for row in connection.execute(query)]

        return self._store.read("the ledger could not be read", find)

    def verify(self) -> list[str]:
        """What is wrong with the chain and the rows it vouches for, one line a fault; [] is good.

        Reads the whole store. It cannot see that the newest events were cut off together with all their rows:
        for that, keep the last event's hash somewhere else.
        """
        return self._store.read_snapshot("the ledger could not be verified", audit)

    def healthy(self) -> None:
        """Return when the ledger could be written now: its lock can be had and its chain takes a write."""
        self._store.write("the ledger cannot be written", lambda connection: connection.exec_driver_sql(_TOUCH))

    def close(self) -> None:
        """Close the connections not in use."""
        self._store.close_idle()


def _migrate_sqlite(store: Store) -> None:
    create_sqlite_file(store.url)

    def prepare(connection: Connection) -> str | None:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        return schema.version(connection)

    doing = "the ledger cannot be opened"
    if store.read(doing, prepare) != schema.HEAD:
        store.write(doing, schema.upgrade)


def _events(call: Call, asked: Row, answered: list[Row]) -> list[Row]:
    """The events of a call, still to be numbered and chained. Every call has one: none is off the chain."""
    digest = chain.invocation_digest(asked, call.fetched)
    occurred_at = instant(call.received_at + timedelta(milliseconds=call.answered_in_ms))
    events: list[Row] = [
        {
            "occurred_at": occurred_at,
            "event_type": "crd_returned",
            "invocation_id": call.invocation_id,
            "assertion_id": row["assertion_id"],
            "order_ref": row["order_ref"],
            "track": row["track"],
            "payload_hash": chain.payload_hash(digest, chain.assertion_digest(row, record.facts, record.answer)),
        }
        for row, record in zip(answered, call.assertions, strict=True)
    ]
    if call.status >= 400 or not events:
        events.append(
            {
                "occurred_at": occurred_at,
                "event_type": "call_failed" if call.status >= 400 else "call_answered",
                "invocation_id": call.invocation_id,
                "assertion_id": None,
                "order_ref": None,
                "track": None,
                "payload_hash": chain.payload_hash(digest, None),
            }
        )
    return events
