"""Member sources in the order the settings give."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from app.members.grants import Grants
from app.members.member import MemberMatch, MemberSource


class MemberDirectory:
    """Asks each source in turn; the first that knows the member answers, otherwise the first refusal stands."""

    def __init__(self, sources: Sequence[MemberSource], grants: Grants | None = None) -> None:
        self._sources = tuple(sources)
        self._grants = grants or Grants()

    def find(self, coverage: dict[str, Any], patient: dict[str, Any] | None, on: date) -> MemberMatch:
        """The member a Coverage stands for on `on`. A source that knows the member ends the search, even if `ended`."""
        first: MemberMatch | None = None
        for source in self._sources:
            match = source.find(coverage, patient, on)
            if match.outcome != "not-found":
                return match
            first = first or match
        return first or MemberMatch("not-found", words="No member source is configured.")

    def grants_about(self, member_id: str, npis: Iterable[str]) -> Grants:
        """What is granted to a member, and to the people with these NPIs."""
        return self._grants.about(member_id, npis)
