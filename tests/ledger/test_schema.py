"""The migrations make what the tables declare, wherever and however often the ledger is opened."""

from __future__ import annotations

import multiprocessing
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine

from app.errors import LedgerError
from app.ledger import AssertionRecord, Call, Ledger, schema
from app.ledger.tables import metadata


def on(path: Path, work: Callable[[Connection], Any]) -> Any:
    engine = create_engine(f"sqlite:///{path}")
    try:
        with engine.begin() as connection:
            return work(connection)
    finally:
        engine.dispose()


def test_migrations_make_what_the_tables_declare(url: str, path: Path) -> None:
    Ledger.open(url).close()

    def differences(connection: Connection) -> Any:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, metadata)

    assert on(path, differences) == []


def test_head_is_the_newest_migration(url: str, path: Path) -> None:
    Ledger.open(url).close()

    assert on(path, lambda c: ScriptDirectory.from_config(schema.alembic_config(c)).get_heads()) == [schema.HEAD]


def test_down_and_up_again(url: str, path: Path) -> None:
    Ledger.open(url).close()
    on(path, lambda connection: command.downgrade(schema.alembic_config(connection), "base"))
    with closing(sqlite3.connect(path)) as connection:
        left = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    assert left == [("alembic_version",)]

    Ledger.migrate(url)

    ledger = Ledger.open(url)
    assert ledger.verify() == []
    ledger.close()


def test_what_was_written_before_a_migration_still_verifies(
    url: str, path: Path, make_call: Callable[..., Call]
) -> None:
    """Down to the first schema and up again, which a call without cards hashes just as."""
    ledger = Ledger.open(url)
    for _ in range(3):
        ledger.record(make_call(rulebook_hash=None, cards=()))
    ledger.close()
    on(path, lambda connection: command.downgrade(schema.alembic_config(connection), "0001"))
    assert on(path, schema.version) == "0001"

    ledger = Ledger.open(url)
    assert ledger.verify() == []
    ledger.record(make_call(rulebook_hash=None))
    assert ledger.verify() == []
    ledger.close()


def test_an_answer_told_under_another_id_does_not_go_back_to_a_schema_without(
    url: str, path: Path, make_call: Callable[..., Call], make_assertion: Callable[..., AssertionRecord]
) -> None:
    ledger = Ledger.open(url)
    ledger.record(make_call(rulebook_hash=None, cards=(), assertions=(make_assertion(told_as="first"),)))
    ledger.close()

    with pytest.raises(LedgerError, match="told under"):
        on(path, lambda connection: command.downgrade(schema.alembic_config(connection), "0009"))


def test_cards_do_not_go_back_to_a_schema_without(url: str, path: Path, make_call: Callable[..., Call]) -> None:
    ledger = Ledger.open(url)
    ledger.record(make_call(rulebook_hash=None))
    ledger.close()

    with pytest.raises(LedgerError, match="card"):
        on(path, lambda connection: command.downgrade(schema.alembic_config(connection), "0001"))


def test_a_new_file_is_private_and_in_wal_mode(url: str, path: Path) -> None:
    Ledger.open(url).close()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_restored_copy_goes_back_to_wal_mode(url: str, path: Path, tmp_path: Path) -> None:
    Ledger.open(url).close()
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"VACUUM INTO '{copy}'")

    Ledger.open(f"sqlite:///{copy}").close()

    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize(("synchronous", "level"), [("full", 2), ("normal", 1)])
def test_synchronous_is_what_was_asked(url: str, synchronous: Any, level: int) -> None:
    ledger = Ledger.open(url, synchronous=synchronous)

    def ask(connection: Connection) -> Any:
        return connection.exec_driver_sql("PRAGMA synchronous").scalar()

    assert ledger._store.read("no answer", ask) == level
    ledger.close()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_processes_that_open_a_new_file_at_once_all_succeed(
    url: str, path: Path, make_call: Callable[..., Call]
) -> None:
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(4)

    def start() -> None:
        barrier.wait()
        Ledger.open(url).record(make_call(rulebook_hash=None))

    starters = [context.Process(target=start) for _ in range(4)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()

    assert [starter.exitcode for starter in starters] == [0, 0, 0, 0]
    ledger = Ledger.open(url)
    assert ledger.verify() == []
    assert len(ledger.recent(10)) == 4
    ledger.close()


def test_opening_a_current_file_does_not_import_alembic(url: str) -> None:
    Ledger.open(url).close()
    code = "import sys; from app.ledger import Ledger; Ledger.open(sys.argv[1]); sys.exit('alembic' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code, url], check=False).returncode == 0


def test_a_store_from_a_newer_version_is_refused(url: str, path: Path) -> None:
    Ledger.open(url).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()

    with pytest.raises(LedgerError, match="9999 is newer"):
        Ledger.open(url)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("not a url", "cannot be read"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("mysql://localhost/ledger", "SQLite or PostgreSQL"),
        ("sqlite:////dev/null/ledger.db", "cannot be made"),
        ("postgresql+nodriver://localhost/ledger", "nodriver"),
    ],
)
def test_a_url_that_cannot_serve_is_refused(url: str, why: str) -> None:
    with pytest.raises(LedgerError, match=why):
        Ledger.open(url)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to be taken for one " * 20)

    with pytest.raises(LedgerError, match="not a database"):
        Ledger.open(f"sqlite:///{path}")
