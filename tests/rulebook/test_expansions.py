"""Where lists were taken from, and expansions in files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.rulebook.expansions import Expansion, digest, read_expansions
from benefit_router import CodeList
from tests.rulebook.small import FILES, built, wrong

URL = "https://example.org/ValueSet/disease"
HEADER = "list,value_set,expanded,hash\n"
SNOMED = {"system": "http://snomed.info/sct", "code": "34000006", "display": "a disease"}
K50 = {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "K500"}


def value_set(*contains: dict[str, Any], **expansion: Any) -> dict[str, Any]:
    return {
        "resourceType": "ValueSet",
        "url": URL,
        "version": "2",
        "expansion": {"contains": list(contains), **expansion},
    }


def test_the_hash_is_of_the_codes_alone() -> None:
    codes = [("ICD-10-CM", "K50*"), ("SNOMED CT", "34000006")]
    assert digest(CodeList.of("a", codes)) == digest(CodeList.of("b", codes[::-1]))
    assert digest(CodeList.of("a", codes)) != digest(CodeList.of("a", codes[:1]))
    assert digest(CodeList.of("a", [("S", "K50*")])) != digest(CodeList.of("a", [("S", "K50")]))


def test_origins() -> None:
    book = built(FILES | {"crosswalks/value_sets.csv": f"{HEADER}disease,{URL}|1,2026-10-01,abc\n"})
    origin = book.origins["disease"]
    assert (origin.value_set, origin.expanded.isoformat(), origin.hash) == (f"{URL}|1", "2026-10-01", "abc")


@pytest.mark.parametrize(
    ("text", "column"),
    [
        (f"diseases,{URL},2026-10-01,abc\n", "list"),
        (f"disease,{URL},2026-10-32,abc\n", "expanded"),
        (f"disease,{URL},2026-10-01,abc\ndisease,{URL},2026-10-01,abc\n", "list"),
        (f"disease,{URL},2026-10-01,\n", "hash"),
    ],
)
def test_a_wrong_origin_is_told(text: str, column: str) -> None:
    problem = wrong(FILES | {"crosswalks/value_sets.csv": HEADER + text})[0]
    assert (problem.line, problem.column) == (text.count("\n") + 1, column)


def test_an_expansion_is_its_active_codes(tmp_path: Path) -> None:
    heading = {"abstract": True, "display": "all", "contains": [SNOMED, {**K50, "code": "K509", "inactive": True}]}
    (tmp_path / "d.json").write_text(json.dumps(value_set(heading, K50, total=3)))
    (expansion,), problems = read_expansions(tmp_path)
    codes = frozenset({("SNOMED CT", "34000006"), ("ICD-10-CM", "K50.0")})
    assert expansion == Expansion(URL, "2", codes, "d.json")
    assert problems == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", ""),
        ("[]", "no ValueSet"),
        (json.dumps({"resourceType": "ValueSet", "url": URL}), "no expansion"),
        (json.dumps(value_set(K50, total=200)), "1 of 200 codes"),
    ],
)
def test_what_is_no_whole_expansion_is_told(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "d.json").write_text(text)
    expansions, (problem,) = read_expansions(tmp_path)
    assert expansions == []
    assert words in problem.message
    assert problem.file.endswith("d.json")
