from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from app.rulebook.documents import read_document
from app.rulebook.schema import KINDS, check, schema
from app.settings import ROOT
from benefit_router import Problem
from tests.rulebook.small import FILES

SCENARIOS = """\
scenarios:
  - id: T01
    title: a drug
    on: 2026-06-01
    member: {line: commercial, plan: gold, birth_date: 1980-05-01, flags: {esrd: false}}
    order: {type: MedicationRequest, codes: [RxNorm 191831], quantity: 1.5}
    record: {conditions: [ICD-10-CM K50.90, {code: SNOMED 34000006, status: active}], procedures: unavailable}
    expect: {covered: covered, docs: [clinical], questionnaire: []}
"""
TEXTS = {
    "payer": FILES["payer.yaml"],
    "policy": FILES["policies/drug.yaml"],
    "guidance": FILES["guidance/card.yaml"],
    "scenarios": SCENARIOS,
    "cases": "case: a\ntitle: A\non: 2026-01-31\ndata: a.json\nexpect: {x: not-found, y: {answer: 1.5}}\n",
    "prefill": "prefill: form\nneeds: [conditions, {reports: all, within_days: 30}]\nitems: {x: '1', y: {from: '2'}}\n",
}
SLUG = "A plain name: lower-case letters, digits and hyphens."
DAY = "A day written year-month-day, such as 2026-01-31."


