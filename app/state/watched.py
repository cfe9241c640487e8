"""Shared state whose failures are told to somebody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app.errors import StateError
from app.state.shared_state import SharedState


class WatchedState:
    """A shared state that calls `failed` with the name of what was tried, and raises as the state does."""

    def __init__(self, state: SharedState, failed: Callable[[str], None]) -> None:
        self._state = state
        self._failed = failed

    def get(self, key: str) -> bytes | None:
        """As SharedState."""
        with self._watching("get"):
            return self._state.get(key)

    def set(self, key: str, value: bytes, ttl: float) -> None:
        """As SharedState."""
        with self._watching("set"):
            self._state.set(key, value, ttl)

    def add_if_absent(self, key: str, ttl: float) -> bool:
        """As SharedState."""
        with self._watching("add_if_absent"):
            return self._state.add_if_absent(key, ttl)

    def count(self, key: str, ttl: float) -> int:
        """As SharedState."""
        with self._watching("count"):
            return self._state.count(key, ttl)

    def delete(self, key: str) -> None:
        """As SharedState."""
        with self._watching("delete"):
            self._state.delete(key)

    def ping(self) -> None:
        """As SharedState."""
        with self._watching("ping"):
            self._state.ping()

    def close(self) -> None:
        """As SharedState."""
        self._state.close()

    @contextmanager
    def _watching(self, operation: str) -> Iterator[None]:
        try:
            yield
        except StateError:
            self._failed(operation)
            raise
