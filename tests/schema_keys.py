"""Every key of the YAML rule files, drawn from their schemas, for the documentation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from app.rulebook.schema import schema

_NEEDS = "A kind of the record, or `{observations: list:oximetry}` to read only those codes; so for every kind."
# What the schemas leave to the reader: keys whose shared description only says how they are spelled.
MEANINGS = {
    "policy": {
        "policy": "Name of the policy, the same as the file's. Past answers name it.",
        "source.retrieved": "Day the source was read.",
        "approved.on": "Day of approval.",
        "effective.from": "First day it speaks.",
        "effective.to": "First day it no longer speaks.",
        "needs[]": _NEEDS,
        "cases[].case": "Name of the case. Past answers name it.",
        "cases[].answers[]": "The same keys as `answer`, each with its own `billing`.",
        "cases[].answer.details[].value.value": "The number.",
        "cases[].answer.details[].value.unit": "The UCUM unit.",
        "cases[].answer.contact": "Whom to ask: a name under `contacts` of payer.yaml.",
    },
    "guidance": {
        "guidance": "Name of the card, the same as the file's.",
        "needs[]": _NEEDS,
        "source.retrieved": "Day the source was read.",
        "approved.on": "Day of approval.",
        "effective.from": "First day it speaks.",
        "effective.to": "First day it no longer speaks.",
    },
    "payer": {
        "lines.<name>": "One line of business. Its name stands in `lines` of policies and in the `lob` column.",
        "plans.<name>": "One plan. Its name stands in `plans` of policies and in the `plan_id` column.",
        "plans.<name>.line": "Its line of business.",
        "plans.<name>.pharmacy": "Who runs its pharmacy benefit: a name under `pharmacy`.",
        "coverage_types[].line": "The line of business it means.",
        "pharmacy.<name>": "One PBM profile. Its name stands in the `handoff` column and on the roster.",
        "contacts.<name>": "One contact. Its name stands in `contact` of a policy's answer.",
        "clocks.<name>": "One clock. Its name stands in the `clock_profile` column.",
        "clocks.<name>.standard": "Time for a standard request.",
        "clocks.<name>.expedited": "Time for an expedited request.",
        "flags.<name>": "What the flag means. Its name stands in the `condition_flag` column and on the roster.",
    },
    "prefill": {
        "prefill": "Name of the form, the same as its folder's.",
        "needs[]": "A kind of the record, or `{observations: list:oximetry, within_days: 90}`; `all` for every code.",
        "variables.<name>": "FHIRPath. The expressions after it use it as `%name`.",
        "items.<name>": "The linkId, in quotes: FHIRPath for its answer, or the keys below.",
    },
    "cases": {
        "case": "Name of the case, the same as the file's.",
        "on": "Day the form is asked for: `today()`.",
        "member.birth_date": "Birth date.",
        "expect.<name>": "The linkId, in quotes: `not-found`, `not-evaluated`, or the keys below.",
    },
    "scenarios": {
        "scenarios": "The cases.",
        "scenarios[].on": "Day of the call, and of the service unless the order has a `service_date`.",
        "scenarios[].member.line": "Line of business.",
        "scenarios[].member.plan": "Plan.",
        "scenarios[].member.group": "Employer group.",
        "scenarios[].member.birth_date": "Birth date.",
        "scenarios[].member.sex": "Administrative gender.",
        "scenarios[].member.state": "State, two letters.",
        "scenarios[].member.flags": "Flags of the member file: `{esrd: true}`.",
        "scenarios[].member.flags.<name>": "true or false; a flag left out is unknown.",
        "scenarios[].member.pharmacy": "PBM profile; left out: the plan's.",
        "scenarios[].member.from": "First day of coverage.",
        "scenarios[].member.to": "First day without coverage.",
        "scenarios[].member": "A member of the roster by id, the word unknown, or a member described here. "
        "Required, but for a `request`, whose Coverage says who it is.",
        "scenarios[].expect": "The answer, or one answer an order. Required, here or in every row of a `table`.",
        "scenarios[].table[].on": "As `on`.",
        "scenarios[].table[].member": "As `member`; a key changes only that key.",
        "scenarios[].table[].order": "As `order`; a key changes only that key.",
        "scenarios[].table[].record": "As `record`; a kind changes only that kind.",
        "scenarios[].table[].expect": "As `expect`; a key changes only that key.",
        "scenarios[].order": "The one order.",
        "scenarios[].orders": "Several orders of one call.",
        "scenarios[].orders[]": "The same keys as `order`.",
        "scenarios[].order.service_date": "Day the service is for.",
        "scenarios[].record.conditions[].code": "The code; an entry with nothing else may be the code alone.",
        "scenarios[].record.conditions[].date": "Day it was recorded, ordered, measured or performed.",
        "scenarios[].forms.<name>": "A form by the name of its folder.",
        "scenarios[].forms.<name>.<name>": "The answer to the question of this linkId, or a list of them.",
        "scenarios[].record.medications": "As `conditions`.",
        "scenarios[].record.observations": "As `conditions`.",
        "scenarios[].record.procedures": "As `conditions`.",
        "scenarios[].record.allergies": "As `conditions`.",
        "scenarios[].expect.answers[]": "The same keys as `expect`, but for `answers`.",
        "scenarios[].expect.policy": "Policy that decided.",
        "scenarios[].expect.case": "Case that decided.",
        "scenarios[].expect.rule": "Routing row that decided (`rule_id`).",
        "scenarios[].expect.handoff": "PBM profile the order goes to.",
    },
}
_SAME_AS_ELSEWHERE = re.compile(r"^The same keys as|^As `")
# What the value of a shared definition is called.
_NAMED = {"slug": "name", "listName": "`list:name`", "code": "code"}


def every_key(kind: str) -> list[tuple[str, str, str, str]]:
    """Path, `required` or "", allowed values and meaning of every key of a schema."""
    whole = schema(kind)
    return list(_keys(whole, whole, "", kind))


def _keys(node: dict[str, Any], whole: dict[str, Any], prefix: str, kind: str) -> Iterator[tuple[str, str, str, str]]:
    required = set(node.get("required", ()))
    members = {f"{prefix}{name}": (value, name in required) for name, value in node.get("properties", {}).items()}
    named = node.get("additionalProperties")
    if isinstance(named, dict):
        members[f"{prefix}<name>"] = (named, False)
    for path, (value, is_required) in members.items():
        full = _resolved(value, whole)
        yield (*_row(path, full, is_required, whole, kind),)
        if not _SAME_AS_ELSEWHERE.match(_meaning(path, full, kind)):
            yield from _below(full, whole, path, kind)


def _below(node: dict[str, Any], whole: dict[str, Any], path: str, kind: str) -> Iterator[tuple[str, str, str, str]]:
    """The keys under one key: of an object, of a list's items, or of either form where several are allowed."""
    if "properties" in node or isinstance(node.get("additionalProperties"), dict):
        yield from _keys(node, whole, f"{path}.", kind)
    items = node.get("items")
    if items is not None:
        item = _resolved(items, whole)
        said = MEANINGS[kind].get(f"{path}[]")
        if said:
            yield (f"{path}[]", "", "", said)
        else:
            yield from _below(item, whole, f"{path}[]", kind)
    other = node.get("else")
    if other is not None:
        yield from _below(_resolved(other, whole), whole, path, kind)


