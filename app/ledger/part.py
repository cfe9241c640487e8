"""What every part of the ledger reads and writes by: the store, the sealing, and the end of the chain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import BindParameter, Connection, Select, Text, bindparam

from app.encryption import Encryption
from app.errors import LedgerError
from app.ledger import chain
from app.ledger.blobs import Blobs
from app.ledger.rows import Row, instant
from app.ledger.store import Cursor, Store
from app.ledger.tables import metadata
from app.ledger.texts import Texts

T = TypeVar("T")

_TAIL = "SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1"


class Part:
    """Base of the parts; `Ledger` is all of them on one store."""

    def __init__(self, store: Store, encryption: Encryption | None) -> None:
        self._store = store
        self._encryption = encryption
        self._blobs = Blobs(encryption)
        self._texts = Texts(encryption)
        self._insert = {table.name: store.insert_sql(table) for table in metadata.tables.values()}

    def _append(self, cursor: Cursor, rows: dict[str, list[Row]]) -> None:
        """Insert rows by table, in that order, but the events last. The caller holds the writers' lock."""
        for table, added in rows.items():
            if table != "event":
                self._add(cursor, table, added)
        self._chain(cursor, rows["event"])

    def _add(self, cursor: Cursor, table: str, rows: list[Row]) -> None:
        if rows:
            cursor.executemany(self._insert[table], [self._texts.sealed(row) for row in rows])

    def _chain(self, cursor: Cursor, events: list[Row]) -> None:
        """Number the events, chain them to the last of the ledger and insert them."""
        cursor.execute(_TAIL)
        seq, previous = cursor.fetchone() or (0, chain.GENESIS)
        recorded_at = instant(datetime.now(UTC))
        for row in events:
            seq += 1
            row.update(seq=seq, recorded_at=recorded_at, prev_hash=previous)
            row.setdefault("archive", None)
            row.setdefault("reading_id", None)
            row["hash"] = previous = chain.event_hash(row)
        self._add(cursor, "event", events)

    def _wanted(self, **texts: str) -> dict[str, str]:
        """Parameters for `_any`: what each text may stand as in its column, numbered."""
        return {
            f"{column}_{number}": text
            for column, wanted in texts.items()
            for number, text in enumerate(self._texts.wanted(wanted, column))
        }

    def _any(self, column: str) -> list[BindParameter[str]]:
        """What `_wanted` gives, for a text that is compiled once."""
        return [bindparam(f"{column}_{number}", type_=Text) for number in range(self._texts.forms)]

    def _find(self, query: Select[Any], record: Callable[[Row], T]) -> list[T]:
        def find(connection: Connection) -> list[T]:
            return [record(self._texts.opened(row._asdict())) for row in connection.execute(query)]

        return self._store.read("the ledger could not be read", find)

    def _find_fast(self, sql: str, wanted: Mapping[str, Any], record: Callable[[Row], T]) -> list[T]:
        """As `_find`, by a text that was compiled once (`Store.query_sql`): for what every call asks."""

        def find(cursor: Cursor) -> list[T]:
            cursor.execute(sql, wanted)
            names = [column[0] for column in cursor.description]
            rows = (dict(zip(names, row, strict=True)) for row in cursor.fetchall())
            return [record(self._texts.opened(row)) for row in rows]

        return self._store.read_fast("the ledger could not be read", find)

    def _sealing(self) -> Encryption:
        if self._encryption is None:
            raise LedgerError("nothing can be sealed or opened: no key is at hand")
        return self._encryption
