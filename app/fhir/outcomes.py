"""OperationOutcome, written and read. Diagnostics never hold PHI: they name elements, not their values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

from app.errors import RequestError

Severity = Literal["fatal", "error", "warning", "information"]


def issue(severity: Severity, code: str, diagnostics: str, expression: Iterable[str] = ()) -> dict[str, Any]:
    """One issue; `code` is an issue-type code, `expression` FHIRPath-like paths into the message."""
    made: dict[str, Any] = {"severity": severity, "code": code, "diagnostics": diagnostics}
    if paths := list(expression):
        made["expression"] = paths
    return made


def operation_outcome(*issues: dict[str, Any]) -> dict[str, Any]:
    """An OperationOutcome of at least one issue (OperationOutcome.issue is 1..*)."""
    if not issues:
        raise ValueError("an OperationOutcome needs an issue")
    return {"resourceType": "OperationOutcome", "issue": list(issues)}


def from_error(error: RequestError) -> dict[str, Any]:
    """What the caller is told about an error of theirs."""
    if error.issues:
        return operation_outcome(*error.issues)
    return operation_outcome(issue("error", error.code, error.message, [error.element] if error.element else []))


def issues_of(resource: Any) -> Iterator[dict[str, Any]]:
    """The issues of an OperationOutcome; nothing for any other resource."""
    if not isinstance(resource, dict) or resource.get("resourceType") != "OperationOutcome":
        return
    listed = resource.get("issue")
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict):
            yield each
