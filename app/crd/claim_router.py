"""One claim read as the order behind it, and routed: columns, faults of a row, and the road.

What the file does not say is missing, and the router may then leave the road open.
"""

from __future__ import annotations

import csv
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation

from app.fhir import codings
from app.fhir.codings import Coding
from app.rulebook.codes import as_code, with_ndc_product
from app.rulebook.rulebook import Rulebook
from app.rulebook.spelling import nearest
from benefit_router import COLUMNS as ROUTING_COLUMNS
from benefit_router import Code, OrderSignals, Signal
from benefit_router import decide as decide_route
from benefit_router.rule import AgeRange, Indication

COLUMNS = {
    "claim_id": "The claim line's own id; only to tell you which line is wrong.",
    "paid_as": "`837` (837P or 837I) or `ncpdp` (NCPDP D.0).",
    "date": "Date of service, `2026-11-01`.",
    "line": "Line of business, as payer.yaml names it.",
    "plan": "Plan, as payer.yaml names it.",
    "system": "System of `code`: HCPCS, CPT, NDC or RxNorm.",
    "code": "What was billed: 837P SV101-2, 837I SV202-2, D.0 field 407-D7.",
    "ndc": "The NDC beside a HCPCS code: 837 LIN03.",
    "route": "Route in words, as crosswalks/routes.csv has it. D.0 field 995-E2 once mapped.",
    "form": "Dose form in words, as crosswalks/dose_forms.csv has it.",
    "pos": "Place of service: 837P CLM05-1 or SV105.",
    "enc_class": "Kind of encounter, as the routing table writes it: AMB, IMP ... 837I by its type of bill; `none` for "
    "what a pharmacy dispensed outside a stay. Left out, it follows from `pos` where that is clear.",
    "supply_channel": "Who supplied it, as the routing table writes it: buy-bill, retail, specialty ...",
    "diagnoses": "ICD-10-CM codes with `;`: 837 HI, D.0 field 424-DO.",
    "age": "Age in whole years on the date of service.",
    "quantity": "Quantity billed; checked, and otherwise not used.",
}
"""Columns of a claims file with their meaning; the first four, `system` and `code` are required."""

REQUIRED = ("claim_id", "paid_as", "date", "line", "system", "code")
_WORDS = {column.name: column.words for column in ROUTING_COLUMNS}
# CMS place of service codes that leave no doubt whether it was a stay.
_STAYS = frozenset({"21", "51", "61"})
_VISITS = frozenset({"01", "02", "10", "11", "12", "17", "19", "20", "22", "24", "49", "50", "65", "71", "72", "81"})
_KNOWN = 200_000  # decisions remembered: claims repeat each other


class WrongRow(ValueError):
    """A row that cannot be read: in words that fit many rows alike, and what to say of this one."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Routed:
    """What the router says of a claim: the drug's name, its track and the row, "no rule" without one."""

    drug: str
    track: str
    rule: str
    presumptive: bool


def cells_of(raw: str) -> list[str]:
    """A line's cells. A line is read by itself, so that a lost quotation mark takes no other row with it."""
    if '"' not in raw:
        return raw.rstrip("\r\n").split(",")
    try:
        return next(csv.reader([raw], strict=True))
    except csv.Error:
        raise WrongRow("its quotation marks do not match") from None


def positions(raw: str, file: str) -> dict[str, int]:
    """Where each column stands, from the header's line. WrongRow when one lacks, is unknown or stands twice."""
    names = [name.strip() for name in cells_of(raw.removeprefix("\ufeff"))]
    for name in REQUIRED:
        if name not in names:
            raise WrongRow(f"{file}:1: the column '{name}' is missing. It needs {', '.join(REQUIRED)}.")
    for name in names:
        if name not in COLUMNS:
            raise WrongRow(f"{file}:1: '{name}' is no column of a claims file. {nearest(name, COLUMNS)}".rstrip())
        if names.count(name) > 1:
            raise WrongRow(f"{file}:1: the column '{name}' stands twice.")
    return {name: position for position, name in enumerate(names)}


