"""Cards: what a rule has to say beside the coverage answer.

Source: davinci-crd 2.2, "CRD Response Types"; CDS Hooks 2.0, "Card Attributes".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from app.crd.chart import Resource
from app.crd.coverage_information import URL as COVERAGE_INFORMATION_URL
from app.crd.determine import Decided
from app.crd.facts import OrderFacts
from app.crd.order_content import orderer
from app.hooks.configuration import CARD_TYPES, Configuration
from app.rulebook.codes import as_coding
from app.rulebook.guidance import Guidance, Suggestion
from app.rulebook.rulebook import Rulebook
from benefit_router import Code

TOPIC_SYSTEM = "http://terminology.hl7.org/CodeSystem/cdshooks-card-type"
ASSOCIATED = "davinci-crd.associated-resource"

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
        for guidance in each.play.guidance:
            if not configuration.wants(guidance.topic) or not each.evidence.judge(guidance.condition).value:
                continue
            facts, slug = each.play.facts, guidance.scope.slug
            key = slug if not guidance.suggestions else f"{slug} {facts.order.key}"
            before = found.get(key)
            found[key] = replace(before, orders=(*before.orders, facts)) if before else Shown(guidance, (facts,))
    ranked = sorted(found.values(), key=lambda each: -each.guidance.priority)
    return ranked[: configuration.max_cards]


def build_card(each: Shown, rulebook: Rulebook, *, several_orders: bool, today: date, new_id: NewId) -> dict[str, Any]:
    """One card. With several orders in the call its detail names the orders it is about (dev-24)."""
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
        "topic": {"system": TOPIC_SYSTEM, "code": guidance.topic, "display": CARD_TYPES[guidance.topic][0]},
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
    element = {"MedicationRequest": "medicationCodeableConcept", "DeviceRequest": "codeCodeableConcept"}.get(
        order["resourceType"], "code"
    )
    replaced = {"medicationReference", "codeReference", element, "text"}
    changed: Resource = {}
    for name, value in order.items():
        if name in replaced:
            if name != "text":
                changed[element] = concept
        elif name == "extension":
            kept = [each for each in value if each.get("url") != COVERAGE_INFORMATION_URL]
            if kept:
                changed[name] = kept
        else:
            changed[name] = value
    return changed


def _additional(offer: Suggestion, order: Resource, today: date, new_id: NewId) -> Iterable[dict[str, Any]]:
    """Orders to add, for the same patient, encounter and requester."""
    for kind, codes, display in offer.orders:
        concept = {"coding": [as_coding(code, display) for code in codes], "text": display}
        element = {"MedicationRequest": "medicationCodeableConcept", "DeviceRequest": "codeCodeableConcept"}.get(
            kind, "code"
        )
        resource: Resource = {
            "resourceType": kind,
            "id": new_id(),
            "status": "draft",
            "intent": "original-order",
            element: concept,
            "subject": order.get("subject") or order.get("patient"),
        }
        if order.get("encounter"):
            resource["encounter"] = order["encounter"]
        resource["authoredOn"] = today.isoformat()
        if orderer(order):
            resource["requester"] = orderer(order)
        yield {"type": "create", "description": f"Add an order: {display}", "resource": resource}
