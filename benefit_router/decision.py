"""Which benefit pays for one order, and why.

The table is walked from the strongest row down. A row *matches* when every condition is sure to hold, is *refuted* when
one is sure not to, and is *open* when missing data decide. The first match is the answer only if no stronger open row
says otherwise: then what is missing could change the answer, and the track is `undetermined` with what is needed to
decide. Hence taking a signal away can only move an answer towards `undetermined`, never from one track to another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from benefit_router.catalog import Candidates
from benefit_router.rule import Authorization, Confidence, Outcome, Rule, Track, Verdict
from benefit_router.signals import OrderSignals, Signal
from benefit_router.table import Candidate, RoutingTable

# What CRD's info-needed codes call the signals a clinician or scheduler can still supply; others are OTH with words.
INFO_NEEDED = {
    "code": "detail-code",
    "site_pos": "location",
    "supply_channel": "performer",
    "performer_type": "performer",
    "network": "performer",
}

_WORDS = {
    "code": "the exact product",
    "lob": "the member's line of business",
    "state": "the member's state",
    "plan_id": "the member's plan",
    "group_id": "the member's group",
    "bin": "the member's pharmacy card",
    "pcn": "the member's pharmacy card",
    "route": "the route of administration",
    "dose_form": "the dose form",
    "site_pos": "where it will be given",
    "enc_class": "the kind of encounter",
    "supply_channel": "who supplies the drug",
    "performer_type": "who will give it",
    "network": "whether the performer is in network",
    "dx": "the diagnosis it is ordered for",
    "condition_flag": "the member's benefit record",
    "age": "the patient's age",
    "sex": "the patient's sex",
    "phase": "whether this is the first treatment or maintenance",
}


@dataclass(frozen=True, slots=True)
class Considered:
    """A row that was looked at and did not decide: `open` (what it lacks), `refuted` (by what), or `outranked`."""

    rule_id: str
    verdict: str
    columns: tuple[str, ...]
    track: Track


@dataclass(frozen=True, slots=True)
class RouteDecision:
    """The answer for one order. `outcome` is the deciding row's; None when no row decided."""

    track: Track
    confidence: Confidence
    outcome: Outcome | None
    pa: Authorization | None
    rule_id: str | None
    considered: tuple[Considered, ...]
    missing_signals: tuple[str, ...]
    derived_signals: tuple[str, ...]
    info_needed: tuple[str, ...]
    reason: str
    products: tuple[str, ...]


def words_for(signals: Iterable[str]) -> str:
    """The signals as a clinician would name them."""
    named = list(dict.fromkeys(_WORDS.get(signal, signal) for signal in signals))
    return named[0] if len(named) == 1 else ", ".join(named[:-1]) + " and " + named[-1]


def info_needed_for(signals: Iterable[str]) -> tuple[str, ...]:
    """CRD info-needed codes for missing signals, each once, in the order given."""
    return tuple(dict.fromkeys(INFO_NEEDED.get(signal, "OTH") for signal in signals))


def decide(table: RoutingTable, order: OrderSignals) -> RouteDecision:
    """Route one order. Total: every order gets an answer; pure: the same input gives the same answer."""
    stated_route = order.signal("route")
    route = next(iter(stated_route.values)) if stated_route.status == "known" else None
    candidates = table.catalog.candidates(order.codes, route)
    singles = _with_derived(order, candidates)
    known = candidates.known or table.speaks_of(order.codes)

    winner: Rule | None = None
    equals: list[Rule] = []
    openers: list[tuple[Rule, tuple[str, ...]]] = []
    considered: list[Considered] = []
    for candidate in table.candidates(order.codes, candidates, known=known):
        rule = candidate.rule
        if not rule.in_force(order.on):
            continue
        verdict, columns = _test(candidate, order, singles)
        if verdict == Verdict.NO:
            considered.append(Considered(rule.rule_id, "refuted", columns, rule.outcome.track))
        elif verdict == Verdict.YES:
            if winner is None:
                winner = rule
            else:
                if rule.rank[:4] == winner.rank[:4]:
                    equals.append(rule)
                considered.append(Considered(rule.rule_id, "outranked", (), rule.outcome.track))
        else:
            considered.append(Considered(rule.rule_id, "open", columns, rule.outcome.track))
            # A row of the winner's own rank could still contradict it, so it counts like a stronger one.
            if winner is None or rule.rank[:4] == winner.rank[:4]:
                openers.append((rule, columns))

    # Of an unknown code it cannot be said that rows for certain drugs do not mean it.
    contested = winner is not None and not known and table.contested(winner)
    decision = _conclude(winner, equals, openers, singles, known=known, contested=contested)
    return replace(decision, considered=tuple(considered), products=tuple(sorted(p.name for p in candidates.products)))


