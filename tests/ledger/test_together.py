"""Calls written together: each is written once or refused alone, and none is answered before."""

from __future__ import annotations

import threading

import pytest

from app.errors import LedgerError
from app.ledger.together import MOST, Together

LONG_S = 30.0


class Disk:
    """What was written, a list a transaction; the first transaction waits until `free` is set."""

    def __init__(self) -> None:
        self.transactions: list[list[str]] = []
        self.started = threading.Event()
        self.free = threading.Event()

    def write(self, doing: str, items: list[str]) -> None:
        self.started.set()
        assert self.free.wait(LONG_S), "the test did not let the disk go on"
        if "broken" in items:
            raise ZeroDivisionError
        if "refused" in items:
            raise LedgerError(f"{doing}: refused")
        self.transactions.append(list(items))

    @property
    def written(self) -> list[str]:
        return sorted(item for each in self.transactions for item in each)


class Callers:
    """Threads that each add one item, and what each was told."""

    def __init__(self, together: Together[str]) -> None:
        self._together = together
        self._threads: list[threading.Thread] = []
        self.told: dict[str, BaseException | None] = {}

    def add(self, item: str) -> None:
        def call() -> None:
            try:
                self._together.add(f"answering {item}", item)
                self.told[item] = None
            except (LedgerError, ZeroDivisionError) as error:
                self.told[item] = error

        thread = threading.Thread(target=call)
        thread.start()
        self._threads.append(thread)

    def wait(self) -> None:
        for thread in self._threads:
            thread.join(LONG_S)
            assert not thread.is_alive(), "a caller was never answered"


def waiting(together: Together[str], number: int) -> None:
    """Return when that many are in the queue."""
    clock = threading.Event()
    for _ in range(3000):
        if len(together._queue) == number:
            return
        clock.wait(0.01)
    pytest.fail(f"{len(together._queue)} in the queue, not {number}")


def start(items: list[str], wait_s: float = LONG_S) -> tuple[Disk, Together[str], Callers]:
    """One caller holds the disk, and the others wait behind it."""
    disk = Disk()
    together = Together(disk.write, wait_s)
    callers = Callers(together)
    callers.add("first")
    assert disk.started.wait(LONG_S)
    for item in items:
        callers.add(item)
    waiting(together, len(items))
    return disk, together, callers


def test_those_who_wait_are_written_in_one_transaction() -> None:
    disk, _, callers = start(["a", "b", "c"])
    assert callers.told == {}, "somebody was answered before the disk was"
    disk.free.set()
    callers.wait()
    assert [sorted(each) for each in disk.transactions] == [["first"], ["a", "b", "c"]]
    assert callers.told == dict.fromkeys(["first", "a", "b", "c"])


def test_more_than_one_transaction_holds_are_written_in_several() -> None:
    items = [f"item {number:03}" for number in range(MOST + 6)]
    disk, _, callers = start(items)
    disk.free.set()
    callers.wait()
    assert disk.written == ["first", *items]
    assert max(len(each) for each in disk.transactions) == MOST
    assert set(callers.told.values()) == {None}


def test_one_that_is_refused_takes_no_other_with_it() -> None:
    disk, _, callers = start(["a", "refused", "b"])
    disk.free.set()
    callers.wait()
    assert disk.written == ["a", "b", "first"]
    assert {item for item, error in callers.told.items() if error is not None} == {"refused"}
    assert str(callers.told["refused"]) == "answering refused: refused"


def test_one_alone_that_is_refused_is_told_so() -> None:
    disk = Disk()
    disk.free.set()
    with pytest.raises(LedgerError, match="answering refused: refused"):
        Together(disk.write, LONG_S).add("answering refused", "refused")
    assert disk.transactions == []


def test_nobody_is_told_written_when_the_writer_fails() -> None:
    disk, _, callers = start(["a", "broken"])
    disk.free.set()
    callers.wait()
    assert disk.written == ["first"]
    assert sorted(type(error).__name__ for error in callers.told.values() if error) == [
        "LedgerError",
        "ZeroDivisionError",
    ]


def test_one_who_waits_too_long_is_never_written() -> None:
    disk = Disk()
    together = Together(disk.write, 0.05)
    callers = Callers(together)
    callers.add("first")
    assert disk.started.wait(LONG_S)
    with pytest.raises(LedgerError, match=r"answering late: other writers held the ledger for 0\.05 s"):
        together.add("answering late", "late")
    disk.free.set()
    callers.wait()
    together.add("answering next", "next")
    assert disk.written == ["first", "next"]


def test_one_already_in_a_transaction_waits_for_what_becomes_of_it() -> None:
    disk = Disk()
    together = Together(disk.write, 0.2)
    callers = Callers(together)
    # Somebody else has the turn and takes the item before its caller's patience ends.
    with together._turn:
        callers.add("taken")
        waiting(together, 1)
        taken = together._queue.popleft()
        threading.Event().wait(0.4)
        assert callers.told == {}
        taken.done = True
    callers.wait()
    assert callers.told == {"taken": None}
    assert disk.transactions == []
