"""Lists that were taken from a ValueSet: which one, when, and what has become of it since.

No terminology server is asked. A list is compared with the codes it had when it was taken, by their hash, and with an
expansion that somebody has at hand as a file: a FHIR ValueSet with `expansion`, from any server.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from app.errors import RequestError
from app.fhir import codings
from app.fhir.json import decode
from app.rulebook.codes import as_code
from app.rulebook.spelling import nearest
from app.rulebook.tables import ORIGINS
from benefit_router import Code, CodeList, Problem, rows

ORIGINS_FILE = ORIGINS.file


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a list was taken from: a ValueSet's canonical, the day of its expansion, the hash of the codes then."""

    list_name: str
    value_set: str
    expanded: date
    hash: str
    line: int


@dataclass(frozen=True, slots=True)
class Expansion:
    """The codes of a ValueSet as a server expanded it, from a file. Inactive codes are none of it."""

    value_set: str
    version: str | None
    codes: frozenset[Code]
    file: str


def digest(codes: CodeList) -> str:
    """The hash of a list's codes, whatever their order and display: SHA-256, its first 16 digits."""
    entries = [*codes.exact, *((system, f"{start}*") for system, start in codes.prefixes)]
    return hashlib.sha256("\n".join(sorted(f"{system}|{code}" for system, code in entries)).encode()).hexdigest()[:16]


def read_origins(text: str, lists: Collection[str], problems: list[Problem]) -> Mapping[str, Origin]:
    """The table by list; what is wrong is added to `problems`, by line and column."""
    found: dict[str, Origin] = {}
    for line, row in rows(text, ORIGINS_FILE, ORIGINS.columns, problems):
        name = row["list"]
        if name not in lists:
            problems.append(Problem(ORIGINS_FILE, line, "list", f"There is no list '{name}'.", nearest(name, lists)))
            continue
        if name in found:
            problems.append(Problem(ORIGINS_FILE, line, "list", f"'{name}' stands twice.", "Keep one row."))
            continue
        try:
            expanded = date.fromisoformat(row["expanded"])
        except ValueError:
            message = f"'{row['expanded']}' is not a day."
            problems.append(Problem(ORIGINS_FILE, line, "expanded", message, "Write 2026-01-31."))
            continue
        found[name] = Origin(name, row["value_set"], expanded, row["hash"], line)
    return found


def read_expansions(folder: Path) -> tuple[list[Expansion], list[Problem]]:
    """Every expansion in a folder's .json files, and what is wrong with those that are none."""
    found: list[Expansion] = []
    problems: list[Problem] = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(_expansion(decode(path.read_bytes()), path.name))
        except (RequestError, ValueError) as error:
            remedy = "Give the whole answer of ValueSet/$expand, as JSON."
            problems.append(Problem(path.as_posix(), None, None, str(error), remedy))
    return found, problems


def _expansion(resource: Any, file: str) -> Expansion:
    if not isinstance(resource, dict) or resource.get("resourceType") != "ValueSet":
        raise ValueError("This is no ValueSet.")
    expansion, url = resource.get("expansion"), resource.get("url")
    if not isinstance(expansion, dict) or not isinstance(url, str):
        raise ValueError("The ValueSet has no url, or no expansion.")
    entries = list(_entries(expansion.get("contains")))
    total = expansion.get("total")
    if isinstance(total, int) and total > len(entries):
        raise ValueError(f"The expansion holds {len(entries)} of {total} codes: it is one page of several.")
    return Expansion(url, resource.get("version"), frozenset(code for code, active in entries if active), file)


def _entries(contains: Any) -> Iterator[tuple[Code, bool]]:
    """Codes with whether they are active; headings (abstract) only hold others."""
    for entry in contains if isinstance(contains, list) else ():
        if not isinstance(entry, dict):
            continue
        coding = codings.coding_of(entry)
        if coding is not None and entry.get("abstract") is not True:
            yield as_code(coding), entry.get("inactive") is not True
        yield from _entries(entry.get("contains"))


def drift(codes: CodeList, expansion: Expansion) -> tuple[list[Code], list[Code]]:
    """What the expansion has that the list lacks, and what the list has that the expansion lacks."""
    added = sorted(code for code in expansion.codes if code not in codes)
    gone = [code for code in codes.exact if code not in expansion.codes]
    gone += [
        (system, f"{start}*")
        for system, start in codes.prefixes
        if not any(system == other and code.startswith(start) for other, code in expansion.codes)
    ]
    return added, sorted(gone)
