"""Whether an order is the one that was answered before, though it may have been saved anew since (DTR spec-128).

By its id, by the assertion id that the EHR wrote on it, or by what it says: a draft gets another id when it is saved,
and notes and status change.
"""

from __future__ import annotations

from typing import Any

from app.crd.coverage_information import URL, assertion_ids, stated
from app.crd.facts import OrderFacts
from app.errors import InvalidRequest
from app.fhir import bundles, references
from app.fhir.json import decode
from app.ledger import StoredAssertion

Resource = dict[str, Any]
Codes = frozenset[tuple[str, str]]

_UNSAVED = frozenset({"draft", "proposed", "planned"})


def is_named(facts: OrderFacts, assertion: StoredAssertion) -> bool:
    """Whether the order has the id of the one that was answered, or bears the answer."""
    return facts.order.key == assertion.order_ref or assertion.told_id in assertion_ids(stated(facts.order.resource))


def asks_the_same(facts: OrderFacts, assertion: StoredAssertion) -> bool:
    """Whether the order asks for just the codes that were answered; never where it states none."""
    now = codes_asked(facts)
    return bool(now) and now == codes_answered(assertion)


def may_be_same(facts: OrderFacts, assertion: StoredAssertion) -> bool:
    """Whether the codes allow that the order is the one answered, were it named as that."""
    now, then = codes_asked(facts), codes_answered(assertion)
    return not now or not then or not now.isdisjoint(then)


def is_saved_anew(facts: OrderFacts, before: Resource, orders_then: frozenset[str]) -> bool:
    """Whether an order is the draft `before` under the id it got when it was saved, told by what both say.

    Only a draft's id changes, and not to that of an order that was there beside it. They share an identifier, or were
    authored at the same instant and say the same but for status and notes; a day alone does not tell two orders apart.
    """
    order = facts.order.resource
    if before.get("status") not in _UNSAVED or facts.order.key in orders_then:
        return False
    if order.get("identifier") and before.get("identifier"):
        return not _identifiers(order).isdisjoint(_identifiers(before))
    return "T" in str(before.get("authoredOn")) and _content(order) == _content(before)


def order_then(request: bytes | None, order_ref: str) -> tuple[Resource | None, frozenset[str]]:
    """An order as a hook call brought it, None when it is not there any more; and the keys of all of the call."""
    try:
        call = decode(request) if request is not None else None
    except InvalidRequest:
        return None, frozenset()
    context = call.get("context") if isinstance(call, dict) else None
    brought = list(context.values()) if isinstance(context, dict) else []
    listed = [each for bundle in brought if bundles.is_bundle(bundle) for each in bundles.resources(bundle)]
    found = {key: each for each in listed if (key := references.resource_key(each)) is not None}
    return found.get(order_ref), frozenset(found)


def codes_asked(facts: OrderFacts) -> Codes:
    """System and code of all that an order asks for."""
    codes = facts.view["codes"]
    return _pairs(codes if isinstance(codes, list) else getattr(codes, "items", ()))


def codes_answered(assertion: StoredAssertion) -> Codes:
    """The same of the order that an assertion answered."""
    return _pairs(decode(assertion.facts).get("codes"))


def _pairs(codes: Any) -> Codes:
    listed = codes if isinstance(codes, list | tuple) else ()
    return frozenset((str(each.get("system")), str(each.get("code"))) for each in listed if isinstance(each, dict))


def _identifiers(order: Resource) -> frozenset[tuple[str, str]]:
    listed = order.get("identifier")
    return frozenset(
        (str(each.get("system")), str(each["value"]))
        for each in (listed if isinstance(listed, list) else ())
        if isinstance(each, dict) and each.get("value")
    )


def _content(order: Resource) -> Resource:
    """What an order asks for, without what saving it changes and without the payer's words."""
    listed = order.get("extension")
    others = (
        [e for e in listed if not (isinstance(e, dict) and e.get("url") == URL)] if isinstance(listed, list) else []
    )
    passing = {"id", "meta", "text", "status", "note", "identifier", "extension"}
    return {name: value for name, value in order.items() if name not in passing} | {"extension": others}
