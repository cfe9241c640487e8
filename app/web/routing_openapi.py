"""The OpenAPI 3.1 document of the routing API; requests are checked with the schemas it publishes."""

from __future__ import annotations

from functools import cache
from importlib import metadata, resources
from typing import Any

import jsonschema_rs

from app.crd.order_content import ORDER_TYPES
from app.errors import InvalidRequest
from app.fhir.json import decode
from app.rulebook.schema import schema
from app.rulebook.standards import DRUG_CATEGORIES, TRANSACTIONS

MOST_QUESTIONS = 100
"""In one batch."""


@cache
def document() -> dict[str, Any]:
    """The document. Orders and members in shorthand are those of scenario files, from the same schema."""
    written: dict[str, Any] = decode(resources.files("app.web").joinpath("routing_openapi.json").read_bytes())
    written["info"]["version"] = metadata.version("signpost")
    schemas = written["components"]["schemas"]
    scenarios = schema("scenarios")
    described = scenarios["properties"]["scenarios"]["items"]["properties"]["member"]["properties"]
    member = {
        "type": "object",
        "description": "A member described; what is left out is not known.",
        "properties": {name: part for name, part in described.items() if name not in ("from", "to")},
        "additionalProperties": False,
    }
    schemas |= _moved(
        _with_what_they_name({"order": scenarios["$defs"]["order"], "member": member}, scenarios["$defs"])
    )
    schemas["FhirOrder"]["properties"]["resourceType"]["enum"] = sorted(ORDER_TYPES)
    schemas["Batch"]["properties"]["questions"]["maxItems"] = MOST_QUESTIONS
    for parameter in written["paths"]["/routing/v1/standards"]["get"]["parameters"]:
        words = {"transaction": TRANSACTIONS, "drug_category": DRUG_CATEGORIES}.get(parameter["name"])
        if words is not None:
            parameter["schema"]["enum"] = sorted(words)
    return written


def _with_what_they_name(parts: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """Schemas with those they refer to, and no other: generated clients would have a class for each."""
    found = dict(parts)
    waiting = list(parts.values())
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            name = str(part.get("$ref", "")).rpartition("/")[2]
            if name and name not in found:
                found[name] = known[name]
                waiting.append(known[name])
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
    return found


def _moved(part: Any) -> Any:
    """A part of a rule file's schema with its references as they are in this document."""
    if isinstance(part, dict):
        return {
            key: value.replace("#/$defs/", "#/components/schemas/") if key == "$ref" else _moved(value)
            for key, value in part.items()
        }
    return [_moved(each) for each in part] if isinstance(part, list) else part


@cache
def _validator(name: str) -> jsonschema_rs.Draft202012Validator:
    components = document()["components"]
    wanted: dict[str, Any] = components["schemas"][name]
    if name == "Batch":  # its questions are checked one by one, so that one at fault does not silence the others
        questions = {key: part for key, part in wanted["properties"]["questions"].items() if key != "items"}
        wanted = wanted | {"properties": {"questions": questions}}
    return jsonschema_rs.Draft202012Validator(
        wanted | {"components": components}, mask="The value", validate_formats=True
    )


def check(name: str, value: Any) -> None:
    """InvalidRequest, naming the element, when `value` is not the schema `name` of the document.

    Of a `Batch` only the frame is checked; each of its questions is a `Question`.
    """
    error = next(iter(_validator(name).iter_errors(value)), None)
    if error is not None:
        path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path)
        raise InvalidRequest(f"{error.message}.", element=path.removeprefix(".") or None, code="structure")
