"""When codes are valid: crosswalks/validity.csv, and a release of CMS's HCPCS file where one is given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from app.rulebook.codes import cell_code
from app.rulebook.hcpcs import HcpcsCode
from app.rulebook.tables import VALIDITY
from benefit_router import Code, Problem, rows

VALIDITY_FILE = VALIDITY.file


@dataclass(frozen=True, slots=True)
class Validity:
    """The days a code may be billed or ordered on: half-open, None is open-ended. `source` says who says so."""

    start: date | None
    end: date | None
    source: str

    def holds(self, day: date) -> bool:
        """Whether the code is valid on a day."""
        return (self.start is None or self.start <= day) and (self.end is None or day < self.end)

    @property
    def words(self) -> str:
        """Its days in words, with the source."""
        days = [f"from {self.start}"] if self.start is not None else []
        days += [f"to the day before {self.end}"] if self.end is not None else []
        return f"{' '.join(days) or 'always'} ({self.source})"


def read_validity(text: str, problems: list[Problem]) -> Mapping[Code, Validity]:
    """The table by code; what is wrong is added to `problems`, by line and column."""
    found: dict[Code, Validity] = {}
    for line, row in rows(text, VALIDITY_FILE, VALIDITY.columns, problems):
        code = cell_code(row["system"], row["code"], VALIDITY_FILE, line, problems)
        days = {name: _day(row.get(name, ""), name, line, problems) for name in ("valid_from", "valid_to")}
        start, end = days["valid_from"], days["valid_to"]
        if start is not None and end is not None and end <= start:
            remedy = "'valid_to' is the first day it is no longer valid."
            problems.append(Problem(VALIDITY_FILE, line, "valid_to", "It ends before it begins.", remedy))
        elif code in found:
            problems.append(Problem(VALIDITY_FILE, line, "code", f"{' '.join(code)} stands twice.", "Keep one row."))
        elif code is not None:
            unverified = "" if row.get("verified") == "yes" else ", not verified"
            found[code] = Validity(start, end, f"{row['source']}{unverified}")
    return found


def _day(text: str, column: str, line: int, problems: list[Problem]) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        problems.append(Problem(VALIDITY_FILE, line, column, f"'{text}' is not a day.", "Write 2026-01-31."))
        return None


def of_release(codes: Iterable[HcpcsCode], file: str) -> Mapping[Code, Validity]:
    """The codes a HCPCS release ends. Its dates of action are no first days: the code may only have been reworded."""
    return {("HCPCS", each.code): Validity(None, each.ended, file) for each in codes if each.ended is not None}
