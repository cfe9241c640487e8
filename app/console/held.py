"""What the scenarios of a draft come to: each with what it would be answered otherwise than it must be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from app.crd.scenarios import run
from app.rulebook.rulebook import Rulebook
from app.rulebook.scenarios import Scenario, build_scenarios


@dataclass(frozen=True, slots=True)
class Held:
    """A scenario that was run. `differences` say in words where the answer is not the expected one; none: it holds."""

    scenario: Scenario
    differences: tuple[str, ...]


def held(book: Rulebook, files: Mapping[str, str], roster: Path) -> tuple[Held, ...]:
    """Run the scenarios of some texts; what is wrong with the texts is left to the checks."""
    return _held(book, tuple(sorted(files.items())), roster)


@lru_cache(maxsize=4)
def _held(book: Rulebook, files: tuple[tuple[str, str], ...], roster: Path) -> tuple[Held, ...]:
    scenarios, _ = build_scenarios(dict(files), book)
    return tuple(Held(scenario, run(scenario, book, roster).differences) for scenario in scenarios)
