"""Codes as rule files write them, and named lists of codes.

A code is a pair (system, code) where the system is the short name a benefit admin uses (`RxNorm`, `NDC`, `HCPCS`,
`CPT`, `ICD-10-CM`, ...). Turning FHIR system URLs into these names is the caller's business.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

Code = tuple[str, str]

# How a whole code of each system is written, and how to say so.
_FORMS = {
    "RxNorm": (re.compile(r"\d{1,8}"), "Write the RxNorm number, such as 121191."),
    "NDC": (
        re.compile(r"\d{9}|\d{11}"),
        "Write 11 digits (5-4-2), or 9 for any package (a spreadsheet may have dropped leading zeros).",
    ),
    "HCPCS": (re.compile(r"[A-Z]\d{4}"), "Write a capital letter and four digits, such as J9312."),
    "CPT": (re.compile(r"\d{4}[0-9A-Z]"), "Write five digits, such as 96413."),
    "CVX": (re.compile(r"\d{1,3}"), "Write up to three digits, such as 08."),
    "ICD-10-CM": (
        re.compile(r"[A-Z]\d[0-9A-Z](\.[0-9A-Z]{1,4})?"),
        "Write a code such as C50.911, or C50* for all that start so.",
    ),
}


def as_written(system: str, text: str) -> str:
    """The one spelling of a code: NDC without dashes, ICD-10-CM in capitals with its point."""
    if system == "NDC":
        return text.replace("-", "")
    if system == "ICD-10-CM":
        bare = text.replace(".", "").upper()
        return f"{bare[:3]}.{bare[3:]}" if len(bare.rstrip("*")) > 3 else bare
    return text


def fault_in(system: str, code: str) -> tuple[str, str] | None:
    """What is wrong with the spelling of a code, and the remedy; None when it could be one of its system.

    A code that no order can carry never matches, and a row that never matches leaves the answer to a weaker one.
    """
    form = _FORMS.get(system)
    if form is not None and form[0].fullmatch(code):
        return None
    if "," in code:
        return f"'{code}' has a comma in it.", "Separate several values with ';'."
    if re.search(r"\d[eE]\+\d", code):
        return f"'{code}' was shortened by a spreadsheet.", "Format the column as text and write the code in full."
    if form is None or code.endswith("*"):
        return None
    return f"'{code}' is not a code of {system}.", form[1]


@lru_cache(maxsize=1024)
def _shared(systems: frozenset[str]) -> frozenset[str]:
    return systems


@dataclass(frozen=True, slots=True)
class CodeList:
    """A named list. An entry whose code ends in `*` stands for every code that starts so (`C50*`)."""

    name: str
    exact: frozenset[Code]
    prefixes: tuple[Code, ...] = ()
    # The prefixes again by system: membership is asked for every code of a patient's record.
    _starts: Mapping[str, tuple[str, ...]] | None = field(init=False, repr=False, compare=False, default=None)
    # The code systems it speaks.
    systems: frozenset[str] = field(init=False, repr=False, compare=False, default=frozenset())

    def __post_init__(self) -> None:
        # A large table has a list for each row, of one code: they share what they have in common.
        systems = frozenset([system for codes in (self.exact, self.prefixes) for system, _ in codes])
        object.__setattr__(self, "systems", _shared(systems))
        if self.prefixes:
            starts: dict[str, tuple[str, ...]] = {}
            for system, prefix in self.prefixes:
                starts[system] = (*starts.get(system, ()), prefix)
            object.__setattr__(self, "_starts", starts)

    @classmethod
    def of(cls, name: str, codes: Iterable[Code]) -> CodeList:
        """Build a list from entries, telling prefixes (`C50*`) from whole codes."""
        every = tuple(codes)
        prefixes = tuple([(system, code[:-1]) for system, code in every if code.endswith("*")])
        return cls(
            name, frozenset([code for code in every if not code[1].endswith("*")] if prefixes else every), prefixes
        )

    def has_any(self, codes: Iterable[Code]) -> bool:
        """Whether one of these codes is in the list."""
        if not self.exact.isdisjoint(codes):
            return True
        return self._starts is not None and any(map(self._starts_as, codes))

    def __contains__(self, code: object) -> bool:
        if code in self.exact:
            return True
        return self._starts is not None and isinstance(code, tuple) and self._starts_as(code)

    def _starts_as(self, code: Code) -> bool:
        starts = self._starts.get(code[0]) if self._starts is not None else None
        return starts is not None and code[1].startswith(starts)
