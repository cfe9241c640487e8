"""Looking at a store without changing it: for whoever wants to know why a ledger does not open."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from app.ledger import schema
from app.ledger.store import Store
from app.ledger.tables import event


@dataclass(frozen=True, slots=True)
class Examination:
    """A store as it was found. `schema` None: it is empty. `newest` is when the last event was written, if any.

    `clock` is the database server's own; None for SQLite, which has none.
    """

    schema: str | None
    needed: str
    newest: datetime | None
    clock: datetime | None


def examine(url: str) -> Examination:
    """Look at the store at `url`, which must exist where it is a file. LedgerError when it cannot be reached."""
    store = Store(url)

    def look(connection: Connection) -> Examination:
        clock = connection.execute(select(func.clock_timestamp())).scalar() if store.dialect == "postgresql" else None
        found = schema.version(connection)
        newest = None
        if found == schema.HEAD:
            newest = connection.execute(select(event.c.recorded_at).order_by(event.c.seq.desc()).limit(1)).scalar()
        return Examination(found, schema.HEAD, datetime.fromisoformat(newest) if newest else None, clock)

    try:
        return store.read("the ledger cannot be looked at", look)
    finally:
        store.close_idle()