class ClaimRouter:
    """Routes claims, remembering what it decided: a decision turns on few cells, and on the date only by rule dates."""

    def __init__(self, rulebook: Rulebook, position: dict[str, int]) -> None:
        self._rulebook = rulebook
        self._position = position
        cells = ("line", "plan", "system", "code", "ndc", "route", "form", "pos", "enc_class", "supply_channel")
        self._deciding = tuple((name, position[name]) for name in cells if name in position)
        dates = {rule.effective_from for rule in rulebook.table.rules}
        dates |= {rule.effective_to for rule in rulebook.table.rules if rule.effective_to is not None}
        self._turns = sorted(dates)
        conditions = [condition for rule in rulebook.table.rules for condition in rule.conditions]
        self._indications = list({each.codes for each in conditions if isinstance(each, Indication)})
        ages = [each for each in conditions if isinstance(each, AgeRange)]
        edges = {each.minimum for each in ages} | {each.maximum + 1 for each in ages if each.maximum is not None}
        self._ages = sorted(edge for edge in edges if edge is not None)
        self._told: dict[str, tuple[frozenset[Code] | None, tuple[bool, ...] | None]] = {}
        self._days: dict[str, tuple[date, int]] = {}
        self._known: dict[tuple[object, ...], Routed | WrongRow] = {}

    def compare(self, cells: list[str]) -> tuple[str, str, str, Routed]:
        """Line, paid system, and what the router says. WrongRow when a cell is."""
        position = self._position
        if len(cells) != len(position):
            raise WrongRow(f"it does not have {len(position)} cells, as the header has")
        if not cells[position["claim_id"]].strip():
            raise WrongRow("it has no claim_id")
        paid = cells[position["paid_as"]].strip().lower()
        if paid not in ("837", "ncpdp"):
            raise WrongRow("paid_as is neither 837 nor ncpdp")
        if "quantity" in position and (quantity := cells[position["quantity"]].strip()):
            _check_number("quantity", quantity)
        day, turn = self._day(cells[position["date"]].strip())
        diagnoses, indicated = (
            self._diagnoses(cells[position["diagnoses"]]) if "diagnoses" in position else (None, None)
        )
        age, band = self._age(cells[position["age"]].strip()) if "age" in position else (None, -1)
        # All that rules make of a date, of diagnoses and of an age: claims alike in that are decided alike.
        key = (turn, indicated, band, *(cells[at] for _, at in self._deciding))
        routed = self._known.get(key)
        if routed is None:
            try:
                routed = self._route({name: cells[at].strip() for name, at in self._deciding}, day, diagnoses, age)
            except WrongRow as error:
                routed = error
            if len(self._known) >= _KNOWN:
                self._known.clear()
            self._known[key] = routed
        if isinstance(routed, WrongRow):
            raise WrongRow(str(routed), routed.detail)
        return cells[position["line"]].strip(), paid, routed.drug, routed

    def _day(self, text: str) -> tuple[date, int]:
        """The date, and how many dates at which rules begin or end lie before it."""
        found = self._days.get(text)
        if found is None:
            try:
                day = date.fromisoformat(text)
            except ValueError:
                raise WrongRow("date is not written year-month-day, such as 2026-11-01") from None
            found = self._days[text] = (day, bisect_right(self._turns, day))
        return found

    def _diagnoses(self, cell: str) -> tuple[frozenset[Code] | None, tuple[bool, ...] | None]:
        """The diagnoses, and in which of the rules' lists one of them is; None for none."""
        found = self._told.get(cell)
        if found is None:
            stated = _diagnoses(cell)
            lists = None
            if stated is not None:
                lists = tuple(any(code in each for code in stated) for each in self._indications)
            if len(self._told) >= _KNOWN:
                self._told.clear()
            found = self._told[cell] = (stated, lists)
        return found

    def _age(self, cell: str) -> tuple[int | None, int]:
        """The age, and how many ages at which rules begin or end lie below it; -1 for none."""
        if not cell:
            return None, -1
        if not (cell.isascii() and cell.isdigit() and len(cell) <= 3):
            raise WrongRow("age is not a number of whole years")
        return int(cell), bisect_right(self._ages, int(cell))

    def _route(self, cells: dict[str, str], day: date, diagnoses: frozenset[Code] | None, age: int | None) -> Routed:
        book = self._rulebook
        _among("line", cells["line"], book.payer.lines)
        single = {"lob": Signal.known(cells["line"])}
        for column, signal, words in (
            ("plan", "plan_id", book.payer.plans),
            ("route", "route", book.crosswalks.route_words),
            ("form", "dose_form", book.crosswalks.routes_of_form),
            ("supply_channel", "supply_channel", _WORDS["supply_channel"]),
            ("enc_class", "enc_class", _WORDS["enc_class"]),
            ("pos", "site_pos", None),
        ):
            value = cells.get(column, "")
            if value:
                if words is not None:
                    _among(column, value, words)
                single[signal] = Signal.known(value)
        pos = cells.get("pos", "")
        if pos in _STAYS | _VISITS:
            single.setdefault("enc_class", Signal.known("IMP" if pos in _STAYS else "AMB"))
        codes = self._codes(cells)
        signals = OrderSignals(
            codes=codes,
            on=day,
            single=single,
            diagnoses=diagnoses,
            age=age,
        )
        decision = decide_route(book.table, signals)
        return Routed(
            drug=self._drug(codes, cells),
            track=decision.track,
            rule=decision.rule_id or "no rule",
            presumptive=decision.confidence == "presumptive",
        )

    def _codes(self, cells: dict[str, str]) -> frozenset[Code]:
        stated = [(cells["system"], cells["code"])]
        if cells.get("ndc"):
            stated.append(("NDC", cells["ndc"]))
        found = set()
        for name, text in stated:
            system = codings.system_from_short_name(name)
            if system is None:
                raise WrongRow("system is not one known here, such as HCPCS, CPT, NDC or RxNorm")
            if not text:
                raise WrongRow("it has no code")
            if system == codings.NDC:
                found.add(self._ndc(text))
            else:
                found.add(as_code(Coding(system, codings.normalise_code(system, text))))
        return with_ndc_product(found)

    def _ndc(self, text: str) -> Code:
        if "E+" in text.upper():
            raise WrongRow("a spreadsheet has cut the NDC (1.23E+10); export the column as text")
        forms = [("NDC", form) for form in codings.normalise_ndc(text)]
        known = [form for form in forms if form in self._rulebook.table.catalog]
        if len(forms) == 1 or len(known) == 1:
            return forms[0] if len(forms) == 1 else known[0]
        raise WrongRow("the NDC is not of 11 digits, nor of 10 with dashes; a lost leading zero, perhaps")

    def _drug(self, codes: frozenset[Code], cells: dict[str, str]) -> str:
        meant = self._rulebook.table.catalog.candidates(codes)
        names = sorted(product.name for product in meant.products) if meant.known else []
        return names[0] if len(names) == 1 else f"{cells['system']} {cells['code']}"


def _among(column: str, value: str, known: Iterable[str]) -> None:
    words = list(known)
    if value not in words:
        raise WrongRow(f"{column} is not one known here", f": '{value[:40]}'. {nearest(value, words)}")


def _check_number(column: str, text: str) -> None:
    try:
        fits = Decimal(text) >= 0
    except InvalidOperation:
        fits = False
    if not fits:
        raise WrongRow(f"{column} is not a number")


def _diagnoses(text: str) -> frozenset[Code] | None:
    system = codings.system_from_short_name("ICD-10-CM") or ""
    stated = [part.strip() for part in text.split(";") if part.strip()]
    found = frozenset(as_code(Coding(system, codings.normalise_code(system, code))) for code in stated)
    return found or None
