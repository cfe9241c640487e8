"""Reading a routing table from CSV: every row that is wrong is refused with its line, column and remedy."""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import Generic, Literal, NamedTuple, TypeVar

from benefit_router.catalog import DrugCatalog
from benefit_router.codes import CodeList
from benefit_router.columns import BY_NAME, COLUMNS, LEVEL_WEIGHTS
from benefit_router.conflicts import conflicts
from benefit_router.problems import Problem
from benefit_router.row import Row, Vocabulary
from benefit_router.rule import (
    AgeRange,
    Condition,
    Flag,
    Indication,
    OneOf,
    Outcome,
    Provenance,
    Rule,
    Stated,
)
from benefit_router.signals import SINGLE
from benefit_router.spreadsheet import separators, unpadded
from benefit_router.table import RoutingTable

T = TypeVar("T")
# A line of the file by its number, with the filled ones of some cells.
_LineOf = Callable[[int, dict[str, str]], Row]

_SLUG = re.compile(r"[a-z0-9][a-z0-9._-]*")
_LEVEL_OF_SYSTEM = {"RxNorm": "scd", "NDC": "ndc11", "HCPCS": "hcpcs", "CPT": "cpt", "CVX": "cvx"}
_SYSTEM_OF_LEVEL = {
    "ndc9": "NDC", "ndc11": "NDC", "hcpcs": "HCPCS", "cpt": "CPT", "cvx": "CVX",
    "ingredient": "RxNorm", "scdf": "RxNorm", "scd": "RxNorm", "sbd": "RxNorm",
}  # fmt: skip
_REQUIRED = tuple(column.name for column in COLUMNS if column.required)
# The columns that make one part of a row each (`_Part`); the name and the title are every row's own.
_NAME = ("rule_id", "title")
_STANDING = ("status", "band", "priority", "effective_from", "effective_to")
_MATCH = ("match_system", "match_level", "match_code")
_CONDITIONS = (
    *SINGLE, "drug_class", "dx", "condition_flag", "age_min", "age_max", "requires_signals", "derived_ok",
)  # fmt: skip
_OUTCOME = (
    "track", "pa", "billing_codes", "modifiers", "administration_codes", "questionnaire", "doc_purpose",
    "clock_profile", "info_needed", "handoff", "explanation_text", "patient_text", "confidence",
)  # fmt: skip
_PROVENANCE = (
    "source_url", "source_section", "retrieved", "licence_note", "author", "approver", "approved_at",
    "change_ticket", "test_refs",
)  # fmt: skip
# Signals whose inferred value may satisfy a row only with `derived_ok`; the others are never inferred.
_INFERRED = frozenset({"route", "dose_form", "supply_channel", "phase"})


class _Part(Generic[T]):
    """One part of every row: what `read` makes of these columns, of which it sees no others.

    Rows that agree in their cells share it, for a large table repeats itself in all but its names and codes. What has a
    problem is read again, so that every row is told of it.
    """

    def __init__(self, read: Callable[[Row], T | None], names: Iterable[str], header: list[str], line: _LineOf) -> None:
        self._read = read
        self._line = line
        self._places = [(name, header.index(name)) for name in names if name in header]
        self._required = [name for name, _ in self._places if BY_NAME[name].required]
        places = [place for _, place in self._places]
        self._cells_of: Callable[[list[str]], object] = itemgetter(*places) if places else lambda _: ()
        self._made: dict[object, T] = {}

    def of(self, number: int, cells: list[str]) -> T | None:
        """The part of this line; None, with problems, when it is wrong."""
        key = self._cells_of(cells)
        made = self._made.get(key)
        if made is None and (made := self.read(number, cells)) is not None:
            self._made[key] = made
        return made

    def read(self, number: int, cells: list[str]) -> T | None:
        """The same, of a part that hardly two rows share."""
        row = self._line(number, {name: value for name, place in self._places if (value := cells[place].strip())})
        before = len(row.problems)
        for name in self._required:
            if name not in row.cells:
                row.complain(name, "The cell is empty.", f"Fill it, for example '{BY_NAME[name].example}'.")
        made = self._read(row)
        return made if len(row.problems) == before else None


