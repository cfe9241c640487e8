"""Cards: what a rule has to say beside the coverage answer.

Source: davinci-crd 2.2, "CRD Response Types"; CDS Hooks 2.0, "Card Attributes".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from app.crd.chart import Resource
from app.crd.coverage_information import stated
from app.crd.determine import Decided
from app.crd.facts import OrderFacts
from app.crd.order_content import listed, orderer
from app.fhir import references
from app.hooks.configuration import CARD_TYPES, Configuration
from app.rulebook.codes import as_coding
from app.rulebook.guidance import Guidance, Suggestion
from app.rulebook.rulebook import Rulebook
from benefit_router import Code

TOPIC_SYSTEMS = {
    "2.0": "http://hl7.org/fhir/us/davinci-crd/CodeSystem/temp",
    "2.2": "http://terminology.hl7.org/CodeSystem/cdshooks-card-type",
}
ASSOCIATED = "davinci-crd.associated-resource"

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
            if not configuration.wants(guidance.topic) or not _fits(guidance, facts):
                continue
            if not each.evidence.judge(guidance.condition).value:
                continue
            key = slug if not guidance.suggestions else f"{slug} {facts.order.key}"
            before = found.get(key)
            found[key] = replace(before, orders=(*before.orders, facts)) if before else Shown(guidance, (facts,))
    ranked = sorted(found.values(), key=lambda each: -each.guidance.priority)
    return ranked[: configuration.max_cards]


def _fits(guidance: Guidance, facts: OrderFacts) -> bool:
    return guidance.response != "alternate-request" or facts.order.resource["resourceType"] in _CODE_ELEMENT


def build_card(
    each: Shown, rulebook: Rulebook, *, version: str, several_orders: bool, today: date, new_id: NewId
) -> dict[str, Any]:
    """One card in the words of a CRD version. With several orders in the call it names those it is about (dev-24)."""
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
    if guidance.suggestions:
        order = each.orders[0].order.resource
        card["suggestions"] = [_suggestion(offer, order, today, new_id) for offer in guidance.suggestions]
        card["selectionBehavior"] = "any" if guidance.response == "additional-orders" else "at-most-one"
    return card


def _suggestion(offer: Suggestion, order: Resource, today: date, new_id: NewId) -> dict[str, Any]:
    actions = (
        list(_alternate(offer, order, new_id)) if offer.change_to else list(_additional(offer, order, today, new_id))
    )
    return {"label": offer.label, "uuid": new_id(), "actions": actions}


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


def _additional(offer: Suggestion, order: Resource, today: date, new_id: NewId) -> Iterable[dict[str, Any]]:
    """Orders to add, for the same patient, encounter and requester."""
    for kind, codes, display in offer.orders:
        concept = {"coding": [as_coding(code, display) for code in codes], "text": display}
        resource: Resource = {
            "resourceType": kind,
            "id": new_id(),
            "status": "draft",
            "intent": "original-order",
            _CODE_ELEMENT[kind]: concept,
            "subject": order.get("subject") or order.get("patient"),
        }
        if order.get("encounter"):
            resource["encounter"] = order["encounter"]
        resource["authoredOn"] = today.isoformat()
        if orderer(order):
            resource["requester"] = orderer(order)
        yield {"type": "create", "description": f"Add an order: {display}", "resource": resource}
