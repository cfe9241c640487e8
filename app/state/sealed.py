"""Shared state whose values are sealed: what was read of patients lies in a file or in Redis for a while."""

from __future__ import annotations

from app.encryption import Encryption
from app.errors import EncryptionError
from app.state.shared_state import SharedState


class SealedState:
    """A shared state that keeps values sealed, each bound to its key. One that does not open is as good as gone."""

    def __init__(self, state: SharedState, encryption: Encryption) -> None:
        self._state = state
        self._encryption = encryption

    def get(self, key: str) -> bytes | None:
        """As SharedState."""
        kept = self._state.get(key)
        if kept is None:
            return None
        try:
            return self._encryption.unseal(kept, _place(key))
        except EncryptionError:
            return None

    def set(self, key: str, value: bytes, ttl: float) -> None:
        """As SharedState."""
        self._state.set(key, self._encryption.seal(value, _place(key)), ttl)

    def add_if_absent(self, key: str, ttl: float) -> bool:
        """As SharedState."""
        return self._state.add_if_absent(key, ttl)

    def count(self, key: str, ttl: float) -> int:
        """As SharedState."""
        return self._state.count(key, ttl)

    def delete(self, key: str) -> None:
        """As SharedState."""
        self._state.delete(key)

    def ping(self) -> None:
        """As SharedState."""
        self._state.ping()

    def close(self) -> None:
        """As SharedState."""
        self._state.close()


def _place(key: str) -> bytes:
    return f"state {key}".encode()