def mistakes(kind: str, old: str = "", new: str = "") -> list[Problem]:
    assert old in TEXTS[kind]
    document, problems = read_document(TEXTS[kind].replace(old, new, 1), f"{kind}.yaml")
    assert document is not None
    assert problems == []
    return check(document, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_wrong(kind: str) -> None:
    assert mistakes(kind) == []


@pytest.mark.parametrize(
    ("kind", "old", "new", "line", "column", "message", "remedy"),
    [
        # A key nobody knows, and the one that was probably meant.
        ("payer", "flags:", "flgs:", 13, "flgs", "'flgs' is not a key here.", "Did you mean 'flags'?"),
        ("policy", "pa: no-auth", "paa: no-auth", 12, "cases.0.answer.paa", "'paa' is not a key", "mean 'pa'?"),
        ("policy", "lines:", "xxxxxxx:", 6, "xxxxxxx", "'xxxxxxx' is not a key here.", "Use one of: applies_to,"),
        ("scenarios", "quantity", "quanty", 6, "scenarios.0.order.quanty", "'quanty' is not", "mean 'quantity'?"),
        ("policy", "needs: [conditions]", "needs: [{condition: list:x}]", 8, "needs.0.condition", "'condition'", ""),
        # A key that is missing.
        ("policy", "title: A drug\n", "", 1, None, "'title' is missing.", "Add 'title:'."),
        ("guidance", "  topic: guideline\n", "", 7, "card", "'topic' is missing.", "Add 'topic:'."),
        ("policy", "covered: covered, ", "", 12, "cases.0.answer", "'covered' is missing.", "Add 'covered:'."),
        # A word that is not one of the few.
        ("policy", "pa: no-auth", "pa: noauth", 12, "cases.0.answer.pa", "'noauth' is not one of", "mean 'no-auth'?"),
        ("policy", "docs: clinical", "docs: [clinic]", 17, "cases.1.answer.docs.0", "'clinic'", "mean 'clinical'?"),
        ("policy", "track: medical", "track: pharmacy", 7, "applies_to.track", "'pharmacy'", "Use one of: medical."),
        ("guidance", "topic: guideline", "topic: coverage-info", 9, "card.topic", "'coverage-info'", "Use one of"),
        ("guidance", "indicator: info", "indicator: 5", 10, "card.indicator", "'5' is not one of", "critical, info"),
        # A value of another type.
        ("policy", 'section: "2"', "section: 2.10", 3, "source.section", "2.10 is not a text", 'in quotes: "2.10".'),
        ("policy", "title: A drug", "title: true", 2, "title", "true is not a text", 'in quotes: "true".'),
        ("policy", "title: A drug", "title:", 2, "title", "no value", "Name for people."),
        ("policy", "title: A drug", "title: {}", 2, "title", "is not of type", "Name for people."),
        ("policy", "lines: [commercial]", "lines: commercial", 6, "lines", "is not of type", "left out: all."),
        ("payer", "valid_days: 60", "valid_days: 1.5", 14, "assertions.valid_days", "not of type", "Days an answer"),
        ("scenarios", "esrd: false", "esrd: no", 5, "scenarios.0.member.flags.esrd", "not of type", "A member of"),
        # A value out of range, or too little of it.
        ("payer", "valid_days: 60", "valid_days: 0", 14, "assertions.valid_days", "less than the minimum", "Days an"),
        ("policy", "docs: clinical", "docs: []", 17, "cases.1.answer.docs", "less than 1 item", "Documents needed."),
        ("guidance", "Do this.", "x" * 140, 11, "card.summary", "longer than 139", "Under 140 characters"),
        # A text that is not written as it must be.
        ("policy", "policy: drug", "policy: A Drug", 1, "policy", "'A Drug' is not written", SLUG),
        ("policy", "codes: list:drug", "codes: drug", 7, "applies_to.codes", "'drug' is not written", "list:oximetry"),
        ("policy", "list:drug", "[HCPC J1745]", 7, "applies_to.codes.0", "'HCPC J1745'", "A code with its system"),
        ("policy", "list:drug", "[NDC 5789403001]", 7, "applies_to.codes.0", "'NDC 5789403001'", "an NDC with"),
        ("payer", "standard: 7 d", "standard: 7 days", 12, "clocks.items.standard", "'7 days'", "'72 h' or '7 d'"),
        ("policy", "from: 2026-01-01", "from: 2026-1-1", 4, "effective.from", "'2026-1-1'", DAY),
        ("policy", "from: 2026-01-01", "from: 2026-02-30", 4, "effective.from", "'2026-02-30'", DAY),
        ("policy", "on: 2026-11-02", "on: 0000-11-02", 5, "approved.on", "'0000-11-02'", DAY),
        ("policy", "from: 2026-01-01", "from: 20260101", 4, "effective.from", "20260101 is not a text", "quotes"),
        ("scenarios", "on: 2026-06-01", "on: 2026-06-31", 4, "scenarios.0.on", "'2026-06-31'", DAY),
        ("payer", "{ma: {name", "{M A: {name", 3, "lines.M A", "'M A' cannot be a name here.", SLUG),
        # Exactly one of several keys.
        ("policy", "    answer: {", "    note: {", 10, "cases.0", "Exactly one", "Write one of: answer, answers."),
        (
            "scenarios", "    order: {", "    orders: []\n    order: {", 2, "scenarios.0", "Exactly",
            "order, orders, request.",
        ),
    ],
)  # fmt: skip
def test_mistakes(kind: str, old: str, new: str, line: int, column: str | None, message: str, remedy: str) -> None:
    found = mistakes(kind, old, new)
    told = [(p.file, p.line, p.column) for p in found]
    assert (f"{kind}.yaml", line, column) in told, told
    problem = found[told.index((f"{kind}.yaml", line, column))]
    assert message in problem.message
    assert remedy in problem.remedy
    assert problem.severity == "error"


def test_every_unknown_key_is_named() -> None:
    found = mistakes("policy", "title: A drug", "title: A drug\nalpha: 1\nbeta: 2")
    assert [problem.column for problem in found] == ["alpha", "beta"]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


@pytest.mark.parametrize("kind", KINDS)
def test_published_schemas_are_sound_and_complete_in_themselves(kind: str) -> None:
    published = schema(kind)
    assert jsonschema_rs.meta.is_valid(published)
    assert all(reference.startswith("#/") for reference in references(published))
    assert published["$id"].endswith(f"/{kind}.json")
    # Nobody who edits what they were given spoils it for the next.
    published["$defs"].clear()
    assert schema(kind)["$defs"]


def test_shared_parts_are_written_once() -> None:
    folder = ROOT / "app" / "rulebook" / "schemas"
    parts = {path.stem: set(json.loads(path.read_text()).get("$defs", {})) for path in folder.glob("*.json")}
    assert set(parts) == {*KINDS, "common"}
    for kind in KINDS:
        assert not parts[kind] & parts["common"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_is_described(kind: str) -> None:
    """Descriptions are the documentation and every second remedy."""
    whole = schema(kind)

    def described(node: dict[str, Any]) -> bool:
        target = node
        while "$ref" in target and "description" not in target:
            target = whole
            for step in node["$ref"].removeprefix("#/").split("/"):
                target = target[step]
            node = target
        return bool(target.get("description"))

    undescribed = [key for key, node in whole["properties"].items() if not described(node)]
    assert undescribed in ([], ["scenarios"])
