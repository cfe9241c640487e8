"""The ledger itself: every part of it on one store."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Self

from sqlalchemy import Connection, select

from app.encryption import Encryption
from app.errors import LedgerError
from app.ledger import partitions, schema
from app.ledger.archive_file import ArchivedCall, read, sha256_of
from app.ledger.archiving import Archived, move
from app.ledger.audit import audit
from app.ledger.calls import Calls
from app.ledger.draft import Drafts
from app.ledger.feedback import Feedback
from app.ledger.reading import Readings
from app.ledger.reseal import Resealed, reseal
from app.ledger.returned_form import Forms
from app.ledger.rulebooks import Rulebooks
from app.ledger.store import Store, Synchronous, create_sqlite_file, use_write_ahead_log
from app.ledger.tables import archive

# Changes nothing, yet is a write: SQLite gives the lock on a read-only file and refuses only the statement.
_TOUCH = "UPDATE event SET seq = seq WHERE seq = 0"


class Ledger(Calls, Forms, Feedback, Rulebooks, Drafts, Readings):
    """Every method raises LedgerError, and nothing else, when the store does not do as asked.

    Safe to share between threads. Holds no connection across a fork: one opened before gunicorn forks serves the
    workers too.
    """

    def __init__(self, store: Store, encryption: Encryption | None = None) -> None:
        super().__init__(store, encryption)

    @classmethod
    def open(cls, url: str, encryption: Encryption | None = None, *, synchronous: Synchronous = "full") -> Self:
        """The ledger at `sqlite:///path` (made and migrated where needed) or `postgresql://…` (at head already).

        `encryption` seals what is written of patients and opens what was sealed; without it nothing is, and sealed
        rows cannot be read. `synchronous` is SQLite's: "full" survives a power cut, "normal" may lose the last answers
        to one.
        """
        store = Store(url, synchronous)
        if store.dialect == "sqlite":
            _migrate_sqlite(store)
        else:
            found = store.read("the ledger cannot be opened", schema.version)
            if found != schema.HEAD:
                store.close_idle()
                raise LedgerError(
                    f"the ledger's schema is {found or 'empty'}, this version of Signpost needs {schema.HEAD}:"
                    " run `signpost ledger migrate`"
                )
            store.write("the ledger's months cannot be made", partitions.make_ahead)
        store.close_idle()
        return cls(store, encryption)

    @staticmethod
    def migrate(url: str) -> None:
        """Bring the store at `url` to this version's schema, however many processes try at once."""
        store = Store(url)
        if store.dialect == "sqlite":
            _migrate_sqlite(store)
        else:
            store.write("the ledger cannot be migrated", schema.upgrade)
            store.write("the ledger's months cannot be made", partitions.make_ahead)
        store.close_idle()

    def archive(self, before: datetime, folder: Path, now: datetime) -> Archived:
        """Move the calls received before an instant (aware) to files in a folder, but for those still needed.

        Stay: a call whose assertion still holds, which was given again by a call that stays, for which a form came
        back since, or for whose forms something is still kept.
        """
        return move(self._store, self._sealing(), self._append, before, folder, now)

    def read_archive(self, path: Path) -> list[ArchivedCall]:
        """The calls in a file, whether or not it is of this ledger."""
        return list(read(path, self._sealing()))

    def check_archive(self, path: Path) -> list[str]:
        """What is wrong with a file that was written from this ledger, by what the ledger says of it; [] is good."""
        digest = sha256_of(path)
        query = select(archive).where(archive.c.file_sha256 == digest)
        if not self._find(query, dict):
            return [f"{path}: no archive of this ledger is this file, or it was changed"]
        return [fault for call in self.read_archive(path) for fault in call.faults()]

    def verify(self) -> list[str]:
        """What is wrong with the chain and the rows it vouches for, one line a fault; [] is good.

        Reads the whole store. It cannot see that the newest events were cut off together with all their rows:
        for that, keep the last event's hash somewhere else.
        """
        return self._store.read_snapshot(
            "the ledger could not be verified", lambda connection: audit(connection, self._blobs, self._texts)
        )

    def reseal(self) -> Resealed:
        """Seal under the first key what is not: written under an older one, or before blobs were sealed.

        Writers get their turn after every few rows. LedgerError without keys.
        """
        return reseal(self._store, self._sealing())

    def healthy(self) -> None:
        """Return when the ledger could be written now: its lock can be had and its chain takes a write."""
        self._store.write("the ledger cannot be written", lambda connection: connection.exec_driver_sql(_TOUCH))

    def close(self) -> None:
        """Close the connections not in use."""
        self._store.close_idle()


def _migrate_sqlite(store: Store) -> None:
    create_sqlite_file(store.url)

    def prepare(connection: Connection) -> str | None:
        use_write_ahead_log(connection)
        return schema.version(connection)

    doing = "the ledger cannot be opened"
    if store.read(doing, prepare) != schema.HEAD:
        store.rebuild(doing, schema.upgrade)
