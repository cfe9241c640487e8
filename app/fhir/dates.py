"""FHIR date, dateTime and instant as calendar days, honest about partial precision.

A day is the calendar day as written, in the offset it was written with: 23:30-05:00 is still that day.
"""

from __future__ import annotations

import calendar
import re
from datetime import date
from typing import Any, NamedTuple

from app.fhir.remembered import remembered

_DATE_TIME = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>0[1-9]|1[0-2])(?:-(?P<day>0[1-9]|[12]\d|3[01])"
    r"(?P<time>T(?:[01]\d|2[0-3]):[0-5]\d(?P<seconds>:(?:[0-5]\d|60)(?:\.\d+)?)?"
    r"(?P<zone>Z|[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00))?)?)?)?",
    re.ASCII,
)


class Span(NamedTuple):
    """The days a partial date may mean, both ends included."""

    first: date
    last: date


def parse(text: Any) -> Span | None:
    """The days `text` may mean: one for a full date or a time, a month or a year for less; None otherwise.

    A time without seconds or zone breaks FHIR's rules but leaves no doubt about the day, so it is understood;
    `is_valid` is strict.
    """
    return _parse(text) if isinstance(text, str) else None


@remembered(4096)
def _parse(text: str) -> Span | None:
    match = _DATE_TIME.fullmatch(text)
    if match is None or match["year"] == "0000":
        return None
    year, month = int(match["year"]), int(match["month"] or 0)
    if not month:
        return Span(date(year, 1, 1), date(year, 12, 31))
    length = calendar.monthrange(year, month)[1]
    if not match["day"]:
        return Span(date(year, month, 1), date(year, month, length))
    if int(match["day"]) > length:
        return None
    day = date(year, month, int(match["day"]))
    return Span(day, day)


def first_day(text: Any) -> date | None:
    """The earliest day `text` may mean: 2026-02 → 1 February."""
    span = parse(text)
    return span.first if span else None


def last_day(text: Any) -> date | None:
    """The latest day `text` may mean: 2026-02 → 28 February."""
    span = parse(text)
    return span.last if span else None


def is_valid(text: Any) -> bool:
    """Whether `text` is a FHIR R4 date, dateTime or instant: a time needs seconds and a zone."""
    if parse(text) is None:
        return False
    match = _DATE_TIME.fullmatch(text)
    return match is not None and (not match["time"] or bool(match["seconds"] and match["zone"]))


def period_contains(period: Any, day: date) -> bool | None:
    """Whether `day` lies in a FHIR Period; both ends belong to it, a missing end is open.

    None where that cannot be said: no Period, neither end given, a deciding end unreadable, ends crossed.
    """
    if not isinstance(period, dict):
        return None
    start, end = period.get("start"), period.get("end")
    if start is None and end is None:
        return None
    first, last = first_day(start), last_day(end)
    if first and last and first > last:
        return None
    if (first and day < first) or (last and day > last):
        return False
    unreadable = (start is not None and first is None) or (end is not None and last is None)
    return None if unreadable else True


def age_on(birth_date: Any, day: date) -> int | None:
    """Completed years on `day`; None where the birth date's precision leaves it open, or it lies ahead."""
    born = parse(birth_date)
    if born is None or born.last > day:
        return None
    oldest, youngest = _years(born.first, day), _years(born.last, day)
    return oldest if oldest == youngest else None


def _years(born: date, day: date) -> int:
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))
