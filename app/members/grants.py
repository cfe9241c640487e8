"""What the payer has granted beforehand: authorizations on file, gold cards, and who is in network.

CSV files beside the roster, each optional: authorizations.csv (number, member_id, system, code, from, to),
gold_cards.csv (npi, system, code, from, to; code `*` for everything) and networks.csv (npi, plan, from, to; plan blank
for every plan). The systems of a real payer go behind the same questions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from app.errors import SettingsError
from app.fhir import codings, dates
from app.members.tables import AUTHORIZATIONS, GOLD_CARDS, NETWORKS
from benefit_router import Problem, Table, rows

Code = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Grant:
    """A grant in force from a day up to, not including, another; `end` None: until further notice."""

    subject: str
    about: str
    start: date
    end: date | None
    number: str = ""

    def in_force(self, on: date) -> bool:
        """Whether it is in force on a day."""
        return self.start <= on and (self.end is None or on < self.end)


class Grants:
    """All grants, or those `about` one member and some people. No `networks`: the network is unknown."""

    def __init__(
        self,
        authorizations: Iterable[Grant] = (),
        gold_cards: Iterable[Grant] = (),
        networks: Iterable[Grant] | None = None,
    ) -> None:
        self.authorizations = _by_subject(authorizations)
        self.gold_cards = _by_subject(gold_cards)
        self.networks = None if networks is None else _by_subject(networks)

    @classmethod
    def read(cls, folder: Path) -> Grants:
        """Read the files of a folder; SettingsError names the line that is wrong."""
        networks = folder / "networks.csv"
        return cls(
            _read(folder, AUTHORIZATIONS, "member_id"),
            _read(folder, GOLD_CARDS, "npi"),
            _read(folder, NETWORKS, "npi", about="plan") if networks.exists() else None,
        )

    def about(self, member_id: str, npis: Iterable[str]) -> Grants:
        """The grants of one member and some people. Of these every question has the answer that all grants give."""
        people = sorted(npis)
        return Grants(
            self.authorizations.get(member_id, ()),
            [grant for npi in people for grant in self.gold_cards.get(npi, ())],
            None if self.networks is None else [grant for npi in people for grant in self.networks.get(npi, ())],
        )

    def authorization(self, member_id: str, codes: Iterable[Code], on: date) -> str | None:
        """Number of an authorization in force for one of these codes."""
        wanted = {" ".join(code) for code in codes}
        for grant in self.authorizations.get(member_id, ()):
            if grant.about in wanted and grant.in_force(on):
                return grant.number
        return None

    def gold_carded(self, npi: str | None, codes: Iterable[Code], on: date) -> bool:
        """Whether the orderer needs no authorization for one of these codes."""
        carded = self.gold_cards.get(npi or "", ())
        if not carded:
            return False
        wanted = {" ".join(code) for code in codes} | {"*"}
        return any(grant.about in wanted and grant.in_force(on) for grant in carded)

    def in_network(self, npi: str | None, plan: str | None, on: date) -> bool | None:
        """Whether a performer is in the plan's network; None when nobody can say."""
        if npi is None or self.networks is None:
            return None
        return any(grant.about in ("", plan or "") and grant.in_force(on) for grant in self.networks.get(npi, ()))


def _by_subject(grants: Iterable[Grant]) -> dict[str, tuple[Grant, ...]]:
    found: dict[str, list[Grant]] = {}
    for grant in grants:
        found.setdefault(grant.subject, []).append(grant)
    return {subject: tuple(each) for subject, each in found.items()}


def _read(folder: Path, table: Table, subject: str, about: str | None = None) -> Iterator[Grant]:
    path = folder / table.file.rpartition("/")[2]
    if not path.exists():
        return
    problems: list[Problem] = []
    for number, row in rows(path.read_text(encoding="utf-8-sig"), str(path), table.columns, problems, private=True):
        start, end = dates.first_day(row["from"]), dates.first_day(row["to"]) if row.get("to") else None
        if start is None or (row.get("to") and end is None):
            raise SettingsError(f"{path}:{number}: 'from' and 'to' are days written year-month-day.")
        yield Grant(row[subject], _about(row, path, number, about), start, end, row.get("number", ""))
    if problems:
        raise SettingsError(str(problems[0]))


def _about(row: dict[str, str], path: Path, number: int, column: str | None) -> str:
    if column is not None:
        return row[column]
    if row["code"] == "*":
        return "*"
    system = codings.system_from_short_name(row["system"])
    if system is None or not row["code"]:
        raise SettingsError(f"{path}:{number}: '{row['system']} {row['code']}' is not a code with its system.")
    return f"{codings.short_name(system)} {codings.normalise_code(system, row['code'])}"
