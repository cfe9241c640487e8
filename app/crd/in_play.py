"""The rules in play for one order: the policies that may govern it and the cards that may go with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from app.crd.facts import OrderFacts
from app.rulebook.guidance import Guidance
from app.rulebook.policies import Policy
from app.rulebook.rulebook import Rulebook
from app.rulebook.scope import Need, Scope
from benefit_router import Code, OrderSignals, RouteDecision
from benefit_router import decide as decide_route


@dataclass(frozen=True, slots=True)
class InPlay:
    """One order with its benefit and its rules.

    `policies` has one element for each thing the order may mean, None standing for "no policy"; one element means it is
    certain which. `route` is None for an order that is no drug.
    """

    facts: OrderFacts
    route: RouteDecision | None
    policies: tuple[Policy | None, ...]
    guidance: tuple[Guidance, ...]

    @property
    def track(self) -> str | None:
        """The benefit of a drug."""
        return self.route.track if self.route is not None else None

    @property
    def needs(self) -> Iterator[Need]:
        """What these rules want read from the record."""
        for policy in self.policies:
            yield from policy.needs if policy is not None else ()
        for guidance in self.guidance:
            yield from guidance.needs

    def looks_at(self, name: str) -> bool:
        """Whether one of these rules has a condition on `%name`."""
        conditions = [case.condition for policy in self.policies if policy is not None for case in policy.cases]
        conditions += [guidance.condition for guidance in self.guidance]
        return any(name in condition.variables for condition in conditions if condition is not None)


def rules_in_play(facts: OrderFacts, hook: str, rulebook: Rulebook) -> InPlay:
    """Route the order if it is a drug, and find the rules about it.

    No rule is in play for someone who is no member, and not even a benefit for an order that asks for nothing.
    """
    if facts.content.void is not None:
        return InPlay(facts, None, (), ())
    route = decide_route(rulebook.table, facts.signals) if facts.is_drug else None
    if facts.match.outcome != "found":
        return InPlay(facts, route, (), ())
    meant = list(facts.products)
    policies: list[Policy | None] = []
    track = route.track if route is not None else None
    if route is None or route.track == "medical":
        policies = _policies(facts, meant, track, rulebook)
        if route is None and policies == [None] and facts.options:
            # Nothing speaks of what is ordered; its billing options may each fall under a policy of their own.
            policies = _policies(facts, [frozenset((code,)) for code in sorted(facts.options)], track, rulebook)
    spoken = meant if route is not None else [facts.codes | facts.options]
    return InPlay(facts, route, tuple(policies), tuple(_guidance(facts, spoken, track, hook, rulebook)))


def applies(scope: Scope, order: OrderSignals, track: str | None) -> bool | None:
    """Whether a rule is about this member, day and benefit; None when the member's line or plan is not known."""
    if not scope.in_force(order.on) or (scope.track is not None and scope.track != track):
        return False
    known: bool | None = True
    for wanted, signal in ((scope.lines, order.signal("lob")), (scope.plans, order.signal("plan_id"))):
        if wanted and not signal.values:
            known = None
        elif wanted and signal.values.isdisjoint(wanted):
            return False
    return known


def _policies(
    facts: OrderFacts, meant: Iterable[Iterable[Code]], track: str | None, rulebook: Rulebook
) -> list[Policy | None]:
    return list(dict.fromkeys(policy for codes in meant for policy in governing(facts.signals, codes, track, rulebook)))


def governing(order: OrderSignals, codes: Iterable[Code], track: str | None, rulebook: Rulebook) -> list[Policy | None]:
    """The most specific policy that is sure to apply, after those that would apply to some line or plan."""
    about = [(policy, applies(policy.scope, order, track)) for policy in rulebook.policies_about(codes)]
    sure = [policy for policy, verdict in about if verdict]
    best = max(sure, key=lambda policy: (policy.scope.specificity, policy.scope.slug)) if sure else None
    return [*(policy for policy, verdict in about if verdict is None), best]


def _guidance(
    facts: OrderFacts, meant: list[frozenset[Code]], track: str | None, hook: str, rulebook: Rulebook
) -> Iterator[Guidance]:
    """Cards about the order whichever product it means, for its member, day, benefit and hook."""
    for guidance in rulebook.guidance_about(frozenset().union(*meant)):
        about_all = all(any(code in guidance.scope.codes for code in codes) for codes in meant)
        if (
            about_all
            and applies(guidance.scope, facts.signals, track)
            and (not guidance.hooks or hook in guidance.hooks)
        ):
            yield guidance
