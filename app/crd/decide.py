"""The decision for one order: pure. Facts, the route, the record and the rulebook in; a Determination out.

No clock, no network, no store: the same arguments give the same answer, on which replay, what-if and scenarios rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta

from app.crd import benefit
from app.crd.determination import CaseTried, Determination
from app.crd.evidence import Evidence
from app.crd.facts import OrderFacts
from app.crd.in_play import InPlay, applies
from app.crd.merge import merge_by_code
from app.rulebook.answer import Answer, Reason
from app.rulebook.policies import Policy
from app.rulebook.rulebook import Rulebook
from benefit_router import RouteDecision

_NO_MEMBER = {
    "not-found": "no-member-found",
    "mismatch": "no-member-found",
    "ended": "no-active-coverage",
    "unclear": "coverage-not-found",
}


def decide(play: InPlay, evidence: Evidence, *, rulebook: Rulebook, today: date) -> Determination:
    """The Determination for one order. Never raises for what the order says; what cannot be told is said to be so."""
    facts, route = play.facts, play.route
    fixed = _without_member(facts)
    if fixed is not None:
        # Only for today: enrolment is often put right the next day.
        return replace(_determination(play, (fixed,), rulebook, today), expires=today)
    if facts.trouble is not None:
        return technical(facts.order.key, facts.trouble, today)
    if facts.content.void is not None:
        return _determination(play, (_of_nothing(facts.content.void),), rulebook, today)
    if route is None or route.track == "medical":
        return _by_policy(play, evidence, rulebook, today)
    pharmacy = benefit.handoff_for(facts, route, rulebook)
    if route.track == "pharmacy":
        answer = replace(benefit.on_pharmacy(route, pharmacy), billing_codes=benefit.pharmacy_codes(facts, route))
    elif route.track == "medical-bundled":
        answer = replace(benefit.bundled(route), billing_codes=benefit.medical_codes(facts, route))
    elif route.track == "none":
        answer = benefit.no_benefit(route)
    else:
        answer = _undetermined(facts, route)
    answers = (benefit.marked(answer, route, rulebook.payer), *_administration(route))
    return replace(_determination(play, answers, rulebook, today), handoff=pharmacy.slug if pharmacy else None)


def _undetermined(facts: OrderFacts, route: RouteDecision) -> Answer:
    answer = benefit.undetermined(route)
    if facts.content.unresolved is not None and not facts.codes:
        answer = replace(answer, reasons=(Reason(sentence(facts.content.unresolved)),))
    return answer


def _administration(route: RouteDecision) -> Iterator[Answer]:
    line = benefit.administration(route)
    if line is not None:
        yield line


def _without_member(facts: OrderFacts) -> Answer | None:
    """The fixed answers when there is no member to decide for (davinci-crd resp-44, resp-45)."""
    code = _NO_MEMBER.get(facts.match.outcome)
    return Answer("not-covered", reasons=(Reason(facts.match.words, code),)) if code is not None else None


def _of_nothing(why: str) -> Answer:
    """An order that asks for nothing: no rule is about it, and what it names is neither granted nor denied by it."""
    return benefit.unruled(f"{why}, so there is nothing to answer yet. If it is to be done, sign an order for it.")


def _by_policy(play: InPlay, evidence: Evidence, rulebook: Rulebook, today: date) -> Determination:
    """Ask each policy that may govern the order, and say what holds whichever of them does."""
    facts, route = play.facts, play.route
    days = rulebook.payer.valid_days
    asked = [
        _ask(policy, evidence, days) if policy is not None else Asked((_no_policy(facts, route),))
        for policy in play.policies
    ]
    answers = asked[0].answers
    if len(asked) > 1:
        answers = merge_by_code([_dated(each.answers, days) for each in asked], *_why_open(play))
    answers = tuple(_granted(_with_billing(answer, facts, route), facts) for answer in answers)
    if route is not None:
        answers = (*(benefit.marked(answer, route, rulebook.payer) for answer in answers), *_administration(route))
    named = [policy.scope.slug for policy in play.policies if policy is not None]
    return replace(
        _determination(play, answers, rulebook, today),
        policy=named[0] if named else None,
        case=asked[0].case if len(asked) == 1 else None,
        tried=tuple(step for each in asked for step in each.tried),
    )


def _granted(answer: Answer, facts: OrderFacts) -> Answer:
    """The answer in view of an authorization on file, or of an orderer who needs none (gold card)."""
    if answer.covered not in ("covered", "conditional") or answer.pa_needed in (None, "no-auth", "satisfied"):
        return answer
    if facts.authorization is not None:
        reason = Reason(f"Authorization {facts.authorization} is on file.")
        return replace(_without_pa(answer, "satisfied", reason), satisfied_pa_id=facts.authorization)
    if facts.gold_card:
        return _without_pa(answer, "no-auth", Reason("The orderer needs no authorization for this.", "gold-card"))
    return answer


def _without_pa(answer: Answer, needed: str, reason: Reason) -> Answer:
    """The answer when no authorization is asked for any more: nor are the documents that were to go with it."""
    purposes = tuple(purpose for purpose in answer.doc_purpose if purpose != "withpa")
    documents = bool(purposes) or not answer.doc_purpose
    docs = tuple(code for code in answer.doc_needed if documents and code != "conditional")
    return replace(
        answer,
        pa_needed=needed,
        doc_needed=docs,
        doc_purpose=purposes if docs else (),
        questionnaires=answer.questionnaires if docs else (),
        info_needed=answer.info_needed if answer.covered == "conditional" else (),
        reasons=(reason, *answer.reasons) if answer.covered == "conditional" else (reason,),
    )


def _why_open(play: InPlay) -> tuple[str, tuple[str, ...]]:
    if any(
        policy is not None and applies(policy.scope, play.facts.signals, play.track) is None for policy in play.policies
    ):
        return "The answer depends on the member's line of business or plan, which is not known.", ("OTH",)
    return f"The answer depends on the exact code billed for {play.facts.content.words}.", ("detail-code",)


def _no_policy(facts: OrderFacts, route: RouteDecision | None) -> Answer:
    if route is not None:
        return benefit.by_row(facts, route)
    if facts.content.unresolved is not None and not facts.codes:
        reasons = (Reason(sentence(facts.content.unresolved)),)
        return Answer("conditional", "conditional", info_needed=("detail-code",), reasons=reasons)
    return benefit.unruled(f"The rules of this plan do not speak about {facts.content.words}.")


def _with_billing(answer: Answer, facts: OrderFacts, route: RouteDecision | None) -> Answer:
    """Billing codes limit what an answer promises, so they are part of it (resp-30)."""
    if answer.billing_codes:
        return answer
    if route is not None:
        return replace(answer, billing_codes=benefit.medical_codes(facts, route))
    stated = tuple(sorted(code for code in facts.codes if code[0] in ("HCPCS", "CPT")))
    options = tuple(sorted(code for code in facts.options if code[0] in ("HCPCS", "CPT")))
    return replace(answer, billing_codes=stated or options)


@dataclass(frozen=True, slots=True)
class Asked:
    """What one policy answered, by which case (None when that could not be told), and the cases tried on the way."""

    answers: tuple[Answer, ...]
    case: str | None = None
    tried: tuple[CaseTried, ...] = ()


def _ask(policy: Policy, evidence: Evidence, days: int) -> Asked:
    """The first case that holds answers. Cases that are unknown stay possible beside it."""
    tried: list[CaseTried] = []
    unknown: list[tuple[Answer, ...]] = []
    lacking: list[str] = []
    for case in policy.cases:
        finding = evidence.judge(case.condition)
        tried.append(CaseTried(policy.scope.slug, case.name, finding.value, finding.lacking))
        if finding.value is None:
            unknown.append(case.answers)
            lacking += finding.lacking
        elif finding.value:
            if not unknown:
                return Asked(case.answers, case.name, tuple(tried))
            why = "; ".join(dict.fromkeys(lacking)) or "what the policy asks could not be established"
            return Asked(
                merge_by_code([_dated(each, days) for each in (*unknown, case.answers)], sentence(why)),
                None,
                tuple(tried),
            )
    raise AssertionError("a policy's last case always holds; the rulebook checks that at load")


def _dated(answers: tuple[Answer, ...], days: int) -> tuple[Answer, ...]:
    """Answers before merging: one that leaves its days to the payer must not be given the longer ones of another."""
    return tuple(replace(answer, valid_days=answer.valid_days or days) for answer in answers)


def _determination(play: InPlay, answers: tuple[Answer, ...], rulebook: Rulebook, today: date) -> Determination:
    """Put together with its expiry: the shortest validity, cut where a rule behind it ends.

    A rule that has ended by today still answers for a service before its end, and that answer holds for today.
    """
    days = min(answer.valid_days or rulebook.payer.valid_days for answer in answers)
    ends = [today + timedelta(days=days)]
    scopes = [policy.scope for policy in play.policies if policy is not None]
    ends += [scope.effective_to - timedelta(days=1) for scope in scopes if scope.effective_to is not None]
    row = rulebook.table.rule(play.route.rule_id) if play.route is not None and play.route.rule_id else None
    if row is not None and row.effective_to is not None:
        ends.append(row.effective_to - timedelta(days=1))
    return Determination(play.facts.order.key, answers, play.facts.on, max(today, min(ends)), play.route)


def sentence(words: str) -> str:
    """Words as a sentence."""
    return f"{words[0].upper()}{words[1:].removesuffix('.')}."


def technical(order_key: str, words: str, today: date) -> Determination:
    """Trouble of ours or the EHR's: indeterminate, with the reason (resp-43). Never valid beyond today."""
    answer = Answer("indeterminate", "indeterminate", reasons=(Reason(words, "technical"),))
    return Determination(order_key, (answer,), today, today)
