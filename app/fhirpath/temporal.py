"""Date, DateTime and Time with partial precision (FHIRPath N1, "Date", "DateTime", "Time").

A value keeps the components it was written with, `2015-02` has two; comparison is undecided (None) where the
components the two values share do not settle it. `str()` is the FHIR form (`2015-02-04`), `repr()` the FHIRPath
literal (`@2015-02-04`).
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
from decimal import ROUND_DOWN, ROUND_FLOOR, Decimal, localcontext
from typing import Any, ClassVar, Self

from app.fhirpath.errors import FhirPathError
from app.fhirpath.numeric import CONTEXT

_ZONE = r"(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?"
_CLOCK = r"([0-9]{2})(?::([0-9]{2})(?::([0-9]{2}(?:\.[0-9]+)?))?)?"
_DATE = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?\Z")
_DATETIME = re.compile(rf"([0-9]{{4}})(?:-([0-9]{{2}})(?:-([0-9]{{2}}))?)?(?:T(?:{_CLOCK}{_ZONE})?)?\Z")
_TIME = re.compile(rf"{_CLOCK}\Z")

YEAR, MONTH, DAY, HOUR, MINUTE, SECOND = range(1, 7)
_LAST_OFFSET, _FIRST_OFFSET = 14 * 60, -12 * 60  # time zones in use: +14:00 comes first in the day, -12:00 last
_WITHIN_MINUTE = Decimal("59.999999")


class Temporal:
    """Common part: `parts` are the written components, seconds as Decimal; `offset` minutes east of UTC or None."""

    __slots__ = ("offset", "parts", "text")
    prefix: ClassVar[str] = "@"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """From the FHIR form; None when it is no such value."""
        raise NotImplementedError

    @classmethod
    def of(cls, parts: tuple[Any, ...], offset: int | None = None) -> Self:
        """From components."""
        raise NotImplementedError

    def __init__(self, text: str, parts: tuple[Any, ...], offset: int | None = None) -> None:
        self.text = text
        self.parts = parts
        self.offset = offset

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"{self.prefix}{self.text}"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, Temporal) and self.text == other.text

    def __hash__(self) -> int:
        return hash((type(self), self.text))

    def bounds(self, low_offset: int | None, high_offset: int | None) -> tuple[dt.datetime, dt.datetime]:
        """Earliest and latest instant this value can mean, in UTC, or in local time when the offset is None.

        Not for a Time, which belongs to no day.
        """
        return (
            _moment(filled(self.parts, last=False), low_offset),
            _moment(filled(self.parts, last=True), high_offset),
        )

    def mark(self) -> Any:
        """A hashable mark that equal values share."""
        return self.parts if self.offset is None else self.bounds(self.offset, self.offset)[0]

    def compare(self, other: Temporal) -> int | None:
        """-1, 0, 1, or None where precision or a missing time zone leaves it open."""
        mine, theirs = self.parts, other.parts
        if self.offset is None and other.offset is None:
            shared = min(len(mine), len(theirs))
            for a, b in zip(mine[:shared], theirs[:shared], strict=True):
                if a != b:
                    return -1 if a < b else 1
            return 0 if len(mine) == len(theirs) else None
        low, high = self.bounds(*_offsets(self, other))
        other_low, other_high = other.bounds(*_offsets(other, self))
        if high < other_low:
            return -1
        if other_high < low:
            return 1
        if len(mine) == len(theirs) and self.offset is not None and other.offset is not None:
            return (low > other_low) - (low < other_low)
        return None


def _offsets(value: Temporal, other: Temporal) -> tuple[int | None, int | None]:
    if value.offset is not None:
        return value.offset, value.offset
    return (_LAST_OFFSET, _FIRST_OFFSET) if other.offset is not None else (None, None)


def _moment(parts: tuple[Any, ...], offset: int | None) -> dt.datetime:
    seconds = parts[5] if len(parts) > 5 else Decimal(0)
    whole = int(seconds)
    micro = int(CONTEXT.subtract(seconds, Decimal(whole)).scaleb(6, CONTEXT))
    try:
        year, month, day, hour, minute = parts[:5]
        local = dt.datetime(year, month, day, hour, minute, whole, micro)  # noqa: DTZ001 - shifted to UTC just below
        return local - dt.timedelta(minutes=offset or 0)
    except OverflowError:
        return dt.datetime.min if parts[0] == 1 else dt.datetime.max  # noqa: DTZ901 - as naive as the rest


def filled(parts: tuple[Any, ...], *, last: bool, places: int | None = None) -> tuple[Any, ...]:
    """All six components, the missing ones at their first or last value, seconds cut to so many decimal places."""
    known = list(parts)
    if len(known) < MONTH:
        known.append(12 if last else 1)
    if len(known) < DAY:
        known.append(calendar.monthrange(known[0], known[1])[1] if last else 1)
    if len(known) < HOUR:
        known.append(23 if last else 0)
    if len(known) < MINUTE:
        known.append(59 if last else 0)
    if len(known) < SECOND:
        known.append(_WITHIN_MINUTE if last else Decimal(0))
    if places is not None:
        known[5] = known[5].quantize(Decimal(1).scaleb(-places), ROUND_DOWN, CONTEXT)
    return tuple(known)


class Date(Temporal):
    """A calendar date with year, month or day precision."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """From `YYYY[-MM[-DD]]`; None when it is no date that exists."""
        found = _DATE.match(text)
        if found is None:
            return None
        parts = tuple(int(part) for part in found.groups() if part is not None)
        return cls(text, parts) if _is_day(parts) else None

    @classmethod
    def of(cls, parts: tuple[Any, ...], offset: int | None = None) -> Self:
        """From components; a Date has no time zone, so `offset` is not used."""
        del offset
        return cls(_date_text(parts), parts[:3])


class DateTime(Temporal):
    """A point in time with precision from year to fractions of a second, with or without a time zone."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """From `YYYY[-MM[-DD]][T[hh[:mm[:ss[.fff]]]][Z|±hh:mm]]`; None when it is no moment that exists."""
        found = _DATETIME.match(text)
        if found is None:
            return None
        *groups, zone = found.groups()
        parts: tuple[Any, ...] = tuple(int(part) for part in groups[:5] if part is not None)
        if groups[5] is not None:
            parts += (_seconds(groups[5]),)
        offset = _zone_minutes(zone)
        if not _is_day(parts[:3]) or not _is_clock(parts[3:]) or (len(parts) > 3 and "T" not in text):
            return None
        if len(parts) > 3 and groups[2] is None:
            return None
        return cls(text.rstrip("T"), parts, offset)

    @classmethod
    def of(cls, parts: tuple[Any, ...], offset: int | None = None) -> Self:
        """From components."""
        text = _date_text(parts)
        if len(parts) > 3:
            text += "T" + _clock_text(parts[3:]) + _zone_text(offset)
        return cls(text, parts, offset)

    @classmethod
    def from_datetime(cls, moment: dt.datetime) -> Self:
        """Millisecond precision, as `now()` asks for."""
        offset = moment.utcoffset()
        minutes = None if offset is None else int(offset.total_seconds() // 60)
        second = Decimal(moment.second * 1000 + moment.microsecond // 1000).scaleb(-3, CONTEXT)
        day = (moment.year, moment.month, moment.day)
        return cls.of((*day, moment.hour, moment.minute, second), minutes)

    def __repr__(self) -> str:
        return f"@{self.text}" if len(self.parts) > 3 else f"@{self.text}T"


class Time(Temporal):
    """A time of day, hour to fractions of a second; never with a time zone."""

    __slots__ = ()
    prefix = "@T"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """From `hh[:mm[:ss[.fff]]]`; None when it is no time that exists."""
        found = _TIME.match(text)
        if found is None:
            return None
        hour, minute, second = found.groups()
        parts: tuple[Any, ...] = (int(hour),)
        if minute is not None:
            parts += (int(minute),)
        if second is not None:
            parts += (_seconds(second),)
        return cls(text, parts) if _is_clock(parts) else None

    @classmethod
    def of(cls, parts: tuple[Any, ...], offset: int | None = None) -> Self:
        """From components; a Time has no time zone, so `offset` is not used."""
        del offset
        return cls(_clock_text(parts), parts)


def add(value: Temporal, amount: Decimal, unit: str) -> Temporal | None:
    """`value` moved by `amount` of a calendar unit (singular keyword); None when the result does not exist.

    FHIRPath N1, "Date/Time Arithmetic": a fraction counts for seconds only; a value less precise than the unit is
    moved by whole units of its own precision; the last day of a month stays the last that exists.
    """
    with localcontext(CONTEXT):
        return _moved(value, amount, unit)


def _moved(value: Temporal, amount: Decimal, unit: str) -> Temporal | None:
    if unit == "millisecond":
        amount, unit = amount / 1000, "second"
    if unit == "week":
        amount, unit = amount * 7, "day"
    if unit != "second":
        amount = amount.to_integral_value(ROUND_DOWN)
    if isinstance(value, Time):
        return _add_to_time(value, amount, unit)
    parts = value.parts
    try:
        if unit in ("year", "month"):
            return _add_months(value, int(amount) * (12 if unit == "year" else 1))
        precision = min(len(parts), SECOND)
        if precision < DAY:
            # Days to a year or a month: by way of whole units of what the value has.
            days = int(amount * _DAYS[unit])
            return _add_months(value, int(days / 365) * 12 if precision == YEAR else int(days / 30))
        if precision == DAY:
            moved = dt.date(*parts[:3]) + dt.timedelta(days=int(amount * _DAYS[unit]))
            return type(value).of((moved.year, moved.month, moved.day), value.offset)
        whole = {HOUR: Decimal(3600), MINUTE: Decimal(60)}.get(precision)
        shift = amount * _SECONDS[unit]
        if whole:
            shift = (shift / whole).to_integral_value(ROUND_DOWN) * whole
        start = dt.datetime(*filled(parts, last=False)[:5])  # noqa: DTZ001 - the offset is put back below
        seconds = (parts[5] if precision == SECOND else Decimal(0)) + shift
        minutes = (seconds / 60).to_integral_value(ROUND_FLOOR)
        rest = seconds - minutes * 60
        moment = start + dt.timedelta(minutes=int(minutes))
        moved_parts = (moment.year, moment.month, moment.day, moment.hour, moment.minute, rest)[:precision]
        return DateTime.of(moved_parts, value.offset)
    except (OverflowError, ValueError):
        return None


_SECONDS = {"day": 86400, "hour": 3600, "minute": 60, "second": 1}
_DAYS = {unit: Decimal(seconds) / 86400 for unit, seconds in _SECONDS.items()}


def _add_months(value: Temporal, months: int) -> Temporal | None:
    parts = value.parts
    year, month = parts[0], parts[1] if len(parts) > 1 else 1
    total = year * 12 + (month - 1) + (months if len(parts) > 1 else int(months / 12) * 12)
    year, month = total // 12, total % 12 + 1
    if not 1 <= year <= 9999:
        return None
    moved: tuple[Any, ...] = (year, month)[: len(parts)]
    if len(parts) >= DAY:
        moved = (year, month, min(parts[2], calendar.monthrange(year, month)[1]), *parts[3:])
    return type(value).of(moved, value.offset)


def _add_to_time(value: Time, amount: Decimal, unit: str) -> Time:
    """Times wrap round midnight."""
    if unit not in ("hour", "minute", "second"):
        raise FhirPathError(f"a Time cannot be moved by {unit}s")
    scale = {1: 3600, 2: 60, 3: 1}[len(value.parts)]
    hour, minute, second = (*value.parts, 0, Decimal(0))[:3] if len(value.parts) < 3 else value.parts
    shift = amount * _SECONDS[unit]
    shift = shift if scale == 1 else (shift / scale).to_integral_value(ROUND_DOWN) * scale
    total = Decimal(hour * 3600 + minute * 60) + second + shift
    total -= (total / 86400).to_integral_value(ROUND_FLOOR) * 86400
    hours, rest = divmod(total, 3600)
    minutes, seconds = divmod(rest, 60)
    return Time.of((int(hours), int(minutes), seconds)[: len(value.parts)])


def _seconds(text: str) -> Decimal:
    """Nanoseconds are fine enough; digits beyond are kept in the text only."""
    return Decimal(text[:12])


def _is_day(parts: tuple[Any, ...]) -> bool:
    year, month, day = (*parts, 1, 1)[:3] if len(parts) < 3 else parts
    return bool(year >= 1 and 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1])


def _is_clock(parts: tuple[Any, ...]) -> bool:
    return all(part < limit for part, limit in zip(parts, (24, 60, 60), strict=False))


def _zone_minutes(zone: str | None) -> int | None:
    if zone is None:
        return None
    if zone == "Z":
        return 0
    minutes = int(zone[1:3]) * 60 + int(zone[4:6])
    return -minutes if zone[0] == "-" else minutes


def _zone_text(offset: int | None) -> str:
    if offset is None:
        return ""
    if offset == 0:
        return "Z"
    sign, minutes = ("-", -offset) if offset < 0 else ("+", offset)
    return f"{sign}{minutes // 60:02}:{minutes % 60:02}"


def _date_text(parts: tuple[Any, ...]) -> str:
    return "-".join(f"{part:0{width}}" for part, width in zip(parts[:3], (4, 2, 2), strict=False))


def _clock_text(parts: tuple[Any, ...]) -> str:
    text = ":".join(f"{part:02}" for part in parts[:2])
    if len(parts) > 2:
        whole, point, fraction = f"{parts[2]:f}".partition(".")
        text += f":{whole:0>2}{point}{fraction}"
    return text
