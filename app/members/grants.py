"""What the payer has granted beforehand: authorizations on file, gold cards, and who is in network.

CSV files beside the roster, each optional: authorizations.csv (number, member_id, system, code, from, to),
gold_cards.csv (npi, system, code, from, to; code `*` for everything) and networks.csv (npi, plan, from, to; plan blank
for every plan). The systems of a real payer go behind the same questions.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from app.errors import SettingsError
from app.fhir import codings, dates

Code = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Grant:
    """A grant in force from a day up to, not including, another."""

    subject: str
    about: str
    start: date
    end: date | None
    number: str = ""

    def in_force(self, on: date) -> bool:
        return self.start <= on and (self.end is None or on < self.end)


@dataclass(frozen=True, slots=True)
class Grants:
    """All grants. A file that is not there answers nothing: no grant, and an unknown network."""

    authorizations: tuple[_Grant, ...] = ()
    gold_cards: tuple[_Grant, ...] = ()
    networks: tuple[_Grant, ...] | None = None
    _by_member: dict[str, tuple[_Grant, ...]] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Grants:
        """Read the files of a folder; SettingsError names the line that is wrong."""
        authorizations = tuple(_read(folder / "authorizations.csv", "member_id", "number"))
        by_member: dict[str, tuple[_Grant, ...]] = {}
        for grant in authorizations:
            by_member[grant.subject] = (*by_member.get(grant.subject, ()), grant)
        networks = folder / "networks.csv"
        return cls(
            authorizations,
            tuple(_read(folder / "gold_cards.csv", "npi")),
            tuple(_read(networks, "npi", about="plan")) if networks.exists() else None,
            by_member,
        )

    def authorization(self, member_id: str, codes: Iterable[Code], on: date) -> str | None:
        """Number of an authorization in force for one of these codes."""
        wanted = {" ".join(code) for code in codes}
        for grant in self._by_member.get(member_id, ()):
            if grant.about in wanted and grant.in_force(on):
                return grant.number
        return None

    def gold_carded(self, npi: str | None, codes: Iterable[Code], on: date) -> bool:
        """Whether the orderer needs no authorization for one of these codes."""
        wanted = {" ".join(code) for code in codes} | {"*"}
        return npi is not None and any(
            g.subject == npi and g.about in wanted and g.in_force(on) for g in self.gold_cards
        )

    def in_network(self, npi: str | None, plan: str | None, on: date) -> bool | None:
        """Whether a performer is in the plan's network; None when nobody can say."""
        if npi is None or self.networks is None:
            return None
        return any(g.subject == npi and g.about in ("", plan or "") and g.in_force(on) for g in self.networks)


def _read(path: Path, subject: str, *more: str, about: str | None = None) -> Iterable[_Grant]:
    if not path.exists():
        return
    lines = [(n, line) for n, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1)]
    rows = [(n, line) for n, line in lines if line.strip() and not line.startswith("#")]
    columns = [subject, *more, "from", *(("plan",) if about else ("system", "code"))]
    header = next(csv.reader([rows[0][1]])) if rows else []
    missing = [name for name in columns if name not in header]
    if missing:
        raise SettingsError(f"{path} lacks the column '{missing[0]}'.")
    for number, line in rows[1:]:
        row = dict(zip(header, (cell.strip() for cell in next(csv.reader([line]))), strict=False))
        start, end = dates.first_day(row["from"]), dates.first_day(row["to"]) if row.get("to") else None
        if not row[subject] or start is None or (row.get("to") and end is None):
            raise SettingsError(f"{path}:{number}: a {subject} and a 'from' day (year-month-day) are needed.")
        yield _Grant(row[subject], _about(row, path, number, about), start, end, row.get("number", ""))


def _about(row: dict[str, str], path: Path, number: int, column: str | None) -> str:
    if column is not None:
        return row[column]
    if row["code"] == "*":
        return "*"
    system = codings.system_from_short_name(row["system"])
    if system is None or not row["code"]:
        raise SettingsError(f"{path}:{number}: '{row['system']} {row['code']}' is not a code with its system.")
    return f"{codings.short_name(system)} {codings.normalise_code(system, row['code'])}"
