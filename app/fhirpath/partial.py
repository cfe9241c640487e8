"""Collections of which something is known to be missing, for judgement only."""

from __future__ import annotations

from typing import Any

from app.fhirpath.element import Items
from app.fhirpath.gaps import Missing


class Partial(list[Any]):
    """A collection that remembers.

    `open` says that further items may exist which could not be obtained: the items in the list are certain, the end
    is not. A collection that is not open is complete; its `because` then says why it is empty.
    """

    __slots__ = ("because", "open")

    def __init__(self, items: Items, because: tuple[Missing, ...], *, open: bool) -> None:
        super().__init__(items)
        self.because = because
        self.open = open


def is_open(items: Items) -> bool:
    """Whether items may be missing."""
    return type(items) is Partial and items.open


def because(*collections: Items) -> tuple[Missing, ...]:
    """What the collections miss, each once, in order."""
    found: dict[Missing, None] = {}
    for items in collections:
        if type(items) is Partial:
            found.update(dict.fromkeys(items.because))
    return tuple(found)


def open_because(*collections: Items) -> tuple[Missing, ...]:
    """As `because`, of the open ones only."""
    return because(*(items for items in collections if is_open(items)))


def unknown(*missing: Missing) -> Partial:
    """A collection of which nothing is known."""
    return Partial([], missing, open=True)


def absent(path: str, reason: str) -> Partial:
    """An empty collection: looked for, not there."""
    return Partial([], (Missing(path, reason, "absent"),), open=False)
