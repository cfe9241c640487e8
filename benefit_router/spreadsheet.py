"""Small tables from CSV, and what a spreadsheet does to one: each damage is told with what to write instead.

What harms nothing (a byte order mark, other line ends, empty cells and lines at the end, quoted comments) is read past.
"""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Iterable, Iterator
from datetime import date, timedelta

from benefit_router.columns import Column
from benefit_router.problems import Problem

_SCIENTIFIC = re.compile(r"\d[.,]?\d*[eE]\+\d+")
_SERIAL = re.compile(r"\d{5}(\.0*)?")
_PARTS = re.compile(r"(\d{1,4})[./-](\d{1,2})[./-](\d{2,4})(?: .*|T.*)?")
_DAY_ZERO = date(1899, 12, 30)  # serial number 1 is 31 December 1899, as spreadsheets count after 29 February "1900"
_TRUTH = {"TRUE": "yes", "FALSE": "no"}
_KEPT_SECRET = (
    "A spreadsheet has changed the cell.",
    "Write days such as 2026-01-31 and numbers in full, without curly quotation marks, in a column formatted as text.",
)
_AS_TEXT = "Format the column as text before you fill it."


def damage(column: Column, value: str) -> tuple[str, str] | None:
    """What a spreadsheet did to a filled cell, and what to write instead; None when it shows no such thing."""
    if column.kind == "text":
        if value[0] in "\u201c\u201d":
            return "The cell begins with a curly quotation mark.", 'Quote cells with the plain mark ".'
        return None
    if any(mark in value for mark in "\u2018\u2019\u201c\u201d"):
        plain = re.sub("[\u2018\u2019\u201c\u201d]", "", value)
        return f"{value} has curly quotation marks in it.", f"Write {plain}."
    if column.kind == "date":
        return _day_damage(value)
    if _SCIENTIFIC.search(value):
        return f"'{value}' was shortened by a spreadsheet.", f"Write the code in full. {_AS_TEXT}"
    if value in _TRUTH and value not in column.words:
        known = _TRUTH[value] if _TRUTH[value] in (column.words or _TRUTH.values()) else "the word that was there"
        return f"A spreadsheet made a truth value of the cell: {value}.", f"Write {known}. {_AS_TEXT}"
    if column.digits:
        for part in (piece.strip() for piece in value.split(";")):
            if part.isascii() and part.isdecimal() and len(part) < column.digits:
                whole = part.zfill(column.digits)
                return f"'{part}' has lost its leading zeros.", f"Write {whole} ({column.digits} digits). {_AS_TEXT}"
    return None


def _day_damage(value: str) -> tuple[str, str] | None:
    if _SERIAL.fullmatch(value):
        day = _DAY_ZERO + timedelta(days=int(value[:5]))
        return f"'{value}' is a spreadsheet's number of a day.", f"Write {day.isoformat()}. {_AS_TEXT}"
    found = _PARTS.fullmatch(value)
    if found is None or re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        return None
    first, second, third = found.groups()
    readings = [(first, second, third)] if len(first) == 4 else [(third, first, second), (third, second, first)]
    days = dict.fromkeys(read for each in readings if (read := _day(*each)) is not None)
    if not days:
        return None
    meant = " or ".join(each.isoformat() for each in days)
    hint = f"Write {meant}" + (", whichever is meant" if len(days) > 1 else "")
    return f"'{value}' is a day in another spelling.", f"{hint}. {_AS_TEXT}"


def _day(year: str, month: str, day: str) -> date | None:
    try:
        return date(int(year) + (2000 if len(year) == 2 else 0), int(month), int(day))
    except ValueError:
        return None


def separators(header: str, file: str, line: int) -> Problem | None:
    """A header whose cells are separated by something else than commas."""
    for mark, name in ((";", "semicolons"), ("\t", "tabs")):
        if mark in header and "," not in header:
            remedy = "Save it as 'CSV UTF-8 (comma delimited)'."
            return Problem(file, line, None, f"The cells are separated by {name}, not commas.", remedy)
    return None


def unpadded(cells: list[str], width: int) -> list[str]:
    """A line without the empty cells that a spreadsheet put behind the last column."""
    return cells[:width] if len(cells) > width and not any(cell.strip() for cell in cells[width:]) else cells


def rows(
    text: str, file: str, columns: Iterable[Column], problems: list[Problem], *, private: bool = False
) -> Iterator[tuple[int, dict[str, str]]]:
    """Data rows of a small CSV with their lines. Comment lines start with `#`; wrong rows become problems.

    `private`: what is in the cells is kept out of the problems, since they may be logged.
    """
    known = tuple(columns)
    by_name = {column.name: column for column in known}
    required = [column.name for column in known if column.required]
    filled = [column.name for column in known if column.required and not column.blank_ok]
    header: list[str] = []
    for line, raw in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        if not raw.strip(", \t") or raw.lstrip(' "').startswith("#"):
            continue
        try:
            cells = [cell.strip() for cell in next(csv.reader([raw], strict=True))]
        except csv.Error as error:
            problems.append(Problem(file, line, None, f"The line is not CSV: {error}.", "Check the quotation marks."))
            continue
        if not header:
            while cells and not cells[-1]:
                cells.pop()
            header = cells
            wrong = list(_wrong_header(raw, header, required, file, line))
            problems += wrong
            if wrong:
                return
            continue
        cells = unpadded(cells, len(header))
        if len(cells) != len(header):
            message = f"The line has {len(cells)} cells, the header {len(header)}."
            problems.append(Problem(file, line, None, message, "Put a cell that contains a comma in double quotes."))
            continue
        row = dict(zip(header, cells, strict=True))
        empty = next((name for name in filled if not row[name]), None)
        if empty:
            problems.append(Problem(file, line, empty, "The cell is empty.", "Fill it, or remove the line."))
            continue
        damaged = [
            Problem(file, line, name, *(_KEPT_SECRET if private else found))
            for name, cell in row.items()
            if cell and name in by_name and (found := damage(by_name[name], cell))
        ]
        problems += damaged
        if not damaged:
            yield line, row
    if not header:
        problems.append(Problem(file, 1, None, "The file is empty.", f"Write the header line: {','.join(required)}."))


def _wrong_header(raw: str, header: list[str], required: list[str], file: str, line: int) -> Iterator[Problem]:
    if separated := separators(raw, file, line):
        yield separated
        return
    for name in required:
        if name not in header:
            near = difflib.get_close_matches(name, header, n=1)
            hint = f"Is '{near[0]}' meant?" if near else f"Add a column '{name}'."
            yield Problem(file, line, name, "The column is missing.", hint)
    for name in sorted(set(header)):
        if header.count(name) > 1:
            yield Problem(file, line, name, "The column stands twice.", "Keep one of them.")
