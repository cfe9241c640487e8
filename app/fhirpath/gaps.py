"""Facts that are missing: how the caller says so, and how a judgement says what it hinged on."""

from __future__ import annotations

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


def gap_in(value: Any) -> str | None:
    """The reason of the first gap that stands anywhere inside plain data; None where there is none."""
    kind = type(value)
    if kind is dict or kind is list:
        for entry in value.values() if kind is dict else value:
            # Most of plain data is text, and a call for each would cost more than all else here.
            if type(entry) is not str and (found := gap_in(entry)) is not None:
                return found
    elif kind is Unobtainable or kind is Incomplete:
        reason: str = value.reason
        return reason
    return None
