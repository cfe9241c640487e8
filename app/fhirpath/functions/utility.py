"""Utility functions."""

from __future__ import annotations

from app.fhirpath.collection import text
from app.fhirpath.element import Items
from app.fhirpath.errors import FhirPathError
from app.fhirpath.functions.registry import function
from app.fhirpath.scope import Body, Scope
from app.fhirpath.temporal import Date, DateTime, Time

_SECTION = "FHIRPath N1, Utility Functions"


def _now(scope: Scope, name: str) -> DateTime:
    if scope.now is None:
        raise FhirPathError(f"{name}() needs the caller to pass `now`")
    return DateTime.from_datetime(scope.now)


@function("now()", _SECTION, flow="whole")
def now(scope: Scope, items: Items) -> Items:
    """The moment the caller passed; the same one throughout an evaluation."""
    return [_now(scope, "now")]


@function("today()", _SECTION, flow="whole")
def today(scope: Scope, items: Items) -> Items:
    """The date of now()."""
    return [Date.of(_now(scope, "today").parts[:3])]


@function("timeOfDay()", _SECTION, flow="whole")
def time_of_day(scope: Scope, items: Items) -> Items:
    """The time of now()."""
    return [Time.of(_now(scope, "timeOfDay").parts[3:])]


@function("trace(name: String, projection?: expression)", _SECTION, flow="whole")
def trace(scope: Scope, items: Items, name: Items, projection: Body | None = None) -> Items:
    """The input, unchanged; in explain mode the trace notes the name and the projection."""
    text(name, "the name of trace()")
    if projection is not None and scope.recorder is not None:
        for item in items:
            projection(scope, [item])
    return items


@function("defineVariable(name: literal, value?: expression)", "FHIRPath 3.0.0-ballot, defineVariable", flow="whole")
def define_variable(scope: Scope, items: Items, name: str, value: Body | None = None) -> Items:
    """The input, unchanged; what follows knows `%name`, the value or else the input."""
    scope.defined[name] = items if value is None else value(scope, items)
    return items
