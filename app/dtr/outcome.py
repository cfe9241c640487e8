"""What became of each item that had somewhere to be filled from, told without its value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from app.fhir import outcomes

Kind = Literal["filled", "not-found", "not-evaluated"]
"""Filled; looked for and not there; could not be evaluated."""

_ISSUE: dict[Kind, tuple[outcomes.Severity, str]] = {
    "filled": ("information", "informational"),
    "not-found": ("information", "not-found"),
    "not-evaluated": ("warning", "incomplete"),
}


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """One item, or one repetition of it. `path` is FHIRPath into the Questionnaire; `source` the expression.

    `answers` and `trail`, every sub-expression with its value, are for people who may see the data; an issue has none.
    """

    link_id: str
    path: str
    kind: Kind
    words: str
    source: str | None = None
    answers: tuple[dict[str, Any], ...] = ()
    trail: str | None = None

    def issue(self) -> dict[str, Any]:
        """As an issue of the OperationOutcome beside the form."""
        severity, code = _ISSUE[self.kind]
        return outcomes.issue(severity, code, self.words, [self.path])


def item_path(above: str, link_id: str) -> str:
    """FHIRPath of an item under the path of what holds it."""
    quoted = link_id.replace("\\", "\\\\").replace("'", "\\'")
    return f"{above}.item.where(linkId='{quoted}')"
