"""Reading a routing table from CSV: every row that is wrong is refused with its line, column and remedy."""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal, TypeVar

from benefit_router.catalog import DrugCatalog
from benefit_router.codes import Code, CodeList, as_written, fault_in
from benefit_router.columns import BY_NAME, COLUMNS, LEVEL_WEIGHTS, Column
from benefit_router.conflicts import conflicts
from benefit_router.problems import Problem
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
from benefit_router.spreadsheet import damage, separators, unpadded
from benefit_router.table import RoutingTable

T = TypeVar("T")

_SLUG = re.compile(r"[a-z0-9][a-z0-9._-]*")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_BILLABLE = ("HCPCS", "CPT", "CVX", "NDC", "RxNorm")
_LEVEL_OF_SYSTEM = {"RxNorm": "scd", "NDC": "ndc11", "HCPCS": "hcpcs", "CPT": "cpt", "CVX": "cvx"}
_SYSTEM_OF_LEVEL = {
    "ndc9": "NDC", "ndc11": "NDC", "hcpcs": "HCPCS", "cpt": "CPT", "cvx": "CVX",
    "ingredient": "RxNorm", "scdf": "RxNorm", "scd": "RxNorm", "sbd": "RxNorm",
}  # fmt: skip
_REQUIRED = tuple(column.name for column in COLUMNS if column.required)
# The columns that make one part of a row each (`_Row.once`).
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


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the rest of the rulebook defines. A name absent from `words` is not checked."""

    lists: Mapping[str, CodeList] = field(default_factory=dict)
    words: Mapping[str, Collection[str]] = field(default_factory=dict)


@dataclass(slots=True)
class _Row:
    """One line while it is being read: cells by column, and the problems found so far."""

    file: str
    line: int
    cells: dict[str, str]
    vocabulary: Vocabulary
    problems: list[Problem]
    shared: dict[tuple[object, ...], Any]

    def once(self, read: Callable[[_Row], T], names: tuple[str, ...]) -> T:
        """What `read` makes of the cells of these columns: it sees no others, so rows that agree in them share it.

        A large table repeats itself in all but its names and codes. Whatever has a problem is read again, so that
        every row is told of it.
        """
        cells = self.cells
        key = (read, *[cells.get(name) for name in names])
        found: T | None = self.shared.get(key)
        if found is not None:
            return found
        before = len(self.problems)
        seen = {name: cells[name] for name in names if name in cells}
        made = read(_Row(self.file, self.line, seen, self.vocabulary, self.problems, self.shared))
        if len(self.problems) == before:
            self.shared[key] = made
        return made

    def complain(self, column: str | None, message: str, remedy: str) -> None:
        self.problems.append(Problem(self.file, self.line, column, message, remedy))

    def text(self, name: str) -> str:
        return self.cells.get(name, "")

    def word(self, name: str) -> str | None:
        """A cell with one value out of a closed list or a vocabulary."""
        value = self.cells.get(name)
        if value is None:
            return None
        self._check_word(BY_NAME[name], value)
        return value

    def words(self, name: str) -> frozenset[str]:
        """A cell with several values separated by `;`; `*` or `any` is no constraint."""
        value = self.cells.get(name)
        if value is None or value in ("*", "any"):
            return frozenset()
        found = frozenset(part.strip() for part in value.split(";") if part.strip())
        if not found:
            self.complain(name, "The cell names nothing.", "Leave it blank, or write the values.")
        for part in sorted(found):
            self._check_word(BY_NAME[name], part.removeprefix("!") if name == "condition_flag" else part)
        return found

    def _check_word(self, column: Column, value: str) -> None:
        allowed: Collection[str] = column.words
        if column.vocabulary:
            allowed = self.vocabulary.words.get(column.vocabulary, ())
        if value in allowed:
            return
        if found := damage(column, value):
            self.complain(column.name, *found)
            return
        if "," in value:
            self.complain(column.name, f"'{value}' has a comma in it.", "Separate several values with ';'.")
        elif allowed:
            near = difflib.get_close_matches(value, allowed, n=1)
            hint = f"Did you mean '{near[0]}'?" if near else f"Allowed: {', '.join(sorted(allowed))}."
            self.complain(column.name, f"'{value}' is not one of the values known here.", hint)

    def integer(self, name: str) -> int | None:
        value = self.cells.get(name)
        if value is None:
            return None
        try:
            return int(value)
        except ValueError:
            hint = f"Write a number such as {BY_NAME[name].example}."
            self.complain(name, *(damage(BY_NAME[name], value) or (f"'{value}' is not a whole number.", hint)))
            return None

    def day(self, name: str) -> date | None:
        value = self.cells.get(name)
        if value is None:
            return None
        try:
            if not _DATE.fullmatch(value):
                raise ValueError
            return date.fromisoformat(value)
        except ValueError:
            hint = "Write year-month-day, such as 2026-01-31 (if a spreadsheet changed it, format the column as text)."
            self.complain(name, *(damage(BY_NAME[name], value) or (f"'{value}' is not a date.", hint)))
            return None

    def code_list(self, name: str, system: str | None) -> CodeList:
        """Codes of one system, or a named list, in a cell that is filled."""
        value = self.cells[name]
        codes: list[Code] = []
        for part in (piece.strip() for piece in value.split(";")):
            if part.startswith("list:"):
                found = self.vocabulary.lists.get(part[5:])
                if found is None:
                    near = difflib.get_close_matches(part[5:], self.vocabulary.lists, n=1)
                    hint = f"Did you mean 'list:{near[0]}'?" if near else f"Add lists/{part[5:]}.csv."
                    self.complain(name, f"There is no list '{part[5:]}'.", hint)
                    continue
                if value == part:
                    return found
                codes += [*found.exact, *((s, f"{p}*") for s, p in found.prefixes)]
            elif part and system is None:
                self.complain(name, f"'{part}' has no code system.", "Fill match_system.")
            elif part and system is not None:
                code = as_written(system, part)
                if fault := fault_in(system, code):
                    self.complain(name, *fault)
                codes.append((system, code))
        if not any(piece.strip() for piece in value.split(";")):
            self.complain(name, "The cell names nothing.", "Leave it blank, or write the codes.")
        return CodeList.of(value, codes)

    def billing(self, name: str) -> tuple[Code, ...]:
        """Codes written `HCPCS J9312` or, for HCPCS, just `J9312`."""
        value = self.cells.get(name)
        if value is None:
            return ()
        codes: list[Code] = []
        for part in filter(None, (piece.strip() for piece in value.split(";"))):
            named, _, text = part.rpartition(" ")
            system = named.strip() or "HCPCS"
            code = as_written(system, text)
            if system not in _BILLABLE or code.endswith("*") or fault_in(system, code):
                self.complain(
                    name,
                    f"'{part}' is not a billing code.",
                    "Write 'HCPCS J9312', 'CPT 96413', 'NDC 00000000000' or 'RxNorm 121191'; several with ';'.",
                )
            codes.append((system, code))
        return tuple(codes)


def read_table(
    text: str, *, file: str, vocabulary: Vocabulary | None = None, catalog: DrugCatalog | None = None
) -> tuple[RoutingTable | None, list[Problem]]:
    """Read a routing table. The table is None when any problem is an error: a wrong table never answers.

    `file` is the name used in problems. Rows that are not `approved` are checked and left out.
    """
    problems: list[Problem] = []
    header, rows = _rows(text, file, problems)
    vocabulary = vocabulary or Vocabulary()
    rules: list[Rule] = []
    seen: dict[str, int] = {}
    shared: dict[tuple[object, ...], Any] = {}
    for line, cells in rows:
        row = _Row(file, line, cells, vocabulary, problems, shared)
        rule = _rule(row)
        rule_id = row.text("rule_id")
        if rule_id and rule_id in seen:
            row.complain("rule_id", f"'{rule_id}' is also on line {seen[rule_id]}.", "Give every row its own rule_id.")
        seen[rule_id] = line
        if rule is not None and row.text("status") == "approved":
            rules.append(rule)
    if header and not any(problem.severity == "error" for problem in problems):
        problems += conflicts(rules, file)
    if not header or any(problem.severity == "error" for problem in problems):
        return None, problems
    return RoutingTable.of(rules, catalog), problems


def _rows(text: str, file: str, problems: list[Problem]) -> tuple[list[str], Iterable[tuple[int, dict[str, str]]]]:
    reader = csv.reader(text.removeprefix("\ufeff").splitlines(keepends=True), strict=True)
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
    if separated := separators(text.partition("\n")[0], file, 1):
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


def _body(
    reader: Iterable[list[str]], header: list[str], file: str, problems: list[Problem]
) -> Iterable[tuple[int, dict[str, str]]]:
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
        if not any(cell.strip() for cell in cells) or cells[0].lstrip().startswith("#"):
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
        yield (
            start,
            {name: value for name, cell in zip(header, cells, strict=True) if (value := cell.strip())},
        )


def _not_csv(file: str, line: int, error: csv.Error) -> Problem:
    return Problem(file, line, None, f"The line is not CSV: {error}.", "Check the quotation marks on this line.")


def _rule(row: _Row) -> Rule | None:
    before = len(row.problems)
    for name in _REQUIRED:
        if name not in row.cells:
            row.complain(name, "The cell is empty.", f"Fill it, for example '{BY_NAME[name].example}'.")
    rule_id = row.text("rule_id")
    if rule_id and not _SLUG.fullmatch(rule_id):
        row.complain("rule_id", f"'{rule_id}' is not a plain name.", "Use lower-case letters, digits and hyphens.")
    row.word("status")
    band = row.integer("band")
    if band is not None and not 0 <= band <= 7:
        row.complain("band", f"{band} is outside 0 to 7.", "See docs/rules for what each band is for.")
    start, end = row.day("effective_from"), row.day("effective_to")
    if start and end and end <= start:
        row.complain(
            "effective_to",
            "The row ends before it begins.",
            "effective_to is the first day it no longer speaks.",
        )
    if row.text("author") and row.text("author") == row.text("approver"):
        row.complain("approver", "Author and approver are the same person.", "Have someone else approve the row.")

    level, codes = _match(row)
    conditions, specificity = row.once(_conditions, _CONDITIONS)
    outcome = row.once(_outcome, _OUTCOME)
    provenance, classes = row.once(_provenance, _PROVENANCE), row.words("drug_class")
    if len(row.problems) > before or band is None or start is None or outcome is None:
        return None
    return Rule(
        rule_id=rule_id,
        title=row.text("title"),
        band=band,
        priority=row.integer("priority") or 0,
        effective_from=start,
        effective_to=end,
        codes=codes,
        drug_class=classes,
        conditions=conditions,
        outcome=outcome,
        provenance=provenance,
        specificity=specificity + LEVEL_WEIGHTS.get(level, 0),
        line=row.line,
    )


def _match(row: _Row) -> tuple[str, CodeList | Literal["*"] | None]:
    system, level, cell = row.word("match_system"), row.word("match_level"), row.text("match_code")
    if not cell:
        return level or "any", None
    if cell == "*":
        return "any", "*"
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
    return level, codes


def _conditions(row: _Row) -> tuple[tuple[Condition, ...], int]:
    conditions: list[Condition] = []
    specificity = BY_NAME["drug_class"].weight if row.text("drug_class") not in ("", "*", "any") else 0
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
    return tuple(conditions), specificity


def _provenance(row: _Row) -> Provenance:
    return Provenance(
        row.text("source_url"), row.text("source_section"), row.day("retrieved"), row.text("licence_note"),
        row.text("author"), row.text("approver"), row.day("approved_at"), row.text("change_ticket"),
        tuple(sorted(row.words("test_refs"))),
    )  # fmt: skip


def _outcome(row: _Row) -> Outcome | None:
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
