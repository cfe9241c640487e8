"""On PostgreSQL, the bulk of the ledger by month, so that a month that is archived is dropped instead of deleted.

Months are made ahead. A call of a month that nobody made, as after a jump of the clock, goes to the default partition.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection

from app.ledger.store import Store

TABLES = ("invocation", "assertion", "card")
AHEAD = 3
"""Months made ahead of the running one."""


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
                partition = (
                    f"CREATE TABLE {name(table, each)} PARTITION OF {table} FOR VALUES FROM ({start}) TO ({end})"
                )
                connection.exec_driver_sql(partition)


def make_ahead(connection: Connection) -> None:
    """Make this month and those after it. The caller holds the writers' lock."""
    now = datetime.now(UTC).isoformat()
    make(connection, (month(now, later) for later in range(AHEAD + 1)))


def drop_empty(connection: Connection, before: str) -> list[str]:
    """Drop the partitions of months that end by `before`, an instant or day, and hold nothing; their names."""
    dropped = []
    for table in TABLES:
        for partition in _names(connection, table):
            of_month = partition.removeprefix(f"{table}_").replace("_", "-")
            if of_month == "other" or month(of_month, 1) > before:
                continue
            if connection.exec_driver_sql(f"SELECT 1 FROM {partition} LIMIT 1").first() is None:  # noqa: S608  # names of our own
                connection.exec_driver_sql(f"DROP TABLE {partition}")
                dropped.append(partition)
    return dropped


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
