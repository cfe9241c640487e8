"""The decision for one order: pure. Facts, the route, the record and the rulebook in; a Determination out.

No clock, no network, no store: the same arguments give the same answer, on which replay, what-if and scenarios rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from app import fhirpath
from app.crd import benefit
from app.crd.chart import Chart, Resource
from app.crd.determination import CaseTried, Determination
from app.crd.facts import OrderFacts
from app.crd.gather import Record
from app.crd.merge import merge_by_code
from app.fhir import references
from app.rulebook.answer import Answer, Reason
from app.rulebook.conditions import RECORD, Condition, Finding
from app.rulebook.policies import Policy
from app.rulebook.rulebook import Rulebook
from app.rulebook.scope import Scope
from benefit_router import Code, RouteDecision
from benefit_router import decide as decide_route


def route(facts: OrderFacts, rulebook: Rulebook) -> RouteDecision | None:
    """The benefit of a drug order; None for an order that is no drug."""
    return decide_route(rulebook.table, facts.signals) if facts.is_drug else None


def policies_in_play(facts: OrderFacts, decision: RouteDecision | None, rulebook: Rulebook) -> list[Policy | None]:
    """The policies that may govern the order, one for each thing it may mean; None stands for "no policy".

    One element means it is certain which. Codes the order states go before its billing options.
    """
    if decision is not None and decision.track != "medical":
        return []
    track = decision.track if decision is not None else None
    if decision is not None:
        meant = meanings(facts, rulebook)
    else:
        meant = [facts.codes]
        if _governing(facts, facts.codes, track, rulebook) == [None] and facts.options:
            meant = [frozenset((code,)) for code in sorted(facts.options)]
    return list(dict.fromkeys(p for codes in meant for p in _governing(facts, codes, track, rulebook)))


def meanings(facts: OrderFacts, rulebook: Rulebook) -> list[frozenset[Code]]:
    """All codes of each product a drug order may mean."""
    stated = facts.signals.signal("route")
    route = next(iter(stated.values)) if stated.status == "known" else None
    candidates = rulebook.table.catalog.candidates(facts.signals.codes, route)
    uncatalogued = frozenset(code for code in facts.signals.codes if code not in rulebook.table.catalog)
    return [product.identities | uncatalogued for product in candidates.products]


def applies(scope: Scope, facts: OrderFacts, track: str | None) -> bool | None:
    """Whether a rule is about this member, day and benefit; None when the member's line or plan is not known."""
    if not scope.in_force(facts.on) or (scope.track is not None and scope.track != track):
        return False
    known: bool | None = True
    for wanted, actual, signal in (
        (scope.lines, facts.line, facts.signals.signal("lob")),
        (scope.plans, facts.plan, facts.signals.signal("plan_id")),
    ):
        if wanted and not signal.values:
            known = None
        elif wanted and actual not in wanted:
            return False
    return known


def _governing(facts: OrderFacts, codes: Iterable[Code], track: str | None, rulebook: Rulebook) -> list[Policy | None]:
    """The most specific policy that is sure to apply, after those that would apply to some line or plan."""
    about = [(policy, applies(policy.scope, facts, track)) for policy in rulebook.policies_about(codes)]
    sure = [policy for policy, verdict in about if verdict]
    best = max(sure, key=lambda policy: (policy.scope.specificity, policy.scope.slug)) if sure else None
    return [*(policy for policy, verdict in about if verdict is None), best]


def decide(
    facts: OrderFacts,
    decision: RouteDecision | None,
    *,
    rulebook: Rulebook,
    record: Record,
    chart: Chart,
    today: date,
) -> Determination:
    """The Determination for one order. Never raises for what the order says; what cannot be told is said to be so."""
    fixed = _without_member(facts)
    if fixed is not None:
        return _determination(facts, (fixed,), rulebook, today)
    trouble = _trouble_with_what_is_ordered(facts, chart)
    if trouble is not None:
        return technical(facts.order.key, trouble, today)
    if decision is None or decision.track == "medical":
        return _by_policy(facts, decision, rulebook, record, chart, today)
    pharmacy = benefit.handoff_for(facts, decision, rulebook)
    if decision.track == "pharmacy":
        answer = replace(benefit.on_pharmacy(decision, pharmacy), billing_codes=benefit.pharmacy_codes(facts, decision))
    elif decision.track == "medical-bundled":
        answer = replace(benefit.bundled(decision), billing_codes=benefit.medical_codes(facts, decision))
    elif decision.track == "none":
        answer = benefit.no_benefit(decision)
    else:
        answer = _undetermined(facts, decision)
    answers = (benefit.marked(answer, decision), *_administration(decision))
    determination = _determination(facts, answers, rulebook, today, decision)
    return replace(determination, handoff=pharmacy.slug if pharmacy else None)


