"""Dates and times: FHIRPath's examples of equality, order and arithmetic."""

from __future__ import annotations

import datetime as dt

import pytest

from app import fhirpath
from app.fhirpath import Date, DateTime, Time

YES, NO, OPEN = [True], [False], []

COMPARISONS = [
    ("@2012 = @2012", YES),
    ("@2012 = @2013", NO),
    ("@2012-01 = @2012", OPEN),
    ("@2012-01-01T10:30 = @2012-01-01T10:31", NO),
    ("@2012-01-01T10:30:31 = @2012-01-01T10:30", OPEN),
    ("@2012-01-01T10:30:31.0 = @2012-01-01T10:30:31", YES),
    ("@2012-01-01T10:30:31.1 = @2012-01-01T10:30:31", NO),
    ("@2012-01 ~ @2012", NO),
    ("@2012-01-01T10:30:31.0 ~ @2012-01-01T10:30:31", YES),
    ("@2017-11-05T01:30:00.0-04:00 > @2017-11-05T01:15:00.0-05:00", NO),
    ("@2017-11-05T01:30:00.0-04:00 = @2017-11-05T00:30:00.0-05:00", YES),
    ("@2018-03 < @2018-03-01", OPEN),
    ("@2018-02 < @2018-03-01", YES),
    ("@2018-12-21T12:01 < @2018-12-22", YES),
    ("@T10:30 < @T10:31:00", YES),
    ("@T10:30 > @T10:30:00", OPEN),
    # with a time zone on one side only, a day apart is decided and an hour is not
    ("@2026-01-01T10:00:00Z = @2026-01-01T11:00:00", OPEN),
    ("@2026-01-01T10:00:00Z < @2026-01-03T10:00:00", YES),
    ("@2026-01-01T10:00:00Z = @2026-01-03", NO),
    ("@2026-01-01T10:00:00Z < @2026-01-01", OPEN),
    ("@2026-01-01 = @T10:00", NO),
    ("@9999-12-31T23:59:59-12:00 > @2026-01-01", YES),
    ("@0001-01-01T00:00:00+14:00 < @2026-01-01", YES),
]


@pytest.mark.parametrize(("text", "result"), COMPARISONS)
def test_comparison(text: str, result: list[bool]) -> None:
    assert fhirpath.compile(text).evaluate({}) == result


ARITHMETIC = [
    ("@1973-12-25 + 7 days", "1974-01-01"),
    ("@1973-12-25 + 7.9 days", "1974-01-01"),
    ("@2019-03-01 + 24 months", "2021-03-01"),
    ("@2026-01-31 + 1 month", "2026-02-28"),
    ("@2024-02-29 - 1 year", "2023-02-28"),
    ("@2026-01-01T13:00:00 + 30 minutes", "2026-01-01T13:30:00"),
    ("@1973-12-25T00:00:00.000+10:00 + 42.53 seconds", "1973-12-25T00:00:42.530+10:00"),
    ("@2026-03-01T00:30:00Z - 1 hour", "2026-02-28T23:30:00Z"),
    ("@2026-12-31T23:59:59Z + 1 second", "2027-01-01T00:00:00Z"),
    ("@2026-01-01T00:00:00.000Z - 1 millisecond", "2025-12-31T23:59:59.999Z"),
    ("@T23:30:00 + 1 hour", "00:30:00"),
    ("@T01:00:00 + 48 hour", "01:00:00"),
    ("@T00:30:00 - 1 hour", "23:30:00"),
    ("@T10 + 90 minutes", "11"),
    ("@2014 + 24 months", "2016"),
    ("@2014 + 23 months", "2015"),
    ("@2016 + 365 days", "2017"),
    ("@2014 - 24 months", "2012"),
    ("@2014 - 1 month", "2014"),
    ("@2026-02 + 5 weeks", "2026-03"),
    ("@2026-02 - 1 day", "2026-02"),
    ("@2026-02-01 + 36 hours", "2026-02-02"),
    ("@2026-02-01T10 + 90 minutes", "2026-02-01T11"),
]


@pytest.mark.parametrize(("text", "result"), ARITHMETIC)
def test_arithmetic(text: str, result: str) -> None:
    assert [str(value) for value in fhirpath.compile(text).evaluate({})] == [result]


@pytest.mark.parametrize(
    "text", ["@9999-12-31 + 1 day", "@9999 + 1 year", "@0001-01-01 - 1 month", "@9999-12-31T23:59:59Z + 1 hour"]
)
def test_beyond_the_calendar_there_is_nothing(text: str) -> None:
    assert fhirpath.compile(text).evaluate({}) == []


@pytest.mark.parametrize(
    "text",
    ["@2026-01-01 + 1 'a'", "@2026-01-01 + 1 'mo'", "@2026-01-01 + 1 'mg'", "@2026-01-01 + 1", "@T10:00 + 1 day"],
)
def test_units_that_do_not_move_a_date(text: str) -> None:
    with pytest.raises(fhirpath.FhirPathError):
        fhirpath.compile(text).evaluate({})


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Date, "2026-02-29"), (Date, "2026-2-1"), (Date, "26-01-01"), (Date, "0000-01-01"), (Date, "2026-01-01T10:00"),
        (DateTime, "2026-01-01T24:00"),
        (DateTime, "2026-01T10:00"), (DateTime, "2026-01-01T10:00:60"), (DateTime, "soon"),
        (Time, "24:00"), (Time, "10:60"), (Time, "1:00"), (Time, "10:00Z"),
    ],
)  # fmt: skip
def test_what_does_not_exist_is_not_parsed(kind: type[Date] | type[DateTime] | type[Time], text: str) -> None:
    assert kind.parse(text) is None


def test_literal_and_fhir_form() -> None:
    values = fhirpath.compile("@2026-11 | @2026T | @2026-11-22T10:00Z | @T10:00").evaluate({})
    assert [str(value) for value in values] == ["2026-11", "2026", "2026-11-22T10:00Z", "10:00"]
    assert [repr(value) for value in values] == ["@2026-11", "@2026T", "@2026-11-22T10:00Z", "@T10:00"]


def test_python_dates_are_taken_as_they_are() -> None:
    facts = {"day": dt.date(2026, 11, 22), "moment": dt.datetime(2026, 11, 22, 10, 0, tzinfo=dt.UTC)}
    result = fhirpath.compile("%facts.day | %facts.moment").evaluate(None, variables={"facts": facts})
    assert result == [Date.parse("2026-11-22"), DateTime.parse("2026-11-22T10:00:00.000Z")]
    assert len({*result, Date.parse("2026-11-22")}) == 2
