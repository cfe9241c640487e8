"""The tables as a workbook for a spreadsheet, and back: what was not touched comes back byte for byte.

Each table is a sheet. Behind its last column stands, hidden, how each row was written (with `|` in front), so that
comments and quotation marks survive. `Contents` says which sheet is which file.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, time
from fnmatch import fnmatchcase
from typing import Any

from openpyxl import Workbook, load_workbook
from openpyxl.comments import Comment
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter
from openpyxl.utils.exceptions import IllegalCharacterError, InvalidFileException
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from app.errors import RulebookError
from benefit_router import Column, Table

_CONTENTS = "Contents"
_CONTENTS_HEADER = ("sheet", "file", "line ends", "byte order mark", "last line ended")
_AS_WRITTEN = "as written"
_LONGEST_CELL = 32_767  # what a cell of a workbook can hold
_LONGEST_CHOICE = 255  # and a list of choices
MOST_BYTES = 32 * 1024 * 1024
_MOST_UNPACKED = 256 * 1024 * 1024
_MOST_PARTS = 2_000
_MOST_ROWS = 200_000
_MOST_COLUMNS = 80
# What reading a file that only looks like a workbook may raise; an XML ParseError is a SyntaxError.
_UNREADABLE = (
    InvalidFileException, LookupError, ValueError, TypeError, AttributeError, SyntaxError, zipfile.BadZipFile, OSError,
)  # fmt: skip
_SAFE_FILE = re.compile(r"[a-z0-9_/-]+\.csv")


def export(files: Mapping[str, str], tables: Iterable[Table]) -> bytes:
    """A workbook of CSV texts, by path under rules/. RulebookError names a line that a workbook cannot hold."""
    known = tuple(tables)
    book = Workbook()
    contents = book.active
    assert isinstance(contents, Worksheet)
    contents.title = _CONTENTS
    contents.append(_CONTENTS_HEADER)
    titles = {_CONTENTS.lower()}
    for path, text in files.items():
        table = _table(path, known)
        title = _title(path, titles)
        ends = "CRLF" if "\r\n" in text else "LF"
        body = text.removeprefix("\ufeff").replace("\r\n", "\n")
        if "\r" in body:
            raise RulebookError(f"{path}: The file mixes line ends. Save it with one kind.")
        yes = ("no", "yes")
        contents.append([title, path, ends, yes[text.startswith("\ufeff")], yes[body.endswith("\n")]])
        _fill(book.create_sheet(title), body.removesuffix("\n"), path, table)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _table(path: str, tables: Iterable[Table]) -> Table:
    for table in tables:
        if _SAFE_FILE.fullmatch(path) and fnmatchcase(path, table.file) and path.count("/") == table.file.count("/"):
            return table
    raise RulebookError(f"'{path}' is no table of the rules.")


def _title(path: str, taken: set[str]) -> str:
    stem = path.removesuffix(".csv").rpartition("/")[2][:28]
    title = next(name for n in range(1, 1000) if (name := stem if n == 1 else f"{stem}~{n}").lower() not in taken)
    taken.add(title.lower())
    return title


def _lines(text: str, path: str) -> Iterator[tuple[int, str, list[str] | None]]:
    """Number and text of each line of a CSV with its cells; None for comments and blank lines."""
    pending, start = "", 0
    for number, line in enumerate(text.split("\n"), start=1):
        if not pending and (not line.strip() or line.lstrip(' "').startswith("#")):
            yield number, line, None
            continue
        pending, start = (f"{pending}\n{line}", start) if pending else (line, number)
        try:
            cells = _cells(pending)
        except csv.Error:
            continue  # a cell may hold line ends
        yield start, pending, cells
        pending = ""
    if pending:
        raise RulebookError(f"{path}:{start}: The line is not CSV. Check the quotation marks.")


def _cells(line: str) -> list[str]:
    return next(csv.reader(line.splitlines(keepends=True), strict=True))


def _fill(sheet: Worksheet, text: str, path: str, table: Table) -> None:
    header: list[str] = []
    before: list[str] = []
    columns: list[Column | None] = []
    by_name = {column.name: column for column in table.columns}
    row = 1
    for number, line, cells in _lines(text, path):
        if len(line) >= _LONGEST_CELL:
            raise RulebookError(f"{path}:{number}: The line is longer than a cell can be ({_LONGEST_CELL} characters).")
        if not header:
            before.append(line)
            if cells is None:
                continue
            header, cells = cells, cells
            columns = [by_name.get(name.strip()) for name in header]
            line = "\n".join(before)
        elif cells is not None and len(cells) != len(header):
            raise RulebookError(f"{path}:{number}: The line has {len(cells)} cells, the header {len(header)}.")
        for position, value in enumerate(cells if cells is not None else [line], start=1):
            column = columns[position - 1] if row > 1 and cells is not None else None
            _put(sheet.cell(row, position), value, column, f"{path}:{number}")
        _put(sheet.cell(row, len(header) + 1), f"|{line}", None, f"{path}:{number}")
        row += 1
    if not header:
        raise RulebookError(f"{path}: The file has no header line.")
    _dress(sheet, columns, row)


def _put(cell: Any, value: str, column: Column | None, place: str) -> None:
    if not value:
        return
    if column is not None and column.kind == "date" and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
        try:
            cell.value = date.fromisoformat(value)
        except ValueError:
            pass
        else:
            cell.number_format = "yyyy-mm-dd"
            return
    try:
        cell.value = value
    except IllegalCharacterError:
        raise RulebookError(f"{place}: The line has a character that no workbook can hold.") from None
    cell.data_type = "s"  # never a formula, whatever it begins with
    cell.number_format = "@"
    cell.quotePrefix = value[0] in "=+-@"


def _dress(sheet: Worksheet, columns: list[Column | None], rows: int) -> None:
    """A header that stays and explains itself, columns of text, and choices where only some words are allowed."""
    sheet.freeze_panes = "A2"
    last = rows + 1000
    for position, column in enumerate(columns, start=1):
        head, letter = sheet.cell(1, position), get_column_letter(position)
        head.font = Font(bold=True)
        sheet.column_dimensions[letter].width = 16
        sheet.column_dimensions[letter].number_format = "yyyy-mm-dd" if column and column.kind == "date" else "@"
        if column is None:
            continue
        head.comment = Comment(f"{column.meaning}\nExample: {column.example}", "Signpost", height=140, width=320)
        choices = f'"{",".join(column.words)}"'
        if column.kind in ("word", "yes-no") and column.words and len(choices) <= _LONGEST_CHOICE:
            allowed = DataValidation(type="list", formula1=choices, allow_blank=True, showErrorMessage=True)
            allowed.error = f"One of: {', '.join(column.words)}"[:255]
            allowed.add(f"{letter}2:{letter}{last}")
            sheet.add_data_validation(allowed)
    sheet.column_dimensions[get_column_letter(len(columns) + 1)].hidden = True


def read(content: bytes, name: str, tables: Iterable[Table]) -> dict[str, str]:
    """The CSV texts of a workbook that `export` made and people edited, by path.

    Raises RulebookError naming sheet and cell. The workbook is not trusted: it is bounded before it is opened.
    """
    _bounded(content, name)
    try:
        return _read(load_workbook(io.BytesIO(content), read_only=True, keep_links=False), name, tuple(tables))
    except _UNREADABLE as error:
        raise RulebookError(f"{name}: It is not a workbook that can be read ({type(error).__name__}).") from None


def _read(book: Workbook, name: str, known: tuple[Table, ...]) -> dict[str, str]:
    if _CONTENTS not in book.sheetnames:
        raise RulebookError(f"{name}: The sheet '{_CONTENTS}' is missing. Start from `signpost rules export`.")
    found: dict[str, str] = {}
    for row in _rows(book[_CONTENTS])[1:]:
        title, path, ends, mark, ended = [*(_text(cell, None, _CONTENTS) for cell in row[:5]), *[""] * 5][:5]
        if not title and not path:
            continue
        table = _table(path, known)
        if title not in book.sheetnames or path in found:
            raise RulebookError(f"{name}: '{_CONTENTS}' names the sheet '{title}' for {path}: it must be there, once.")
        text = "\n".join(_written(_rows(book[title]), title, table)) + ("" if ended == "no" else "\n")
        text = text.replace("\n", "\r\n") if ends == "CRLF" else text
        found[path] = ("\ufeff" if mark == "yes" else "") + text
    return found


def _bounded(content: bytes, name: str) -> None:
    """Refuse what is too large, or has in it what a table never needs: entities, macros, links to other files."""
    if len(content) > MOST_BYTES:
        raise RulebookError(f"{name}: The file is larger than {MOST_BYTES // 1024**2} MB.")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = archive.infolist()
            if len(parts) > _MOST_PARTS or sum(part.file_size for part in parts) > _MOST_UNPACKED:
                raise RulebookError(
                    f"{name}: The workbook unpacks to more than it may ({_MOST_UNPACKED // 1024**2} MB)."
                )
            for part in parts:
                if "vbaProject" in part.filename or "externalLinks" in part.filename:
                    raise RulebookError(f"{name}: The workbook has macros or links to other files. Save it without.")
                with archive.open(part) as opened:
                    head = opened.read(part.file_size)
                if part.filename.endswith((".xml", ".rels", ".vml")) and (b"<!DOCTYPE" in head or b"\0" in head):
                    raise RulebookError(f"{name}: {part.filename} is not the XML of a workbook.")
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError):
        raise RulebookError(f"{name}: It is not a workbook (.xlsx).") from None


def _rows(sheet: Any) -> list[tuple[Any, ...]]:
    if (sheet.max_column or 0) > _MOST_COLUMNS or (sheet.max_row or 0) > _MOST_ROWS:
        raise RulebookError(f"{sheet.title}: More than {_MOST_ROWS} rows or {_MOST_COLUMNS} columns.")
    return list(sheet.iter_rows(max_row=_MOST_ROWS, max_col=_MOST_COLUMNS))


def _written(rows: list[tuple[Any, ...]], title: str, table: Table) -> Iterator[str]:
    by_name = {column.name: column for column in table.columns}
    if not rows:
        raise RulebookError(f"{title}!A1: The header is missing.")
    names = [_text(cell, None, title) for cell in rows[0]]
    written = next((n for n, name in enumerate(names) if name.startswith("|")), None)
    width = written if written is not None else max((n + 1 for n, name in enumerate(names) if name), default=0)
    columns = [by_name.get(name.strip()) for name in names[:width]]
    for number, row in enumerate(rows):
        raw = _text(row[written], None, title) if written is not None and written < len(row) else ""
        as_written = raw[1:] if raw.startswith("|") else None
        kinds: list[Column | None] = [None] * width if number == 0 else columns
        cells = [_text(cell, column, title) for cell, column in zip(row[:width], kinds, strict=False)]
        cells += [""] * (width - len(cells))
        last = as_written.rpartition("\n")[2] if as_written is not None and number == 0 else as_written
        if as_written is not None and _same(last or "", cells):
            yield as_written
        elif cells[0].startswith("#") and not any(cells[1:]) and "\n" not in cells[0]:
            yield cells[0]
        elif any(cells):
            comments = as_written.rpartition("\n")[0] if as_written is not None and number == 0 else ""
            yield (f"{comments}\n" if comments else "") + _csv_line(cells)


def _same(line: str, cells: list[str]) -> bool:
    """Whether a line as it was written says what the cells say."""
    if not line.strip() or line.lstrip(' "').startswith("#"):
        return cells[0] == line and not any(cells[1:])
    try:
        return _cells(line) == cells
    except csv.Error:
        return False


def _csv_line(cells: list[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(cells)
    return out.getvalue()


def _text(cell: Any, column: Column | None, title: str) -> str:
    """A cell as the CSV has it; RulebookError for a formula, and for what would have lost something on the way."""
    value = cell.value
    if value is None:
        return ""
    place = f"{title}!{get_column_letter(cell.column)}{cell.row}"
    if cell.data_type == "f":
        raise RulebookError(f"{place}: The cell holds a formula. Write its value.")
    if isinstance(value, str):
        return value.replace("\r\n", "\n")
    kind = column.kind if column is not None else "text"
    if isinstance(value, datetime) and value.time() == time() and kind == "date":
        return value.date().isoformat()
    if isinstance(value, int) and not isinstance(value, bool) and kind == "integer":
        return str(value)
    if isinstance(value, bool):
        raise RulebookError(f"{place}: The cell holds a truth value, {value}. Write yes or no, as text.")
    what = "a day" if isinstance(value, (datetime, date, time)) else "a number"
    hint = "Format the cell as text and write it in full: a spreadsheet drops zeros in front."
    if kind == "date":
        hint = "Write a day such as 2026-01-31, without a time."
    raise RulebookError(f"{place}: The cell holds {what} that does not belong here. {hint}")
