"""What the router may look at for one order.

Every signal says how it is known. *Known*: the order or the payer's own file states it. *Derived*: it follows from
something else (a route from a dose form). *Missing*: nobody said. A derived signal may be a set of possibilities.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from benefit_router.codes import Code

Status = Literal["known", "derived", "missing"]


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal with one true value, of which `values` are the possibilities; empty means nothing is known."""

    values: frozenset[str]
    status: Status

    @classmethod
    def known(cls, value: str) -> Signal:
        """Stated outright."""
        return cls(frozenset((value,)), "known")

    @classmethod
    def derived(cls, values: Iterable[str]) -> Signal:
        """Inferred; `values` are all it can be. No possibility at all means missing."""
        possible = frozenset(values)
        return cls(possible, "derived") if possible else MISSING

    def __str__(self) -> str:
        return " or ".join(sorted(self.values)) or "missing"


MISSING = Signal(frozenset(), "missing")

# Names of the single-valued signals, as the routing table's columns use them.
SINGLE = (
    "lob", "state", "plan_id", "group_id", "bin", "pcn", "route", "dose_form", "site_pos", "enc_class",
    "supply_channel", "performer_type", "network", "sex", "phase",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class OrderSignals:
    """One order, as the router sees it.

    `codes` are all codings the order states (its own and its billing options). `diagnoses` are the indications it
    states, None when it states none; `reasons` the code systems in which each of them is given, none for one that
    cannot be read (empty: they are one). `flags` holds what the payer's file knows about the member (`esrd`: True); a
    flag that is not in it is unknown. `on` is the day benefits are judged at.
    """

    codes: frozenset[Code]
    on: date
    single: Mapping[str, Signal] = field(default_factory=dict)
    diagnoses: frozenset[Code] | None = None
    reasons: frozenset[frozenset[str]] = frozenset()
    flags: Mapping[str, bool] = field(default_factory=dict)
    age: int | None = None

    def signal(self, name: str) -> Signal:
        """The single-valued signal of that name; `MISSING` when nobody gave one."""
        return self.single.get(name, MISSING)
