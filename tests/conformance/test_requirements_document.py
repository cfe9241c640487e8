"""docs/conformance.md and docs/conformance-dtr.md say what the tests show, no more and no less."""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.requirements import (
    CRD,
    DTR,
    MANDATORY,
    Guide,
    Statement,
    expected_to_fail,
    function_of,
    marked_tests,
    statements,
)
from tests.generate_conformance import PAGES, page

FOLDERS = {CRD: "crd-2.2", DTR: "dtr-2.2"}
EVERY = [(guide, each) for guide in FOLDERS for each in statements(guide)]
NODES = sorted({node for _, each in EVERY for node in each.tests})
SERVER = {"crd-server": "server", "crd-server-org": "payer organization", "dtr-server": "server"}
COUNTED = {CRD: {"server": 84, "payer organization": 2}, DTR: {"server": 68}}


def by_key(value: object) -> str:
    return value.key if isinstance(value, Statement) else FOLDERS[value] if isinstance(value, Guide) else str(value)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_pages_are_fresh(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == page(PAGES[path]), (
        "out of date: run python -m tests.generate_conformance"
    )


@pytest.mark.parametrize("node", NODES)
def test_tests_that_are_named_exist(node: str) -> None:
    assert function_of(node) is not None, f"{node} is gone: name the test that shows it now"


@pytest.mark.parametrize(("guide", "statement"), EVERY, ids=by_key)
def test_a_result_is_what_its_tests_say(guide: Guide, statement: Statement) -> None:
    """What is shown is not expected to fail; of what is not met, the tests written for it are."""
    found = {node: function_of(node) for node in statement.tests}
    failing = {node for node, function in found.items() if function is not None and expected_to_fail(function)}
    marked = set(marked_tests(guide).get(statement.key, ()))
    assert failing == (marked if statement.result == "not met" else set())
    assert (statement.result in ("shown", "not yet judged")) or statement.words


def test_every_mandatory_statement_is_judged() -> None:
    assert [each.key for _, each in EVERY if each.level in MANDATORY and each.result == "not yet judged"] == []


@cache
def _published(ig: Path, guide: Guide) -> dict[str, dict[str, Any]]:
    """The statements of a guide by key, each with its level, actor and text."""
    path = ig / FOLDERS[guide] / "Requirements-fromNarrative.json"
    if not path.is_file():
        pytest.skip(f"{path} is not there; set SIGNPOST_IG_DIR")
    found = {}
    for stated in json.loads(path.read_text())["statement"]:
        extensions = [(each["url"].rpartition("-")[2], each) for each in stated["extension"]]
        actors = {each["valueId"] for name, each in extensions if name == "statementactor"}
        shall_not = any(name == "statementshallnot" and each["valueBoolean"] for name, each in extensions)
        levels = stated.get("conformance", [])
        level = "SHALL NOT" if shall_not else next(iter(levels), "").replace("-", " ")
        found[stated["key"]] = {"level": level, "actors": actors, "text": stated["requirement"]}
    return found


@pytest.mark.parametrize("guide", FOLDERS, ids=by_key)
def test_nothing_is_left_out_or_made_up(ig: Path, guide: Guide) -> None:
    published = _published(ig, guide)
    expected = {
        (key, each["level"], SERVER[actor])
        for key, each in published.items()
        for actor in each["actors"] & set(SERVER)
        if each["level"] in (*MANDATORY, "SHOULD", "SHOULD NOT")
    }
    assert {(each.key, each.level, each.actor) for of, each in EVERY if of == guide} == expected
    counted = Counter(actor for _, level, actor in expected if level in MANDATORY)
    assert counted == COUNTED[guide]


@pytest.mark.parametrize(("guide", "statement"), EVERY, ids=by_key)
def test_it_is_said_in_our_own_words(ig: Path, guide: Guide, statement: Statement) -> None:
    """No eight words in a row are the IG's."""

    def runs(text: str) -> set[tuple[str, ...]]:
        words = re.findall(r"[a-z0-9-]+", text.lower())
        return {tuple(words[start : start + 8]) for start in range(len(words) - 7)}

    assert runs(statement.says) & runs(_published(ig, guide)[statement.key]["text"]) == set()