class _Standing(NamedTuple):
    """Whether a row speaks, when, and before which others."""

    status: str
    band: int
    priority: int
    effective_from: date
    effective_to: date | None


class _Rows:
    """Makes rules of the lines under one header."""

    def __init__(self, header: list[str], line: _LineOf) -> None:
        self._name = _Part(_name, _NAME, header, line)
        self._standing = _Part(_standing, _STANDING, header, line)
        self._match = _Part(_match, _MATCH, header, line)
        self._conditions = _Part(_conditions, _CONDITIONS, header, line)
        self._outcome = _Part(_outcome, _OUTCOME, header, line)
        self._provenance = _Part(_provenance, _PROVENANCE, header, line)

    def rule(self, number: int, cells: list[str]) -> Rule | None:
        """The rule of an approved line; None for another, and, with problems, for one that is wrong."""
        # All are read before any is judged: a line is told of everything that is wrong with it.
        name, standing = self._name.read(number, cells), self._standing.of(number, cells)
        match, conditions = self._match.of(number, cells), self._conditions.of(number, cells)
        outcome, provenance = self._outcome.of(number, cells), self._provenance.of(number, cells)
        if not (name and standing and match and conditions and outcome and provenance):
            return None
        if standing.status != "approved":
            return None
        weight, codes = match
        classes, tests, specificity = conditions
        return Rule(
            rule_id=name[0],
            title=name[1],
            band=standing.band,
            priority=standing.priority,
            effective_from=standing.effective_from,
            effective_to=standing.effective_to,
            codes=codes,
            drug_class=classes,
            conditions=tests,
            outcome=outcome,
            provenance=provenance,
            specificity=specificity + weight,
            line=number,
        )


def read_table(
    text: str, *, file: str, vocabulary: Vocabulary | None = None, catalog: DrugCatalog | None = None
) -> tuple[RoutingTable | None, list[Problem]]:
    """Read a routing table. The table is None when any problem is an error: a wrong table never answers.

    `file` is the name used in problems. Rows that are not `approved` are checked and left out.
    """
    problems: list[Problem] = []
    header, lines = _lines(text, file, problems)
    if not header:
        return None, problems
    rows, rules = _Rows(header, partial(Row, file, vocabulary or Vocabulary(), problems)), []
    place, seen = header.index("rule_id"), dict[str, int]()
    for number, cells in lines:
        if (rule := rows.rule(number, cells)) is not None:
            rules.append(rule)
        rule_id = cells[place].strip()
        if rule_id and (before := seen.setdefault(rule_id, number)) != number:
            message = f"'{rule_id}' is also on line {before}."
            problems.append(Problem(file, number, "rule_id", message, "Give every row its own rule_id."))
    del rows, seen
    if not problems:
        problems += conflicts(rules, file)
    return (None, problems) if problems else (RoutingTable.of(rules, catalog), problems)


def _lines(text: str, file: str, problems: list[Problem]) -> tuple[list[str], Iterable[tuple[int, list[str]]]]:
    """The header, empty when it is wrong, and every line of as many cells that holds a row."""
    reader = csv.reader(_physical_lines(text.removeprefix("\ufeff")), strict=True)
    try:
        header = [name.strip() for name in next(reader)]
    except StopIteration:
        problems.append(Problem(file, 1, None, "The file is empty.", "Write the header line with the column names."))
        return [], []
    except csv.Error as error:
        problems.append(_not_csv(file, 1, error))
        return [], []
    while header and not header[-1]:
        header.pop()
    if separated := separators(next(_physical_lines(text)), file, 1):
        problems.append(separated)
        return [], []
    for position, name in enumerate(header):
        if name not in BY_NAME:
            near = difflib.get_close_matches(name, BY_NAME, n=1)
            hint = f"Did you mean '{near[0]}'?" if near else "Remove the column; see docs/rules for all columns."
            problems.append(Problem(file, 1, name or f"column {position + 1}", "There is no such column.", hint))
        elif name in header[:position]:
            problems.append(Problem(file, 1, name, "The column stands twice.", "Remove one of them."))
    for name in _REQUIRED:
        if name not in header:
            problems.append(Problem(file, 1, name, "The column is missing.", f"Add a column '{name}'."))
    if problems:
        return [], []
    return header, _body(reader, header, file, problems)


