"""Facts that are missing: how the caller says so, and how a judgement says what it hinged on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec


class Unobtainable(msgspec.Struct, frozen=True):
    """Stands where a value should be that nobody could get: "coverage: the EHR did not answer"."""

    reason: str


class Incomplete(msgspec.Struct, frozen=True):
    """A collection that may lack items, such as the first page of a search."""

    items: list[Any]
    reason: str


class Missing(msgspec.Struct, frozen=True):
    """One thing an undecided judgement hinged on.

    `path` is FHIRPath, as written in the expression; "absent" was looked for and is not there, "unobtainable"
    could not be looked at.
    """

    path: str
    reason: str
    kind: Literal["absent", "unobtainable"]


class Judgement(msgspec.Struct, frozen=True):
    """`value` True, False, or None for unknown; `because` is empty unless it is None."""

    value: bool | None
    because: tuple[Missing, ...] = ()


def gaps_in(value: Any) -> Iterator[str]:
    """The reasons of the gaps that stand anywhere inside plain data."""
    kind = type(value)
    if kind is dict or kind is list:
        for entry in value.values() if kind is dict else value:
            # Most of plain data is text, and a generator for each would cost more than all else here.
            if type(entry) is not str:
                yield from gaps_in(entry)
    elif kind is Unobtainable or kind is Incomplete:
        yield value.reason
