"""Why an answer came out as it did: the way through the routing table and the policies, for people and machines.

Pure, and made of plain parts that turn into JSON as they are: the console and the command line show the same thing.
Rules are named as past answers name them, and each knows its file and line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from app import fhirpath
from app.crd import cards
from app.crd.determine import Decided
from app.crd.evidence import Evidence
from app.crd.facts import SIGNALS, OrderFacts
from app.crd.in_play import InPlay, applies
from app.fhir.codings import short_name
from app.fhirpath.trace import Step
from app.hooks.configuration import Configuration
from app.rulebook.answer import Answer
from app.rulebook.places import Places
from app.rulebook.policies import Case, Policy
from app.rulebook.rulebook import Rulebook
from app.rulebook.scope import Scope
from benefit_router import Considered, OrderSignals, RouteDecision, Rule, Signal, derived_signals
from benefit_router.rule import AgeRange, Flag, Indication

Status = Literal["known", "derived", "missing"]
RowVerdict = Literal["decides", "outranked", "open", "refuted", "not in force"]
PolicyVerdict = Literal["decides", "may decide", "does not apply"]
CaseVerdict = Literal["holds", "does not hold", "unknown", "not reached"]


@dataclass(frozen=True, slots=True)
class FactSeen:
    """One fact a rule may look at. `value` is None when it is missing, and `words` then says what is not known."""

    name: str
    status: Status
    value: str | None
    words: str = ""


@dataclass(frozen=True, slots=True)
class RowSeen:
    """A routing row that names what is ordered, strongest first, and why it did or did not decide."""

    name: str
    title: str
    place: str
    band: int
    track: str
    verdict: RowVerdict
    why: str


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a condition, and what it came to; None is unknown."""

    text: str
    value: bool | None


@dataclass(frozen=True, slots=True)
class CaseSeen:
    """A case of a policy. `parts` are the parts of its `when` as far as they were looked at."""

    name: str
    place: str
    verdict: CaseVerdict
    parts: tuple[Part, ...] = ()
    lacking: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicySeen:
    """A policy that names what is ordered, and why it did or did not decide."""

    name: str
    title: str
    place: str
    verdict: PolicyVerdict
    why: str
    cases: tuple[CaseSeen, ...] = ()


@dataclass(frozen=True, slots=True)
class CardSeen:
    """A card about what is ordered, and why it is shown or not."""

    name: str
    place: str
    shown: bool
    why: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """One order under one Coverage. `rows` is empty and `track` None for an order that is no drug.

    `member` says in words who was found. `missing` are the signals that would decide between tracks.
    """

    order: str
    words: str
    on: str
    rulebook: str
    member: str
    facts: tuple[FactSeen, ...]
    track: str | None
    confidence: str | None
    reason: str
    missing: tuple[str, ...]
    products: tuple[str, ...]
    rows: tuple[RowSeen, ...]
    policies: tuple[PolicySeen, ...]
    cards: tuple[CardSeen, ...]
    answers: tuple[Answer, ...]
    decided_by: tuple[str, ...]
    handoff: str | None
    expires: str


def explain(decided: Decided, rulebook: Rulebook) -> Explanation:
    """The explanation of one decided order; one whose facts could not be made out has its answer and nothing more."""
    determination = decided.determination
    play, route = decided.play, determination.route
    places = Places(rulebook.files)
    return Explanation(
        order=decided.order.key,
        words=play.facts.content.words if play is not None else "",
        on=determination.on.isoformat(),
        rulebook=rulebook.label,
        member=_member(play.facts) if play is not None else "not looked up",
        facts=tuple(_facts(play.facts, rulebook)) if play is not None else (),
        track=route.track if route is not None else None,
        confidence=route.confidence if route is not None else None,
        reason=route.reason if route is not None else "",
        missing=route.missing_signals if route is not None else (),
        products=route.products if route is not None else (),
        rows=tuple(_rows(play.facts, play.route, rulebook, places)) if play is not None and play.route else (),
        policies=tuple(_policies(decided, rulebook, places)),
        cards=tuple(_cards(decided, rulebook, places)),
        answers=determination.answers,
        decided_by=determination.rule_ids,
        handoff=determination.handoff,
        expires=determination.expires.isoformat(),
    )


def _member(facts: OrderFacts) -> str:
    match = facts.match
    if match.outcome != "found" or match.member is None:
        return match.words or match.outcome
    line, plan = match.member.line or "not known", match.member.plan or "not known"
    return f"found by {match.member.source}: line {line}, plan {plan}"