def _undetermined(facts: OrderFacts, decision: RouteDecision) -> Answer:
    answer = benefit.undetermined(decision)
    if facts.content.unresolved is not None and not facts.codes:
        answer = replace(
            answer, reasons=(Reason(f"{facts.content.unresolved[0].upper()}{facts.content.unresolved[1:]}."),)
        )
    return answer


def _administration(decision: RouteDecision) -> Iterator[Answer]:
    line = benefit.administration(decision)
    if line is not None:
        yield line


def _without_member(facts: OrderFacts) -> Answer | None:
    """The fixed answers when there is no member to decide for (davinci-crd resp-44, resp-45)."""
    code = {"not-found": "no-member-found", "ended": "no-active-coverage", "unclear": "coverage-not-found"}.get(
        facts.match.outcome
    )
    return Answer("not-covered", reasons=(Reason(facts.match.words, code),)) if code is not None else None


def _trouble_with_what_is_ordered(facts: OrderFacts, chart: Chart) -> str | None:
    """What kept the drug or device itself from being read, when the order only points to it."""
    if facts.content.unresolved is None:
        return None
    order = facts.order.resource
    for name in ("medicationReference", "codeReference"):
        key = references.local_key(order.get(name))
        if key is not None and key in chart.trouble:
            return f"What is ordered could not be read: {chart.trouble[key]}"
    return None


def _by_policy(
    facts: OrderFacts,
    decision: RouteDecision | None,
    rulebook: Rulebook,
    record: Record,
    chart: Chart,
    today: date,
) -> Determination:
    """Ask each policy that may govern the order, and say what holds whichever of them does."""
    possible: list[tuple[Answer, ...]] = []
    tried: list[CaseTried] = []
    in_play = policies_in_play(facts, decision, rulebook)
    names: list[str] = []
    cases: list[str] = []
    for policy in in_play:
        if policy is None:
            possible.append((_no_policy(facts, decision),))
            continue
        answers, case, steps = _ask(policy, facts, record, chart, rulebook, today)
        possible.append(answers)
        tried += steps
        names.append(policy.scope.slug)
        cases.append(case or "")
    answers = possible[0]
    if len(possible) > 1:
        why, info = _why_open(facts, decision, in_play)
        answers = merge_by_code(possible, why, info)
    answers = tuple(_with_billing(answer, facts, decision) for answer in answers)
    if decision is not None:
        answers = tuple(benefit.marked(answer, decision) for answer in answers) + tuple(_administration(decision))
    one = len(names) == 1 and len(possible) == 1
    determination = _determination(facts, answers, rulebook, today, decision, in_play)
    return replace(
        determination,
        policy=names[0] if names else None,
        case=cases[0] or None if one else None,
        tried=tuple(tried),
    )


def _why_open(
    facts: OrderFacts, decision: RouteDecision | None, in_play: list[Policy | None]
) -> tuple[str, tuple[str, ...]]:
    track = decision.track if decision is not None else None
    if any(policy is not None and applies(policy.scope, facts, track) is None for policy in in_play):
        return "The answer depends on the member's line of business or plan, which is not known.", ("OTH",)
    return f"The answer depends on the exact code billed for {facts.content.words}.", ("detail-code",)


def _no_policy(facts: OrderFacts, decision: RouteDecision | None) -> Answer:
    if decision is not None:
        return benefit.by_row(facts, decision)
    if facts.content.unresolved is not None and not facts.codes:
        words = f"{facts.content.unresolved[0].upper()}{facts.content.unresolved[1:]}."
        return Answer("conditional", "conditional", info_needed=("detail-code",), reasons=(Reason(words),))
    return benefit.unruled(f"The rules of this plan do not speak about {facts.content.words}.")


