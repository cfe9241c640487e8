"""What to write instead of a word nobody knows."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[object]) -> str:
    """A remedy: the known word that looks most like it, or all of them when none does."""
    options = sorted(str(option) for option in known)
    if not options:
        return "None is defined."
    near = difflib.get_close_matches(word, options, n=1)
    return f"Did you mean '{near[0]}'?" if near else f"Use one of: {', '.join(options)}."
