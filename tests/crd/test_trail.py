"""What the ledger keeps of an answer."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from app.crd import cards
from app.crd.decide import technical
from app.crd.respond import Given, give
from app.crd.trail import assertion_record, card_record
from app.fhir.json import decode, encode
from app.hooks.configuration import Configuration
from app.ledger import AssertionRecord
from app.members import Member, MemberMatch
from tests.crd.builders import (
    AUTH,
    INSTRUCTIONS,
    NO_AUTH,
    TODAY,
    case,
    decide_all,
    drug,
    guidance,
    policy,
    row,
    rulebook,
    service,
)

RULES = rulebook(
    rows=[row("sc", match_system="RxNorm", match_code="100", track="pharmacy", pa="yes", handoff="rx")],
    policies=[policy("mri", ["CPT 72148"], case("w", "%facts.site = '11'", NO_AUTH), AUTH)],
)


def record_of(order: dict[str, Any], **rest: Any) -> AssertionRecord:
    (decided,) = decide_all(order, rules=RULES, **rest)
    facts = decided.play.facts
    given = give(
        facts.order,
        decided.determination,
        hook="order-sign",
        version="2.2",
        coverage={"reference": "Coverage/c1"},
        dependencies=(),
        rulebook=RULES,
        today=TODAY,
        new_id=lambda: "A1",
    )
    return assertion_record(facts, given, RULES)


def test_a_policy_answer() -> None:
    record = record_of(service("CPT 72148"))
    assert (record.assertion_id, record.order_ref, record.coverage_ref) == ("A1", "ServiceRequest/s1", "Coverage/c1")
    assert (record.member_id, record.line_of_business, record.track) == ("1", "commercial", None)
    assert (record.covered, record.pa_needed, record.expires_on.isoformat()) == ("covered", "conditional", "2026-09-13")
    assert record.rule_ids == ("policy:mri",)
    answer = json.loads(record.answer)
    assert answer["rulebook"] == RULES.label
    assert answer["determination"]["tried"][0] == {
        "policy": "mri",
        "case": "w",
        "held": None,
        "lacking": ["the order does not say where it will be given"],
    }


def test_the_facts_as_the_rules_saw_them() -> None:
    facts = json.loads(record_of(drug("RxNorm 100", route="subcutaneous")).facts)
    assert facts["on"] == "2026-06-15"
    assert facts["words"] == "RxNorm 100"
    assert facts["member"] == {"outcome": "found", "source": "roster"}
    assert facts["route"] == "subcutaneous"
    assert facts["site"] == {"missing": "the order does not say where it will be given"}


def test_a_drug_keeps_its_road() -> None:
    record = record_of(drug("RxNorm 100"))
    assert (record.track, record.rule_ids) == ("pharmacy", ("route:sc",))


def test_the_order_is_known_by_its_content() -> None:
    order = service("CPT 72148")
    known = record_of(order).content_hash
    assert record_of({**order, "text": {"div": "words"}, "meta": {"versionId": "2"}}).content_hash == known
    assert record_of({**order, "priority": "urgent"}).content_hash != known


@pytest.mark.parametrize(
    ("match", "member_id", "member"),
    [
        (MemberMatch("not-found", words="x"), None, {"outcome": "not-found", "source": None}),
        (MemberMatch("ended", Member("7", "coverage"), "x"), "7", {"outcome": "ended", "source": "coverage"}),
    ],
)
def test_without_a_member(match: MemberMatch, member_id: str | None, member: dict[str, Any]) -> None:
    record = record_of(service("CPT 72148"), member=match)
    assert (record.member_id, record.line_of_business, record.covered) == (member_id, None, "not-covered")
    assert json.loads(record.facts)["member"] == member


@pytest.mark.parametrize(("action", "hashed"), [({"resource": encode({"a": 1})}, b'{"a":1}'), (None, b"")])
def test_an_answer_that_never_got_as_far_as_facts(action: dict[str, Any] | None, hashed: bytes) -> None:
    given = Given(technical("ServiceRequest/s1", "The EHR did not answer.", TODAY), "A1", (), action)
    record = assertion_record(None, given, None)
    assert (record.coverage_ref, record.member_id, record.facts) == ("Coverage", None, b"{}")
    assert record.content_hash == hashlib.sha256(hashed).hexdigest()
    assert decode(record.answer)["rulebook"] is None


def test_a_card_as_it_leaves() -> None:
    offer = {"label": "Take the other", "change_code": {"codes": ["CPT 2"], "display": "The other"}}
    card = {"response": "alternate-request", "topic": "cost", "suggestions": [offer]}
    rules = rulebook(cards=[guidance("other", ["CPT 72148"], card), guidance("note", ["CPT 72148"], INSTRUCTIONS)])
    ids = iter("abcdef")
    shown = cards.shown(decide_all(service("CPT 72148"), rules=rules), Configuration())
    records = [
        card_record(
            each,
            cards.build_card(each, rules, version="2.2", several_orders=False, today=TODAY, new_id=lambda: next(ids)),
        )
        for each in shown
    ]
    told = {
        record.guidance: (record.card_id, record.response, record.topic, record.suggestion_ids) for record in records
    }
    assert told == {
        "other": ("a", "alternate-request", "cost", (("b", "Take the other"),)),
        "note": ("c", "instructions", "guideline", ()),
    }
    assert {record.order_refs for record in records} == {("ServiceRequest/s1",)}
