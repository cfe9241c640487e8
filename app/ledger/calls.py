"""Hook calls: written whole before their answer leaves, and read when somebody asks why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Connection, Text, bindparam, delete, select

from app.encryption import Encryption
from app.errors import LedgerError
from app.ledger import chain, partitions
from app.ledger.assertions import Assertions
from app.ledger.events import call_events
from app.ledger.measured import MeasuredCall, measured_calls
from app.ledger.records import ROUTING, Call, CardRecord, SnapshotRecord, StoredAssertion, StoredInvocation
from app.ledger.rows import (
    Row,
    assertion_row,
    card_row,
    instant,
    invocation_row,
    snapshot_row,
    stored_card,
    stored_invocation,
    stored_snapshot,
)
from app.ledger.store import WAIT_S, Cursor, Store
from app.ledger.tables import assertion, card, invocation, snapshot
from app.ledger.together import Together


class Calls(Assertions):
    """Calls with their assertions and cards, and what is kept of a call for its forms."""

    def __init__(self, store: Store, encryption: Encryption | None) -> None:
        super().__init__(store, encryption)
        self._months = partitions.Months() if store.dialect == "postgresql" else None
        self._together = Together(self._write_calls, WAIT_S)
        self._replaced_snapshot = store.query_sql(
            delete(snapshot).where(snapshot.c.assertion_id == bindparam("assertion_id", type_=Text))
        )
        self._purge_expired = store.query_sql(
            delete(snapshot).where(snapshot.c.expires_at <= bindparam("now", type_=Text))
        )

    def record(self, call: Call) -> None:
        """Write the invocation, its assertions, cards and events in one transaction, or nothing.

        The call's rulebook must be in the store (`record_rulebook`): an answer nobody can replay is not an answer.
        So must the assertions it honours. A snapshot takes the place of the one that was kept for its assertion.
        """
        doing = f"invocation {call.invocation_id} was not recorded"
        honoured = self._honoured(doing, call.honoured)
        earlier = {each.assertion_id for each in call.snapshots} - {each.assertion_id for each in call.assertions}
        if any(self.assertion(each) is None for each in sorted(earlier)):
            raise LedgerError(f"{doing}: what it keeps for forms is for no assertion of the ledger")
        try:
            rows = self._rows_of(call, honoured)
        except Exception as error:
            # Outside the handler again, and by its kind only: the message may quote the value.
            reason = type(error).__name__
        else:
            self._together.add(doing, rows)
            return
        raise LedgerError(f"{doing}: the call holds a value of the wrong kind ({reason})")

    def _rows_of(self, call: Call, honoured: list[tuple[StoredAssertion, str]]) -> dict[str, list[Row]]:
        """The rows of a call by table."""
        asked = invocation_row(call, self._blobs)
        answered = [assertion_row(record, call, self._blobs) for record in call.assertions]
        shown = [card_row(record, call) for record in call.cards]
        return {
            "invocation": [asked],
            "assertion": answered,
            "snapshot": [snapshot_row(record) for record in call.snapshots],
            "card": shown,
            "event": call_events(call, asked, answered, shown, honoured),
        }

    def _honoured(self, doing: str, ids: Sequence[str]) -> list[tuple[StoredAssertion, str]]:
        """Earlier assertions with their digests. Read before the writers' lock is taken: they never change."""
        if not ids:
            return []

        def find(connection: Connection) -> list[tuple[StoredAssertion, str]]:
            rows = connection.execute(select(assertion).where(assertion.c.assertion_id.in_(ids)))
            by_id = {row.assertion_id: self._texts.opened(row._asdict()) for row in rows}
            if not by_id.keys() >= set(ids):
                raise LedgerError(f"{doing}: an assertion it honours is not in the ledger")
            earlier = [(self._stored_assertion(by_id[each]), by_id[each]) for each in ids]
            return [(found, chain.assertion_digest(row, found.facts, found.answer)) for found, row in earlier]

        return self._store.read(doing, find)

    def _write_calls(self, doing: str, calls: list[dict[str, list[Row]]]) -> None:
        """Write the rows of several calls in one transaction.

        All services chain their events one after another, so their turn must be short: on PostgreSQL what is large,
        and is each call's own, is inserted before it.
        """
        rows = {table: [row for call in calls for row in call[table]] for table in calls[0]}
        kept = rows["snapshot"]

        def ahead(cursor: Cursor) -> None:
            for table in ("invocation", "assertion", "card"):
                self._add(cursor, table, rows[table])

        def chained(cursor: Cursor) -> None:
            if kept:  # taken again for an answer that was given again
                cursor.executemany(self._replaced_snapshot, kept)
                self._add(cursor, "snapshot", list({row["assertion_id"]: row for row in kept}.values()))
                # Whoever adds one clears away those that have expired.
                cursor.execute(self._purge_expired, {"now": instant(datetime.now(UTC))})
            self._chain(cursor, rows["event"])

        if self._months is not None:
            self._months.make(self._store, datetime.now(UTC))
        self._store.write_fast(doing, chained, ahead)

    def invocation(self, invocation_id: str) -> StoredInvocation | None:
        """The invocation of that id, None where there is none."""
        query = select(invocation).where(invocation.c.invocation_id == invocation_id)
        return next(iter(self._find(query, self._stored_invocation)), None)

    def recent(self, limit: int) -> list[StoredInvocation]:
        """The latest invocations, newest first."""
        newest = select(invocation).order_by(invocation.c.received_at.desc(), invocation.c.invocation_id)
        return self._find(newest.limit(limit), self._stored_invocation)

    def answered_between(self, since: datetime | None, until: datetime | None) -> list[str]:
        """Ids of the hooks that were answered (HTTP below 400) from `since` up to, not including, `until`."""
        query = select(invocation.c.invocation_id).where(invocation.c.status < 400, invocation.c.hook != ROUTING)
        if since is not None:
            query = query.where(invocation.c.received_at >= instant(since))
        if until is not None:
            query = query.where(invocation.c.received_at < instant(until))
        return self._find(query.order_by(invocation.c.received_at), lambda row: str(row["invocation_id"]))

    def measure(
        self, take: Callable[[MeasuredCall], None], *, since: datetime | None = None, until: datetime | None = None
    ) -> None:
        """Hand each call received from `since` up to, not including, `until` to `take`, oldest first, on one view."""

        def each(connection: Connection) -> None:
            for call in measured_calls(connection, since, until, self._blobs):
                take(call)

        self._store.read_snapshot("the calls could not be measured", each)

    def cards_of(self, invocation_id: str) -> list[CardRecord]:
        """The cards an invocation's response showed, by id; [] for an unknown invocation."""
        of = select(card).where(card.c.invocation_id == invocation_id)
        return self._find(of.order_by(card.c.card_id), stored_card)

    def snapshot(self, assertion_id: str, now: datetime) -> SnapshotRecord | None:
        """What was kept for an assertion's forms; None where nothing was, or it is used, or it has expired by `now`."""
        query = select(snapshot).where(snapshot.c.assertion_id == assertion_id, snapshot.c.expires_at > instant(now))
        return next(iter(self._find(query, stored_snapshot)), None)

    def delete_snapshot(self, assertion_id: str) -> bool:
        """Forget what was kept for an assertion: its form is complete. Whether there was anything."""
        return self._delete_snapshots(snapshot.c.assertion_id == assertion_id) > 0

    def purge_snapshots(self, now: datetime) -> int:
        """Delete every snapshot that has expired by `now`; how many."""
        return self._delete_snapshots(snapshot.c.expires_at <= instant(now))

    def _delete_snapshots(self, which: ColumnElement[bool]) -> int:
        query = delete(snapshot).where(which)
        return self._store.write("snapshots were not deleted", lambda connection: connection.execute(query).rowcount)

    def _stored_invocation(self, row: Row) -> StoredInvocation:
        return stored_invocation(row, self._blobs)
