"""The CMS HCPCS Level II quarterly file, as fixed-width text (ANWEB) or as CSV.

Positions are those of CMS's record layout, "HCPCS Contractor Record" (320 characters): code 1-5, sequence number 6-10,
record identification 11 (3 a procedure, 4 more of its descriptor, 7 and 8 the same of a modifier), long descriptor
12-91, short descriptor 92-119, code added 269-276, action effective 277-284, terminated (last day of use) 285-292.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta

from app.errors import RulebookError

_RECORD = re.compile(r"(?:[A-Z]\d{4}|   [A-Z0-9]{2})\d{5}[3478]")
_FIRST, _MORE, _MODIFIERS = "3", "4", ("7", "8")
_CODE = re.compile(r"[A-Z]\d{4}")


@dataclass(frozen=True, slots=True)
class HcpcsCode:
    """One code of the file. `line` is where its record begins; `ended` the first day it is no longer valid."""

    code: str
    descriptor: str
    short: str
    effective: date | None
    ended: date | None
    line: int


def text_of(raw: bytes) -> str:
    """The file's text: UTF-8, or Windows-1252, in which CMS writes its text files."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def read_hcpcs(text: str, file: str) -> list[HcpcsCode]:
    """Every Level II procedure code. Modifiers, CPT and dental (D) codes are passed over: the last two are not CMS's.

    Raises RulebookError, with file and line, when the text is neither layout.
    """
    lines = text.removeprefix("\ufeff").splitlines()
    header = next((number for number, line in enumerate(lines) if _names(line)[:1] in (["HCPC"], ["HCPCS"])), None)
    found: list[HcpcsCode] = []
    for number, record, each in _csv(lines, header, file) if header is not None else _fixed(lines, file):
        if record in _MODIFIERS or not _CODE.fullmatch(each.code) or each.code.startswith("D"):
            continue
        if record == _FIRST:
            found.append(each)
        elif record == _MORE and found and found[-1].code == each.code:
            found[-1] = replace(found[-1], descriptor=f"{found[-1].descriptor} {each.descriptor}")
        else:
            remedy = "Use the file as CMS publishes it, in its order."
            raise RulebookError(f"{file}:{number}: The line continues {each.code}, which did not begin. {remedy}")
    if not found:
        raise RulebookError(
            f"{file}: There is no HCPCS record in it. Use the ANWEB text file of CMS's quarterly update (320 "
            "characters a line), or its table as CSV with the columns HCPC, RECID and LONG DESCRIPTION."
        )
    return found


def _fixed(lines: list[str], file: str) -> Iterator[tuple[int, str, HcpcsCode]]:
    begun = False
    for number, line in enumerate(lines, start=1):
        if not _RECORD.match(line):
            if begun and line.strip() and not line[:5].strip().isdigit():
                raise RulebookError(f"{file}:{number}: The line is not a record of the ANWEB layout.")
            continue  # CMS's note before the first record; CPT codes
        begun = True
        cells = [line[11:91], line[91:119], line[276:284], line[284:292], line[268:276]]
        yield number, line[10], _code(line[:5].strip(), cells, number, file)


def _csv(lines: list[str], header: int, file: str) -> Iterator[tuple[int, str, HcpcsCode]]:
    names = _names(lines[header])
    missing = [name for name in ("RECID", "LONG DESCRIPTION") if name not in names]
    if missing:
        raise RulebookError(f"{file}:{header + 1}: The column '{missing[0]}' is missing.")
    reader = csv.reader(line + "\n" for line in lines[header + 1 :])
    for cells in reader:
        number = header + 1 + reader.line_num
        row = dict(zip(names, cells, strict=False))
        code = cells[0].strip() if cells else ""
        if not code:
            continue
        wanted = ("LONG DESCRIPTION", "SHORT DESCRIPTION", "ACT EFF DT", "TERM DT", "ADD DT")
        yield number, row.get("RECID", "").strip(), _code(code, [row.get(name, "") for name in wanted], number, file)


def _names(line: str) -> list[str]:
    return [name.strip().strip('"').replace("_", " ").upper() for name in line.split(",")]


def _code(code: str, cells: list[str], line: int, file: str) -> HcpcsCode:
    long, short, effective, ended, added = (" ".join(cell.split()) for cell in cells)
    start = _day(effective, line, file) or _day(added, line, file)
    last = _day(ended, line, file)  # CMS gives the last day on which the code may be used
    return HcpcsCode(code, long, short, start, last + timedelta(days=1) if last is not None else None, line)


def _day(text: str, line: int, file: str) -> date | None:
    if not text:
        return None
    try:
        if not re.fullmatch(r"\d{8}", text, re.ASCII):
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise RulebookError(f"{file}:{line}: '{text}' is not a day of the form 20260101.") from None
