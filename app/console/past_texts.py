"""How a rule came to be what it is: its text in each rulebook that went live, and who stands behind the change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from app.console.grid import Grid
from app.ledger import Ledger, Publication
from app.rulebook.rulebook import ROUTES_FILE


@dataclass(frozen=True, slots=True)
class Version:
    """What a rule said from a publication on. `text` None: it was taken out; `before` None: it is new."""

    act: Publication
    before: str | None
    text: str | None


def row_versions(ledger: Ledger, rule_id: str) -> list[Version]:
    """The versions of a routing row, newest first; [] when no rulebook was ever published."""

    def pick(files: dict[str, str]) -> str | None:
        found = Grid.read(files.get(ROUTES_FILE, "")).row(rule_id)
        return None if found is None else "\n".join(f"{name}: {cell}" for name, cell in found.cells.items() if cell)

    return list(_versions(ledger, pick))[::-1]


def file_versions(ledger: Ledger, path: str) -> list[Version]:
    """The versions of a rule file, newest first."""
    return list(_versions(ledger, lambda files: files.get(path)))[::-1]


def _versions(ledger: Ledger, pick: Callable[[dict[str, str]], str | None]) -> Iterator[Version]:
    before: str | None = None
    for act in _went_live(ledger.publications()):
        stored = ledger.rulebook(act.rulebook_hash)
        if stored is None:
            continue
        text = pick(msgspec.json.decode(stored.files, type=dict[str, str]))
        if text != before:
            yield Version(act, before, text)
        before = text


def _went_live(acts: Sequence[Publication]) -> list[Publication]:
    """Acts that made a rulebook live, or will, in the order of their effect."""
    withdrawn = {act.about for act in acts if act.act == "withdrawn"}
    made = [(act.effective_at, act.number, act) for act in acts if act.effective_at and act.number not in withdrawn]
    return [each[2] for each in sorted(made)]
