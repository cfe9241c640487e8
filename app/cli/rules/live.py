"""The rulebook that a command works with."""

from __future__ import annotations

from pathlib import Path

from app.errors import RulebookError
from app.rulebook.rulebook import Rulebook, load


def live(rules_folder: Path, questionnaires: Path) -> Rulebook:
    """The rulebook on disk; RulebookError with every problem when it could not go live."""
    loaded = load(rules_folder, questionnaires)
    if loaded.rulebook is None:
        raise RulebookError("\n".join(str(problem) for problem in loaded.errors))
    return loaded.rulebook
