"""The rulebook that is live now, and what watches for the next."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

import structlog

from app.errors import RulebookError
from app.rulebook.rulebook import Loaded, Rulebook, load

log = structlog.get_logger("signpost.rulebook")

Fingerprint = tuple[tuple[str, int, int], ...]


class RulebookKeeper(ABC):
    """Holds the live rulebook and swaps it whole. Readers take `current` once per call.

    `interval` is the number of seconds between looks; 0 never looks (tests, one-off commands).
    """

    def __init__(self, current: Rulebook, *, interval: float) -> None:
        self._current = current
        self._interval = interval
        self._rejected: tuple[str, ...] = ()
        self._locks: dict[int, threading.Lock] = {}
        self._watching_in: int | None = None

    @property
    def current(self) -> Rulebook:
        """The live rulebook. Starts the watching thread on first use, so that a forked worker has its own."""
        if self._interval and self._watching_in != os.getpid():
            self._watch()
            self._try(self.refresh)  # something may have changed since the process was forked
        return self._current

    @property
    def rejected(self) -> tuple[str, ...]:
        """Problems of the newest change when it was refused; empty while it and the live rulebook agree."""
        return self._rejected

    def refresh(self) -> bool:
        """Look now; true when a new rulebook went live."""
        with self._lock:
            return self._look()

    def prepare(self) -> None:  # noqa: B027  # most have nothing to prepare
        """Get ready for what may go live soon. Only the watching thread calls it, so that no call waits for it."""

    @abstractmethod
    def _look(self) -> bool:
        """Look, under the lock, and `_take` what is new."""

    @property
    def _lock(self) -> threading.Lock:
        """This process's lock: the parent's may have been held at the fork, and would stay so for ever."""
        return self._locks.setdefault(os.getpid(), threading.Lock())

    def _take(self, loaded: Loaded) -> bool:
        if loaded.rulebook is None:
            self._rejected = tuple(str(problem) for problem in loaded.errors)
            log.error("rulebook.rejected", running=self._current.label, problems=self._rejected[:20])
            return False
        self._rejected = ()
        if loaded.rulebook.hash == self._current.hash:
            return False
        log.info("rulebook.live", label=loaded.rulebook.label, before=self._current.label)
        self._current = loaded.rulebook
        return True

    def _watch(self) -> None:
        with self._lock:
            if self._watching_in == os.getpid():
                return
            self._watching_in = os.getpid()
            threading.Thread(target=self._run, args=(threading.Event(), self.refresh), daemon=True).start()

    def _run(self, pause: threading.Event, look: Callable[[], bool]) -> None:
        while not pause.wait(self._interval):
            self._try(look)
            self._try(self.prepare)

    def _try(self, look: Callable[[], object]) -> None:
        """A look that fails must end neither the watching nor a call."""
        try:
            look()
        except Exception:
            log.exception("rulebook.look_failed")


class FileKeeper(RulebookKeeper):
    """The rulebook in files: a good edit goes live without a restart, a bad one never does."""

    def __init__(self, rules: Path, questionnaires: Path, *, interval: float = 0.25) -> None:
        self._rules = rules
        self._questionnaires = questionnaires
        self._fingerprint = self._fingerprint_now()
        loaded = load(rules, questionnaires)
        if loaded.rulebook is None:
            raise RulebookError("\n".join(str(problem) for problem in loaded.errors))
        super().__init__(loaded.rulebook, interval=interval)

    def _look(self) -> bool:
        seen = self._fingerprint_now()
        if seen == self._fingerprint:
            return False
        self._fingerprint = seen
        return self._take(load(self._rules, self._questionnaires))

    def _fingerprint_now(self) -> Fingerprint:
        """Path, change time and size of every rule file: cheap enough for four times a second."""
        seen = []
        for root in (self._rules, self._questionnaires):
            for folder, _, names in os.walk(root):
                for name in names:
                    try:
                        status = os.stat(os.path.join(folder, name))
                    except OSError:  # an editor replaced the file between the two calls
                        continue
                    seen.append((os.path.join(folder, name), status.st_mtime_ns, status.st_size))
        return tuple(sorted(seen))
