"""HL7's FHIRPath suite for R4 (fhir-test-cases, r4/fhirpath/tests-fhir-r4.xml), test by test.

The suite is not part of this repository: SIGNPOST_IG_DIR names the folder that holds `fhirpath-r4/`, else it is looked
for at ../shared/ig. What fails stands in official_failures.yaml with its reason; a failure that is not listed fails
here, and so does a listed one that passes.
"""

from __future__ import annotations

import datetime as dt
import functools
import os
import xml.etree.ElementTree as ET
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import yaml

from app import fhirpath

HERE = Path(__file__).parent
IG_DIR = Path(os.environ.get("SIGNPOST_IG_DIR") or HERE.parents[2] / "shared" / "ig")
SUITE = IG_DIR / "fhirpath-r4"
FAILURES = HERE / "official_failures.yaml"
NOW = dt.datetime(2026, 11, 22, 10, 0, tzinfo=dt.UTC)
VALUE_BAR, MUST_FAIL_BAR = 0.97, 30
VALUE_TESTS, MUST_FAIL_TESTS = 900, 35
TYPES = {
    "boolean": bool,
    "integer": int,
    "decimal": Decimal,
    "string": str,
    "code": str,
    "date": fhirpath.Date,
    "dateTime": fhirpath.DateTime,
    "Quantity": fhirpath.Quantity,
}

pytestmark = pytest.mark.skipif(
    not SUITE.is_dir(), reason="HL7's suite is not here: set SIGNPOST_IG_DIR to the folder that holds fhirpath-r4/"
)


class Case(NamedTuple):
    """One test; `name` is made unique by `#2` where the suite repeats a name."""

    name: str
    expression: str
    input: str | None
    invalid: bool
    predicate: bool
    ordered: bool
    outputs: list[tuple[str | None, str]]


@functools.cache
def cases() -> tuple[Case, ...]:
    found: list[Case] = []
    names: dict[str, int] = {}
    for test in ET.parse(SUITE / "tests-fhir-r4.xml").getroot().iter("test"):
        expression = test.find("expression")
        assert expression is not None
        name = test.get("name", "")
        names[name] = names.get(name, 0) + 1
        found.append(
            Case(
                name if names[name] == 1 else f"{name}#{names[name]}",
                expression.text or "",
                test.get("inputfile"),
                expression.get("invalid") is not None,
                test.get("predicate") == "true",
                test.get("ordered") != "false",
                [(output.get("type"), output.text or "") for output in test.findall("output")],
            )
        )
    return tuple(found)


@functools.cache
def resource(name: str | None) -> Any:
    if name is None:
        return None
    data = (SUITE / "inputs" / name).with_suffix(".json").read_bytes()
    return msgspec.json.Decoder(float_hook=Decimal).decode(data)


def run(case: Case) -> list[Any]:
    context = resource(case.input)
    root = context["resourceType"] if context else None
    return fhirpath.compile(case.expression, root=root).evaluate(context, now=NOW)


def shortfall(case: Case) -> str | None:
    """What is wrong with our answer; None when it is as the suite says."""
    try:
        result = run(case)
    except fhirpath.FhirPathError as error:
        return None if case.invalid else f"raised {error}"
    if case.invalid:
        return f"gave {result} where an error was due"
    if case.predicate:
        result = [bool(result)]
    expected = [text.removeprefix("@T").removeprefix("@") for _, text in case.outputs]
    actual = [str(value).lower() if isinstance(value, bool) else str(value) for value in result]
    kinds = [TYPES.get(kind or "") for kind, _ in case.outputs]
    pairs = list(zip(kinds, result, strict=False))
    if len(expected) != len(actual) or any(kind is not None and type(value) is not kind for kind, value in pairs):
        return f"gave {result}"
    if not case.ordered:
        expected, actual = sorted(expected), sorted(actual)
    decimal = [Decimal(text) if kind is Decimal else text for kind, text in zip(kinds, expected, strict=True)]
    given = [Decimal(text) if kind is Decimal else text for kind, text in zip(kinds, actual, strict=True)]
    return None if decimal == given else f"gave {result}"


@functools.cache
def shortfalls() -> dict[str, str]:
    return {case.name: problem for case in cases() if (problem := shortfall(case))}


def listed() -> dict[str, str]:
    return yaml.safe_load(FAILURES.read_text("utf-8")) or {}


def test_the_suite_is_the_one_the_bars_were_set_for() -> None:
    must_fail = sum(case.invalid for case in cases())
    assert (len(cases()) - must_fail, must_fail) == (VALUE_TESTS, MUST_FAIL_TESTS)


def test_no_failure_but_those_listed() -> None:
    assert {name: problem for name, problem in shortfalls().items() if name not in listed()} == {}


def test_no_listed_failure_passes() -> None:
    assert [name for name in listed() if name not in shortfalls()] == []


def test_every_listed_failure_has_its_reason() -> None:
    assert [name for name, reason in listed().items() if len(reason or "") < 20] == []


def test_the_bars_are_met() -> None:
    failed = [case for case in cases() if case.name in shortfalls()]
    values = VALUE_TESTS - sum(not case.invalid for case in failed)
    must_fail = MUST_FAIL_TESTS - sum(case.invalid for case in failed)
    assert values >= VALUE_TESTS * VALUE_BAR
    assert must_fail >= MUST_FAIL_BAR