def derived_signals(table: RoutingTable, order: OrderSignals) -> Mapping[str, Signal]:
    """The single-valued signals of an order as its rows see them: with what follows from the products it may mean."""
    stated = order.signal("route")
    route = next(iter(stated.values)) if stated.status == "known" else None
    return _with_derived(order, table.catalog.candidates(order.codes, route))


def _with_derived(order: OrderSignals, candidates: Candidates) -> Mapping[str, Signal]:
    """Add what follows from the candidate products. A stated route or form no candidate has leaves both possible.

    Otherwise leaving the statement out would put the product's own in its place, and one track in place of another.
    """
    singles = dict(order.single)
    if candidates.known:
        for name, possible in (("route", candidates.routes), ("dose_form", candidates.dose_forms)):
            stated = order.signal(name).values
            if not stated:
                singles[name] = Signal.derived(possible)
            elif possible and stated.isdisjoint(possible):
                singles[name] = Signal.derived(stated | possible)
    return singles


def _test(candidate: Candidate, order: OrderSignals, singles: Mapping[str, Signal]) -> tuple[int, tuple[str, ...]]:
    """The row's verdict and the columns behind it: the first that refutes, or all that are open."""
    lacking: list[str] = [] if candidate.certain else ["code"]
    for condition in candidate.rule.conditions:
        verdict = condition.test(order, singles)
        if verdict == Verdict.NO:
            return Verdict.NO, (condition.signal,)
        if verdict == Verdict.OPEN:
            lacking.append(condition.signal)
    return (Verdict.OPEN, tuple(dict.fromkeys(lacking))) if lacking else (Verdict.YES, ())


def _conclude(
    winner: Rule | None,
    equals: list[Rule],
    openers: list[tuple[Rule, tuple[str, ...]]],
    singles: Mapping[str, Signal],
    *,
    known: bool,
    contested: bool,
) -> RouteDecision:
    if winner is None:
        if not known:
            return _undetermined(None, ("code",), "This drug code is not known to the payer's tables.")
        if openers:
            lacking = _columns(openers)
            return _undetermined(None, lacking, f"The benefit depends on {words_for(lacking)}.")
        return _undetermined(None, (), "No routing rule speaks about this drug for this member.")

    outcome = winner.outcome
    dissent = [(rule, columns) for rule, columns in openers if rule.outcome.track != outcome.track]
    if dissent:
        lacking = _columns(dissent)
        return _undetermined(winner, lacking, f"The benefit depends on {words_for(lacking)}.")
    rival = next((rule for rule in equals if rule.outcome.track != outcome.track), None)
    if rival is not None:
        return _undetermined(winner, (), f"Rules {winner.rule_id} and {rival.rule_id} disagree at equal rank.")
    if outcome.track == "undetermined":
        needed = outcome.info_needed or ("OTH",)
        return replace(
            _undetermined(winner, (), outcome.explanation or winner.title), outcome=outcome, info_needed=needed
        )
    if contested:
        return _undetermined(winner, ("code",), f"The benefit depends on {words_for(('code',))}.")

    # Rows that agree on the benefit may still ask for an authorization this one does not: then that stays open.
    stricter = [(rule, columns) for rule, columns in openers if rule.outcome.pa != outcome.pa]
    stricter += [(rule, ("code",)) for rule in equals if rule.outcome.pa != outcome.pa]
    lacking = _columns(stricter)
    derived = tuple(
        condition.signal
        for condition in winner.conditions
        if condition.signal in singles and singles[condition.signal].status == "derived"
    )
    rivalled = any(rule.outcome != outcome for rule in equals)
    presumptive = bool(openers or derived or rivalled) or outcome.confidence == "presumptive"
    return RouteDecision(
        track=outcome.track,
        confidence="presumptive" if presumptive else "determined",
        outcome=outcome,
        pa="conditional" if stricter else outcome.pa,
        rule_id=winner.rule_id,
        considered=(),
        missing_signals=lacking,
        derived_signals=derived,
        info_needed=info_needed_for(lacking) if stricter else outcome.info_needed,
        reason=outcome.explanation or winner.title,
        products=(),
    )


def _columns(rows: list[tuple[Rule, tuple[str, ...]]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(column for _, columns in rows for column in columns))


def _undetermined(winner: Rule | None, lacking: tuple[str, ...], reason: str) -> RouteDecision:
    return RouteDecision(
        track="undetermined",
        confidence="determined",
        outcome=None,
        pa="conditional",
        rule_id=winner.rule_id if winner else None,
        considered=(),
        missing_signals=lacking,
        derived_signals=(),
        info_needed=info_needed_for(lacking) or ("OTH",),
        reason=reason,
        products=(),
    )
