"""What can go wrong: at compile time a position and a caret, at evaluation time a sentence."""

from __future__ import annotations


class FhirPathError(Exception):
    """The expression cannot be evaluated on this input. The text names the expression, never the data."""


class FhirPathSyntaxError(FhirPathError):
    """The text is no valid FHIRPath, or uses an unknown name. Raised by `compile`, never later.

    `line` and `column` count from 1; `expected` says what could have stood there, where that is known.
    """

    def __init__(self, message: str, text: str, position: int, expected: str | None = None) -> None:
        self.message = message
        self.text = text
        self.position = min(position, len(text))
        self.expected = expected
        before = text[: self.position]
        self.line = before.count("\n") + 1
        self.column = self.position - (before.rfind("\n") + 1) + 1
        super().__init__(f"{message} at line {self.line}, column {self.column}")

    def caret(self) -> str:
        """The offending line with a caret under the position."""
        lines = self.text.split("\n")
        line = lines[self.line - 1].replace("\t", " ")
        return f"{line}\n{' ' * (self.column - 1)}^"

    def __str__(self) -> str:
        expected = f" (expected {self.expected})" if self.expected else ""
        return f"{self.message}{expected} at line {self.line}, column {self.column}\n{self.caret()}"


class LimitError(FhirPathError):
    """One of the `Limits` of the evaluation was reached."""


class GapError(FhirPathError):
    """The evaluation needs a fact that is `Unobtainable` or a collection that is `Incomplete`."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"needs data that could not be obtained: {reason}")
        self.reason = reason
