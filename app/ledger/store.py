"""One database behind the ledger: its engine, the writers' lock, what becomes of its errors, and forks."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar
from weakref import WeakSet, finalize

from sqlalchemy import ClauseElement, Connection, Table, create_engine, event, insert
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError

from app.errors import EncryptionError, LedgerError

T = TypeVar("T")
Cursor: TypeAlias = DBAPICursor
"""A cursor of the driver (PEP 249)."""
Synchronous = Literal["full", "normal"]

WAIT_S = 5
"""How long a writer waits for the others before it gives up."""

_LOOK_AGAIN_S = 0.0005
"""Between two looks at SQLite's write lock. A transaction holds it for about a millisecond."""

_CHAIN = 0x7369676E706F7374
"""Key of PostgreSQL's advisory lock: "signpost" in ASCII."""

_TAKE_WRITE_LOCK = {
    "sqlite": "BEGIN IMMEDIATE",
    "postgresql": f"SELECT pg_advisory_xact_lock({_CHAIN})",
}
# One view of the whole store, so that a reader never sees half of what a writer adds meanwhile.
_TAKE_SNAPSHOT = {
    "sqlite": "BEGIN",
    "postgresql": "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
}


class Store:
    """Runs work on a pooled connection and turns every failure into a LedgerError free of payload text."""

    def __init__(self, url: str, synchronous: Synchronous = "full") -> None:
        """Connects lazily. LedgerError for a URL that is neither a SQLite file nor PostgreSQL."""
        try:
            self.url = make_url(url)
        except ArgumentError:
            raise LedgerError("the ledger's URL cannot be read; say sqlite:///path or postgresql://...") from None
        self.dialect = self.url.get_backend_name()
        if self.dialect == "sqlite":
            options, session = _sqlite(self.url, synchronous)
        elif self.dialect == "postgresql":
            options, session = {"pool_pre_ping": True}, [f"SET lock_timeout = '{WAIT_S}s'"]
        else:
            raise LedgerError(f"the ledger cannot live in {self.dialect}; use SQLite or PostgreSQL")
        try:
            # No upper bound: a thread holds at most one connection, and the server bounds the threads.
            self._engine = create_engine(self.url, pool_size=0, pool_use_lifo=True, hide_parameters=True, **options)
        except ImportError as error:
            raise LedgerError(f"the driver for {self.url.drivername} is not installed: {error.name}") from None
        except NoSuchModuleError:
            raise LedgerError(f"there is no driver {self.url.drivername}") from None

        @event.listens_for(self._engine, "connect")
        def prepare(connection: Any, _: object) -> None:
            cursor = connection.cursor()
            for statement in session:
                cursor.execute(statement)
            cursor.close()
            connection.commit()

        self._turn = threading.Lock()
        finalize(self, self._engine.dispose)
        _stores.add(self)

    def read(self, doing: str, work: Callable[[Connection], T]) -> T:
        """Run `work` without a lock; `doing` says what failed, should it."""
        return self._run(doing, None, work)

    def read_snapshot(self, doing: str, work: Callable[[Connection], T]) -> T:
        """Run `work` on one unchanging view of the store."""
        return self._run(doing, _TAKE_SNAPSHOT[self.dialect], work)

    def write(self, doing: str, work: Callable[[Connection], T]) -> T:
        """Run `work` as the only writer, in one transaction that is committed whole or leaves nothing."""
        with self._turn_of(doing):
            return self._run(doing, _TAKE_WRITE_LOCK[self.dialect], work)

    def rebuild(self, doing: str, work: Callable[[Connection], T]) -> T:
        """As `write`, with SQLite's foreign keys unchecked: it changes a table by copying it, and others refer to it.

        Connections check them again once those not in use are closed.
        """
        with self._turn_of(doing):
            first = "PRAGMA foreign_keys=OFF" if self.dialect == "sqlite" else None
            return self._run(doing, _TAKE_WRITE_LOCK[self.dialect], work, first)

    def read_fast(self, doing: str, work: Callable[[Cursor], T]) -> T:
        """As `read`, on a cursor of the driver: what every call does, where SQLAlchemy's way costs more than SQL's."""
        return self._guarded(doing, lambda: self._on_cursor(None, work))

    def write_fast(self, doing: str, work: Callable[[Cursor], T], ahead: Callable[[Cursor], None] | None = None) -> T:
        """As `write`, on a cursor of the driver.

        `ahead` is of the same transaction and runs before `work`: on PostgreSQL while others still write.
        """
        with self._turn_of(doing):
            return self._guarded(doing, lambda: self._on_cursor(_TAKE_WRITE_LOCK[self.dialect], work, ahead))

    def _on_cursor(
        self, opening: str | None, work: Callable[[Cursor], T], ahead: Callable[[Cursor], None] | None = None
    ) -> T:
        connection = self._engine.raw_connection()
        try:
            cursor = connection.cursor()
            if ahead is not None and self.dialect == "postgresql":
                ahead(cursor)
                ahead = None
            if opening is not None:
                self._open(cursor, opening)
            if ahead is not None:
                ahead(cursor)
            result = work(cursor)
            cursor.close()
            connection.commit()
            return result
        finally:
            connection.close()  # back to the pool, which rolls back what was not committed

    def _run(self, doing: str, opening: str | None, work: Callable[[Connection], T], first: str | None = None) -> T:
        def run() -> T:
            with self._engine.connect() as connection:
                if opening is not None:
                    cursor = connection.connection.cursor()
                    if first is not None:
                        cursor.execute(first)
                    self._open(cursor, opening)
                    cursor.close()
                result = work(connection)
                connection.commit()
                return result

        return self._guarded(doing, run)

    def _open(self, cursor: Cursor, opening: str) -> None:
        """Begin a transaction. SQLite itself would wait for its write lock in sleeps of up to 0.1 s: too coarse."""
        if self.dialect != "sqlite" or "IMMEDIATE" not in opening:
            cursor.execute(opening)
            return
        until = time.monotonic() + WAIT_S
        cursor.execute("PRAGMA busy_timeout=0")
        try:
            while True:
                try:
                    cursor.execute(opening)
                    return
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                        raise
                time.sleep(_LOOK_AGAIN_S)
        finally:
            cursor.execute(f"PRAGMA busy_timeout={WAIT_S * 1000:.0f}")

    @contextmanager
    def _turn_of(self, doing: str) -> Iterator[None]:
        """This thread alone writes, of all of the process."""
        # Threads queue here first: the databases' own waiting is for other processes.
        if not self._turn.acquire(timeout=WAIT_S):
            raise LedgerError(f"{doing}: other writers held the ledger for {WAIT_S} s")
        try:
            yield
        finally:
            self._turn.release()

    def _guarded(self, doing: str, run: Callable[[], T]) -> T:
        try:
            return run()
        except LedgerError:
            raise
        except Exception as error:
            # Whatever it was, what `doing` says did not happen, and the caller must not answer as if it had.
            reason = _reason(error)
        # Outside the handler: a driver's message can quote the row it refused, so it must not hang on as context.
        raise LedgerError(f"{doing}: {reason}")

    def insert_sql(self, table: Table) -> str:
        """The INSERT of a whole row, in the driver's own parameter style: a row is a dict by column name."""
        return str(insert(table).compile(dialect=self._engine.dialect))

    def query_sql(self, query: ClauseElement) -> str:
        """A statement in the driver's own parameter style, with its bindparams by name: compiled once, run often."""
        return str(query.compile(dialect=self._engine.dialect))

    def close_idle(self) -> None:
        """Close the connections nobody is using; the next use opens new ones."""
        self._engine.dispose()

    def forget(self) -> None:
        """In a forked child: leave the parent's connections alone and start with none."""
        self._engine.dispose(close=False)
        self._turn = threading.Lock()


