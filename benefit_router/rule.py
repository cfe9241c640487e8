"""One row of the routing table: its conditions, what it decides, and how it ranks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal, Protocol

from benefit_router.codes import Code, CodeList
from benefit_router.signals import OrderSignals, Signal

Track = Literal["medical", "pharmacy", "medical-bundled", "none", "undetermined"]
TRACKS: tuple[Track, ...] = ("medical", "pharmacy", "medical-bundled", "none", "undetermined")
Authorization = Literal["yes", "no", "conditional", "performer"]
Confidence = Literal["determined", "presumptive"]


class Verdict:
    """Three-valued result of a condition. Plain ints, since conditions are tested on the hot path."""

    NO = 0
    YES = 1
    OPEN = 2


class Condition(Protocol):
    """One constrained column of a row."""

    @property
    def signal(self) -> str:
        """The column it looks at."""

    def test(self, order: OrderSignals, singles: Mapping[str, Signal]) -> int:
        """`Verdict.YES`, `NO`, or `OPEN` when what is known leaves it open."""

    def wanted(self) -> str:
        """What it asks for, in the words of the table."""


@dataclass(frozen=True, slots=True)
class OneOf:
    """A single-valued signal must be one of `allowed`. `derived_ok` lets an inferred value satisfy it."""

    signal: str
    allowed: frozenset[str]
    derived_ok: bool = False

    def test(self, order: OrderSignals, singles: Mapping[str, Signal]) -> int:
        """Sure only when every possible value is allowed, refuted only when none is."""
        found = singles.get(self.signal)
        if found is None or not found.values:
            return Verdict.OPEN
        if found.values.isdisjoint(self.allowed):
            return Verdict.NO
        if not found.values <= self.allowed:
            return Verdict.OPEN
        return Verdict.YES if found.status == "known" or self.derived_ok else Verdict.OPEN

    def wanted(self) -> str:
        """The allowed values."""
        return " or ".join(sorted(self.allowed))


@dataclass(frozen=True, slots=True)
class Indication:
    """One of the diagnoses the order states must be in `codes`.

    An order that states none, or one of them only in code systems the list does not speak, leaves it open.
    """

    codes: CodeList
    signal: str = "dx"

    def test(self, order: OrderSignals, singles: Mapping[str, Signal]) -> int:
        """Whether a stated diagnosis is in the list."""
        if order.diagnoses is None:
            return Verdict.OPEN
        if any(code in self.codes for code in order.diagnoses):
            return Verdict.YES
        reasons = order.reasons or (frozenset([system for system, _ in order.diagnoses]),)
        comparable = not any(self.codes.systems.isdisjoint(systems) for systems in reasons)
        return Verdict.NO if comparable else Verdict.OPEN

    def wanted(self) -> str:
        """The list's name."""
        return self.codes.name


@dataclass(frozen=True, slots=True)
class Flag:
    """The payer's file must say that a flag of the member is `expected`."""

    name: str
    expected: bool
    signal: str = "condition_flag"

    def test(self, order: OrderSignals, singles: Mapping[str, Signal]) -> int:
        """Open when the file says nothing of this flag."""
        value = order.flags.get(self.name)
        if value is None:
            return Verdict.OPEN
        return Verdict.YES if value is self.expected else Verdict.NO

    def wanted(self) -> str:
        """The flag as the table writes it."""
        return self.name if self.expected else f"!{self.name}"


@dataclass(frozen=True, slots=True)
class AgeRange:
    """Age in whole years, both ends included; None leaves an end open."""

    minimum: int | None
    maximum: int | None
    signal: str = "age"

    def test(self, order: OrderSignals, singles: Mapping[str, Signal]) -> int:
        """Open when the age is not known."""
        if order.age is None:
            return Verdict.OPEN
        low_enough = self.maximum is None or order.age <= self.maximum
        high_enough = self.minimum is None or order.age >= self.minimum
        return Verdict.YES if low_enough and high_enough else Verdict.NO

    def wanted(self) -> str:
        """The range in words."""
        if self.minimum is None:
            return f"{self.maximum} or younger"
        if self.maximum is None:
            return f"{self.minimum} or older"
        return f"{self.minimum} to {self.maximum}"


@dataclass(frozen=True, slots=True)
class Stated:
    """A signal must be known, not merely derived, before the row may speak (`requires_signals`)."""

    signal: str

    def test(self, order: OrderSignals, singles: Mapping[str, Signal]) -> int:
        """Open unless stated."""
        if self.signal == "dx":
            return Verdict.YES if order.diagnoses else Verdict.OPEN
        if self.signal == "age":
            return Verdict.YES if order.age is not None else Verdict.OPEN
        found = singles.get(self.signal)
        return Verdict.YES if found is not None and found.status == "known" else Verdict.OPEN

    def wanted(self) -> str:
        """In words."""
        return "stated"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a row decides."""

    track: Track
    billing_codes: tuple[Code, ...] = ()
    modifiers: tuple[str, ...] = ()
    administration_codes: tuple[Code, ...] = ()
    pa: Authorization | None = None
    questionnaire: str | None = None
    doc_purpose: str | None = None
    clock_profile: str | None = None
    info_needed: tuple[str, ...] = ()
    handoff: str | None = None
    explanation: str = ""
    patient_text: str = ""
    confidence: Confidence = "determined"


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a row comes from and who stands behind it."""

    source_url: str = ""
    source_section: str = ""
    retrieved: date | None = None
    licence_note: str = ""
    author: str = ""
    approver: str = ""
    approved_at: date | None = None
    change_ticket: str = ""
    test_refs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """A row that went live. `codes` is what it matches: a list, `"*"` for any drug known here, None for any order."""

    rule_id: str
    title: str
    band: int
    priority: int
    effective_from: date
    effective_to: date | None
    codes: CodeList | Literal["*"] | None
    drug_class: frozenset[str]
    conditions: tuple[Condition, ...]
    outcome: Outcome
    provenance: Provenance
    specificity: int
    line: int

    @property
    def rank(self) -> tuple[int, int, int, int, str]:
        """Sort key, strongest first: band, specificity, priority, newest, then the id so that the order is total."""
        return (self.band, -self.specificity, -self.priority, -self.effective_from.toordinal(), self.rule_id)

    @property
    def for_any_order(self) -> bool:
        """Whether it speaks whatever was ordered, also of drugs no table here knows."""
        return self.codes is None and not self.drug_class

    def in_force(self, day: date) -> bool:
        """Half-open: from the first day up to, not including, `effective_to`."""
        return self.effective_from <= day and (self.effective_to is None or day < self.effective_to)
