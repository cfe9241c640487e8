"""Work of a command spread over the machine's cores, with a progress bar."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

import click

T = TypeVar("T")

# What a worker does for a number. Set before the fork: closures of compiled conditions cannot be sent to a process.
_work: Callable[[int], Any] | None = None


def spread(work: Callable[[int], T], count: int, *, label: str, jobs: int | None = None) -> list[T]:
    """`work(0)` to `work(count - 1)`, in order. The bar is drawn on stderr, when that is a terminal.

    `work` runs in copies of this process: what it changes is lost, what it returns must be plain.
    """
    global _work
    jobs = min(jobs or os.cpu_count() or 1, count)
    with click.progressbar(length=count, label=label, file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:
        found: list[T] = []
        if jobs <= 1:
            for number in range(count):
                found.append(work(number))
                bar.update(1)
            return found
        _work = work
        with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("fork")) as pool:
            for result in pool.map(_one, range(count), chunksize=max(1, count // (jobs * 50))):
                found.append(result)
                bar.update(1)
        return found


def _one(number: int) -> Any:
    assert _work is not None
    return _work(number)
