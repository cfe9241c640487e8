"""What one evaluation carries with it. Compiled expressions hold no state, so threads share them freely."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from app.fhirpath.errors import LimitError

_CLOCK_EVERY = 2_000
_CHARACTERS_A_STEP = 64


class Limits(msgspec.Struct, frozen=True):
    """Bounds of one evaluation: work in items visited, items in a collection, characters in a string, seconds."""

    steps: int = 1_000_000
    items: int = 100_000
    text: int = 1_000_000
    seconds: float = 2.0


DEFAULT_LIMITS = Limits()
Resolve = Callable[[str], "dict[str, Any] | None"]
MemberOf = Callable[[Any, str], "bool | None"]


class Scope:
    """The evaluation's inputs and its meter."""

    __slots__ = (
        "_checkpoint", "_deadline", "_steps", "context", "defined", "index", "lifted", "limits", "member_of", "now",
        "recorder", "resolve", "resource", "root", "total", "unanswered", "variables",
    )  # fmt: skip

    def __init__(
        self,
        variables: Mapping[str, Any],
        now: dt.datetime | None,
        resolve: Resolve | None,
        member_of: MemberOf | None,
        limits: Limits,
    ) -> None:
        self.context: list[Any] = []
        self.resource: list[Any] = []
        self.root: list[Any] = []
        self.variables = variables
        self.now = now
        self.resolve = resolve
        self.member_of = member_of
        self.limits = limits
        self.defined: dict[str, list[Any]] = {}
        self.lifted: dict[str, list[Any]] = {}
        self.index: list[Any] = [0]
        self.total: list[Any] = []
        self.recorder: Any = None
        self.unanswered = False  # whether a callback's "I do not know" is a gap (judging) or nothing (evaluating)
        self._steps = 0
        self._checkpoint = 0
        self._deadline = 0.0

    @classmethod
    def unlimited(cls) -> Scope:
        """For work on the expression itself, whose length is bounded."""
        return cls({}, None, None, None, DEFAULT_LIMITS)

    def spend(self, steps: int) -> None:
        """Charge work; LimitError when the evaluation has had its share of steps or time."""
        self._steps = total = self._steps + steps
        if total >= self._checkpoint:
            if total > self.limits.steps:
                raise LimitError(f"more than {self.limits.steps} steps")
            moment = time.monotonic()
            if not self._deadline:
                self._deadline = moment + self.limits.seconds
            elif moment > self._deadline:
                raise LimitError(f"more than {self.limits.seconds} seconds")
            self._checkpoint = min(total + _CLOCK_EVERY, self.limits.steps)

    def hold(self, count: int) -> None:
        """Charge a collection of `count` items; LimitError when it is too large."""
        if count > self.limits.items:
            raise LimitError(f"more than {self.limits.items} items in a collection")
        self.spend(count)

    def write(self, characters: int) -> None:
        """Charge a string that is about to be made; LimitError when it is too long."""
        if characters > self.limits.text:
            raise LimitError(f"a string of more than {self.limits.text} characters")
        self.spend(characters // _CHARACTERS_A_STEP)


# A compiled expression: the scope and $this in, a collection out.
Body = Callable[[Scope, list[Any]], list[Any]]
