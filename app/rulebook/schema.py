"""The published JSON Schemas of the rule files, and what their errors mean for the person who wrote the file."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any

import jsonschema_rs

from app.fhir.json import decode
from app.rulebook.documents import Document
from app.rulebook.spelling import nearest
from benefit_router import Problem

KINDS = ("payer", "policy", "guidance", "scenarios", "prefill", "cases")
_FOLDER = resources.files("app.rulebook.schemas")


def schema(kind: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one kind of rule file, complete in itself.

    What several kinds share is written once, in common.json; here it stands under `$defs`, because editors do not
    follow references to other files alike.
    """
    own: dict[str, Any] = decode(_read(kind).replace(b'"common.json#/', b'"#/'))
    return own | {"$defs": decode(_read("common"))["$defs"] | own.get("$defs", {})}


def check(document: Document, kind: str) -> list[Problem]:
    """Everything in which a document departs from its schema."""
    whole, validator = _compiled(kind)
    return [problem for error in validator.iter_errors(document.data) for problem in _problems(document, error, whole)]


def _read(kind: str) -> bytes:
    return _FOLDER.joinpath(f"{kind}.json").read_bytes()


@cache
def _compiled(kind: str) -> tuple[dict[str, Any], jsonschema_rs.Draft202012Validator]:
    whole = schema(kind)
    return whole, jsonschema_rs.Draft202012Validator(whole, mask="The value", validate_formats=True)


def _problems(document: Document, error: Any, whole: dict[str, Any]) -> Iterator[Problem]:
    kind, value = error.kind, document.data  # not error.instance: there 2.10 has become 2.1
    path: list[str | int] = []
    for step in error.instance_path:
        path.append(str(step) if isinstance(value, dict) else step)  # keys such as "2" come as numbers
        value = value[path[-1]]
    enclosing = [whole]  # the schema objects around the keyword that failed, outermost first
    for step in error.schema_path[:-1]:
        enclosing.append(enclosing[-1][step])
    described = [str(around["description"]) for around in enclosing if isinstance(around.get("description"), str)]
    match kind.name:
        case "additionalProperties":
            for unknown in kind.unexpected:
                remedy = nearest(unknown, enclosing[-1]["properties"])
                yield document.problem([*path, unknown], f"'{unknown}' is not a key here.", remedy)
        case "propertyNames":
            name = kind.error.instance
            yield document.problem([*path, name], f"'{name}' cannot be a name here.", described[-1])
        case "required":
            yield document.problem(path, f"'{kind.property}' is missing.", f"Add '{kind.property}:'.")
        case "oneOf":
            options = ", ".join(option["required"][0] for option in enclosing[-1]["oneOf"])
            yield document.problem(path, "Exactly one of several keys is needed.", f"Write one of: {options}.")
        case "enum":
            message = f"'{value}' is not one of the values known here."
            yield document.problem(path, message, nearest(str(value), kind.options))
        case "pattern" | "format":
            yield document.problem(path, f"'{value}' is not written as it must be.", described[-1])
        case "type" if value is None:
            yield document.problem(path, "The key has no value.", described[-1])
        case "type" if "string" in kind.types and not isinstance(value, (list, dict)):
            shown = str(value).lower() if isinstance(value, bool) else value
            yield document.problem(path, f"{shown} is not a text here.", f'Put it in quotes: "{shown}".')
        case _:
            yield document.problem(path, f"{error.message}.", described[-1])