def _sqlite(url: URL, synchronous: Synchronous) -> tuple[dict[str, Any], list[str]]:
    if url.database in (None, "", ":memory:"):
        raise LedgerError("the ledger needs a file: an answer kept in memory binds nobody")
    # Autocommit, so that the transaction is ours to begin; named parameters, so that rows are dicts as elsewhere.
    options = {"connect_args": {"isolation_level": None, "timeout": WAIT_S}, "paramstyle": "named"}
    return options, [f"PRAGMA synchronous={synchronous.upper()}", "PRAGMA foreign_keys=ON"]


def create_sqlite_file(url: URL) -> None:
    """Make the database file, readable by its owner only, and its folder; a `file:` URI names one that exists."""
    if url.database is None or url.database.startswith("file:"):
        return
    path = Path(url.database)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.touch(mode=0o600)
    except OSError as error:
        raise LedgerError(f"the ledger's file {path} cannot be made: {error.strerror}") from None


def use_write_ahead_log(connection: Connection) -> None:
    """Switch a SQLite file to WAL, which stays with the file.

    Of several processes that switch a new file at once, SQLite turns some away without waiting its timeout.
    """
    until = time.monotonic() + WAIT_S
    while True:
        try:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            return
        except OperationalError as error:
            if getattr(error.orig, "sqlite_errorname", None) != "SQLITE_BUSY" or time.monotonic() > until:
                raise
        time.sleep(0.01)


_MEANING = {
    "SQLITE_CONSTRAINT_PRIMARYKEY": "an id it brings is in the ledger already",
    "23505": "an id it brings is in the ledger already",
    "SQLITE_CONSTRAINT_FOREIGNKEY": "the rulebook it names is not in the ledger",
    "23503": "the rulebook it names is not in the ledger",
}


def _reason(error: Exception) -> str:
    """Why, without anything a row could have contributed: SQLite's own texts name only columns."""
    if isinstance(error, EncryptionError):
        return str(error)
    cause = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None)
    if state in _MEANING:
        return _MEANING[state]
    if isinstance(cause, sqlite3.Error):
        return f"{cause} ({state})" if state else str(cause)
    return f"{type(cause).__name__} ({state})" if state else type(cause).__name__


_stores: WeakSet[Store] = WeakSet()


def _before_fork() -> None:
    # SQLite keeps its locks per process and believes inherited ones are held: no connection may be open across a fork.
    for store in list(_stores):
        store.close_idle()


def _after_fork_in_child() -> None:
    for store in list(_stores):
        store.forget()


os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)
