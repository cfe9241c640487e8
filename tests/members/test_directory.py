from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from app.members import Member, MemberDirectory, MemberMatch

FOUND = MemberMatch("found", Member("X1", "coverage"))
ENDED = MemberMatch("ended", Member("M1", "roster"), "ended")
UNCLEAR = MemberMatch("unclear", words="two members")
UNKNOWN = MemberMatch("not-found", words="no such number")
STRANGER = MemberMatch("not-found", words="another birth date")


class Answers:
    """A source that always answers the same."""

    def __init__(self, match: MemberMatch) -> None:
        self.match = match

    def find(self, coverage: dict[str, Any], patient: dict[str, Any] | None, on: date) -> MemberMatch:
        return self.match


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ((FOUND,), FOUND),
        ((UNKNOWN, FOUND), FOUND),
        ((FOUND, ENDED), FOUND),
        # Who knows the member ends the search, even with bad news.
        ((ENDED, FOUND), ENDED),
        ((UNCLEAR, FOUND), UNCLEAR),
        ((UNKNOWN, ENDED, FOUND), ENDED),
        # Otherwise the first refusal stands.
        ((UNKNOWN, STRANGER), UNKNOWN),
        ((STRANGER, UNKNOWN), STRANGER),
        ((), MemberMatch("not-found", words="No member source is configured.")),
    ],
)
def test_order_of_sources(answers: tuple[MemberMatch, ...], expected: MemberMatch) -> None:
    directory = MemberDirectory([Answers(match) for match in answers])
    assert directory.find({}, None, date(2026, 6, 1)) == expected
