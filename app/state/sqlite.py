"""Shared state of several workers on one machine: a SQLite file."""

from __future__ import annotations

import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from weakref import WeakSet, finalize

from app.errors import StateError

WAIT_S = 5
"""How long a writer waits for the others before it gives up."""

_PURGE_SECONDS = 60
_SCHEMA = (
    # Synchronous NORMAL: a power cut may lose the last moments, and nothing here is worth more than minutes.
    "PRAGMA synchronous=NORMAL",
    "CREATE TABLE IF NOT EXISTS entry (key TEXT PRIMARY KEY, value BLOB NOT NULL, expires_at REAL NOT NULL)"
    " WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS entry_expires_at ON entry (expires_at)",
)
_SET = "INSERT OR REPLACE INTO entry (key, value, expires_at) VALUES (?, ?, ?)"
# One statement, so that SQLite's write lock makes the look and the mark one step for all workers.
_ADD = (
    "INSERT INTO entry (key, value, expires_at) VALUES (?, x'', ?) ON CONFLICT (key)"
    " DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at WHERE entry.expires_at <= ?"
)
_COUNT = (
    "INSERT INTO entry (key, value, expires_at) VALUES (?, 1, ?) ON CONFLICT (key) DO UPDATE SET"
    " value = CASE WHEN entry.expires_at <= ? THEN 1 ELSE entry.value + 1 END,"
    " expires_at = CASE WHEN entry.expires_at <= ? THEN excluded.expires_at ELSE entry.expires_at END"
    " RETURNING value"
)


class SqliteState:
    """Entries in one table. The file and its folder are made at the first use, readable by their owner only.

    `clock` must be the same in all processes, so it is the wall clock.
    """

    def __init__(self, path: str | Path, clock: Callable[[], float] = time.time) -> None:
        self._path = Path(path)
        self._clock = clock
        self._purge_at = clock() + _PURGE_SECONDS
        self._idle: deque[sqlite3.Connection] = deque()
        finalize(self, _close, self._idle)
        _states.add(self)

    def get(self, key: str) -> bytes | None:
        """The value of `key`, None when there is none any more."""
        with self._connection() as connection:
            found = connection.execute(
                "SELECT value FROM entry WHERE key = ? AND expires_at > ?", (key, self._clock())
            ).fetchone()
        return found[0] if found else None

    def set(self, key: str, value: bytes, ttl: float) -> None:
        """Store `value`, in place of any other."""
        now = self._clock()
        self._write(_SET, (key, value, now + ttl), now)

    def add_if_absent(self, key: str, ttl: float) -> bool:
        """Mark `key` unless it is there, and say whether this call did it."""
        now = self._clock()
        return self._write(_ADD, (key, now + ttl, now), now) == 1

    def count(self, key: str, ttl: float) -> int:
        """Count one more under `key`; the first sets how long it lives."""
        now = self._clock()
        with self._connection() as connection:
            (number,) = connection.execute(_COUNT, (key, now + ttl, now, now)).fetchone()
        return int(number)

    def delete(self, key: str) -> None:
        """Remove `key`, if it is there."""
        self._write("DELETE FROM entry WHERE key = ?", (key,), self._clock())

    def ping(self) -> None:
        """Return when the file can be written."""
        self.set("ping", b"", 1)

    def close(self) -> None:
        """Close the connections nobody is using; the next use opens new ones."""
        _close(self._idle)

    def _write(self, statement: str, values: tuple[object, ...], now: float) -> int:
        with self._connection() as connection:
            changed = connection.execute(statement, values).rowcount
            if now >= self._purge_at:
                self._purge_at = now + _PURGE_SECONDS
                connection.execute("DELETE FROM entry WHERE expires_at <= ?", (now,))
        return changed

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """A connection that no other thread uses meanwhile."""
        try:
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._connect()
            try:
                yield connection
            finally:
                self._idle.append(connection)
        except (sqlite3.Error, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise StateError(f"the shared state in {self._path} cannot be used: {reason}") from None

    def _connect(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch(mode=0o600)
        connection = sqlite3.connect(self._path, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
        try:
            _use_wal(connection)
            for statement in _SCHEMA:
                connection.execute(statement)
        except sqlite3.Error:
            connection.close()
            raise
        return connection


def _close(connections: deque[sqlite3.Connection]) -> None:
    with suppress(IndexError):
        while True:
            connections.pop().close()


def _use_wal(connection: sqlite3.Connection) -> None:
    """Readers beside the writer. When several workers start at once, the change itself does not wait for its turn."""
    give_up = time.monotonic() + WAIT_S
    while True:
        with suppress(sqlite3.OperationalError):
            if connection.execute("PRAGMA journal_mode=WAL").fetchone()[0] == "wal":
                return
        if time.monotonic() > give_up:
            raise sqlite3.OperationalError("it is busy")
        time.sleep(0.01)


_states: WeakSet[SqliteState] = WeakSet()


def _before_fork() -> None:
    # SQLite keeps its locks per process and believes inherited ones are held: no connection may be open across a fork.
    for state in list(_states):
        state.close()


os.register_at_fork(before=_before_fork)
