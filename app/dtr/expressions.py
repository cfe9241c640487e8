"""The expressions a Questionnaire holds itself (SDC, "Expressions"): which the service evaluates, and which not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from app import fhirpath
from app.dtr import extensions

FHIRPATH = "text/fhirpath"
# SDC's other languages, which clients run. The service has FHIRPath twins in prefill.yaml.
CLIENT_LANGUAGES = frozenset({"text/cql", "text/cql-identifier", "application/x-fhir-query"})
_RESPONSE = re.compile(r"%(resource|rootResource|context)\b")


class Unsound(Exception):
    """The expression does not compile; the text says where."""


@dataclass(frozen=True, slots=True)
class FormExpression:
    """One Expression of a form that is FHIRPath."""

    name: str | None
    expression: fhirpath.Expression


def fhirpath_in(element: Mapping[str, Any], url: str) -> Iterator[FormExpression]:
    """The FHIRPath expressions an element has under an extension. Raises Unsound."""
    for value in extensions.values(element, url, "valueExpression"):
        if isinstance(value, dict) and value.get("language") == FHIRPATH and isinstance(value.get("expression"), str):
            name = value.get("name")
            yield FormExpression(name if isinstance(name, str) else None, _compiled(value["expression"]))


def volatile(text: str) -> bool:
    """Whether an expression looks at the response it helps to fill."""
    return _RESPONSE.search(text) is not None


@lru_cache(maxsize=4096)
def _compiled(text: str) -> fhirpath.Expression:
    try:
        return fhirpath.compile(text)
    except fhirpath.FhirPathSyntaxError as error:
        raise Unsound(f"{error.message} at column {error.column}") from None


def launch_names(questionnaire: Mapping[str, Any]) -> Iterator[str]:
    """The %names of the launch context a form declares."""
    yield from launch_types(questionnaire)


def launch_types(questionnaire: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """The %names of the launch context a form declares, each with the types of resource it may be."""
    found: dict[str, frozenset[str]] = {}
    for declared in extensions.of(questionnaire, extensions.LAUNCH_CONTEXT):
        types = frozenset(str(each) for each in extensions.values(declared, "type", "valueCode"))
        for part in extensions.of(declared, "name"):
            code = (part.get("valueCoding") or {}).get("code") or part.get("valueId") or part.get("valueCode")
            if isinstance(code, str):
                found[code] = types
    return found
