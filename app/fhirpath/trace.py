"""Explain mode: what every sub-expression came to, in the order of evaluation."""

from __future__ import annotations

from typing import Any

import msgspec

from app.fhirpath.element import Items, output
from app.fhirpath.errors import LimitError
from app.fhirpath.gaps import Judgement, Missing
from app.fhirpath.partial import Partial

_MAX_STEPS = 20_000


class Step(msgspec.Struct, kw_only=True):
    """One evaluation of one sub-expression. A criterion evaluated for three items gives three steps.

    `start` and `end` are offsets of `text` in the expression; `value` is the plain result; `open` says that items
    may be missing from it; `because` what was missing; `failed` that it ended in an error.
    """

    text: str
    start: int
    end: int
    value: list[Any] = []
    open: bool = False
    because: tuple[Missing, ...] = ()
    failed: bool = False
    steps: list[Step] = []

    def lines(self, indent: int = 0) -> list[str]:
        """The step and those below, for people."""
        shown = "failed" if self.failed else ", ".join(_shown(value) for value in self.value) or "{}"
        if self.open:
            shown = f"unknown ({'; '.join(m.reason for m in self.because)})" if not self.value else f"{shown}, …?"
        text = " ".join(self.text.split())
        return [f"{'  ' * indent}{text}  →  {shown}", *(line for step in self.steps for line in step.lines(indent + 1))]


class Trace(msgspec.Struct, kw_only=True):
    """The whole evaluation: the result, or the error that ended it, and the steps that led there.

    `judgement` is set when the trace was taken judging and did not fail.
    """

    expression: str
    value: list[Any]
    judgement: Judgement | None
    error: str | None
    steps: list[Step]

    def __str__(self) -> str:
        lines = [line for step in self.steps for line in step.lines()]
        if self.error is not None:
            lines.append(f"error: {self.error}")
        elif self.judgement is not None:
            reasons = "; ".join(f"{missing.path}: {missing.reason}" for missing in self.judgement.because)
            value = {True: "true", False: "false", None: "unknown"}[self.judgement.value]
            lines.append(f"judged {value}" + (f" because {reasons}" if reasons else ""))
        return "\n".join(lines)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        name = value.get("resourceType")
        return f"<{name}>" if name else "{" + ", ".join(value) + "}"
    if isinstance(value, str):
        return f"'{value}'" if len(value) <= 80 else f"'{value[:77]}…'"
    return str(value).lower() if isinstance(value, bool) else str(value)


class Recorder:
    """Builds the steps while the traced closures run."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.root = Step(text=text, start=0, end=len(text), steps=[])
        self._stack = [self.root]
        self._count = 0

    def enter(self, start: int, end: int) -> None:
        """A sub-expression begins."""
        self._count += 1
        if self._count > _MAX_STEPS:
            raise LimitError(f"more than {_MAX_STEPS} steps in a trace")
        step = Step(text=self.text[start:end], start=start, end=end, steps=[])
        self._stack[-1].steps.append(step)
        self._stack.append(step)

    def leave(self, items: Items | None) -> None:
        """It ended with `items`, or with an error."""
        step = self._stack.pop()
        if items is None:
            step.failed = True
            return
        step.value = [output(item) for item in items]
        if isinstance(items, Partial):
            step.open, step.because = items.open, items.because
