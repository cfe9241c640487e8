"""The rulebook and the members that a command works with."""

from __future__ import annotations

from pathlib import Path

from app.errors import RulebookError
from app.members import Grants, MemberDirectory, MemberSource
from app.members.coverage import CoverageSource
from app.members.roster import Roster
from app.rulebook.rulebook import Rulebook, load
from app.settings import Settings


def live(rules_folder: Path, questionnaires: Path) -> Rulebook:
    """The rulebook on disk; RulebookError with every problem when it could not go live."""
    loaded = load(rules_folder, questionnaires)
    if loaded.rulebook is None:
        raise RulebookError("\n".join(str(problem) for problem in loaded.errors))
    return loaded.rulebook


def members(settings: Settings, rulebook: Rulebook) -> MemberDirectory:
    """The payer's members: by its roster, and for those it does not know by their Coverage, as in the sandbox."""
    sources: list[MemberSource] = [Roster.read(settings.roster_path), CoverageSource(rulebook.payer.line_of_type)]
    return MemberDirectory(sources, Grants.read(settings.roster_path.parent))
