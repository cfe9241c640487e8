from __future__ import annotations

from datetime import date

import pytest

from app.fhir.dates import age_on, first_day, is_valid, last_day, period_contains

DAY = date(2026, 2, 15)


@pytest.mark.parametrize(
    ("text", "first", "last", "valid"),
    [
        ("2026", date(2026, 1, 1), date(2026, 12, 31), True),
        ("2026-02", date(2026, 2, 1), date(2026, 2, 28), True),
        ("2024-02", date(2024, 2, 1), date(2024, 2, 29), True),
        ("2026-02-15", DAY, DAY, True),
        ("2026-02-15T23:30:00-05:00", DAY, DAY, True),
        ("2026-02-15T00:10:00.123Z", DAY, DAY, True),
        ("2026-02-15T23:59:60Z", DAY, DAY, True),
        ("2026-02-15T23:30:00", DAY, DAY, False),
        ("2026-02-15T23:30Z", DAY, DAY, False),
        ("2026-02-15T24:00:00Z", None, None, False),
        ("2026-02-15T10:00:00+15:00", None, None, False),
        ("2026-02-15 10:00:00Z", None, None, False),
        ("2026-02T10:00:00Z", None, None, False),
        ("2026-02-29", None, None, False),
        ("2026-13", None, None, False),
        ("2026-2-5", None, None, False),
        ("0000", None, None, False),
        ("02/15/2026", None, None, False),
        ("٢٠٢٦", None, None, False),
        ("2026-02-15\n", None, None, False),
        ("", None, None, False),
        (None, None, None, False),
        (2026, None, None, False),
    ],
)
def test_days(text, first, last, valid):
    assert (first_day(text), last_day(text), is_valid(text)) == (first, last, valid)


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ({"start": "2026-01-01", "end": "2026-12-31"}, True),
        ({"start": "2026-02-15", "end": "2026-02-15"}, True),
        ({"start": "2026-02-15T18:00:00Z"}, True),
        ({"end": "2026-02-14"}, False),
        ({"start": "2026-02-16"}, False),
        ({"end": "2026-02"}, True),
        ({"end": "2026"}, True),
        ({"start": "2026-02"}, True),
        ({"start": "2026-03"}, False),
        ({"start": "soon"}, None),
        ({"start": "2026-01-01", "end": "later"}, None),
        ({"start": "soon", "end": "2026-02-14"}, False),
        ({"start": "2026-12-31", "end": "2026-01-01"}, None),
        ({"start": 20260101}, None),
        ({}, None),
        (None, None),
        ("2026", None),
    ],
)
def test_period_contains(period, expected):
    assert period_contains(period, DAY) is expected


@pytest.mark.parametrize(
    ("birth_date", "day", "age"),
    [
        ("2008-02-15", DAY, 18),
        ("2008-02-16", DAY, 17),
        ("2008", DAY, None),
        ("2008", date(2026, 12, 31), 18),
        ("2008-02", DAY, None),
        ("2008-01", DAY, 18),
        ("2008-03", DAY, 17),
        ("2008-02-29", date(2026, 2, 28), 17),
        ("2008-02-29", date(2026, 3, 1), 18),
        ("2026-02-15", DAY, 0),
        ("2026-02-16", DAY, None),
        ("2026", DAY, None),
        ("unknown", DAY, None),
        (None, DAY, None),
    ],
)
def test_age(birth_date, day, age):
    assert age_on(birth_date, day) == age