def _facts(facts: OrderFacts, rulebook: Rulebook) -> Iterator[FactSeen]:
    singles = derived_signals(rulebook.table, facts.signals) if facts.is_drug else facts.signals.single
    for name, value in facts.view.items():
        signal = singles.get(SIGNALS.get(name, ""))
        if signal is not None and signal.status != "missing":
            yield FactSeen(name, signal.status, str(signal))
        elif isinstance(value, fhirpath.Unobtainable):
            yield FactSeen(name, "missing", None, value.reason)
        elif isinstance(value, fhirpath.Incomplete):
            yield FactSeen(name, "derived", plain(value.items), value.reason)
        else:
            yield FactSeen(name, "known", plain(value))


def plain(value: Any) -> str:
    """A fact in words."""
    if isinstance(value, list):
        return ", ".join(f"{short_name(each['system'])} {each['code']}" for each in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {str(flag).lower()}" for name, flag in value.items()) or "none"
    return str(value)


def _rows(facts: OrderFacts, route: RouteDecision, rulebook: Rulebook, places: Places) -> Iterator[RowSeen]:
    table, order = rulebook.table, facts.signals
    singles = derived_signals(table, order)
    stated = order.signal("route")
    way = next(iter(stated.values)) if stated.status == "known" else None
    meant = table.catalog.candidates(order.codes, way)
    seen = {each.rule_id: each for each in route.considered}
    known = meant.known or table.speaks_of(order.codes)
    for candidate in table.candidates(order.codes, meant, known=known):
        rule = candidate.rule
        verdict, why = _row_verdict(rule, seen.get(rule.rule_id), route, rulebook, order, singles)
        yield RowSeen(
            f"route:{rule.rule_id}", rule.title, places.row(rule), rule.band, rule.outcome.track, verdict, why
        )


def _row_verdict(
    rule: Rule,
    considered: Considered | None,
    route: RouteDecision,
    rulebook: Rulebook,
    order: OrderSignals,
    singles: Any,
) -> tuple[RowVerdict, str]:
    if considered is None:
        if not rule.in_force(order.on):
            return "not in force", _out_of_force(rule.effective_from, rule.effective_to, order)
        if route.track == "undetermined" and rule.outcome.track != "undetermined":
            return "decides", "all it asks for is so, but a row that may hold as well says otherwise"
        return "decides", "all it asks for is so" if rule.conditions else "it asks for nothing more than the drug"
    if considered.verdict == "outranked":
        winner = rulebook.table.rule(route.rule_id or "")
        return "outranked", _outranked(rule, winner)
    words = [words for column in considered.columns for words in _asks(rule, column, rulebook, order, singles)]
    return ("refuted" if considered.verdict == "refuted" else "open"), "; ".join(words)


def _out_of_force(start: Any, end: Any, order: OrderSignals) -> str:
    return f"it speaks from {start} on, the service is on {order.on}" if start > order.on else f"it ended before {end}"


def _outranked(rule: Rule, winner: Rule | None) -> str:
    if winner is None:
        return "a stronger row decides"
    for words, mine, other in (
        ("band", rule.band, winner.band),
        ("specificity", rule.specificity, winner.specificity),
        ("priority", rule.priority, winner.priority),
        ("first day", rule.effective_from, winner.effective_from),
    ):
        if mine != other:
            return f"it holds too; {winner.rule_id} ranks higher: {words} {other} before {mine}"
    return f"it holds too, of the same rank as {winner.rule_id}"


def _asks(rule: Rule, column: str, rulebook: Rulebook, order: OrderSignals, singles: Any) -> Iterator[str]:
    """What a row asks of a column, and what it found."""
    if column == "code":
        yield "it speaks of some of the products that may be meant, not of all"
    for condition in rule.conditions:
        if condition.signal == column:
            found, wanted = singles.get(column), condition.wanted()
            if isinstance(condition, Flag):
                flag = order.flags.get(condition.name)
                shown = "not known" if flag is None else str(flag).lower()
            elif isinstance(condition, Indication):
                shown = ", ".join(" ".join(code) for code in sorted(order.diagnoses or ())) or "not stated"
                if rulebook.lists.get(wanted) is condition.codes:
                    wanted = f"in list:{wanted}"
            elif isinstance(condition, AgeRange):
                shown = "not known" if order.age is None else str(order.age)
            else:
                shown = str(found) if isinstance(found, Signal) and found.values else "not known"
                if isinstance(found, Signal) and found.status == "derived" and len(found.values) == 1:
                    shown += ", which is inferred and not stated"
            yield f"{column} must be {wanted}, it is {shown}"


def _policies(decided: Decided, rulebook: Rulebook, places: Places) -> Iterator[PolicySeen]:
    play, evidence = decided.play, decided.evidence
    if play is None or evidence is None:
        return
    facts = play.facts
    every = rulebook.policies_about(facts.codes.union(facts.options, *facts.products))
    in_play = [policy for policy in play.policies if policy is not None]
    for policy in sorted(every, key=lambda each: (each not in in_play, each.scope.slug)):
        slug = policy.scope.slug
        verdict: PolicyVerdict = "does not apply"
        cases: tuple[CaseSeen, ...] = ()
        if policy in in_play:
            verdict = "decides" if len(play.policies) == 1 else "may decide"
            cases = tuple(_cases(policy, evidence, places))
            why = "it names what is ordered, for this member and day"
            if verdict == "may decide":
                why = "it would decide for one of the things the order or the member may be"
        else:
            why = _why_not(policy.scope, play) or _why_another(policy, play, in_play)
        yield PolicySeen(f"policy:{slug}", policy.scope.title, places.policy(slug), verdict, why, cases)


def _why_another(policy: Policy, play: InPlay, in_play: list[Policy]) -> str:
    """Why a policy about this member, day and benefit is not asked all the same."""
    if play.track not in (None, "medical"):
        return f"policies speak on the medical benefit, this is {play.track}"
    if in_play and applies(policy.scope, play.facts.signals, play.track):
        return f"{in_play[-1].scope.slug} is more specific"
    return "it does not name every product that may be meant"


def _why_not(scope: Scope, play: InPlay) -> str | None:
    """What keeps a rule from being about this member, day and benefit; None when nothing does."""
    facts = play.facts
    if facts.match.outcome != "found":
        return "there is no member to decide for"
    if facts.content.void is not None:
        return "the order asks for nothing"
    if not scope.in_force(facts.on):
        return _out_of_force(scope.effective_from, scope.effective_to, facts.signals)
    if scope.track is not None and scope.track != play.track:
        return f"it is for the {scope.track} benefit, this is {play.track or 'no drug'}"
    if scope.lines and facts.line not in scope.lines:
        return f"it is for {' or '.join(sorted(scope.lines))}, the member's line is {facts.line or 'not known'}"
    if scope.plans and facts.plan not in scope.plans:
        return f"it is for {' or '.join(sorted(scope.plans))}, the member's plan is {facts.plan or 'not known'}"
    return None


def _cases(policy: Policy, evidence: Evidence, places: Places) -> Iterator[CaseSeen]:
    answered = False
    for position, case in enumerate(policy.cases):
        place = places.case(policy.scope.slug, position)
        if answered:
            yield CaseSeen(case.name, place, "not reached")
            continue
        finding = evidence.judge(case.condition)
        verdict: CaseVerdict = "unknown"
        if finding.value is not None:
            verdict = "holds" if finding.value else "does not hold"
        yield CaseSeen(case.name, place, verdict, tuple(_parts(case, evidence)), finding.lacking)
        answered = finding.value is True


def _parts(case: Case, evidence: Evidence) -> Iterator[Part]:
    if case.condition is None:
        return
    for step in evidence.trace(case.condition).steps:
        yield from _conjuncts(step, case.condition.text)


def _conjuncts(step: Step, text: str) -> Iterator[Part]:
    """The operands of `and`, each by itself; one that was not looked at, because another is false, is left out."""
    below = step.steps
    rest = text[below[0].end : step.end].lstrip(")").lstrip() if below else ""
    if rest.startswith("and") and not rest[3:4].isalnum() and len(below) <= 2:
        for operand in below:
            yield from _conjuncts(operand, text)
        return
    known = len(step.value) == 1 and isinstance(step.value[0], bool) and not step.open and not step.failed
    yield Part(" ".join(step.text.split()), step.value[0] if known else None)


def _cards(decided: Decided, rulebook: Rulebook, places: Places) -> Iterator[CardSeen]:
    play, evidence = decided.play, decided.evidence
    if play is None or evidence is None:
        return
    facts = play.facts
    shown = {each.guidance.scope.slug for each in cards.shown([decided], Configuration())}
    for guidance in rulebook.guidance_about(facts.codes.union(facts.options, *facts.products)):
        slug = guidance.scope.slug
        if slug in shown:
            why = "it is about this order, and what it asks for is so"
        elif guidance in play.guidance:
            finding = evidence.judge(guidance.condition)
            why = "what it offers does not go with the answer"
            if finding.value is None:
                why = f"its condition is unknown: {'; '.join(finding.lacking)}"
            elif not finding.value:
                why = "its condition does not hold"
        else:
            why = (
                _why_not(guidance.scope, play) or "it is for other hooks, or not about every product that may be meant"
            )
        yield CardSeen(f"card:{slug}", places.card(slug), slug in shown, why)
