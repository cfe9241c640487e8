"""Whether an order is the one that was answered before, though it may have been saved anew since (DTR spec-128).

By its id, by the assertion id that the EHR wrote on it, or by asking for the same codes: a draft gets another id when
it is saved, and notes and status change.
"""

from __future__ import annotations

from typing import Any

from app.crd.coverage_information import assertion_ids, stated
from app.crd.facts import OrderFacts
from app.fhir.json import decode
from app.ledger import StoredAssertion

Codes = frozenset[tuple[str, str]]


def is_named(facts: OrderFacts, assertion: StoredAssertion) -> bool:
    """Whether the order has the id of the one that was answered, or bears the answer."""
    return facts.order.key == assertion.order_ref or assertion.assertion_id in assertion_ids(
        stated(facts.order.resource)
    )


def asks_the_same(facts: OrderFacts, assertion: StoredAssertion) -> bool:
    """Whether the order asks for just the codes that were answered; never where it states none."""
    now = codes_asked(facts)
    return bool(now) and now == codes_answered(assertion)


def is_same(facts: OrderFacts, assertion: StoredAssertion) -> bool:
    """Whether the order is the one that was answered: named so and not asking for other things, or asking the same."""
    now, then = codes_asked(facts), codes_answered(assertion)
    if is_named(facts, assertion):
        return not now or not then or not now.isdisjoint(then)
    return asks_the_same(facts, assertion)


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
