"""What stands under questionnaires/ beside the forms themselves."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.rulebook.forms import Artifacts, canonical_of, id_of, read_libraries, read_value_sets
from benefit_router import Problem

LIBRARY: dict[str, Any] = {
    "resourceType": "Library",
    "url": "http://payer.example.org/Library/helpers",
    "version": "1",
    "content": [
        {"contentType": "text/cql", "data": "eA=="},
        {"contentType": "application/elm+json", "data": "eA=="},
    ],
}
PATHS = ("questionnaires/form/library.json", "questionnaires/libraries/helpers.json")


def problems_of(library: dict[str, Any], path: str = PATHS[0]) -> list[str]:
    problems: list[Problem] = []
    read_libraries({path: json.dumps(library)}, problems)
    return [problem.message for problem in problems]


@pytest.mark.parametrize("path", PATHS)
def test_libraries_are_found(path: str) -> None:
    problems: list[Problem] = []
    found = read_libraries({path: json.dumps(LIBRARY), "questionnaires/form/other.json": "{"}, problems)
    assert problems == []
    assert [canonical_of(each) for each in found] == [f"{LIBRARY['url']}|1"]


@pytest.mark.parametrize("position", [0, 1])
def test_a_library_needs_cql_and_elm(position: int) -> None:
    """In content.data, not behind a url (DTR oper-13, spec-95, spec-99)."""
    for content in ([LIBRARY["content"][position]], [{**LIBRARY["content"][position], "data": ""}]):
        words = problems_of({**LIBRARY, "content": [LIBRARY["content"][1 - position], *content][:1]})
        assert len(words) == 1
    elsewhere = [{"contentType": each["contentType"], "url": "http://x"} for each in LIBRARY["content"]]
    assert len(problems_of({**LIBRARY, "content": elsewhere})) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": None}, "lacks a url"),
        ({"version": ""}, "lacks a version"),
        ({"resourceType": "ValueSet"}, "not a Library"),
        ({"id": "a/b"}, "no id"),
    ],
)
def test_wrong_libraries(change: dict[str, Any], words: str) -> None:
    assert words in problems_of(LIBRARY | change)[0]


def test_value_sets_of_a_form_and_shared_ones() -> None:
    value_set = {"resourceType": "ValueSet", "url": "http://x/vs/a", "version": "1"}
    files = {
        "questionnaires/form/valuesets/a.json": json.dumps(value_set),
        "questionnaires/valuesets/b.json": json.dumps({**value_set, "url": "http://x/vs/b"}),
    }
    found = read_value_sets(files, [])
    assert sorted(id_of(each) for each in found) == ["a", "b"]


def test_by_canonical_and_never_by_path() -> None:
    old, new = LIBRARY, {**LIBRARY, "version": "2"}
    found = Artifacts.of([old, new])
    assert found.get(f"{LIBRARY['url']}|1") is old
    assert found.get(LIBRARY["url"]) is new
    assert found.get(f"{LIBRARY['url']}|3") is None
    assert found.get("../helpers") is None
