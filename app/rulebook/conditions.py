"""The `when` of rules: FHIRPath that answers true, false or *unknown*, and says what it lacked.

The seam between rules and the FHIRPath engine: nothing else in the rulebook knows the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app import fhirpath

# What a condition may look at. `forms` came back for the order; the record's kinds are read from the EHR, and only when
# a rule in play `needs` them.
RECORD = ("conditions", "medications", "observations", "procedures", "allergies")
VARIABLES = frozenset({"order", "facts", "patient", "coverage", "encounter", "forms", *RECORD})

MemberOf = Callable[[Any, str], bool | None]
Resolve = Callable[[str], dict[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a condition came to. `value` None is unknown, and `lacking` says in words what was missing."""

    value: bool | None
    lacking: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition."""

    text: str
    expression: fhirpath.Expression

    @property
    def variables(self) -> frozenset[str]:
        """Names it looks at, without the `%`."""
        return frozenset(self.expression.variables)

    @property
    def lists(self) -> tuple[str, ...]:
        """Names of the code lists it asks about, without `list:`."""
        return tuple(name.removeprefix("list:") for name in self.expression.value_sets)

    @property
    def asked(self) -> tuple[fhirpath.Asked, ...]:
        """The codes it asks about, each with the path that is asked: `%facts.codes.code` for those the order states."""
        return self.expression.asked

    @property
    def criteria(self) -> tuple[str, ...]:
        """What must all be so, each in one line."""
        return tuple(" ".join(text.split()) for text in self.expression.operands("and"))

    def judge(self, variables: Mapping[str, Any], *, now: datetime, member_of: MemberOf, resolve: Resolve) -> Finding:
        """Evaluate. A value in `variables` may be `fhirpath.Unobtainable`; an evaluation error is unknown too."""
        try:
            judgement = self.expression.judge(
                variables.get("order"), variables=variables, now=now, member_of=member_of, resolve=resolve
            )
        except fhirpath.FhirPathError as error:
            return Finding(None, (f"the condition could not be evaluated ({error})",))
        lacking = tuple(dict.fromkeys(_words(missing) for missing in judgement.because))
        return Finding(judgement.value, lacking)

    def trace(
        self, variables: Mapping[str, Any], *, now: datetime, member_of: MemberOf, resolve: Resolve
    ) -> fhirpath.Trace:
        """Every step of the evaluation that `judge` makes, for explaining it."""
        return self.expression.trace(
            variables.get("order"),
            variables=variables,
            now=now,
            member_of=member_of,
            resolve=resolve,
            judging=True,
        )


def compile_condition(text: str) -> Condition:
    """Compile; raises `fhirpath.FhirPathSyntaxError` with the place of the mistake."""
    return Condition(text, fhirpath.compile(text, variables=VARIABLES))


def _words(missing: fhirpath.Missing) -> str:
    """What was missing, as a clinician would name it."""
    if missing.kind == "unobtainable":
        return missing.reason
    variable, _, element = missing.path.removeprefix("%").partition(".")
    holder = _HOLDERS.get(variable)
    if holder is None or not element.isidentifier():
        name = element.removeprefix("flags.")
        return f"the member's file does not say '{name}'" if variable == "facts" else f"{missing.path} is not recorded"
    return f"{holder} has no {element}"


_HOLDERS = {
    "order": "the order",
    "patient": "the patient's record",
    "encounter": "the encounter",
    "coverage": "the coverage",
}
