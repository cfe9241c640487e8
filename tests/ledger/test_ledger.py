"""What is recorded comes back, and what cannot be recorded leaves nothing."""

from __future__ import annotations

import resource
import secrets
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from app.errors import LedgerError
from app.ledger import AssertionRecord, Call, Invocation, Ledger, RulebookRecord
from app.ledger import store as store_module

MARKER = "Zebedee"


Run = Callable[[str], list[tuple[Any, ...]]]


def counts(run: Run) -> dict[str, int]:
    return {table: run(f"SELECT count(*) FROM {table}")[0][0] for table in ("invocation", "assertion", "card", "event")}


NOTHING = {"invocation": 0, "assertion": 0, "card": 0, "event": 0}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="every-field"),
        pytest.param(
            {
                "hook_instance": None,
                "client": None,
                "fhir_server": None,
                "protocol_version": None,
                "rulebook_hash": None,
                "fetched": None,
                "timings": {},
                "issues": (),
                "assertions": (),
                "cards": (),
            },
            id="only-what-must-be",
        ),
        pytest.param({"request": None, "request_size": 9_000_000, "assertions": ()}, id="request-too-large"),
        pytest.param({"request": b"", "request_size": 0, "response": b"", "fetched": b""}, id="empty-bodies"),
        pytest.param({"answered_in_ms": 12, "timings": {"parse": 1}}, id="whole-milliseconds"),
        pytest.param(
            {"received_at": datetime(2026, 11, 22, 4, 30, tzinfo=timezone(timedelta(hours=-5)))},
            id="another-time-zone",
        ),
    ],
)
def test_a_call_comes_back_as_it_was(ledger: Ledger, make_call: Callable[..., Call], changes: dict[str, Any]) -> None:
    call = make_call(**changes)
    ledger.record(call)

    stored = ledger.invocation(call.invocation_id)

    assert stored is not None
    for field in fields(Invocation):
        assert getattr(stored, field.name) == getattr(call, field.name), field.name
    assert stored.received_at.tzinfo is UTC
    assert [found.assertion_id for found in ledger.assertions_of(call.invocation_id)] == [
        record.assertion_id for record in call.assertions
    ]
    assert ledger.cards_of(call.invocation_id) == sorted(call.cards, key=lambda card: card.card_id)
    assert ledger.verify() == []


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="every-field"),
        pytest.param(
            {
                "member_id": None,
                "line_of_business": None,
                "track": None,
                "pa_needed": None,
                "expires_on": None,
                "rule_ids": (),
                "supersedes": None,
            },
            id="only-what-must-be",
        ),
    ],
)
def test_an_assertion_comes_back_as_it_was(
    ledger: Ledger,
    make_call: Callable[..., Call],
    make_assertion: Callable[..., AssertionRecord],
    changes: dict[str, Any],
) -> None:
    record = make_assertion(**changes)
    call = make_call(assertions=(record,))
    ledger.record(call)

    stored = ledger.assertion(record.assertion_id)

    assert stored is not None
    assert stored.invocation_id == call.invocation_id
    for field in fields(AssertionRecord):
        assert getattr(stored, field.name) == getattr(record, field.name), field.name


def test_a_rulebook_is_kept_once(ledger: Ledger, rulebook: RulebookRecord) -> None:
    ledger.record_rulebook(replace(rulebook, label="loaded again"))

    assert ledger.rulebook(rulebook.hash) == rulebook


def test_recent_is_newest_first(ledger: Ledger, make_call: Callable[..., Call]) -> None:
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    calls = {minute: make_call(received_at=noon + timedelta(minutes=minute)) for minute in (2, 0, 3, 1)}
    for call in calls.values():
        ledger.record(call)

    assert [found.invocation_id for found in ledger.recent(3)] == [calls[minute].invocation_id for minute in (3, 2, 1)]


def test_an_unknown_id_is_none(ledger: Ledger) -> None:
    assert ledger.assertion("unknown") is None
    assert ledger.invocation("unknown") is None
    assert ledger.rulebook("unknown") is None
    assert ledger.assertions_of("unknown") == []
    assert ledger.cards_of("unknown") == []
    assert ledger.feedback_on("unknown") == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, [("crd_returned", True), ("crd_returned", True)], id="two-assertions"),
        pytest.param({"assertions": (), "status": 422}, [("call_failed", False)], id="failed"),
        pytest.param({"assertions": ()}, [("call_answered", False)], id="nothing-asserted"),
    ],
)
def test_every_call_has_its_events(
    ledger: Ledger,
    run: Run,
    make_call: Callable[..., Call],
    changes: dict[str, Any],
    expected: list[tuple[str, bool]],
) -> None:
    call = make_call(**changes)
    ledger.record(call)

    rows = run("SELECT event_type, assertion_id, order_ref, track, occurred_at FROM event ORDER BY seq")
    assert [(row[0], row[1] is not None) for row in rows] == expected
    assert [row[1:4] for row in rows if row[1]] == [
        (record.assertion_id, record.order_ref, record.track) for record in call.assertions
    ]
    answered_at = call.received_at + timedelta(milliseconds=call.answered_in_ms)
    assert {datetime.fromisoformat(row[4]) for row in rows} == {answered_at}


