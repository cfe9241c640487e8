"""rules/standards.csv: what is wrong is told by line and column, and what applies is found by day."""

from __future__ import annotations

from datetime import date

import pytest

from app.rulebook.rulebook import Rulebook, build
from app.rulebook.standards import STANDARDS, STANDARDS_FILE, Standard, read_standards
from benefit_router import Problem

ROW = {column.name: column.example for column in STANDARDS.columns} | {"effective_from": "2024-07-17"}
LINES = ("ma", "medicaid")


def read(**changes: str) -> tuple[tuple[Standard, ...], list[Problem]]:
    row = ROW | changes
    text = ",".join(row) + "\n" + ",".join(f'"{value}"' for value in row.values()) + "\n"
    problems: list[Problem] = []
    return read_standards(text, LINES, problems), problems


def test_the_documented_examples_are_a_row() -> None:
    (row,), problems = read()
    assert problems == []
    assert row.lines == {"ma", "medicaid"}
    assert row.effective_from == date(2024, 7, 17)


@pytest.mark.parametrize(
    ("changes", "column", "words"),
    [
        ({"transaction": "prior-auth"}, "transaction", "Did you mean 'prior-authorization'?"),
        ({"status": "law"}, "status", "Use one of"),
        ({"lines": "ma mars"}, "lines", "'mars' is not known"),
        ({"drug_category": "drug"}, "drug_category", "'drug' is not known"),
        ({"effective_from": "2027-1"}, "effective_from", "year-month-day"),
        ({"effective_to": "2024-07-17"}, "effective_to", "ends before it begins"),
        ({"retrieved": "yesterday"}, "retrieved", "not a day"),
        ({"verified": "maybe"}, "verified", "Use one of"),
        ({"authority": ""}, "authority", "empty"),
        ({"remark": "x"}, "remark", "The column is not known"),
    ],
)
def test_mistakes_are_told(changes: dict[str, str], column: str, words: str) -> None:
    rows, problems = read(**changes)
    assert rows == ()
    assert [(problem.line, problem.column) for problem in problems] == [(2, column)]
    assert words in str(problems[0])


@pytest.mark.parametrize(
    ("changes", "on", "applies", "binding"),
    [
        ({}, "2024-07-16", False, True),
        ({}, "2024-07-17", True, True),
        ({"effective_to": "2028-01-01"}, "2027-12-31", True, True),
        ({"effective_to": "2028-01-01"}, "2028-01-01", False, True),
        ({"status": "final"}, "2024-07-16", True, False),
        ({"status": "final"}, "2024-07-17", True, True),
        ({"status": "final", "effective_from": ""}, "2030-01-01", True, False),
        ({"status": "proposed"}, "2030-01-01", True, False),
        ({"status": "recommended"}, "2030-01-01", True, False),
    ],
)
def test_days(changes: dict[str, str], on: str, applies: bool, binding: bool) -> None:
    (row,), _ = read(**{"effective_to": ""} | changes)
    day = date.fromisoformat(on)
    assert row.applies("prior-authorization", "ma", "pharmacy-drug", day) is applies
    if applies:
        assert row.binding(day) is binding


@pytest.mark.parametrize(
    ("asked", "applies"),
    [
        ((None, None, None), True),
        (("eligibility", "ma", "pharmacy-drug"), False),
        (("prior-authorization", "commercial", "pharmacy-drug"), False),
        (("prior-authorization", "ma", "medical-drug"), False),
    ],
)
def test_what_a_row_is_about(asked: tuple[str | None, str | None, str | None], applies: bool) -> None:
    (row,), _ = read()
    assert row.applies(*asked, date(2027, 1, 1)) is applies
    (anything,), _ = read(lines="any", drug_category="any")
    assert anything.applies(asked[0], asked[1], asked[2], date(2027, 1, 1)) is (asked[0] != "eligibility")


def test_an_older_rulebook_has_no_such_file(sample_rulebook: Rulebook) -> None:
    assert sample_rulebook.standards
    older = build({name: text for name, text in sample_rulebook.files.items() if name != STANDARDS_FILE})
    assert older.rulebook is not None
    assert older.rulebook.standards == ()