def _with_billing(answer: Answer, facts: OrderFacts, decision: RouteDecision | None) -> Answer:
    """Billing codes limit what an answer promises, so they are part of it (resp-30)."""
    if answer.billing_codes:
        return answer
    if decision is not None:
        return replace(answer, billing_codes=benefit.medical_codes(facts, decision))
    stated = tuple(sorted(code for code in facts.codes if code[0] in ("HCPCS", "CPT")))
    options = tuple(sorted(code for code in facts.options if code[0] in ("HCPCS", "CPT")))
    return replace(answer, billing_codes=stated or options)


def _ask(
    policy: Policy, facts: OrderFacts, record: Record, chart: Chart, rulebook: Rulebook, today: date
) -> tuple[tuple[Answer, ...], str | None, list[CaseTried]]:
    """The first case that holds answers. Cases that are unknown stay possible beside it."""
    tried: list[CaseTried] = []
    unknown: list[tuple[Answer, ...]] = []
    lacking: list[str] = []
    for case in policy.cases:
        finding = (
            Finding(True) if case.condition is None else judge(case.condition, facts, record, chart, rulebook, today)
        )
        tried.append(CaseTried(policy.scope.slug, case.name, finding.value, finding.lacking))
        if finding.value is None:
            unknown.append(case.answers)
            lacking += finding.lacking
        elif finding.value:
            if not unknown:
                return case.answers, case.name, tried
            why = "; ".join(dict.fromkeys(lacking)) or "what the policy asks could not be established"
            return merge_by_code([*unknown, case.answers], f"{why[0].upper()}{why[1:]}."), None, tried
    raise AssertionError("a policy's last case always holds; the rulebook checks that at load")


def judge(
    condition: Condition, facts: OrderFacts, record: Record, chart: Chart, rulebook: Rulebook, today: date
) -> Finding:
    """Evaluate a condition on the facts and the record; what could not be read is unobtainable, never empty."""
    variables: dict[str, Any] = {
        "order": facts.order.resource,
        "facts": facts.view,
        "coverage": facts.coverage,
        "patient": _or_unobtainable(facts.patient, "the patient's record could not be read"),
        "encounter": _or_unobtainable(facts.encounter, "the encounter could not be read"),
    }
    for kind in RECORD:
        kept = record.get(kind)
        if kept is None:
            variables[kind] = fhirpath.Unobtainable(f"the patient's {kind} were not read")
        elif kept.problem is not None:
            reason = kept.problem.removesuffix(".")
            variables[kind] = (
                fhirpath.Incomplete(list(kept.resources), reason) if kept.resources else fhirpath.Unobtainable(reason)
            )
        else:
            variables[kind] = list(kept.resources)
    return condition.judge(
        variables,
        now=datetime.combine(today, time(), tzinfo=UTC),
        member_of=rulebook.member_of,
        resolve=lambda reference: chart.resolve(reference, facts.order.resource),
    )


def _or_unobtainable(resource: Resource | None, reason: str) -> Any:
    return fhirpath.Unobtainable(reason) if resource is None else resource


def _determination(
    facts: OrderFacts,
    answers: tuple[Answer, ...],
    rulebook: Rulebook,
    today: date,
    decision: RouteDecision | None = None,
    in_play: Iterable[Policy | None] = (),
) -> Determination:
    """Put together with its expiry: the shortest validity, cut where a rule behind it ends."""
    days = min((answer.valid_days for answer in answers if answer.valid_days), default=rulebook.payer.valid_days)
    ends = [today + timedelta(days=days)]
    ends += [p.scope.effective_to - timedelta(days=1) for p in in_play if p is not None and p.scope.effective_to]
    row = rulebook.table.rule(decision.rule_id) if decision is not None and decision.rule_id else None
    if row is not None and row.effective_to is not None:
        ends.append(row.effective_to - timedelta(days=1))
    return Determination(facts.order.key, answers, facts.on, min(ends), decision)


def technical(order_key: str, words: str, today: date) -> Determination:
    """Trouble of ours or the EHR's: indeterminate, with the reason (resp-43). Never valid beyond today."""
    answer = Answer("indeterminate", "indeterminate", reasons=(Reason(words, "technical"),))
    return Determination(order_key, (answer,), today, today)
