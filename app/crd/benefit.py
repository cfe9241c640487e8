"""What the benefit of a drug makes of the answer: the shapes of each road.

Medical: authorization by PAS, documents by DTR. Pharmacy: NCPDP SCRIPT ePA between prescriber and PBM, so never
`withpa` and never a questionnaire. CRD has no code for the benefit, so it travels as a detail of ours and again in the
words of the reason (`detail.code` is extensible, davinci-crd ext-coverage-information).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from app.crd.facts import OrderFacts
from app.rulebook.answer import Answer, Detail, Reason
from app.rulebook.payer import Clock, Payer, Pharmacy
from app.rulebook.rulebook import Rulebook
from benefit_router import Code, RouteDecision

TRACK_WORDS = {
    "medical": "Medical benefit",
    "pharmacy": "Pharmacy benefit",
    "medical-bundled": "Medical benefit, paid as part of the stay or treatment",
    "none": "Neither benefit pays",
    "undetermined": "Which benefit pays cannot be told yet",
}
_DECIDED_LATER = frozenset({"auth-needed", "performpa", "conditional"})
_AUTHORIZATION = {"yes": "auth-needed", "no": "no-auth", "conditional": "conditional", "performer": "performpa"}


def handoff_for(facts: OrderFacts, route: RouteDecision, rulebook: Rulebook) -> Pharmacy | None:
    """Who handles the pharmacy road: the member's own processor, or the one the routing row names."""
    if route.track != "pharmacy":
        return None
    member = facts.match.member
    plan = rulebook.payer.plans.get((member.plan if member else None) or "")
    named = (member.pharmacy if member else None) or (plan.pharmacy if plan else None)
    return rulebook.payer.pharmacy.get(named or (route.outcome.handoff if route.outcome else None) or "")


def medical_codes(facts: OrderFacts, route: RouteDecision) -> tuple[Code, ...]:
    """HCPCS or CPT codes the claim would carry: the row's, those the order states, or those of the product it means."""
    stated = route.outcome.billing_codes if route.outcome else ()
    named = stated or tuple(sorted(code for code in facts.signals.codes if code[0] in ("HCPCS", "CPT")))
    if named or not facts.products:
        return named
    shared = frozenset.intersection(*facts.products)
    return tuple(sorted(code for code in shared if code[0] in ("HCPCS", "CPT")))


def pharmacy_codes(facts: OrderFacts, route: RouteDecision) -> tuple[Code, ...]:
    """RxNorm or NDC codes of the order (whole packages only), or the row's."""
    stated = route.outcome.billing_codes if route.outcome else ()
    named = sorted(code for code in facts.codes if code[0] == "RxNorm" or (code[0] == "NDC" and len(code[1]) == 11))
    return stated or tuple(named)


def by_row(facts: OrderFacts, route: RouteDecision) -> Answer:
    """The answer on the medical benefit when no policy speaks: what the routing row says of authorization."""
    needed = _AUTHORIZATION.get(route.pa or "")
    if needed is None:
        return unruled(f"No policy of this plan speaks about {facts.content.words} yet.")
    outcome = route.outcome
    asks = needed in ("auth-needed", "performpa") and outcome is not None and outcome.questionnaire is not None
    return Answer(
        covered="covered",
        pa_needed=needed,
        doc_needed=("clinical",) if asks else (),
        doc_purpose=(outcome.doc_purpose or "withpa",) if asks and outcome else (),
        info_needed=(route.info_needed or ("OTH",)) if needed == "conditional" else (),
        questionnaires=(outcome.questionnaire,) if asks and outcome and outcome.questionnaire else (),
        reasons=(Reason(route.reason),),
    )


def unruled(words: str) -> Answer:
    """Nothing speaks about the order: never covered by default, never free of authorization by default (found-9)."""
    return Answer("conditional", "conditional", info_needed=("OTH",), reasons=(Reason(words),))


def undetermined(route: RouteDecision) -> Answer:
    """The benefit cannot be told: conditional on what is missing, under the codes a row says so of (J3490)."""
    return Answer(
        "conditional",
        "conditional",
        info_needed=route.info_needed or ("OTH",),
        billing_codes=route.outcome.billing_codes if route.outcome else (),
        reasons=(Reason(route.reason),),
    )


