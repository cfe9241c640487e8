"""The written corpus: what rules, prefill and calculated answers look like, agreed with fhirpathpy."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import fhirpathpy
import msgspec
import pytest
import yaml
from fhirpathpy.models import models

from app import fhirpath

NOW = dt.datetime(2026, 11, 22, 10, 0, tzinfo=dt.UTC)


def load() -> dict[str, Any]:
    """The corpus with decimals as the engine gets them: from JSON, as Decimal."""
    data = yaml.safe_load((Path(__file__).parent / "corpus.yaml").read_text("utf-8"))
    return msgspec.json.Decoder(float_hook=Decimal).decode(msgspec.json.encode(data))


CORPUS = load()
CASES = [pytest.param(case, id=case["expression"]) for case in CORPUS["cases"]]


def shown(items: list[Any]) -> list[Any]:
    """Values as the corpus writes them: numbers and elements as they are, dates and quantities as text."""
    plain = (str, bool, int, Decimal, dict)
    return [item if type(item) in plain else str(item) for item in items]


def alike(found: list[Any] | str, expected: list[Any]) -> bool:
    """Equal, and not merely because 1 == True in Python."""
    return found == expected and [isinstance(item, bool) for item in found] == [
        isinstance(item, bool) for item in expected
    ]


def oracle(case: dict[str, Any]) -> list[Any] | str:
    """fhirpathpy's answer; the name of the exception where it raises."""
    resources = CORPUS["resources"]
    resource = resources[case["input"]]
    variables = {**resources, "resource": resource}
    try:
        found = fhirpathpy.evaluate(resource, case["expression"], variables, models["r4"])
    except Exception as error:  # noqa: BLE001 - whatever the oracle does is its answer
        return type(error).__name__
    return [item if type(item) in (bool, int, Decimal, dict, str) else str(item) for item in found]


def test_the_corpus_is_large_enough() -> None:
    assert len({case["expression"] for case in CORPUS["cases"]}) >= 100


@pytest.mark.parametrize("case", CASES)
def test_result(case: dict[str, Any]) -> None:
    resources = CORPUS["resources"]
    compiled = fhirpath.compile(case["expression"], frozenset(resources))
    found = shown(compiled.evaluate(resources[case["input"]], variables=resources, now=NOW))
    assert alike(found, case["result"]), found


@pytest.mark.parametrize("case", CASES)
def test_agrees_with_fhirpathpy_or_quotes_the_specification(case: dict[str, Any]) -> None:
    if case.get("oracle") == "clock":
        pytest.skip("fhirpathpy takes the time from the machine")
    agrees = alike(oracle(case), case["result"])
    assert agrees != ("specification" in case), f"fhirpathpy says {oracle(case)}"
