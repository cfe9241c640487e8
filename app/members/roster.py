"""The payer's own roster: a CSV of members, matched by member id and birth date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from app.errors import SettingsError
from app.fhir import dates
from app.fhir.codings import codings_of
from app.members.member import Member, MemberMatch
from app.members.tables import ROSTER
from benefit_router import Problem, rows


@dataclass(frozen=True, slots=True)
class _Span:
    """A member's stretch of coverage; `end` is the first day without it."""

    member: Member
    start: date
    end: date | None


class Roster:
    """Members by id. Read once; a payer's real member system goes behind the same interface."""

    def __init__(self, spans: Mapping[str, tuple[_Span, ...]]) -> None:
        self._spans = spans

    @classmethod
    def read(cls, path: Path) -> Roster:
        """Read a roster file; SettingsError names the line that is wrong."""
        try:
            text = path.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise SettingsError(f"The roster {path} cannot be read: {error.strerror}.") from error
        except UnicodeDecodeError:
            raise SettingsError(f"The roster {path} is not UTF-8 text.") from None
        spans: dict[str, tuple[_Span, ...]] = {}
        problems: list[Problem] = []
        for number, row in rows(text, str(path), ROSTER.columns, problems, private=True):
            try:
                span = _span(row)
            except ValueError as error:
                raise SettingsError(f"The roster {path} is wrong in line {number}: {error}.") from None
            if problems:
                break
            spans[span.member.member_id] = (*spans.get(span.member.member_id, ()), span)
        if problems:
            raise SettingsError(f"The roster is wrong. {problems[0]}")
        return cls(spans)

    def find(self, coverage: dict[str, Any], patient: dict[str, Any] | None, on: date) -> MemberMatch:
        """Match by any member id the Coverage carries; a different birth date is a different person."""
        ids = [member_id for member_id in member_ids(coverage) if member_id in self._spans]
        subscriber, dependent = coverage.get("subscriberId"), coverage.get("dependent")
        if dependent and f"{subscriber}{dependent}" in ids:  # one with a number of their own is not the subscriber
            ids = [member_id for member_id in ids if member_id != subscriber]
        if not ids:
            return MemberMatch("not-found", words="No member of this plan has the identifier on the coverage.")
        if len(ids) > 1:
            return MemberMatch("unclear", words="The coverage carries the identifiers of several members.")
        spans = self._spans[ids[0]]
        stated = (patient or {}).get("birthDate")
        if stated and spans[0].member.birth_date and not _same_birth(spans[0].member.birth_date, stated):
            return MemberMatch("mismatch", words="The birth date differs from the one on file for this identifier.")
        in_force = [span.member for span in spans if span.start <= on and (span.end is None or on < span.end)]
        if not in_force:
            return MemberMatch("ended", spans[-1].member, "The member has no coverage in force on the day of service.")
        if any(member != in_force[0] for member in in_force):
            words = "The member has several coverages in force on the day of service, under one identifier."
            return MemberMatch("unclear", words=words)
        return MemberMatch("found", in_force[0])

    def alike(self, line: str | None, plan: str | None, flags: Mapping[str, bool], on: date) -> Member | None:
        """The first member covered on that day in this line and plan of whom all these flags are known to be so."""
        for spans in self._spans.values():
            for span in spans:
                member = span.member
                covered = span.start <= on and (span.end is None or on < span.end)
                if covered and (member.line, member.plan) == (line, plan) and flags.items() <= member.flags.items():
                    return member
        return None


def member_ids(coverage: Mapping[str, Any]) -> list[str]:
    """Identifiers a Coverage gives for its member: those typed as member numbers first, then subscriber ids."""
    found: list[str] = []
    identifiers = coverage.get("identifier")
    for identifier in identifiers if isinstance(identifiers, list) else []:
        if isinstance(identifier, dict) and isinstance(identifier.get("value"), str):
            is_member = any(kind.code in ("MB", "MI") for kind in codings_of(identifier.get("type")))
            found.insert(0, identifier["value"]) if is_member else found.append(identifier["value"])
    subscriber, dependent = coverage.get("subscriberId"), coverage.get("dependent")
    if isinstance(subscriber, str):
        found += [f"{subscriber}{dependent}", subscriber] if isinstance(dependent, str) else [subscriber]
    return list(dict.fromkeys(found))


def _same_birth(on_file: str, stated: object) -> bool:
    """Whether a stated birth date, perhaps only a year or month, can be the one on file."""
    known, first, last = dates.first_day(on_file), dates.first_day(stated), dates.last_day(stated)
    return known is None or first is None or last is None or first <= known <= last


def _span(row: dict[str, str]) -> _Span:
    flags: dict[str, bool] = {}
    for part in (piece.strip() for piece in row.get("flags", "").split(";")):
        if part:
            name, _, value = (piece.strip() for piece in part.partition("="))
            if value not in ("yes", "no"):
                raise ValueError(f"flag '{part}' is not written name=yes or name=no")
            flags[name] = value == "yes"
    for column in ("birth_date", "from", "to"):
        day = dates.parse(row.get(column))
        if row.get(column) and (day is None or day.first != day.last):
            raise ValueError(f"{column} is not a date written year-month-day")
    member = Member(
        member_id=row["member_id"],
        source="roster",
        line=row["line"] or None,
        plan=row.get("plan") or None,
        group=row.get("group") or None,
        state=row.get("state") or None,
        pharmacy=row.get("pharmacy") or None,
        bin=row.get("bin") or None,
        pcn=row.get("pcn") or None,
        birth_date=row.get("birth_date") or None,
        flags=flags,
    )
    start = dates.first_day(row["from"])
    assert start is not None  # a filled cell that is a date, as checked above
    return _Span(member, start, dates.first_day(row.get("to")))
