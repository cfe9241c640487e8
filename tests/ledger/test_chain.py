"""The chain holds under many writers, and shows every row that is not what was written."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from app.ledger import Call, Ledger, chain
from app.ledger.blobs import pack, unpack

forks = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def test_threads_write_one_chain(ledger: Ledger, make_call: Callable[..., Call]) -> None:
    def write(calls: list[Call]) -> None:
        for call in calls:
            ledger.record(call)

    batches = [[make_call() for _ in range(50)] for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, batches))

    assert ledger.verify() == []
    assert len(ledger.recent(1000)) == 400


@forks
def test_processes_write_one_chain(
    url: str, ledger: Ledger, run: Callable[[str], list[tuple[int, int]]], make_call: Callable[..., Call]
) -> None:
    def write() -> None:
        own = Ledger.open(url)
        for _ in range(30):
            own.record(make_call())
        own.close()

    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=write) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert ledger.verify() == []
    assert run("SELECT count(*), max(seq) FROM event") == [(180, 180)]


@forks
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to see open files")
def test_a_fork_shares_no_connection(ledger: Ledger, path: Path, make_call: Callable[..., Call]) -> None:
    def open_files() -> list[str]:
        links = (Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd"))
        return [target for link in links if (target := os.path.realpath(link)).startswith(str(path))]

    ledger.record(make_call())
    assert open_files() != []

    def child() -> None:
        inherited = open_files()
        ledger.record(make_call())
        os._exit(len(inherited))

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    ledger.record(make_call())

    assert process.exitcode == 0
    assert ledger.verify() == []
    assert len(ledger.recent(10)) == 3


def test_a_call_without_assertions_is_on_the_chain(ledger: Ledger, make_call: Callable[..., Call]) -> None:
    ledger.record(make_call(assertions=(), status=503))
    ledger.record(make_call(assertions=(), request=None, request_size=9_000_000))

    assert ledger.verify() == []


Tamper = Callable[[sqlite3.Connection], object]


def statement(sql: str) -> Tamper:
    return lambda connection: connection.execute(sql)


def repack(table: str, column: str, old: bytes, new: bytes, and_set: str = "") -> Tamper:
    """Replace `old` by `new` inside the blob of one row; `and_set` sets another column to the new SHA-256."""

    def tamper(connection: sqlite3.Connection) -> None:
        connection.create_function("swap", 1, lambda frame: pack(unpack(frame).replace(old, new)))
        connection.create_function("tail_sha256", 2, lambda frame, start: sha256(unpack(frame)[start:]).hexdigest())
        connection.execute(f"UPDATE {table} SET {column} = swap({column}) WHERE rowid = 2")
        if and_set:
            connection.execute(f"UPDATE {table} SET {and_set} WHERE rowid = 2")

    return tamper


def rehash_event(connection: sqlite3.Connection) -> None:
    connection.row_factory = sqlite3.Row
    row = dict(connection.execute("SELECT * FROM event WHERE seq = 3").fetchone()) | {"track": "none"}
    connection.execute("UPDATE event SET track = 'none', hash = ? WHERE seq = 3", (chain.event_hash(row),))


def slip_in(table: str) -> Tamper:
    def tamper(connection: sqlite3.Connection) -> None:
        connection.row_factory = sqlite3.Row
        row = dict(connection.execute(f"SELECT * FROM {table} WHERE rowid = 2").fetchone())
        row[f"{table}_id"] = "forged"
        connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", tuple(row.values()))

    return tamper


# Three calls of two assertions each: invocation 2 made assertions 3 and 4, which are events 3 and 4.
TAMPERED: dict[str, tuple[Tamper, list[str]]] = {
    "request": (
        repack("invocation", "exchange", b"order-sign", b"order-sing"),
        ["event 3: the request of", "event 4: the request of"],
    ),
    "response": (
        repack("invocation", "exchange", b'"cards"', b'"CARDS"'),
        ["event 3: the response of", "event 4: the response of"],
    ),
    "response-and-its-hash": (
        repack(
            "invocation",
            "exchange",
            b'"cards"',
            b'"CARDS"',
            and_set="response_sha256 = tail_sha256(exchange, request_size)",
        ),
        ["event 3: invocation", "event 4: invocation"],
    ),
    "what-was-fetched": (
        repack("invocation", "fetched", b"Patient/1", b"Patient/2"),
        ["event 3: invocation", "event 4: invocation"],
    ),
    "status": (
        statement("UPDATE invocation SET status = 500 WHERE rowid = 2"),
        ["event 3: invocation", "event 4: invocation"],
    ),
    "damaged-frame": (
        statement("UPDATE invocation SET exchange = x'00' WHERE rowid = 2"),
        ["event 3: invocation", "event 4: invocation"],
    ),
    "answer": (repack("assertion", "answer", b"covered", b"refused"), ["event 2: invocation"]),
    "facts": (repack("assertion", "facts", b"member", b"nobody"), ["event 2: invocation"]),
    "damaged-answer": (
        statement("UPDATE assertion SET answer = x'00' WHERE rowid = 2"),
        ["event 2: assertion"],
    ),
    "card": (
        statement("UPDATE card SET guidance = 'step-therapy' WHERE rowid = 1"),
        ["event 1: invocation", "event 2: invocation"],
    ),
    "card-removed": (
        statement("DELETE FROM card WHERE rowid = 1"),
        ["event 1: invocation", "event 2: invocation"],
    ),
    "cards-removed": (
        statement("DELETE FROM card WHERE rowid < 3"),
        ["event 1: invocation", "event 2: invocation"],
    ),
    "card-slipped-in": (slip_in("card"), ["event 1: invocation", "event 2: invocation"]),
    "card-astray": (
        statement("UPDATE card SET invocation_id = 'nowhere' WHERE rowid = 1"),
        ["event 1: invocation", "event 2: invocation", "card "],
    ),
    "expiry": (
        statement("UPDATE assertion SET expires_on = '2026-11-23' WHERE rowid = 2"),
        ["event 2: invocation"],
    ),
    "the-id-it-was-told-under": (
        statement("UPDATE assertion SET told_as = 'another' WHERE rowid = 2"),
        ["event 2: invocation"],
    ),
    "event": (
        statement("UPDATE event SET occurred_at = '2020-01-01T00:00:00.000000+00:00' WHERE seq = 3"),
        ["event 3: the row is not"],
    ),
    "event-with-a-new-hash": (rehash_event, ["event 4: does not follow event 3"]),
    "event-removed": (
        statement("DELETE FROM event WHERE seq = 3"),
        ["event 4: events 3 to 3 are missing", "event 4: does not follow event 2", "assertion "],
    ),
    "last-event-removed": (statement("DELETE FROM event WHERE seq = 6"), ["assertion "]),
    "invocation-removed": (
        statement("DELETE FROM invocation WHERE rowid = 2"),
        ["event 3: invocation", "event 4: invocation", "card ", "card "],
    ),
    "assertion-removed": (statement("DELETE FROM assertion WHERE rowid = 2"), ["event 2: assertion"]),
    "assertion-slipped-in": (slip_in("assertion"), ["assertion forged: no event"]),
    "invocation-slipped-in": (slip_in("invocation"), ["invocation forged: no event"]),
}


@pytest.mark.parametrize(("tamper", "expected"), TAMPERED.values(), ids=TAMPERED.keys())
def test_tampering_is_found(
    ledger: Ledger, path: Path, make_call: Callable[..., Call], tamper: Tamper, expected: list[str]
) -> None:
    for _ in range(3):
        ledger.record(make_call())
    assert ledger.verify() == []

    with closing(sqlite3.connect(path)) as connection:
        tamper(connection)
        connection.commit()

    faults = ledger.verify()
    assert len(faults) == len(expected), faults
    for fault, beginning in zip(faults, expected, strict=True):
        assert fault.startswith(beginning)


def test_hashes_are_those_of_ledgers_that_exist() -> None:
    """Frozen: were one of these to change, every ledger written before would be found false."""
    event = {
        "seq": 1,
        "occurred_at": "2026-11-22T09:30:00.000000+00:00",
        "recorded_at": "2026-11-22T09:30:01.000000+00:00",
        "event_type": "crd_returned",
        "invocation_id": "i1",
        "assertion_id": "a1",
        "order_ref": "MedicationRequest/1",
        "track": None,
        "payload_hash": "p",
        "prev_hash": chain.GENESIS,
        "feedback_id": None,
    }
    assert chain.payload_hash("i", "a", None) == sha256(b'["i","a"]').hexdigest()
    assert chain.payload_hash("i", None, None) == sha256(b'["i",null]').hexdigest()
    assert chain.cards_digest([]) is None
    assert chain.event_hash(event) == "7403e377d08630b580972d3f9e820e57b42048a87ca80745abff6821f6543b8b"
