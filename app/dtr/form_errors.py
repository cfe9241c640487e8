"""$log-questionnaire-errors: what a client could not do with a form (davinci-dtr, log-questionnaire-errors).

The versions spell the parameters differently, and 2.2.0 as published wraps them once more; all of it is understood.
Clients must not send PHI (oper-2). To be sure, only coded parts and paths are kept, never free text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from app.dtr.parameters import Parameter, parameters_of, read_resource
from app.errors import InvalidRequest
from app.fhir import outcomes

MOST = 100
"""Forms, and issues, of one call that are kept."""


@dataclass(frozen=True, slots=True)
class FormErrors:
    """The forms that a report is about, by canonical, and the issues."""

    questionnaires: tuple[str, ...]
    issues: tuple[dict[str, Any], ...]


def parse_form_errors(body: bytes) -> FormErrors:
    """Read a call. InvalidRequest when it names neither a form nor an issue."""
    questionnaires: list[str] = []
    issues: list[dict[str, Any]] = []
    for each in _flat(parameters_of(read_resource(body))):
        name = each.name.lower()
        if name == "questionnaire":
            questionnaires.append(each.text("valueCanonical", "valueUri", "valueString")[:300])
        elif name == "operationoutcome":
            issues += [_coded(issue) for issue in outcomes.issues_of(each.resource)]
    if not questionnaires and not issues:
        raise InvalidRequest(
            "Send the questionnaire and the operationOutcome.", element="Parameters.parameter", code="required"
        )
    return FormErrors(tuple(dict.fromkeys(questionnaires[:MOST])) or ("unknown",), tuple(issues[:MOST]))


def _flat(parameters: Iterator[Parameter]) -> Iterator[Parameter]:
    for each in parameters:
        inner = each.data.get("resource")
        if isinstance(inner, dict) and inner.get("resourceType") == "Parameters":
            yield from parameters_of(inner)
        else:
            yield each


def _coded(issue: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {name: str(issue[name])[:40] for name in ("severity", "code") if name in issue}
    for name in ("expression", "location"):
        paths = issue.get(name)
        if isinstance(paths, list):
            kept[name] = [str(path)[:200] for path in paths[:10]]
    details = issue.get("details")
    codings = details.get("coding") if isinstance(details, dict) else None
    if isinstance(codings, list):
        kept["coding"] = [
            {name: str(each[name])[:200] for name in ("system", "code") if name in each}
            for each in codings[:10]
            if isinstance(each, dict)
        ]
    return kept