def _physical_lines(text: str) -> Iterator[str]:
    """The lines with their ends, split a piece at a time: all at once would be the text of a large table again."""
    return chain.from_iterable(piece.splitlines(keepends=True) for piece in _pieces(text, 1 << 20))


def _pieces(text: str, size: int) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = text.find("\n", start + size) + 1 or len(text)
        yield text[start:end]
        start = end


def _body(
    reader: Iterable[list[str]], header: list[str], file: str, problems: list[Problem]
) -> Iterable[tuple[int, list[str]]]:
    width = len(header)
    rows = iter(reader)
    while True:
        start = reader.line_num + 1  # type: ignore[attr-defined]  # csv readers count physical lines
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            problems.append(_not_csv(file, start, error))
            return
        first = cells[0].lstrip() if cells else ""
        if first.startswith("#") or (not first and not any(cell.strip() for cell in cells)):
            continue
        if len(cells) != width and len(cells := unpadded(cells, width)) != width:
            problems.append(
                Problem(
                    file,
                    start,
                    None,
                    f"The line has {len(cells)} cells, the header {width}.",
                    "Put a cell that contains a comma in double quotes.",
                )  # fmt: skip
            )
            continue
        yield start, cells


def _not_csv(file: str, line: int, error: csv.Error) -> Problem:
    return Problem(file, line, None, f"The line is not CSV: {error}.", "Check the quotation marks on this line.")


def _name(row: Row) -> tuple[str, str]:
    rule_id = row.text("rule_id")
    if rule_id and not _SLUG.fullmatch(rule_id):
        row.complain("rule_id", f"'{rule_id}' is not a plain name.", "Use lower-case letters, digits and hyphens.")
    return rule_id, row.text("title")


def _standing(row: Row) -> _Standing | None:
    status, band, priority = row.word("status"), row.integer("band"), row.integer("priority")
    if band is not None and not 0 <= band <= 7:
        row.complain("band", f"{band} is outside 0 to 7.", "See docs/rules for what each band is for.")
    start, end = row.day("effective_from"), row.day("effective_to")
    if start and end and end <= start:
        row.complain(
            "effective_to",
            "The row ends before it begins.",
            "effective_to is the first day it no longer speaks.",
        )
    if status is None or band is None or start is None:
        return None
    return _Standing(status, band, priority or 0, start, end)


def _match(row: Row) -> tuple[int, CodeList | Literal["*"] | None]:
    """What the row is of, with what that adds to its specificity."""
    system, level, cell = row.word("match_system"), row.word("match_level"), row.text("match_code")
    if not cell:
        return LEVEL_WEIGHTS.get(level or "any", 0), None
    if cell == "*":
        return LEVEL_WEIGHTS["any"], "*"
    if level is None:
        level = "list" if cell.startswith("list:") else _LEVEL_OF_SYSTEM.get(system or "", "any")
    wanted = _SYSTEM_OF_LEVEL.get(level)
    if system and wanted and system != wanted:
        row.complain(
            "match_level",
            f"A {level} is not a {system} code.",
            f"Use match_system {wanted}, or another level.",
        )
    codes = row.code_list("match_code", system)
    digits = {"ndc9": 9, "ndc11": 11}.get(level)
    if digits and any(len(code) in (9, 11) and len(code) != digits for _, code in codes.exact):
        row.complain(
            "match_level",
            f"An {level} code has {digits} digits.",
            "Write 11 digits for a package; for any package of a product 9 digits and match_level ndc9 "
            "(a spreadsheet may have dropped leading zeros).",
        )
    return LEVEL_WEIGHTS.get(level, 0), codes


