"""Cards: what a rule has to say beside the coverage answer.

Source: davinci-crd 2.2, "CRD Response Types"; CDS Hooks 2.0, "Card Attributes".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from urllib.parse import urlencode

from app.crd.chart import Chart, Resource
from app.crd.coverage_information import stated
from app.crd.determination import Determination
from app.crd.determine import Decided
from app.crd.facts import OrderFacts
from app.crd.order_content import listed, orderer
from app.fhir import dates, references
from app.fhir.ehr import Ehr, Search
from app.fhir.json import decode
from app.hooks.configuration import CARD_TYPES, COVERAGE_INFORMATION, Configuration
from app.rulebook.codes import as_coding
from app.rulebook.guidance import FROM_ROSTER, CoverageUpdate, FormRequest, Guidance, SmartApp, Suggestion
from app.rulebook.rulebook import Rulebook
from app.rulebook.scope import Scope
from benefit_router import Code, CodeList

TOPIC_SYSTEMS = {
    "2.0": "http://hl7.org/fhir/us/davinci-crd/CodeSystem/temp",
    "2.2": "http://terminology.hl7.org/CodeSystem/cdshooks-card-type",
}
ASSOCIATED = "davinci-crd.associated-resource"
IF_NONE_EXIST = "davinci-crd.if-none-exist"
SDC_TASK = "http://hl7.org/fhir/uv/sdc/CodeSystem/temp"
COVERAGE_CLASS = "http://terminology.hl7.org/CodeSystem/coverage-class"

# Where an order says what it is for; of the other types no order under another code can be proposed.
_CODE_ELEMENT = {
    "MedicationRequest": "medicationCodeableConcept",
    "DeviceRequest": "codeCodeableConcept",
    "ServiceRequest": "code",
}

NewId = Callable[[], str]


@dataclass(frozen=True, slots=True)
class Shown:
    """Guidance that is shown for some orders."""

    guidance: Guidance
    orders: tuple[OrderFacts, ...]


def shown(decided: Sequence[Decided], configuration: Configuration) -> list[Shown]:
    """The guidance to show, most important first, at most `max-cards`. An unknown condition shows nothing."""
    found: dict[str, Shown] = {}
    for each in decided:
        if each.play is None or each.evidence is None:
            continue
        for guidance in each.play.guidance:
            facts, slug = each.play.facts, guidance.scope.slug
            if not configuration.wants(guidance.topic) or not _fits(guidance, each):
                continue
            if not each.evidence.judge(guidance.condition).value:
                continue
            if guidance.suggestions:
                key = f"{slug} {facts.order.key}"
            else:
                key = f"{slug} {references.resource_key(facts.coverage)}" if guidance.coverage else slug
            before = found.get(key)
            found[key] = replace(before, orders=(*before.orders, facts)) if before else Shown(guidance, (facts,))
    ranked = sorted(found.values(), key=lambda each: -each.guidance.priority)
    return ranked[: configuration.max_cards]


def _fits(guidance: Guidance, decided: Decided) -> bool:
    """Whether what the card offers can be done here."""
    assert decided.play is not None
    facts = decided.play.facts
    if guidance.response == "alternate-request":
        return facts.order.resource["resourceType"] in _CODE_ELEMENT
    if guidance.form is not None:
        # An order that needs documents goes to DTR, and a form beside it is one too many (resp-59).
        return not any(answer.doc_needed or answer.questionnaires for answer in decided.determination.answers)
    if guidance.coverage is not None:
        return references.resource_key(facts.coverage) is not None and bool(_changes(guidance.coverage, facts))
    return True


def build_card(
    each: Shown,
    rulebook: Rulebook,
    *,
    version: str,
    several_orders: bool,
    today: date,
    new_id: NewId,
    lacking: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """One card in the words of a CRD version. With several orders in the call it names those it is about (dev-24).

    `lacking` are the forms that the EHR was asked for and does not have.
    """
    guidance = each.guidance
    detail = guidance.detail or ""
    if several_orders:
        names = ", ".join(facts.content.words for facts in each.orders)
        detail = f"For: {names}.\n\n{detail}".strip()
    card: dict[str, Any] = {
        "extension": {ASSOCIATED: [{"reference": facts.order.key} for facts in each.orders]},
        "uuid": new_id(),
        "summary": guidance.summary,
    }
    if detail:
        card["detail"] = detail
    card["indicator"] = guidance.indicator
    card["source"] = {
        "label": rulebook.payer.name,
        "topic": {"system": TOPIC_SYSTEMS[version], "code": guidance.topic, "display": CARD_TYPES[guidance.topic][0]},
    }
    if guidance.links:
        card["links"] = [{"label": label, "url": url, "type": "absolute"} for label, url in guidance.links]
    if guidance.app is not None:
        handed = {"appContext": guidance.app.context} if guidance.app.context else {}
        card["links"] = [{"label": guidance.app.label, "url": guidance.app.url, "type": "smart", **handed}]
    suggestions = list(_suggestions(each, rulebook, version, today, new_id, lacking))
    if suggestions:
        card["suggestions"] = suggestions
        card["selectionBehavior"] = "any" if guidance.response == "additional-orders" else "at-most-one"
    return card


def _suggestions(
    each: Shown, rulebook: Rulebook, version: str, today: date, new_id: NewId, lacking: frozenset[str]
) -> Iterable[dict[str, Any]]:
    guidance, facts = each.guidance, each.orders[0]
    for offer in guidance.suggestions:
        yield _suggestion(offer, facts, today, new_id)
    if guidance.form is not None:
        actions = list(_form(guidance.form, each, rulebook, version, today, new_id, lacking))
        yield {"label": guidance.form.label, "uuid": new_id(), "actions": actions}
    if guidance.coverage is not None:
        resource = _updated(facts, _changes(guidance.coverage, facts), rulebook)
        action = {"type": "update", "description": guidance.coverage.label, "resource": resource}
        yield {"label": guidance.coverage.label, "uuid": new_id(), "actions": [action]}
    if guidance.app is not None and version != "2.0":
        # CRDHooksResponse-launchSMART of 2.2 wants a suggestion beside the link, and no action in it.
        yield {"label": f"Used: {guidance.app.label}", "uuid": new_id()}


def _suggestion(offer: Suggestion, facts: OrderFacts, today: date, new_id: NewId) -> dict[str, Any]:
    order = facts.order.resource
    actions = _alternate(offer, order, new_id) if offer.change_to else _additional(offer, facts, today, new_id)
    return {"label": offer.label, "uuid": new_id(), "actions": list(actions)}


def _alternate(offer: Suggestion, order: Resource, new_id: NewId) -> Iterable[dict[str, Any]]:
    """The same order under another code: one update, or a delete with a create (CRD "Propose Alternate Request")."""
    changed = _with_code(order, offer.change_to, offer.display)
    if not offer.replace:
        yield {"type": "update", "description": f"Change the order to {offer.display}", "resource": changed}
        return
    key = f"{order['resourceType']}/{order['id']}"
    yield {"type": "delete", "description": "Remove the order as it is", "resourceId": key}
    yield {"type": "create", "description": f"Order {offer.display}", "resource": {**changed, "id": new_id()}}


def _with_code(order: Resource, codes: tuple[Code, ...], display: str) -> Resource:
    """The order asking for something else. What an earlier answer said of it does not carry over."""
    concept = {"coding": [as_coding(code, display) for code in codes], "text": display}
    element = _CODE_ELEMENT[order["resourceType"]]
    earlier = stated(order)
    changed: Resource = {}
    for name, value in order.items():
        if name in ("medicationReference", "codeReference", element):
            changed[element] = concept
        elif name in ("extension", "contained"):
            # A contained drug that nothing refers to any more would break FHIR's dom-3.
            kept = [each for each in listed(value) if each not in earlier and not _is_ordered(each, order)]
            if kept:
                changed[name] = kept
        elif name != "text":
            changed[name] = value
    changed.setdefault(element, concept)
    return changed


def _is_ordered(contained: Any, order: Resource) -> bool:
    """Whether this is the contained drug or device that the order asks for."""
    pointed = [references.parse(order.get(name)) for name in ("medicationReference", "codeReference")]
    inside = [each.id for each in pointed if each is not None and each.kind == "contained"]
    return isinstance(contained, dict) and contained.get("id") in inside


def _additional(offer: Suggestion, facts: OrderFacts, today: date, new_id: NewId) -> Iterable[dict[str, Any]]:
    """Orders to add, for the same patient, encounter and requester."""
    order = facts.order.resource
    for kind, codes, display in offer.orders:
        concept = {"coding": [as_coding(code, display) for code in codes], "text": display}
        resource: Resource = {
            "resourceType": kind,
            "id": new_id(),
            "status": "draft",
            "intent": "original-order",
            _CODE_ELEMENT[kind]: concept,
            "subject": _patient(facts),
            **_encounter(facts),
        }
        resource["authoredOn"] = today.isoformat()
        if orderer(order):
            resource["requester"] = orderer(order)
        yield {"type": "create", "description": f"Add an order: {display}", "resource": resource}


def forms_lacking(shown: Iterable[Shown], rulebook: Rulebook, chart: Chart, ehr: Ehr | None) -> frozenset[str]:
    """Forms to offer to an EHR that does not have them: it is asked first (dev-20), and without asking none is."""
    searches: dict[str, Search] = {}
    for form in (each.guidance.form for each in shown):
        if form is not None and form.include:
            url, version = rulebook.questionnaires[form.questionnaire].rsplit("|", 1)
            searches[form.questionnaire] = Search("Questionnaire", (("url", url), ("version", version)))
    if ehr is None or not searches:
        return frozenset()
    fetched = ehr.fetch(list(searches.values()))
    found = {slug: fetched[search] for slug, search in searches.items()}
    for slug, answer in found.items():
        chart.add_fetched(f"Questionnaire/{slug}", answer)
    return frozenset(slug for slug, answer in found.items() if answer.complete and not answer.resources)


def _form(
    form: FormRequest,
    each: Shown,
    rulebook: Rulebook,
    version: str,
    today: date,
    new_id: NewId,
    lacking: frozenset[str],
) -> Iterable[dict[str, Any]]:
    """A Task to fill in the form (profile-taskquestionnaire), after the form itself where the EHR lacks it."""
    canonical = rulebook.questionnaires[form.questionnaire]
    if form.include and form.questionnaire in lacking:
        url, edition = canonical.rsplit("|", 1)
        content = rulebook.files[f"questionnaires/{form.questionnaire}/questionnaire.json"]
        yield {
            "type": "create",
            "description": f"Add the form, unless it is there: {form.description}",
            "extension": {IF_NONE_EXIST: urlencode({"url": url, "version": edition}, safe=":/")},
            "resource": decode(content.encode()),
        }
    facts = each.orders[0]
    system, value = min(rulebook.payer.identifiers)
    task: Resource = {
        "resourceType": "Task",
        "id": new_id(),
        "basedOn": [{"reference": every.order.key} for every in each.orders],
        "status": "ready",
        "intent": "order",
        "code": {"coding": [{"system": SDC_TASK, "code": "complete-questionnaire"}]},
        "description": form.description,
        "for": _patient(facts),
        **_encounter(facts),
        "authoredOn": today.isoformat(),
        "requester": {
            "type": "Organization",
            "identifier": {"system": system, "value": value},
            "display": rulebook.payer.name,
        },
        "reasonCode": {"text": form.description},
        "input": [_input(SDC_TASK, "questionnaire", "questionnaire", {"valueCanonical": canonical})],
    }
    if version == "2.0":
        # 2.0 wants to know what to do with the form; its codes are all for DTR's uses.
        after = {"valueCodeableConcept": {"text": f"Return it to {rulebook.payer.name}"}}
        task["input"].append(_input(TOPIC_SYSTEMS["2.0"], "after-completion-action", "after completion", after))
    yield {"type": "create", "description": form.label, "resource": task}


def _input(system: str, code: str, text: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"type": {"coding": [{"system": system, "code": code}], "text": text}, **value}


def _patient(facts: OrderFacts) -> Any:
    order = facts.order.resource
    return order.get("subject") or order.get("patient") or facts.coverage.get("beneficiary")


def _encounter(facts: OrderFacts) -> dict[str, Any]:
    order = facts.order.resource
    visit = {"reference": facts.order.key} if order["resourceType"] == "Encounter" else order.get("encounter")
    return {"encounter": visit} if visit else {}


def _changes(update: CoverageUpdate, facts: OrderFacts) -> dict[str, str]:
    """What the Coverage should say and does not: `end` and `plan`. Empty when the two agree, or cannot be compared."""
    changes: dict[str, str] = {}
    period = facts.coverage.get("period")
    period = period if isinstance(period, dict) else {}
    start = dates.first_day(period.get("start"))
    end = update.period_end
    if end is not None and period.get("end") != end.isoformat() and (start is None or start <= end):
        changes["end"] = end.isoformat()
    member = facts.match.member
    plan = update.plan
    if plan == FROM_ROSTER:
        plan = member.plan if member is not None and member.source == "roster" else None
    if plan is not None and [each.get("value") for each in _plans(facts.coverage)] != [plan]:
        changes["plan"] = plan
    return changes


def _plans(coverage: Resource) -> list[Resource]:
    """The classes of a Coverage that name its plan."""
    found = []
    for each in listed(coverage.get("class")):
        kind = each.get("type") if isinstance(each, dict) else None
        codes = listed(kind.get("coding")) if isinstance(kind, dict) else []
        if any(isinstance(coding, dict) and coding.get("code") == "plan" for coding in codes):
            found.append(each)
    return found


def _updated(facts: OrderFacts, changes: dict[str, str], rulebook: Rulebook) -> Resource:
    """The Coverage with what is to change, and all else as it came; its narrative would no longer be true."""
    coverage = {name: value for name, value in facts.coverage.items() if name != "text"}
    if "end" in changes:
        period = coverage.get("period")
        coverage["period"] = {**(period if isinstance(period, dict) else {}), "end": changes["end"]}
    if "plan" in changes:
        before = _plans(coverage)
        kind = {"coding": [{"system": COVERAGE_CLASS, "code": "plan"}]}
        named = rulebook.payer.plans.get(changes["plan"])
        plan = {"type": kind, "value": changes["plan"], **({"name": named.name} if named is not None else {})}
        coverage["class"] = [*(each for each in listed(coverage.get("class")) if each not in before), plan]
    return coverage


def dtr_launches(
    determined: Iterable[tuple[OrderFacts, Determination]], app_url: str, rulebook: Rulebook
) -> list[Shown]:
    """For clients of CRD 2.0, which start DTR from a card: a link for each order whose answer names forms."""
    found = []
    for facts, determination in determined:
        forms = dict.fromkeys(form for answer in determination.answers for form in answer.questionnaires)
        if not forms:
            continue
        handed = [
            *(("questionnaire", rulebook.questionnaires[form]) for form in forms),
            ("order", facts.order.key),
            ("coverage", references.resource_key(facts.coverage) or ""),
        ]
        app = SmartApp("Open the documentation app", app_url, urlencode(handed, safe=":/|"))
        found.append(Shown(_dtr(app), (facts,)))
    return found


def _dtr(app: SmartApp) -> Guidance:
    """The card of a DTR launch, which no rule writes."""
    everything = CodeList.of("dtr", ())
    return Guidance(
        scope=Scope("dtr", "DTR", everything, None, frozenset(), frozenset(), date.min, None, app.url),
        hooks=frozenset(),
        needs=(),
        condition=None,
        priority=100,
        response="smart-launch",
        topic=COVERAGE_INFORMATION,
        indicator="info",
        summary="Fill in the payer's form for this order.",
        detail=None,
        links=(),
        suggestions=(),
        app=app,
    )
