"""Remembering what a text means, for texts that come from outside: however long they are, memory stays bounded."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

T = TypeVar("T")

LONGEST = 256
"""Texts of a call longer than this, in characters and taken together, are worked out anew each time.

Codes, ids, dates and the references of a record are far shorter; a client that sends megabytes in their place must not
have them kept.
"""


def remembered(entries: int) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """As `functools.lru_cache`, for a function of texts."""

    def decorate(function: Callable[..., T]) -> Callable[..., T]:
        kept = lru_cache(maxsize=entries)(function)

        @wraps(function)
        def ask(*texts: str) -> T:
            return kept(*texts) if sum(map(len, texts)) <= LONGEST else function(*texts)

        return ask

    return decorate
