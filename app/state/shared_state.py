"""The contract of the shared state."""

from __future__ import annotations

from typing import Protocol


class SharedState(Protocol):
    """Short-lived entries seen by every worker; safe in threads and across a fork.

    `ttl` is in seconds; an entry is gone once they have passed. Every method raises StateError when the state cannot
    be reached.
    """

    def get(self, key: str) -> bytes | None:
        """The value of `key`, None when there is none any more."""

    def set(self, key: str, value: bytes, ttl: float) -> None:
        """Store `value`, in place of any other."""

    def add_if_absent(self, key: str, ttl: float) -> bool:
        """Mark `key` unless it is there, and say whether this call did it. Of all workers at once, one is told True."""

    def count(self, key: str, ttl: float) -> int:
        """Count one more under `key`, and say how many that makes for all workers; the first sets how long it lives."""

    def delete(self, key: str) -> None:
        """Remove `key`, if it is there."""

    def ping(self) -> None:
        """Return when the state can be written."""

    def close(self) -> None:
        """Close the connections nobody is using; the next use opens new ones."""
