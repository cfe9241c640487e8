"""On PostgreSQL, the bulk of the ledger by month, so that a month that is archived is dropped instead of deleted.

Months are made ahead. A call of a month that nobody made, as after a jump of the clock, goes to the default partition.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from app.ledger.store import Store

TABLES = ("invocation", "assertion", "card")
AHEAD = 3
"""Months made ahead of the running one."""

_LOCK_MS = 500  # for which a month that is to go may make writers wait
_LOCK_NOT_AVAILABLE = "55P03"


def month(instant: str, later: int = 0) -> str:
    """The month of an instant or day, or one so many later, as `2026-11`."""
    count = int(instant[:4]) * 12 + int(instant[5:7]) - 1 + later
    return f"{count // 12:04}-{count % 12 + 1:02}"


def name(table: str, of_month: str) -> str:
    """The partition of a table for a month."""
    return f"{table}_{of_month.replace('-', '_')}"


def make(connection: Connection, months: Iterable[str], tables: Sequence[str] = TABLES) -> None:
    """Make the partitions of these months that are not there, but for those with calls in the default partition."""
    for each in months:
        start, end = f"'{each}'", f"'{month(each, 1)}'"
        for table in tables:
            if connection.exec_driver_sql(f"SELECT to_regclass('{name(table, each)}')").scalar() is not None:
                continue
            astray = f"SELECT 1 FROM {table}_other WHERE received_at >= {start} AND received_at < {end} LIMIT 1"  # noqa: S608  # names of our own
            if connection.exec_driver_sql(astray).first() is None:
                # Attached, since CREATE ... PARTITION OF would wait for all who write to the table, and they for us.
                made = name(table, each)
                connection.exec_driver_sql(f"CREATE TABLE {made} (LIKE {table} INCLUDING DEFAULTS)")
                connection.exec_driver_sql(
                    f"ALTER TABLE {table} ATTACH PARTITION {made} FOR VALUES FROM ({start}) TO ({end})"
                )


def make_ahead(connection: Connection) -> None:
    """Make this month and those after it. The caller holds the writers' lock."""
    now = datetime.now(UTC).isoformat()
    make(connection, (month(now, later) for later in range(AHEAD + 1)))


def drop_empty(store: Store, before: str) -> list[str]:
    """Drop the partitions of months that end by `before`, an instant or day, and hold nothing; their names.

    One that is in use for longer than a moment is left to the next time.
    """
    doing = "empty months were not dropped"
    return [
        partition
        for table in TABLES
        for partition in store.read(doing, partial(_names, table=table))
        if (of_month := partition.removeprefix(f"{table}_").replace("_", "-")) != "other"
        and month(of_month, 1) <= before
        and store.read(doing, partial(_drop, table=table, partition=partition))
    ]


def _drop(connection: Connection, table: str, partition: str) -> bool:
    """Drop a partition that holds nothing; whether it was dropped.

    Not under the writers' lock: they hold the table while they wait for that, and it would be each for the other.
    """
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_MS}ms'")
    try:
        connection.exec_driver_sql(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        connection.rollback()
        return False
    empty = connection.exec_driver_sql(f"SELECT 1 FROM {partition} LIMIT 1").first() is None  # noqa: S608  # names of our own
    if empty:
        connection.exec_driver_sql(f"DROP TABLE {partition}")
    return empty


def _names(connection: Connection, table: str) -> list[str]:
    found = connection.exec_driver_sql(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass(%(table)s) ORDER BY 1",
        {"table": table},
    )
    return [row[0] for row in found]


class Months:
    """Makes months ahead in a service that runs on, with one look each day."""

    def __init__(self) -> None:
        self._looked_on = datetime.now(UTC).date()

    def make(self, store: Store, now: datetime) -> None:
        """Look, on the first write of a day."""
        if now.date() != self._looked_on:
            self._looked_on = now.date()
            store.write("the ledger's months cannot be made", make_ahead)
