"""On PostgreSQL calls lie in partitions by month, made ahead; others find a place too, and migrations keep all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from alembic import command
from sqlalchemy import NullPool, create_engine, text

from app.errors import LedgerError
from app.ledger import Call, Ledger, RulebookRecord, partitions, schema
from tests.servers import PostgreSQL

NOW = datetime.now(UTC)


@pytest.fixture
def ledger(postgresql_url: str, rulebook: RulebookRecord) -> Iterator[Ledger]:
    ledger = Ledger.open(postgresql_url)
    ledger.record_rulebook(rulebook)
    yield ledger
    ledger.close()


@pytest.fixture
def ask(postgresql_url: str) -> Callable[[str], list[Any]]:
    """The first column of what a statement finds."""
    engine = create_engine(postgresql_url, poolclass=NullPool)

    def run(statement: str) -> list[Any]:
        with engine.begin() as connection:
            found = connection.execute(text(statement))
            return list(found.scalars()) if found.returns_rows else []

    return run


@pytest.mark.parametrize(
    ("instant", "later", "expected"),
    [
        ("2026-11-22T09:30", 0, "2026-11"),
        ("2026-11-22", 1, "2026-12"),
        ("2026-12-31", 1, "2027-01"),
        ("2026-11", 14, "2028-01"),
        ("2026-01", -1, "2025-12"),
    ],
)
def test_months(instant: str, later: int, expected: str) -> None:
    assert partitions.month(instant, later) == expected


def test_calls_go_to_their_month(
    ledger: Ledger, ask: Callable[[str], list[Any]], make_call: Callable[..., Call]
) -> None:
    ledger.record(make_call(received_at=NOW))
    ledger.record(make_call(received_at=NOW.replace(year=2031)))
    this = partitions.month(NOW.isoformat())
    for table, rows in (("invocation", 1), ("assertion", 2), ("card", 2)):
        assert ask(f"SELECT count(*) FROM {partitions.name(table, this)}") == [rows]
        assert ask(f"SELECT count(*) FROM {table}_other") == [rows], "a month nobody made"
    assert ledger.verify() == []


def test_months_are_made_ahead(ledger: Ledger, ask: Callable[[str], list[Any]], make_call: Callable[..., Call]) -> None:
    """At the start, and by a service that runs on, day by day."""
    last = partitions.month(NOW.isoformat(), partitions.AHEAD)
    there = f"SELECT count(*) FROM pg_class WHERE relname = '{partitions.name('card', last)}'"
    assert ask(there) == [1]
    ask(f"DROP TABLE {partitions.name('card', last)}")
    ledger.record(make_call())
    assert ask(there) == [0], "looked already today"
    assert ledger._months is not None
    ledger._months._looked_on = NOW.date().replace(year=2020)
    ledger.record(make_call())
    assert ask(there) == [1]


def test_a_month_with_stray_calls_is_left(
    ledger: Ledger, ask: Callable[[str], list[Any]], make_call: Callable[..., Call]
) -> None:
    ledger.record(make_call(received_at=NOW.replace(year=2031, month=5, day=1)))
    ledger._store.write("months", lambda connection: partitions.make(connection, ["2031-04", "2031-05"]))
    assert ask("SELECT relname FROM pg_class WHERE relname LIKE 'card_2031%' AND relkind = 'r'") == ["card_2031_04"]


def test_months_come_and_go_while_calls_are_written(
    ledger: Ledger, postgresql_url: str, make_call: Callable[..., Call]
) -> None:
    """Two services write; neither they nor who changes the partitions wait for each other for ever, and none fails."""
    services = [ledger, Ledger.open(postgresql_url)]
    stop = threading.Event()

    def write(service: Ledger) -> int:
        written = 0
        while not stop.is_set():
            service.record(make_call())
            written += 1
        return written

    with ThreadPoolExecutor() as threads:
        writing = [threads.submit(write, service) for service in services for _ in range(2)]
        try:
            for number in range(20):
                months = [f"2019-{1 + number % 12:02}"]
                ledger._store.write("months", partial(partitions.make, months=months))
                assert len(partitions.drop_empty(ledger._store, "2020-01-01")) == len(partitions.TABLES)
        finally:
            stop.set()
        written = sum(each.result() for each in writing)
    services[1].close()
    assert written == len(ledger.recent(10**6)) > 0
    assert ledger.verify() == []


def test_one_call_is_written_once(ledger: Ledger, make_call: Callable[..., Call]) -> None:
    call = make_call()
    ledger.record(call)
    with pytest.raises(LedgerError, match="already"):
        ledger.record(call)


def test_migrations_keep_every_row(
    postgresql: PostgreSQL, postgresql_url: str, ledger: Ledger, make_call: Callable[..., Call]
) -> None:
    calls = [make_call(received_at=NOW.replace(year=year)) for year in (2024, 2025, 2026)]
    for call in calls:
        ledger.record(call)
    engine = create_engine(postgresql_url, poolclass=NullPool)
    with engine.begin() as connection:
        command.downgrade(schema.alembic_config(connection), "0006")
    with pytest.raises(LedgerError, match="signpost ledger migrate"):
        Ledger.open(postgresql_url)

    Ledger.migrate(postgresql_url)

    assert ledger.verify() == []
    assert {each.invocation_id for each in ledger.recent(9)} == {each.invocation_id for each in calls}
    with engine.begin() as connection:
        assert connection.execute(text(f"SELECT count(*) FROM assertion_2024_{NOW.month:02}")).scalar() == 2
