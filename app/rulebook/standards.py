"""Which standard carries a transaction: rules/standards.csv, by line of business, kind of drug and day."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date

from app.rulebook.spelling import nearest
from benefit_router import Column, Problem, Table, rows

STANDARDS_FILE = "standards.csv"

TRANSACTIONS = {
    "coverage-discovery": "asking at order time what the plan needs",
    "documentation": "the form that the plan wants filled",
    "prior-authorization": "asking for the authorization itself",
    "attachments": "further documents for a request or a claim",
    "eligibility": "whether the member is covered",
    "formulary": "the plan's list of drugs, with its limits",
    "benefit-check": "price and restrictions of one drug for one member",
}
DRUG_CATEGORIES = {
    "items-and-services": "anything that is no drug",
    "medical-drug": "a drug the medical benefit pays",
    "pharmacy-drug": "a drug the pharmacy benefit pays",
}
STATUSES = {
    "in-force": "a rule requires or permits it now, between its dates",
    "final": "a final rule requires it from its date, or from one that is still to be checked",
    "recommended": "a rule in force names it without requiring it",
    "proposed": "a proposed rule would require it; nobody has to yet",
    "voluntary": "no rule speaks; the payer offers it",
}


def _among(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


STANDARDS = Table(
    "standards",
    STANDARDS_FILE,
    "Which standard carries which transaction.",
    (
        Column("transaction", "word", f"What is exchanged: {_among(TRANSACTIONS)}.", "prior-authorization", required=True, words=tuple(TRANSACTIONS)),
        Column("standard", "text", "The standard's name.", "NCPDP SCRIPT ePA", required=True),
        Column("version", "text", "Its version, as the rule writes it.", "2023011", required=True),
        Column("lines", "words", "Lines of business of payer.yaml, with spaces between, or `any`.", "ma medicaid", required=True),
        Column("drug_category", "words", f"Kinds of order, with spaces between, or `any`: {_among(DRUG_CATEGORIES)}.", "pharmacy-drug", required=True),
        Column("status", "word", f"How binding it is: {_among(STATUSES)}.", "in-force", required=True, words=tuple(STATUSES)),
        Column("effective_from", "date", "First day. Empty: always; for `final` and `proposed`, a day not known yet.", "2028-01-01"),
        Column("effective_to", "date", "First day after. Empty: for good.", "2028-01-01"),
        Column("authority", "text", "The regulation or rule that says so.", "42 CFR 423.160(b)", required=True),
        Column("source", "text", "Where to read it: an address or a citation.", "89 FR 51238", required=True),
        Column("retrieved", "date", "The day the source was read.", "2026-11-25", required=True),
        Column("verified", "yes-no", "`yes` when somebody compared this row with the source's text, else `no`.", "yes", required=True, words=("yes", "no")),
        Column("note", "text", "What else a reader should know.", "either version may be used until then"),
    ),
    closed=True,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Standard:
    """One row. Empty `lines` and `categories` mean any; days are half-open; None is open-ended."""

    transaction: str
    standard: str
    version: str
    lines: frozenset[str]
    categories: frozenset[str]
    status: str
    effective_from: date | None
    effective_to: date | None
    authority: str
    source: str
    retrieved: date
    verified: bool
    note: str

    def applies(self, transaction: str | None, line: str | None, category: str | None, on: date) -> bool:
        """Whether the row is about this; None asks about all. A day not known yet is not before any day."""
        if self.effective_from is not None and on < self.effective_from and self.status == "in-force":
            return False
        if self.effective_to is not None and on >= self.effective_to:
            return False
        return (
            transaction in (None, self.transaction)
            and (line is None or not self.lines or line in self.lines)
            and (category is None or not self.categories or category in self.categories)
        )

    def binding(self, on: date) -> bool:
        """Whether a rule makes it binding on that day: in force, or final with its day come."""
        reached = self.effective_from is not None and on >= self.effective_from
        return self.status == "in-force" or (self.status == "final" and reached)


def read_standards(text: str, lines: Collection[str], problems: list[Problem]) -> tuple[Standard, ...]:
    """Every row; what is wrong is added to `problems`, by line and column."""
    found = []
    for number, row in rows(text, STANDARDS_FILE, STANDARDS.columns, problems):
        wrong = list(_wrong(row, number, lines))
        problems += wrong
        if not wrong:
            found.append(_standard(row))
    return tuple(found)


def _wrong(row: dict[str, str], line: int, lines: Collection[str]) -> Iterable[Problem]:
    known = {column.name for column in STANDARDS.columns}
    for name in row.keys() - known:
        yield Problem(STANDARDS_FILE, line, name, "The column is not known.", nearest(name, known))
    for name, words in (
        ("transaction", TRANSACTIONS),
        ("status", STATUSES),
        ("verified", {"yes": "", "no": ""}),
    ):
        if row[name] not in words:
            yield Problem(STANDARDS_FILE, line, name, f"'{row[name]}' is not known here.", nearest(row[name], words))
    for name, options in (("lines", lines), ("drug_category", DRUG_CATEGORIES)):
        for word in row[name].split():
            if word != "any" and word not in options:
                remedy = nearest(word, [*options, "any"])
                yield Problem(STANDARDS_FILE, line, name, f"'{word}' is not known here.", remedy)
    days = {name: _day(row.get(name, "")) for name in ("effective_from", "effective_to", "retrieved")}
    for name, day in days.items():
        if day is None and row.get(name):
            remedy = "Write year-month-day, such as 2026-11-25."
            yield Problem(STANDARDS_FILE, line, name, f"'{row[name]}' is not a day.", remedy)
    start, end = days["effective_from"], days["effective_to"]
    if start is not None and end is not None and start >= end:
        yield Problem(STANDARDS_FILE, line, "effective_to", "It ends before it begins.", "Correct the days.")


def _standard(row: dict[str, str]) -> Standard:
    retrieved = _day(row["retrieved"])
    assert retrieved is not None  # checked by _wrong
    return Standard(
        transaction=row["transaction"],
        standard=row["standard"],
        version=row["version"],
        lines=frozenset(row["lines"].split()) - {"any"},
        categories=frozenset(row["drug_category"].split()) - {"any"},
        status=row["status"],
        effective_from=_day(row.get("effective_from", "")),
        effective_to=_day(row.get("effective_to", "")),
        authority=row["authority"],
        source=row["source"],
        retrieved=retrieved,
        verified=row["verified"] == "yes",
        note=row.get("note", ""),
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        return None
