"""The Coverage resource taken at its word: for payers without a roster here, and for trying things out."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Any

from app.fhir import dates
from app.members.member import Member, MemberMatch
from app.members.roster import member_ids


class CoverageSource:
    """Believes status, period, type and class of the Coverage; `line_of_type` maps a type code to its line."""

    def __init__(self, line_of_type: Callable[[str], str | None]) -> None:
        self._line_of_type = line_of_type

    def find(self, coverage: dict[str, Any], patient: dict[str, Any] | None, on: date) -> MemberMatch:
        """A member made of what the Coverage says; `ended` when it is not active or its period leaves the day out."""
        ids = member_ids(coverage)
        member = Member(
            member_id=ids[0] if ids else "",
            source="coverage",
            line=self._line(coverage),
            plan=_class(coverage, "plan"),
            group=_class(coverage, "group"),
            state=_state(patient),
            bin=_class(coverage, "rxbin"),
            pcn=_class(coverage, "rxpcn"),
            birth_date=(patient or {}).get("birthDate"),
        )
        if coverage.get("status") not in (None, "active"):
            return MemberMatch("ended", member, "The coverage on file is not active.")
        in_force = dates.period_contains(coverage["period"], on) if "period" in coverage else True
        if in_force is False:
            return MemberMatch("ended", member, "The coverage's period does not include the day of service.")
        if in_force is None:
            return MemberMatch("unclear", member, "The coverage's period cannot be read.")
        return MemberMatch("found", member)

    def _line(self, coverage: dict[str, Any]) -> str | None:
        kind = coverage.get("type")
        codes = kind.get("coding") if isinstance(kind, dict) else None
        lines = {
            line
            for coding in (codes if isinstance(codes, list) else [])
            if isinstance(coding, dict) and isinstance(coding.get("code"), str)
            if (line := self._line_of_type(coding["code"])) is not None
        }
        return lines.pop() if len(lines) == 1 else None


def _class(coverage: dict[str, Any], wanted: str) -> str | None:
    classes = coverage.get("class")
    for entry in classes if isinstance(classes, list) else []:
        kind = entry.get("type") if isinstance(entry, dict) else None
        codes = kind.get("coding") if isinstance(kind, dict) else None
        for coding in codes if isinstance(codes, list) else []:
            if isinstance(coding, dict) and coding.get("code") == wanted and isinstance(entry.get("value"), str):
                return str(entry["value"])
    return None


def _state(patient: dict[str, Any] | None) -> str | None:
    """State of the current address by its two letters; nobody's guess when there are several, or in other words."""
    addresses = (patient or {}).get("address")
    states = {
        address["state"]
        for address in (addresses if isinstance(addresses, list) else [])
        if isinstance(address, dict) and isinstance(address.get("state"), str) and address.get("use") != "old"
    }
    state = states.pop().strip().upper() if len(states) == 1 else ""
    return state if re.fullmatch(r"[A-Z]{2}", state) else None
