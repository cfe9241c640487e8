"""What is wrong with a rule file, told to the person who can mend it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. `line` and `column` count from 1; `column` is a header name in a table, a key in YAML.

    `lint` is the stable id of the check that found it, where that check has one.
    """

    file: str
    line: int | None
    column: str | None
    message: str
    remedy: str
    severity: Severity = "error"
    lint: str | None = None

    def __str__(self) -> str:
        place = self.file
        if self.line is not None:
            place += f":{self.line}"
        if self.column:
            place += f" [{self.column}]"
        told = f"{place}: {self.severity}: {self.message} {self.remedy}".rstrip()
        return f"{told} ({self.lint})" if self.lint else told
