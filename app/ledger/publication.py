"""Which rulebook was made live, by whom and when: acts that are only ever added, and what follows from them.

A rulebook is submitted by one person and approved by another, for now or for an instant to come. It is live from then
until another is. Rolling back is an act of its own. An act may be withdrawn as long as it has had no effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Act = Literal["submitted", "approved", "rolled-back", "withdrawn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicationRecord:
    """One act on a rulebook.

    `actor` did it; `author` is whose rules they are or, rolling back, who asked for it. `effective_at` is when it goes
    live, None when it does not. `about` is the number of the act that is approved or withdrawn. `checks` says what was
    tried before, `note` why.
    """

    act: Act
    rulebook_hash: str
    label: str
    actor: str
    author: str
    at: datetime
    effective_at: datetime | None = None
    about: int | None = None
    checks: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication(PublicationRecord):
    """An act as read back, with its number."""

    number: int


def live_at(acts: Sequence[Publication], moment: datetime) -> Publication | None:
    """The act by which a rulebook is live at a moment: of those in effect by then the last; None before the first."""
    withdrawn = {act.about for act in acts if act.act == "withdrawn"}
    begun = [
        (act.effective_at, act.number, act)
        for act in acts
        if act.effective_at is not None and act.effective_at <= moment and act.number not in withdrawn
    ]
    return max(begun)[2] if begun else None


def live_before(acts: Sequence[Publication], moment: datetime) -> list[Publication]:
    """The acts by which other rulebooks than the live one were live before a moment, the last first."""
    live = live_at(acts, moment)
    withdrawn = {act.about for act in acts if act.act == "withdrawn"}
    begun = [
        (act.effective_at, act.number, act)
        for act in acts
        if act.effective_at is not None
        and act.effective_at <= moment
        and act.number not in withdrawn
        and live is not None
        and act.rulebook_hash != live.rulebook_hash
    ]
    return [each[2] for each in sorted(begun, reverse=True)]


def open_submissions(acts: Sequence[Publication]) -> list[Publication]:
    """Submissions that nobody has approved or withdrawn yet, oldest first."""
    settled = {act.about for act in acts}
    return [act for act in acts if act.act == "submitted" and act.number not in settled]


def scheduled(acts: Sequence[Publication], moment: datetime) -> list[Publication]:
    """Acts that will take effect after a moment, the next first."""
    withdrawn = {act.about for act in acts if act.act == "withdrawn"}
    coming = [
        (act.effective_at, act.number, act)
        for act in acts
        if act.effective_at is not None and act.effective_at > moment and act.number not in withdrawn
    ]
    return [each[2] for each in sorted(coming)]
