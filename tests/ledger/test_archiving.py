"""Old calls go to sealed files, what the payer may be held to stays, and the chain verifies before and after."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import NullPool, create_engine, text

from app.cli import main
from app.encryption import Encryption
from app.errors import LedgerError
from app.ledger import AssertionRecord, Call, Ledger, RulebookRecord, SnapshotRecord, archiving, partitions
from app.ledger.returned_form import ReturnedForm
from tests.ledger.conftest import MARKER

KEYS = Encryption([bytes([7]) * 32])
NOW = datetime(2026, 11, 26, tzinfo=UTC)
BEFORE = datetime(2025, 1, 1, tzinfo=UTC)
OLD, RECENT = datetime(2024, 3, 5, 12, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
PAST = date(2024, 9, 1)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql_url"))
    return f"sqlite:///{tmp_path / 'ledger.sqlite'}"


@pytest.fixture
def ledger(url: str, rulebook: RulebookRecord) -> Iterator[Ledger]:
    ledger = Ledger.open(url, KEYS, synchronous="normal")
    ledger.record_rulebook(rulebook)
    yield ledger
    ledger.close()


@pytest.fixture
def write(
    ledger: Ledger, make_call: Callable[..., Call], make_assertion: Callable[..., AssertionRecord]
) -> Callable[..., Call]:
    """Write a call with one assertion; what it takes, else an old one that has expired."""

    def make(received_at: datetime = OLD, expires_on: date | None = PAST, **changes: Any) -> Call:
        made = () if changes.get("honoured") else (make_assertion(expires_on=expires_on),)
        call = make_call(**{"received_at": received_at, "assertions": made, "basis": b'{"of":"it"}', **changes})
        ledger.record(call)
        return call

    return make


@pytest.fixture
def run(url: str) -> Callable[[str], list[Any]]:
    engine = create_engine(url, poolclass=NullPool)

    def run(statement: str) -> list[Any]:
        with engine.begin() as connection:
            found = connection.execute(text(statement))
            return list(found.scalars()) if found.returns_rows else []

    return run


def with_a_form_back(write: Callable[..., Call], ledger: Ledger) -> Call:
    call = write()
    form = ReturnedForm(
        form_id="f",
        assertion_id=call.assertions[0].assertion_id,
        member_id="m",
        order_ref="MedicationRequest/123",
        questionnaire="http://example.org/form|1",
        status="completed",
        received_at=RECENT,
        client="sandbox",
        content=b"\x01sealed",
    )
    ledger.record_returned_form(form)
    return call


def given_again(write: Callable[..., Call], ledger: Ledger) -> Call:
    """By a call that was given again itself by a recent one."""
    first = write()
    write(honoured=(first.assertions[0].assertion_id,))
    write(RECENT, honoured=(first.assertions[0].assertion_id,))
    return first


def told_anew(write: Callable[..., Call], ledger: Ledger) -> Call:
    """Under its id another answer was told, which holds still: the id is looked for by the first."""
    first = write()
    made = replace(first.assertions[0], assertion_id="later", expires_on=None, told_as=first.assertions[0].assertion_id)
    write(assertions=(made,))
    return first


@pytest.mark.parametrize(
    "needed",
    [
        lambda write, _: write(expires_on=NOW.date()),
        lambda write, _: write(expires_on=None),
        lambda write, _: write(RECENT),
        with_a_form_back,
        given_again,
        told_anew,
    ],
    ids=["holds still", "holds for ever", "recent", "a form came back", "given again", "told anew under its id"],
)
def test_what_is_needed_stays(
    ledger: Ledger, write: Callable[..., Call], tmp_path: Path, needed: Callable[[Any, Ledger], Call]
) -> None:
    stays, goes = needed(write, ledger), write()
    done = ledger.archive(BEFORE, tmp_path / "archive", NOW)
    assert ledger.invocation(stays.invocation_id) is not None
    assert ledger.assertions_of(stays.invocation_id)[0].facts == stays.assertions[0].facts
    assert ledger.invocation(goes.invocation_id) is None
    assert done.calls >= 1
    assert ledger.verify() == []


@pytest.mark.parametrize("in_span", [1, 2, 100])
def test_what_stays_holds_what_it_rests_on_whatever_the_span(
    ledger: Ledger,
    write: Callable[..., Call],
    make_assertion: Callable[..., AssertionRecord],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    in_span: int,
) -> None:
    monkeypatch.setattr(archiving, "CALLS_A_SPAN", in_span)
    for_ever = (make_assertion(expires_on=None),)
    first = write(OLD)
    again = first.assertions[0].assertion_id
    between = write(OLD + timedelta(days=1), honoured=(again,))
    goes = write(OLD + timedelta(days=2))
    stays = write(OLD + timedelta(days=3), honoured=(again,), assertions=for_ever)
    done = ledger.archive(BEFORE, tmp_path / "archive", NOW)
    left = [each for each in (first, between, goes, stays) if ledger.invocation(each.invocation_id) is not None]
    assert left == [first, stays]
    assert (done.calls, done.kept) == (2, 2)
    assert ledger.verify() == []


def test_what_a_form_will_need_holds_its_call(
    ledger: Ledger, write: Callable[..., Call], make_call: Callable[..., Call], tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    made = write().assertions[0]
    open_one = replace(made, assertion_id="open")
    kept = SnapshotRecord(assertion_id="open", taken_at=now, expires_at=now + timedelta(hours=1), content=b"\x01")
    call = make_call(received_at=OLD, assertions=(open_one,), snapshots=(kept,))
    ledger.record(call)
    ledger.archive(BEFORE, tmp_path, now)
    assert ledger.assertion("open") is not None
    ledger.archive(BEFORE, tmp_path, now + timedelta(hours=2))
    assert ledger.assertion("open") is None
    assert ledger.verify() == []


@pytest.fixture(params=[(2, 100), (2, 4), (100, 2)], ids=["one span", "two spans", "three spans"])
def archived(
    ledger: Ledger,
    write: Callable[..., Call],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> tuple[list[Call], list[Path]]:
    """Five old calls, the last of which gives an answer of the first again, in three files."""
    in_file, in_span = request.param
    monkeypatch.setattr(archiving, "CALLS_A_FILE", in_file)
    monkeypatch.setattr(archiving, "CALLS_A_SPAN", in_span)
    calls = [write(OLD + timedelta(days=day)) for day in range(3)]
    calls.append(write(OLD + timedelta(days=3), assertions=(), status=400, fetched=None))
    calls.append(write(OLD + timedelta(days=4), honoured=(calls[0].assertions[0].assertion_id,)))
    write(RECENT)
    done = ledger.archive(BEFORE, tmp_path / "archive", NOW)
    assert (done.calls, done.kept, len(done.files)) == (5, 0, 3)
    return calls, done.files


def test_the_chain_verifies_and_goes_on(
    ledger: Ledger, archived: tuple[list[Call], list[Path]], write: Callable[..., Call], run: Callable[[str], list[Any]]
) -> None:
    assert ledger.verify() == []
    for table in ("invocation", "assertion", "card"):
        assert run(f"SELECT count(*) FROM {table} WHERE received_at < '2025'") == [0]
    write(RECENT)
    assert ledger.verify() == []
    assert ledger.archive(BEFORE, archived[1][0].parent, NOW).calls == 0


def test_every_call_is_in_a_file_as_it_was(ledger: Ledger, archived: tuple[list[Call], list[Path]]) -> None:
    calls, files = archived
    found = {each.invocation["invocation_id"]: each for path in files for each in ledger.read_archive(path)}
    assert found.keys() == {each.invocation_id for each in calls}
    for call in calls:
        back = found[call.invocation_id]
        assert back.exchange == (call.request, call.response)
        assert (back.invocation["fetched"], back.invocation["basis"]) == (call.fetched, call.basis)
        assert [each["facts"] for each in back.assertions] == [each.facts for each in call.assertions]
        assert len(back.cards) == len(call.cards)
    assert [fault for path in files for fault in ledger.check_archive(path)] == []
    assert all(MARKER.encode() not in path.read_bytes() for path in files)
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)


def test_a_file_that_was_changed_or_cut_shows(ledger: Ledger, archived: tuple[list[Call], list[Path]]) -> None:
    path = archived[1][0]
    whole = path.read_bytes()
    other = path.with_name("other")
    for changed, words in (
        (whole[:-1], "changed"),
        (whole[:60], "cut|changed|sealed"),
        (whole.replace(b'"archive":1', b'"archive":2'), "belongs"),
        (b"something else", "no archive"),
    ):
        other.write_bytes(changed)
        assert ledger.check_archive(other) != []
        with pytest.raises(LedgerError, match=words):
            ledger.read_archive(other)


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE archive SET calls = 7 WHERE number = 2", "archive 2 is not what was recorded"),
        ("UPDATE event SET archive = 1 WHERE invocation_id IS NOT NULL AND archive IS NULL", "archive 1: the events"),
        ("UPDATE event SET archive = NULL WHERE archive = 2 AND invocation_id IS NOT NULL", "is missing"),
    ],
)
def test_what_is_said_of_archives_cannot_be_changed(
    ledger: Ledger,
    archived: tuple[list[Call], list[Path]],
    run: Callable[[str], list[Any]],
    statement: str,
    told: str,
) -> None:
    run(statement)
    assert any(told in fault for fault in ledger.verify())


def test_a_ledger_that_is_not_whole_is_not_archived(
    ledger: Ledger, write: Callable[..., Call], run: Callable[[str], list[Any]], tmp_path: Path
) -> None:
    call = write()
    run("UPDATE invocation SET status = 500")
    with pytest.raises(LedgerError, match="not whole"):
        ledger.archive(BEFORE, tmp_path / "archive", NOW)
    assert ledger.invocation(call.invocation_id) is not None
    assert list((tmp_path / "archive").iterdir()) == []


def test_empty_months_are_dropped(
    ledger: Ledger, url: str, write: Callable[..., Call], run: Callable[[str], list[Any]], tmp_path: Path
) -> None:
    if not url.startswith("postgresql"):
        pytest.skip("SQLite has no partitions")
    ledger._store.write("months", lambda connection: partitions.make(connection, ["2024-03", "2024-04"]))
    write()
    stays = write(OLD + timedelta(days=40), expires_on=None)
    ledger.archive(BEFORE, tmp_path, NOW)
    named = "SELECT relname FROM pg_class WHERE relname LIKE 'invocation_2024%' AND relkind = 'r'"
    assert run(named) == ["invocation_2024_04"]
    assert ledger.invocation(stays.invocation_id) is not None


def test_the_commands(
    ledger: Ledger, url: str, write: Callable[..., Call], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNPOST_DATABASE_URL", url)
    monkeypatch.setenv("SIGNPOST_ENCRYPTION_KEYS", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=")
    call = write()
    folder = tmp_path / "files"

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(main, ["ledger", *arguments])

    done = run("archive", "--before", "2025-01-01", "--to", str(folder))
    assert (done.exit_code, done.output.splitlines()[-1]) == (
        0,
        "1 calls archived; 0 as old are still needed and stay",
    ), done.output
    (file,) = folder.iterdir()
    assert run("archived", str(file)).output == "The archive is whole.\n"
    shown = json.loads(run("archived", str(file), call.assertions[0].assertion_id).output)
    assert shown["request"] == json.loads(call.request or b"")
    assert run("archived", str(file), "nobody").exit_code == 1
    assert run("verify").output == "The ledger is whole.\n"
    assert "0 calls archived" in run("retain", "--days", "300", "--to", str(folder)).output
