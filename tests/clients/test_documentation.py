"""docs/clients.md says what the code does."""

from __future__ import annotations

import re

from app.clients.refusals import REASONS
from app.clients.registry import KEYS, read_clients
from app.settings import ROOT

TEXT = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")


def rows(header: str) -> list[str]:
    """Rows of the table that begins with this header."""
    return [line for line in TEXT.partition(header)[2].partition("\n\n")[0].splitlines()[2:] if line]


def test_every_key() -> None:
    assert rows("| key | meaning |") == [f"| `{key}` | {meaning} |" for key, meaning in KEYS.items()]


def test_every_reason() -> None:
    expected = [f"| `{reason}` | `{code}` | {words} |" for reason, (code, words) in REASONS.items()]
    assert rows("| reason in the log | issue code | in the answer |") == expected


def test_the_example_loads() -> None:
    example = re.search(r"```yaml clients.yaml\n(.*?)```", TEXT, re.DOTALL)
    assert example is not None
    registry, problems = read_clients(example[1], "clients.yaml")
    assert problems == []
    assert [client.name for client in registry.values()] == ["Sample Hospital"]