def on_pharmacy(route: RouteDecision, pharmacy: Pharmacy | None) -> Answer:
    """The pharmacy road, by who pays for it."""
    if pharmacy is None:
        words = "Paid under the pharmacy benefit, but the member's pharmacy processor is not known."
        return Answer("conditional", "conditional", info_needed=("OTH",), reasons=(Reason(words), Reason(route.reason)))
    reasons = (Reason(route.reason),)
    details = (
        Detail("epa-standard", _standard(pharmacy)),
        Detail(
            "instructions",
            f"If authorization is needed, the prescriber starts it by {pharmacy.epa_standard} electronic prior "
            f"authorization with {pharmacy.name} ({pharmacy.phone}).",
        ),
    )
    contact = (pharmacy.slug,)
    if pharmacy.relation == "same-plan":
        needed = _AUTHORIZATION.get(route.pa or "", "conditional")
        info = (route.info_needed or ("OTH",)) if needed == "conditional" else ()
        return Answer("covered", needed, info_needed=info, reasons=reasons, details=details, contacts=contact)
    if pharmacy.relation == "other" and route.confidence == "determined":
        elsewhere = Reason(f"Not payable under this medical coverage; {pharmacy.name} decides.")
        return Answer("not-covered", reasons=(*reasons, elsewhere), details=details, contacts=contact)
    decides = Reason(f"Decided under the pharmacy benefit by {pharmacy.name}.")
    return Answer(
        "conditional",
        "conditional",
        info_needed=("OTH",),
        reasons=(*reasons, decides),
        details=details,
        contacts=contact,
    )


def bundled(route: RouteDecision) -> Answer:
    """Paid as part of something larger, so nothing of its own is asked for."""
    needed = _AUTHORIZATION.get(route.pa or "", "conditional")
    info = (route.info_needed or ("OTH",)) if needed == "conditional" else ()
    return Answer("covered", needed, info_needed=info, reasons=(Reason(route.reason),))


def no_benefit(route: RouteDecision) -> Answer:
    """Neither benefit pays; said outright only when that is certain."""
    if route.confidence == "determined":
        return Answer("not-covered", reasons=(Reason(route.reason),))
    return Answer("conditional", "conditional", info_needed=("OTH",), reasons=(Reason(route.reason),))


def administration(route: RouteDecision) -> Answer | None:
    """The administration's own line when the drug is paid apart from it (white bagging)."""
    outcome = route.outcome
    if outcome is None or not outcome.administration_codes:
        return None
    words = "Giving the drug is billed to the medical benefit under these codes; no rule says what that needs."
    return Answer(
        "covered",
        "conditional",
        info_needed=("OTH",),
        billing_codes=outcome.administration_codes,
        reasons=(Reason(words),),
        details=(Detail("benefit-track", "medical", category="cat-limitation"),),
    )


def modifiers(route: RouteDecision) -> tuple[str, ...]:
    """HCPCS modifiers of the claim; a pharmacy's claim has none."""
    on_claim = route.outcome is not None and route.track in ("medical", "medical-bundled")
    return route.outcome.modifiers if on_claim and route.outcome else ()


def clock(route: RouteDecision, payer: Payer) -> Clock | None:
    """The decision clock that the deciding row names; none while the benefit cannot be told."""
    named = route.outcome.clock_profile if route.outcome and route.track != "undetermined" else None
    return payer.clocks.get(named or "")


def patient_text(route: RouteDecision) -> str | None:
    """The row's sentence for the patient; kept back while the benefit is presumed or cannot be told."""
    certain = route.confidence == "determined" and route.track != "undetermined"
    return (route.outcome.patient_text or None) if certain and route.outcome else None


def marked(answer: Answer, route: RouteDecision, payer: Payer) -> Answer:
    """The answer with its benefit: as a detail for machines, and in words for everyone."""
    words = TRACK_WORDS[route.track]
    if route.confidence == "presumptive" and route.track != "undetermined":
        words += f" (presumptive: {', '.join(_presumed(route))})" if _presumed(route) else " (presumptive)"
    detail = Detail("benefit-track", route.track, category="cat-limitation")
    rule = (Detail("routing-rule", route.rule_id),) if route.rule_id is not None else ()
    reasons = answer.reasons
    first = reasons[0] if reasons else Reason(route.reason)
    led = replace(first, text=f"{words}. {first.text}".strip())
    return replace(
        answer, reasons=(led, *reasons[1:]), details=(detail, *rule, *_of_row(answer, route, payer), *answer.details)
    )


def _of_row(answer: Answer, route: RouteDecision, payer: Payer) -> Iterator[Detail]:
    """What the deciding row adds to the answer: for the claim, for whoever waits for a decision, for the patient."""
    if answer.billing_codes and (carried := modifiers(route)):
        yield Detail("billing-modifiers", ", ".join(carried))
    # A clock that is only proposed binds nobody, so nobody is told to count on it.
    if answer.pa_needed in _DECIDED_LATER and (due := clock(route, payer)) is not None and due.status == "in-force":
        yield Detail("decision-time", due.words, qualification=due.authority)
    # What the row says of the benefit must not sound like coverage where a policy of this coverage says otherwise.
    told = patient_text(route)
    if told and (route.track == "pharmacy" or answer.covered == "covered"):
        yield Detail("patient-note", told)


def _presumed(route: RouteDecision) -> list[str]:
    """What was inferred or left open, in words."""
    words = {"route": "route taken from the product", "dose_form": "form taken from the product"}
    words["supply_channel"] = "supplier taken from who dispenses"
    return [words.get(signal, f"{signal} inferred") for signal in route.derived_signals]


def _standard(pharmacy: Pharmacy) -> str:
    versions = " or ".join(pharmacy.epa_versions)
    return f"{pharmacy.epa_standard} {versions}".strip()
