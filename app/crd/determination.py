"""The answer for one order under one coverage, and everything that led to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from app.rulebook.answer import Answer
from benefit_router import RouteDecision


@dataclass(frozen=True, slots=True)
class CaseTried:
    """One case of a policy that was tried: held, did not hold, or unknown for lack of something."""

    policy: str
    case: str
    held: bool | None
    lacking: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Determination:
    """Each of `answers` becomes one coverage-information repetition. `expires` is the last day it is honoured."""

    order_key: str
    answers: tuple[Answer, ...]
    on: date
    expires: date
    route: RouteDecision | None = None
    policy: str | None = None
    case: str | None = None
    tried: tuple[CaseTried, ...] = ()
    handoff: str | None = None

    @property
    def rule_ids(self) -> tuple[str, ...]:
        """Names of the routing row and policy case that decided, as the ledger keeps them."""
        named = []
        if self.route is not None and self.route.rule_id is not None:
            named.append(f"route:{self.route.rule_id}")
        if self.policy is not None:
            named.append(f"policy:{self.policy}" + (f"#{self.case}" if self.case else ""))
        return tuple(named)
