"""One line of a routing table while it is being read: what its cells say, and what is wrong with them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date

from benefit_router.codes import Code, CodeList, as_written, fault_in
from benefit_router.columns import BY_NAME, Column
from benefit_router.problems import Problem
from benefit_router.spreadsheet import damage

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_BILLABLE = ("HCPCS", "CPT", "CVX", "NDC", "RxNorm")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the rest of the rulebook defines. A name absent from `words` is not checked."""

    lists: Mapping[str, CodeList] = field(default_factory=dict)
    words: Mapping[str, Collection[str]] = field(default_factory=dict)


@dataclass(slots=True)
class Row:
    """The filled cells of one line, or of some of its columns, and the problems found in the file so far."""

    file: str
    vocabulary: Vocabulary
    problems: list[Problem]
    line: int
    cells: Mapping[str, str]

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
        parts = [piece.strip() for piece in value.split(";")]
        for part in parts:
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
        if not any(parts):
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
