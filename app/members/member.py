"""A member, and what came of looking for one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal, Protocol


@dataclass(frozen=True, slots=True)
class Member:
    """What benefit rules may know of a member. None and an absent flag mean nobody said."""

    member_id: str
    source: Literal["roster", "coverage"]
    line: str | None = None
    plan: str | None = None
    group: str | None = None
    state: str | None = None
    pharmacy: str | None = None
    bin: str | None = None
    pcn: str | None = None
    birth_date: str | None = None
    flags: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MemberMatch:
    """`found` has the member; `ended` was a member but not on that day; `unclear` cannot be told apart.

    `mismatch`: the identifier is a member's, the person is somebody else.
    """

    outcome: Literal["found", "not-found", "mismatch", "ended", "unclear"]
    member: Member | None = None
    words: str = ""


class MemberSource(Protocol):
    """Where members are looked up."""

    def find(self, coverage: dict[str, Any], patient: dict[str, Any] | None, on: date) -> MemberMatch:
        """The member a Coverage resource stands for on a day."""
