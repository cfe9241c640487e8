"""`python -m bench.chain [DATABASE_URL]`: how many calls a second services write to one chain, and what holds them up.

Services are processes, each with so many threads that write the calls of `bench.body`, recorded beforehand, again and
again. Nothing is decided and nothing is sent: what is measured is the ledger alone, its packing and sealing included.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import threading
import time
import uuid
from dataclasses import fields, replace
from multiprocessing.queues import Queue
from pathlib import Path

from app import create_app
from app.ledger import AssertionRecord, Call, Ledger, RulebookRecord
from app.ledger.records import Invocation
from app.ledger.store import Cursor
from app.settings import Settings
from bench.body import order_sign
from bench.ledger import KEY

RUNS = ((1, 8), (1, 32), (2, 8), (2, 32))
"""Services, and threads in each."""
TOGETHER = (1, 8, 32, 64)
"""Calls in one transaction."""
_TURNS = 30


def main() -> None:
    """Measure each run and print calls a second, and CPU of the writers a call."""
    parser = argparse.ArgumentParser(prog="python -m bench.chain")
    parser.add_argument("url", nargs="?")
    parser.add_argument("--seconds", type=float, default=6.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="signpost-bench-") as scratch:
        url = asked.url or f"sqlite:///{scratch}/ledger.sqlite"
        call, rulebook = _answered(Path(scratch))
        Ledger.migrate(url)
        ledger = Ledger.open(url, KEY)
        ledger.record_rulebook(rulebook)
        ledger.close()
        for services, connections in RUNS:
            results: Queue[tuple[int, float]] = multiprocessing.Queue()
            writers = [
                multiprocessing.Process(target=_write, args=(url, call, connections, asked.seconds, results))
                for _ in range(services)
            ]
            for each in writers:
                each.start()
            found = [results.get() for _ in writers]
            for each in writers:
                each.join()
            written = sum(count for count, _ in found)
            cpu = 1000 * sum(spent for _, spent in found) / written
            rate = written / asked.seconds
            print(f"{services} services, {connections:2} threads each: {rate:6.0f} calls/s, {cpu:.2f} ms CPU a call")
        ledger = Ledger.open(url, KEY)
        for calls in TOGETHER:
            turn, whole = _turn(ledger, call, calls)
            print(f"{calls:2} calls together: a turn of {1000 * turn:.2f} ms, {1000 * whole:.2f} ms in all (medians)")
        ledger.close()


def _answered(folder: Path) -> tuple[Call, RulebookRecord]:
    """A call as the service wrote it, and its rulebook."""
    settings = Settings(sandbox=True, data_dir=folder / "one", rules_interval=0, log_level="error")
    app = create_app(settings)
    answer = app.test_client().post("/cds-services/order-sign-crd", data=order_sign(), content_type="application/json")
    assert answer.status_code == 200
    ledger: Ledger = app.extensions["ledger"]
    found = ledger.recent(1)[0]
    names = [each.name for each in fields(AssertionRecord)]
    made = ledger.assertions_of(found.invocation_id)
    call = Call(
        **{each.name: getattr(found, each.name) for each in fields(Invocation)},
        assertions=tuple(AssertionRecord(**{name: getattr(each, name) for name in names}) for each in made),
        cards=tuple(ledger.cards_of(found.invocation_id)),
    )
    stored = ledger.rulebook(found.rulebook_hash or "")
    assert stored is not None
    return call, stored


def _write(url: str, call: Call, connections: int, seconds: float, results: Queue[tuple[int, float]]) -> None:
    ledger = Ledger.open(url, KEY)
    written = [0] * connections
    until = time.monotonic() + seconds

    def press(number: int) -> None:
        while time.monotonic() < until:
            ledger.record(_another(call))
            written[number] += 1

    threads = [threading.Thread(target=press, args=(number,)) for number in range(connections)]
    before = sum(os.times()[:2])
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    results.put((sum(written), sum(os.times()[:2]) - before))
    ledger.close()


def _turn(ledger: Ledger, call: Call, calls: int) -> tuple[float, float]:
    """Seconds for which a transaction of so many calls holds the chain, while no other may write, and in all."""
    store = ledger._store
    begin, began = store._open, [0.0]

    def opened(cursor: Cursor, opening: str) -> None:
        begin(cursor, opening)
        began.append(time.perf_counter())

    store._open = opened  # type: ignore[method-assign]
    turns, whole = [], []
    for _ in range(_TURNS):
        batch = [ledger._rows_of(_another(call), []) for _ in range(calls)]
        started = time.perf_counter()
        ledger._write_calls("the turn was not measured", batch)
        ended = time.perf_counter()
        turns.append(ended - began[-1])
        whole.append(ended - started)
    store._open = begin  # type: ignore[method-assign]
    return statistics.median(turns), statistics.median(whole)


def _another(call: Call) -> Call:
    """The same answer to an order of its own."""
    order = f"MedicationRequest/{uuid.uuid4()}"
    made = tuple(
        replace(each, assertion_id=str(uuid.uuid4()), order_ref=order, supersedes=None, told_as=None)
        for each in call.assertions
    )
    shown = tuple(replace(each, card_id=str(uuid.uuid4())) for each in call.cards)
    return replace(call, invocation_id=str(uuid.uuid4()), assertions=made, cards=shown)


if __name__ == "__main__":
    main()