def _conditions(row: Row) -> tuple[frozenset[str], tuple[Condition, ...], int]:
    """Drug classes, the other conditions, and what they all add to the specificity."""
    classes, conditions = row.words("drug_class"), list[Condition]()
    specificity = BY_NAME["drug_class"].weight if classes else 0
    derived_ok = row.word("derived_ok") == "yes"
    for name in SINGLE:
        if name in row.cells and (allowed := row.words(name)):
            conditions.append(OneOf(name, allowed, derived_ok or name not in _INFERRED))
            specificity += BY_NAME[name].weight
    if "dx" in row.cells:
        conditions.append(Indication(row.code_list("dx", "ICD-10-CM")))
        specificity += BY_NAME["dx"].weight
    for flag in sorted(row.words("condition_flag")):
        conditions.append(Flag(flag.removeprefix("!"), not flag.startswith("!")))
        specificity += BY_NAME["condition_flag"].weight
    youngest, oldest = row.integer("age_min"), row.integer("age_max")
    if youngest is not None and oldest is not None and oldest < youngest:
        row.complain("age_max", "The oldest age is below the youngest.", "Swap age_min and age_max.")
    if youngest is not None or oldest is not None:
        conditions.append(AgeRange(youngest, oldest))
        specificity += sum(BY_NAME["age_min"].weight for end in (youngest, oldest) if end is not None)
    for name in sorted(row.words("requires_signals")):
        if name not in SINGLE and name not in ("dx", "age"):
            row.complain("requires_signals", f"'{name}' is not a signal.", f"Use: {', '.join((*SINGLE, 'dx', 'age'))}.")
        conditions.append(Stated(name))
    return classes, tuple(conditions), specificity


def _provenance(row: Row) -> Provenance:
    if row.text("author") and row.text("author") == row.text("approver"):
        row.complain("approver", "Author and approver are the same person.", "Have someone else approve the row.")
    return Provenance(
        row.text("source_url"), row.text("source_section"), row.day("retrieved"), row.text("licence_note"),
        row.text("author"), row.text("approver"), row.day("approved_at"), row.text("change_ticket"),
        tuple(sorted(row.words("test_refs"))),
    )  # fmt: skip


def _outcome(row: Row) -> Outcome | None:
    track, pa = row.word("track"), row.word("pa")
    if track not in BY_NAME["track"].words or (pa is not None and pa not in BY_NAME["pa"].words):
        return None
    if track == "pharmacy" and (row.text("questionnaire") or row.text("doc_purpose") == "withpa"):
        row.complain(
            "questionnaire" if row.text("questionnaire") else "doc_purpose",
            "A pharmacy-benefit drug is authorized by NCPDP SCRIPT ePA, not by PAS or DTR.",
            "Leave questionnaire and doc_purpose empty.",
        )
    if track == "pharmacy" and not row.text("handoff"):
        row.complain("handoff", "A pharmacy row must say who handles it.", "Name a PBM profile of payer.yaml.")
    if track == "undetermined" and pa in ("yes", "no"):
        row.complain("pa", f"An undetermined row cannot say '{pa}'.", "Leave it blank or write 'conditional'.")
    if pa == "conditional" and not row.text("info_needed"):
        row.complain(
            "info_needed",
            "A conditional row must say what it waits for.",
            f"Use: {'; '.join(BY_NAME['info_needed'].words)}.",
        )
    return Outcome(
        track=track,  # type: ignore[arg-type]  # checked against the column's words above
        billing_codes=row.billing("billing_codes"),
        modifiers=tuple(sorted(row.words("modifiers"))),
        administration_codes=row.billing("administration_codes"),
        pa=pa,  # type: ignore[arg-type]
        questionnaire=row.word("questionnaire"),
        doc_purpose=row.word("doc_purpose"),
        clock_profile=row.word("clock_profile"),
        info_needed=tuple(sorted(row.words("info_needed"))),
        handoff=row.word("handoff"),
        explanation=row.text("explanation_text"),
        patient_text=row.text("patient_text"),
        confidence=row.word("confidence") or "determined",  # type: ignore[arg-type]
    )
