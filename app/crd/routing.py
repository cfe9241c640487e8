"""Which benefit pays for one order, without asserting anything: what any vendor may ask (`POST /routing/v1/decisions`).

The order comes in FHIR with its Coverage, or in the shorthand of scenario files. Either way it becomes a hook call and
takes the way of one as far as the route, so it is routed as order-sign would route it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

from app.crd.benefit import clock, handoff_for, medical_codes, modifiers, patient_text, pharmacy_codes
from app.crd.facts import OrderFacts, build_facts, with_signals
from app.crd.in_play import InPlay, rules_in_play
from app.crd.rehearsal import Rehearsal
from app.crd.shorthand import hook_request
from app.errors import InvalidRequest, RequestError
from app.fhir import references
from app.fhir.json import encode
from app.members import Member, MemberDirectory
from app.members.stated import Stated
from app.rulebook.codes import as_coding
from app.rulebook.rulebook import Rulebook
from app.rulebook.scenarios import Scenario
from app.rulebook.spelling import nearest
from app.rulebook.standards import Standard
from benefit_router import Code, RouteDecision, words_for
from benefit_router.signals import SINGLE

HOOK = "order-sign"
_PATIENT = "patient"

# What carries the prior authorization of each track (rules/standards.csv); None: neither road.
_ROADS = {"medical": "medical-drug", "medical-bundled": "medical-drug", "pharmacy": "pharmacy-drug"}
NOTICE = (
    "This says which benefit pays, by the payer's rules as they stand. It asserts no coverage and promises nothing: "
    "whether the order is covered and needs authorization is answered by CRD."
)


@dataclass(frozen=True, slots=True)
class RoutingQuestion:
    """One order to be routed. `on` None: today."""

    order: Mapping[str, Any]
    coverage: Mapping[str, Any] | None = None
    resources: tuple[Any, ...] = ()
    member: str | Mapping[str, Any] | None = None
    on: date | None = None

    @property
    def is_fhir(self) -> bool:
        """Whether the order is a FHIR resource rather than shorthand."""
        return "resourceType" in self.order


def route(
    question: RoutingQuestion,
    *,
    rulebook: Rulebook,
    directory: MemberDirectory,
    any_payer: bool,
    today: date,
) -> dict[str, Any]:
    """The decision as JSON. RequestError names the element of the question that is at fault."""
    on = question.on or today
    if question.is_fhir:
        body = encode(_fhir_call(question))
        try:
            call = Rehearsal.of(body, directory=directory, payer=rulebook.payer, today=on, any_payer=any_payer)
            play = _play(call, rulebook, tells_encounter="encounter" in question.order)
        except RequestError as error:
            raise _at_its_place(error) from None
    else:
        stated = question.member if isinstance(question.member, Mapping) else None
        if stated is not None:
            directory = MemberDirectory([Stated(_member(stated, rulebook))])
        _check_words(question.order, rulebook)
        body = encode(hook_request(_scenario(question, on), rulebook))
        call = Rehearsal.of(body, directory=directory, payer=rulebook.payer, today=on)
        play = _play(call, rulebook, tells_encounter="encounter" in question.order)
    return described(play, rulebook)


def described(play: InPlay, rulebook: Rulebook) -> dict[str, Any]:
    """A routed order as JSON: the decision, what it rests on, and the road that follows."""
    facts, decision = play.facts, play.route
    told: dict[str, Any] = {
        "on": facts.on.isoformat(),
        "order": facts.content.words,
        "member": {"outcome": facts.match.outcome, "line": facts.line, "plan": facts.plan},
        "facts": _facts(facts),
        "rulebook": {"label": rulebook.label, "hash": rulebook.hash},
        "notice": NOTICE,
    }
    if decision is None:
        return told | {
            "drug": False,
            "track": None,
            "reason": "The order is no drug, so the pharmacy benefit has no part in it.",
            "next": _next(play, "items-and-services", rulebook),
        }
    return told | {
        "drug": True,
        "track": decision.track,
        "confidence": decision.confidence,
        "reason": decision.reason,
        "billing_codes": [as_coding(code) for code in _billed_as(play)],
        "modifiers": list(modifiers(decision)),
        "clock": _clock(decision, rulebook),
        "patient_text": patient_text(decision),
        "rule": _rule(decision.rule_id, rulebook),
        "considered": [
            {
                "rule": each.rule_id,
                "verdict": each.verdict,
                "track": each.track,
                "because": list(each.columns),
            }
            for each in decision.considered
        ],
        "missing": [{"signal": name, "words": words_for([name])} for name in decision.missing_signals],
        "derived": list(decision.derived_signals),
        "info_needed": list(decision.info_needed) if decision.track == "undetermined" else [],
        "products": list(decision.products),
        "next": _next(play, _ROADS.get(decision.track), rulebook),
    }


def _clock(decision: RouteDecision, rulebook: Rulebook) -> dict[str, str] | None:
    """How soon an authorization is decided, should one be needed; `status` says whether that binds today."""
    found = clock(decision, rulebook.payer)
    if found is None or decision.outcome is None:
        return None
    return {"profile": decision.outcome.clock_profile or "", **asdict(found)}


def _billed_as(play: InPlay) -> tuple[Code, ...]:
    assert play.route is not None  # only a drug is routed
    if play.route.track == "pharmacy":
        return pharmacy_codes(play.facts, play.route)
    return medical_codes(play.facts, play.route) if play.route.track in ("medical", "medical-bundled") else ()


def _next(play: InPlay, category: str | None, rulebook: Rulebook) -> dict[str, Any]:
    """The road: who is asked for authorization, should it be needed, and by which standards."""
    if category is None:
        return {"road": None, "contact": None, "standards": []}
    handoff = handoff_for(play.facts, play.route, rulebook) if play.route is not None else None
    contact = None
    if handoff is not None:
        contact = {"name": handoff.name, "phone": handoff.phone, "bin": handoff.bin, "pcn": handoff.pcn}
    found = standards(rulebook, "prior-authorization", play.facts.line, category, play.facts.on)
    return {"road": "ncpdp" if category == "pharmacy-drug" else "fhir", "contact": contact, "standards": found}


def standards(
    rulebook: Rulebook, transaction: str | None, line: str | None, category: str | None, on: date
) -> list[dict[str, Any]]:
    """The rows of rules/standards.csv about this, those that bind first. None asks about all."""
    rows = [each for each in rulebook.standards if each.applies(transaction, line, category, on)]
    return [_standard(each, on) for each in sorted(rows, key=lambda each: not each.binding(on))]


def _standard(row: Standard, on: date) -> dict[str, Any]:
    return {
        "transaction": row.transaction,
        "standard": row.standard,
        "version": row.version,
        "lines": sorted(row.lines) or ["any"],
        "drug_categories": sorted(row.categories) or ["any"],
        "status": row.status,
        "binding": row.binding(on),
        "effective_from": row.effective_from.isoformat() if row.effective_from else None,
        "effective_to": row.effective_to.isoformat() if row.effective_to else None,
        "authority": row.authority,
        "source": row.source,
        "verified": row.verified,
        "note": row.note or None,
    }


def _rule(rule_id: str | None, rulebook: Rulebook) -> dict[str, Any] | None:
    rule = next((each for each in rulebook.table.rules if each.rule_id == rule_id), None)
    if rule is None:
        return None
    source = " ".join(part for part in (rule.provenance.source_url, rule.provenance.source_section) if part)
    return {"id": rule.rule_id, "title": rule.title, "source": source or None}


def _facts(facts: OrderFacts) -> list[dict[str, Any]]:
    """What the router looked at; a signal nobody gave is missing, not empty."""
    signals = {name: facts.signals.signal(name) for name in SINGLE}
    told = sorted(signals.items(), key=lambda item: item[1].status == "missing")
    return [{"signal": name, "status": signal.status, "values": sorted(signal.values)} for name, signal in told]


def _play(call: Rehearsal, rulebook: Rulebook, *, tells_encounter: bool) -> InPlay:
    if len(call.orders) != 1:
        raise InvalidRequest("This is not an order that can be routed.", element="order", code="value")
    facts = build_facts(
        call.orders[0],
        request=call.request,
        chart=call.chart,
        coverage=call.coverage,
        directory=call.directory,
        rulebook=rulebook,
        today=call.today,
    )
    if not tells_encounter:
        # A hook without an encounter is placed outside any; a question that names none leaves it open.
        single = {name: signal for name, signal in facts.signals.single.items() if name != "enc_class"}
        facts = with_signals(facts, replace(facts.signals, single=single), rulebook)
    return rules_in_play(facts, HOOK, rulebook)


def _fhir_call(question: RoutingQuestion) -> dict[str, Any]:
    order = {"id": "order", **question.order}
    coverage = {"id": "coverage", **(question.coverage or {})}
    holder = order.get("subject") or order.get("patient") or coverage.get("beneficiary")
    named, covered = references.local_key(holder), references.local_key(coverage.get("beneficiary"))
    if named is not None and covered is not None and named != covered:
        words = "The Coverage is another patient's than the order."
        raise InvalidRequest(words, element="coverage.beneficiary", code="invariant")
    patient = named.removeprefix("Patient/") if named and named.startswith("Patient/") else None
    if patient is None:
        people = [
            each for each in question.resources if isinstance(each, dict) and each.get("resourceType") == "Patient"
        ]
        patient = next((str(each["id"]) for each in people if references.is_id(each.get("id"))), _PATIENT)
    return {
        "hook": HOOK,
        "hookInstance": "routing",
        "context": {
            "userId": "Practitioner/unknown",
            "patientId": patient,
            "draftOrders": _bundle([order]),
        },
        "prefetch": {
            "coverage": _bundle([coverage]),
            "resources": _bundle(question.resources),
        },
    }


def _bundle(resources: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": each} for each in resources]}


_PLACES = (
    ("context.draftOrders.entry[0].resource", "order"),
    ("prefetch.coverage.entry[0].resource", "coverage"),
    ("prefetch.coverage", "coverage"),
    ("Coverage", "coverage"),
    ("prefetch.resources.entry", "resources"),
    ("context.draftOrders", "order"),
)


def _at_its_place(error: RequestError) -> RequestError:
    """The error, with the element as the caller wrote it rather than as it became."""
    element = error.element or ""
    for inside, outside in _PLACES:
        if element.startswith(inside):
            element = outside + element.removeprefix(inside)
            break
    return type(error)(error.message, element=element or None, code=error.code)


def _scenario(question: RoutingQuestion, on: date) -> Scenario:
    member = question.member if question.member is not None else {}
    order = {"type": "MedicationRequest", **question.order}
    return Scenario("routing", "", HOOK, on.isoformat(), member, (order,), {}, (), "order", 0)


def _member(stated: Mapping[str, Any], rulebook: Rulebook) -> Member:
    """What is left out of a description is not known: as with a Coverage, and unlike the roster."""
    payer = rulebook.payer
    for name, known in (("line", payer.lines), ("plan", payer.plans), ("pharmacy", payer.pharmacy)):
        if stated.get(name) is not None and stated[name] not in known:
            words = f"'{stated[name]}' is not known here. {nearest(str(stated[name]), known)}"
            raise InvalidRequest(words, element=f"member.{name}", code="value")
    plan = payer.plans.get(stated.get("plan", ""))
    return Member(
        member_id="",
        source="coverage",
        line=stated.get("line") or (plan.line if plan else None),
        plan=stated.get("plan"),
        group=stated.get("group"),
        state=stated.get("state"),
        pharmacy=stated.get("pharmacy"),
        birth_date=stated.get("birth_date"),
        flags=stated.get("flags", {}),
    )


def _check_words(order: Mapping[str, Any], rulebook: Rulebook) -> None:
    crosswalks = rulebook.crosswalks
    for name, known in (("route", set(crosswalks.routes.values())), ("form", set(crosswalks.dose_forms.values()))):
        if name in order and order[name] not in known:
            words = f"'{order[name]}' is not known here. {nearest(str(order[name]), known)}"
            raise InvalidRequest(words, element=f"order.{name}", code="value")
