"""The published JSON Schemas of the rule files, and what their errors mean for the person who wrote the file."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import jsonschema_rs

from app.fhir.json import decode
from app.rulebook.documents import Document
from app.rulebook.spelling import nearest
from benefit_router import Problem

KINDS = ("payer", "policy", "guidance", "scenarios")


def schema(kind: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one kind of rule file."""
    loaded: dict[str, Any] = decode(resources.files("app.rulebook.schemas").joinpath(f"{kind}.json").read_bytes())
    return loaded


@cache
def _validator(kind: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(schema(kind))


def check(document: Document, kind: str) -> list[Problem]:
    """Everything in which a document departs from its schema."""
    whole = schema(kind)
    return [_problem(document, error, whole) for error in _validator(kind).iter_errors(document.data)]


def _problem(document: Document, error: Any, whole: dict[str, Any]) -> Problem:
    path, kind = list(error.instance_path), error.kind
    beside: dict[str, Any] = whole
    for step in error.schema_path[:-1]:  # the schema object that holds the keyword that failed
        beside = beside[step]
    if kind.name == "additionalProperties":
        unknown = kind.unexpected[0]
        allowed = list(beside.get("properties", {}))
        return document.problem([*path, unknown], f"'{unknown}' is not a key here.", nearest(unknown, allowed))
    if kind.name == "required":
        return document.problem(path, f"'{kind.property}' is missing.", f"Add '{kind.property}:'.")
    if kind.name == "enum":
        value = str(error.instance)
        return document.problem(path, f"'{value}' is not one of the values known here.", nearest(value, kind.options))
    if kind.name in ("oneOfNotValid", "oneOfMultipleValid"):
        options = [option["required"][0] for option in beside["oneOf"]]
        return document.problem(path, "Exactly one of several keys is needed.", f"Write one of: {', '.join(options)}.")
    remedy = str(beside.get("description", "See docs/rules for this key."))
    return document.problem(path, f"{error.message[:160]}.", remedy)
