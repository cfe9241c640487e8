"""Calls that finish at the same time are written together: one transaction, one wait for the disk.

No thread of its own: whoever gets the turn writes for all who wait. Nobody returns before their call is in the store.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from app.errors import LedgerError

T = TypeVar("T")

MOST = 64  # calls in one transaction; more would keep the first of them waiting


class _Waiting(Generic[T]):
    """One thing to be written, and what became of it."""

    __slots__ = ("doing", "done", "error", "item")

    def __init__(self, doing: str, item: T) -> None:
        self.doing = doing
        self.item = item
        self.done = False
        self.error: LedgerError | None = None


class Together(Generic[T]):
    """`write(doing, items)` writes items in one transaction, or raises LedgerError and leaves nothing."""

    def __init__(self, write: Callable[[str, list[T]], None], wait_s: float) -> None:
        self._write = write
        self._wait_s = wait_s
        self._queue: deque[_Waiting[T]] = deque()
        self._turn = threading.Lock()

    def add(self, doing: str, item: T) -> None:
        """Return when `item` is written; LedgerError, for this one alone, when it cannot be."""
        mine = _Waiting(doing, item)
        self._queue.append(mine)
        if not self._turn.acquire(timeout=self._wait_s):
            self._give_up(mine)
        try:
            while not mine.done:
                self._write_waiting()
        finally:
            self._turn.release()
        if mine.error is not None:
            raise mine.error

    def _give_up(self, mine: _Waiting[T]) -> None:
        """Leave the queue, so that no answer is written that its caller was told could not be."""
        try:
            self._queue.remove(mine)
        except ValueError:  # already in somebody's hands: wait for what becomes of it
            self._turn.acquire()
        else:
            raise LedgerError(f"{mine.doing}: other writers held the ledger for {self._wait_s} s")

    def _write_waiting(self) -> None:
        """Write all who wait, the caller among them; the queue is in order of arrival."""
        batch = [self._queue.popleft() for _ in range(min(MOST, len(self._queue)))]
        try:
            self._write(batch[0].doing, [each.item for each in batch])
        except LedgerError as error:
            if len(batch) == 1:
                batch[0].error = error
            else:
                self._write_apart(batch)
        except BaseException:
            # A fault of ours, raised to the one who has the turn; the others must not think they were written.
            for each in batch:
                each.error = LedgerError(f"{each.doing}: the writer of its transaction failed")
            raise
        finally:
            for each in batch:
                each.done = True

    def _write_apart(self, batch: list[_Waiting[T]]) -> None:
        """One of them is refused: it must not take the others with it."""
        for each in batch:
            try:
                self._write(each.doing, [each.item])
            except LedgerError as error:
                each.error = error
