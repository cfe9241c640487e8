"""Shared state of a service that is one process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_PURGE_SECONDS = 60


class MemoryState:
    """A dict with expiry. `clock` gives seconds; any zero will do."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[str, tuple[bytes, float]] = {}
        self._purge_at = clock() + _PURGE_SECONDS

    def get(self, key: str) -> bytes | None:
        """The value of `key`, None when there is none any more."""
        value, expires_at = self._entries.get(key, (None, 0.0))
        return value if value is not None and expires_at > self._clock() else None

    def set(self, key: str, value: bytes, ttl: float) -> None:
        """Store `value`, in place of any other."""
        with self._lock:
            self._put(key, value, ttl)

    def add_if_absent(self, key: str, ttl: float) -> bool:
        """Mark `key` unless it is there, and say whether this call did it."""
        with self._lock:
            if self.get(key) is not None:
                return False
            self._put(key, b"", ttl)
            return True

    def count(self, key: str, ttl: float) -> int:
        """Count one more under `key`; the first sets how long it lives."""
        with self._lock:
            counted, now = self.get(key), self._clock()
            if counted is None:
                self._put(key, b"1", ttl)
                return 1
            number = int(counted) + 1
            self._put(key, str(number).encode(), self._entries[key][1] - now)
            return number

    def delete(self, key: str) -> None:
        """Remove `key`, if it is there."""
        with self._lock:
            self._entries.pop(key, None)

    def ping(self) -> None:
        """Memory is always there."""

    def close(self) -> None:
        """There is nothing to close."""

    def _put(self, key: str, value: bytes, ttl: float) -> None:
        now = self._clock()
        if now >= self._purge_at:
            self._purge_at = now + _PURGE_SECONDS
            self._entries = {name: entry for name, entry in self._entries.items() if entry[1] > now}
        self._entries[key] = (value, now + ttl)
