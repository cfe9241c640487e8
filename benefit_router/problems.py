"""What is wrong with a rule file, told to the person who can mend it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. `line` and `column` count from 1; `column` is a header name in a table, a key in YAML."""

    file: str
    line: int | None
    column: str | None
    message: str
    remedy: str
    severity: Severity = "error"

    def __str__(self) -> str:
        place = self.file
        if self.line is not None:
            place += f":{self.line}"
        if self.column:
            place += f" [{self.column}]"
        return f"{place}: {self.severity}: {self.message} {self.remedy}".rstrip()
