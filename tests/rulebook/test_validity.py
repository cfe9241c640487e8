"""The days of codes, from the table."""

from __future__ import annotations

from datetime import date

import pytest

from app.rulebook.validity import Validity
from tests.rulebook.small import FILES, built, wrong

HEADER = "system,code,valid_from,valid_to,verified,source\n"


def table(text: str) -> dict[str, str]:
    return FILES | {"crosswalks/validity.csv": HEADER + text}


def test_the_days_of_codes() -> None:
    text = "HCPCS,j2505,,2022-01-01,yes,a release\nNDC,57894-030-01,2020-01-01,,no,FDA\n"
    assert built(table(text)).validity == {
        ("HCPCS", "J2505"): Validity(None, date(2022, 1, 1), "a release"),
        ("NDC", "57894003001"): Validity(date(2020, 1, 1), None, "FDA, not verified"),
    }
    assert built(FILES).validity == {}


def test_days_are_half_open() -> None:
    days = Validity(date(2020, 1, 1), date(2022, 1, 1), "s")
    held = [days.holds(date.fromisoformat(day)) for day in ("2019-12-31", "2020-01-01", "2021-12-31", "2022-01-01")]
    assert held == [False, True, True, False]
    assert days.words == "from 2020-01-01 to the day before 2022-01-01 (s)"


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("HCPS,J2505,,2022-01-01,no,s\n", "system"),
        ("HCPCS,J2505,2022-01-01,2022-01-01,no,s\n", "valid_to"),
        ("HCPCS,J2505,1/1/2022,,no,s\n", "valid_from"),
        ("HCPCS,J2505,,2022-02-30,no,s\n", "valid_to"),
        ("HCPCS,J2505,,2022-01-01,no,\n", "source"),
        ("HCPCS,J2505,,2022-01-01,no,s\nHCPCS,J2505,,2023-01-01,no,s\n", "code"),
    ],
)
def test_what_is_wrong_is_told_by_line_and_column(text: str, column: str) -> None:
    problem = wrong(table(text))[0]
    assert (problem.file, problem.line, problem.column) == ("crosswalks/validity.csv", text.count("\n") + 1, column)
