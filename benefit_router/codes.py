"""Codes as rule files write them, and named lists of codes.

A code is a pair (system, code) where the system is the short name a benefit admin uses (`RxNorm`, `NDC`, `HCPCS`,
`CPT`, `ICD-10-CM`, ...). Turning FHIR system URLs into these names is the caller's business.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Code = tuple[str, str]


@dataclass(frozen=True, slots=True)
class CodeList:
    """A named list. An entry whose code ends in `*` stands for every code that starts so (`C50*`)."""

    name: str
    exact: frozenset[Code]
    prefixes: tuple[Code, ...] = ()

    @classmethod
    def of(cls, name: str, codes: Iterable[Code]) -> CodeList:
        """Build a list from entries, telling prefixes (`C50*`) from whole codes."""
        exact: set[Code] = set()
        prefixes: list[Code] = []
        for system, code in codes:
            if code.endswith("*"):
                prefixes.append((system, code[:-1]))
            else:
                exact.add((system, code))
        return cls(name, frozenset(exact), tuple(prefixes))

    @property
    def systems(self) -> frozenset[str]:
        """The code systems it speaks."""
        return frozenset(system for system, _ in (*self.exact, *self.prefixes))

    def __contains__(self, code: object) -> bool:
        if code in self.exact:
            return True
        if not self.prefixes or not isinstance(code, tuple):
            return False
        system, value = code
        return any(system == s and value.startswith(p) for s, p in self.prefixes)
