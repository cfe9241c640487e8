"""How a function is declared: by the signature people read in the documentation."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeVar

Flow = Literal["strict", "each", "whole"]
_SIGNATURE = re.compile(r"(\w+)\((.*)\)")
_PARAMETER = re.compile(r"(\w+)(\?)?: (\w+)(\*)?")
Implementation = TypeVar("Implementation", bound=Callable[..., Any])


class Parameter(NamedTuple):
    """`kind` "expression" is handed over unevaluated, "type" is a type name, any other is evaluated first."""

    name: str
    optional: bool
    kind: str
    repeats: bool


class Function(NamedTuple):
    """`flow` says what a judgement does with data that is missing from the input:

    strict: the result is unknown; each: the items that are there are dealt with, the result stays open; whole: the
    function has a three-valued form of its own (see threevalued.py).
    """

    name: str
    signature: str
    parameters: tuple[Parameter, ...]
    run: Callable[..., Any]
    group: str
    section: str
    flow: Flow

    @property
    def minimum(self) -> int:
        """The least number of arguments."""
        return sum(not parameter.optional for parameter in self.parameters)

    @property
    def maximum(self) -> int:
        """The greatest number of arguments."""
        repeats = bool(self.parameters) and self.parameters[-1].repeats
        return 50 if repeats else len(self.parameters)

    def parameter(self, position: int) -> Parameter:
        """The parameter an argument at this position fills."""
        return self.parameters[min(position, len(self.parameters) - 1)]

    @property
    def summary(self) -> str:
        """The first paragraph of the docstring, as one line."""
        return " ".join((self.run.__doc__ or "").split("\n\n")[0].split())


FUNCTIONS: dict[str, Function] = {}


def function(signature: str, section: str, flow: Flow = "strict") -> Callable[[Implementation], Implementation]:
    """Register `run(scope, items, *arguments) -> items`; `section` is a heading of the specification."""
    found = _SIGNATURE.fullmatch(signature)
    if found is None:
        raise ValueError(signature)
    parameters = tuple(
        Parameter(name, bool(optional), kind, bool(repeats))
        for name, optional, kind, repeats in _PARAMETER.findall(found.group(2))
    )

    def register(run: Implementation) -> Implementation:
        group = run.__module__.rpartition(".")[2]
        FUNCTIONS[found.group(1)] = Function(found.group(1), signature, parameters, run, group, section, flow)
        return run

    return register