def _resolved(node: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    target: Any = whole
    for step in node["$ref"].removeprefix("#/").split("/"):
        target = target[step]
    name = node["$ref"].rsplit("/", 1)[-1]
    return _resolved(target, whole) | {"called": _NAMED.get(name, "")} | {k: v for k, v in node.items() if k != "$ref"}


def _row(
    path: str, node: dict[str, Any], is_required: bool, whole: dict[str, Any], kind: str
) -> tuple[str, str, str, str]:
    return path, "required" if is_required else "", _allowed(node, whole), _meaning(path, node, kind)


def _meaning(path: str, node: dict[str, Any], kind: str) -> str:
    said = MEANINGS[kind].get(path)
    return said if said is not None else str(node.get("description", ""))


def _allowed(node: dict[str, Any], whole: dict[str, Any]) -> str:
    if node.get("called"):
        return str(node["called"])
    if "enum" in node:
        return ", ".join(f"`{word}`" for word in node["enum"])
    if "then" in node and (one := _allowed(_resolved(node["then"], whole), whole)):
        many = _resolved(node["else"], whole)
        items = _allowed(_resolved(many["items"], whole), whole) if "items" in many else ""
        if not items:
            return one
        return f"{one}, or a list of them" if items == one else f"{one}, or a list of: {items}"
    kinds = node.get("type")
    words = {"string": "text", "object": "keys below", "array": "list", "boolean": "true or false", "integer": "number"}
    if kinds == "array":
        inner = _allowed(_resolved(node.get("items", {}), whole), whole)
        return f"list of {inner}" if inner and inner != "keys below" else "list"
    if kinds == "integer" and "minimum" in node:
        return f"{node['minimum']} to {node['maximum']}"
    if node.get("format") == "date":
        return "date"
    if isinstance(kinds, list):
        return " or ".join(words.get(each, each) for each in kinds)
    return words.get(str(kinds), str(kinds or ""))
