"""What workers share is sealed where it lies, and opens under its own key of the state and the service's own keys."""

from __future__ import annotations

from pathlib import Path

from app.encryption import Encryption
from app.state import SqliteState
from app.state.sealed import SealedState

OLD, NEW = bytes([1]) * 32, bytes([2]) * 32


def test_values_are_sealed_where_they_lie(tmp_path: Path) -> None:
    inner = SqliteState(tmp_path / "state.sqlite")
    state = SealedState(inner, Encryption([OLD]))
    state.set("read:1", b"Zebedee", 60)
    state.set("said:1", b"", 60)
    assert (state.get("read:1"), state.get("said:1"), state.get("read:2")) == (b"Zebedee", b"", None)
    kept = inner.get("read:1")
    assert kept is not None
    assert all(b"Zebedee" not in path.read_bytes() for path in tmp_path.iterdir())
    assert SealedState(inner, Encryption([NEW, OLD])).get("read:1") == b"Zebedee", "keys rotate"
    assert SealedState(inner, Encryption([NEW])).get("read:1") is None, "without its key it is as good as gone"
    inner.set("read:2", kept, 60)
    assert state.get("read:2") is None, "moved to another key"
    inner.set("read:3", b"Zebedee", 60)
    assert state.get("read:3") is None, "not sealed by anybody who has the key"


def test_the_rest_is_as_it_was(tmp_path: Path) -> None:
    state = SealedState(SqliteState(tmp_path / "state.sqlite"), Encryption([OLD]))
    assert [state.add_if_absent("jti:1", 60) for _ in range(2)] == [True, False]
    assert [state.count("rate:1", 60) for _ in range(2)] == [1, 2]
    state.set("a", b"b", 60)
    state.delete("a")
    assert state.get("a") is None
    state.ping()
    state.close()