@pytest.mark.parametrize("table", ["invocation", "assertion", "card", "event"])
def test_a_failure_midway_leaves_nothing(
    ledger: Ledger, run: Run, url: str, make_call: Callable[..., Call], table: str
) -> None:
    if url.startswith("sqlite"):
        run(f"CREATE TRIGGER injected AFTER INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'injected'); END")
    else:
        run(f"ALTER TABLE {table} ADD CONSTRAINT injected CHECK (false)")
    with pytest.raises(LedgerError, match="injected|CheckViolation"):
        ledger.record(make_call())
    assert counts(run) == NOTHING

    run("DROP TRIGGER injected" if url.startswith("sqlite") else f"ALTER TABLE {table} DROP CONSTRAINT injected")
    ledger.record(make_call())
    assert counts(run) == {"invocation": 1, "assertion": 2, "card": 2, "event": 2}
    assert ledger.verify() == []


REFUSED: dict[str, tuple[Callable[[Call], Call], str]] = {
    "invocation-id-again": (lambda call: replace(call, assertions=()), "in the ledger already"),
    "assertion-id-again": (
        lambda call: replace(call, invocation_id="another"),
        "in the ledger already",
    ),
    "card-id-again": (
        lambda call: replace(call, invocation_id="another", assertions=()),
        "in the ledger already",
    ),
    "unknown-honoured": (
        lambda call: replace(call, invocation_id="another", assertions=(), cards=(), honoured=(MARKER,)),
        "an assertion it honours is not in the ledger",
    ),
    "unknown-rulebook": (
        lambda call: replace(call, invocation_id="another", assertions=(), rulebook_hash="unknown"),
        "rulebook it names is not in the ledger",
    ),
    "naive-datetime": (
        lambda call: replace(call, received_at=call.received_at.replace(tzinfo=None)),
        "ValueError",
    ),
    "text-for-bytes": (lambda call: replace(call, response=MARKER), "TypeError"),  # type: ignore[arg-type]
    "text-for-a-time": (lambda call: replace(call, received_at=MARKER), "AttributeError"),  # type: ignore[arg-type]
    "wrong-request-size": (lambda call: replace(call, request_size=call.request_size + 1), "ValueError"),
    "lone-surrogate": (lambda call: replace(call, client=f"{MARKER}\ud800"), "UnicodeEncodeError|DataError"),
    "no-hook": (lambda call: replace(call, invocation_id="another", hook=None), "NOT NULL|NotNull"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize(("spoil", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_a_refused_call_says_why_and_quotes_nothing(
    ledger: Ledger, run: Run, make_call: Callable[..., Call], spoil: Callable[[Call], Call], why: str
) -> None:
    call = make_call()
    ledger.record(call)
    before = counts(run)

    with pytest.raises(LedgerError, match=why) as caught:
        ledger.record(spoil(call))

    assert counts(run) == before
    assert caught.value.__context__ is None
    assert MARKER not in "".join(traceback.format_exception(caught.value))


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file may grow past `size` bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_nothing(ledger: Ledger, path: Path, run: Run, make_call: Callable[..., Call]) -> None:
    large = make_call(response=secrets.token_bytes(2_000_000))
    grown = max(file.stat().st_size for file in path.parent.iterdir())

    with largest_file(grown + 4096), pytest.raises(LedgerError, match="disk"):
        ledger.record(large)

    assert counts(run) == NOTHING
    ledger.record(large)
    assert ledger.verify() == []


def test_a_read_only_file_refuses(ledger: Ledger, path: Path, run: Run, make_call: Callable[..., Call]) -> None:
    read_only = Ledger.open(f"sqlite:///file:{path}?mode=ro&uri=true")

    with pytest.raises(LedgerError, match="readonly"):
        read_only.record(make_call())
    with pytest.raises(LedgerError, match="readonly"):
        read_only.healthy()

    assert counts(run) == NOTHING
    assert read_only.verify() == []
    read_only.close()


def test_a_writer_who_never_gets_a_turn_gives_up(
    url: str, ledger: Ledger, run: Run, make_call: Callable[..., Call], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "WAIT_S", 0.05)
    waiting = Ledger.open(url)
    started, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        def work(_: object) -> None:
            started.set()
            assert go_on.wait(10)

        store_module.Store(url).write("held", work)

    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(hold)
        assert started.wait(10)
        with pytest.raises(LedgerError, match="locked|LockNotAvailable"):
            waiting.record(make_call(rulebook_hash=None))
        go_on.set()
        held.result()

    waiting.record(make_call(rulebook_hash=None))
    assert counts(run)["invocation"] == 1
    waiting.close()


def test_healthy_until_the_tables_are_gone(ledger: Ledger, run: Run) -> None:
    ledger.healthy()
    run("DROP TABLE event")

    with pytest.raises(LedgerError, match="no such table|UndefinedTable"):
        ledger.healthy()
