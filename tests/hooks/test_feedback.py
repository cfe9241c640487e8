"""Feedback as it comes over the wire: what is understood, and what is refused by which element."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from app.errors import InvalidRequest, PayloadTooLarge
from app.hooks.feedback import MAX_ENTRIES, parse_feedback
from app.ledger import FeedbackRecord

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MARKER = "Zebedee"
ENTRY: dict[str, Any] = {"card": "c1", "outcome": "accepted", "outcomeTimestamp": "2026-11-22T09:30:00Z"}


def parse(body: Any) -> tuple[FeedbackRecord, ...]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_feedback(data, received_at=NOW, client="https://ehr.example.org", new_id=lambda: "f1")


def entry(**changes: Any) -> FeedbackRecord:
    (found,) = parse({"feedback": [{**ENTRY, **changes}]})
    return found


def test_every_member() -> None:
    found = entry(
        outcome="overridden",
        acceptedSuggestions=[{"id": "s2"}, {"id": "s1", "extension": {}}],
        overrideReason={
            "reason": {"code": "stable", "system": "https://ehr.example.org/reasons", "display": "Stable on the brand"},
            "userComment": "First line\nsecond: Änderung",
        },
        extension={"anything": 1},
    )
    assert found == FeedbackRecord(
        feedback_id="f1",
        card_id="c1",
        outcome="overridden",
        accepted_suggestions=("s2", "s1"),
        override_reason_code="stable",
        override_reason_system="https://ehr.example.org/reasons",
        override_reason_display="Stable on the brand",
        user_comment="First line\nsecond: Änderung",
        outcome_at=datetime(2026, 11, 22, 9, 30, tzinfo=UTC),
        received_at=NOW,
        client="https://ehr.example.org",
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"acceptedSuggestions": [], "overrideReason": {}},
        {"acceptedSuggestions": None, "overrideReason": None},
        {"overrideReason": {"reason": None, "userComment": None}},
        {"overrideReason": {"userComment": ""}},
    ],
    ids=str,
)
def test_what_may_be_left_out(changes: dict[str, Any]) -> None:
    found = entry(**changes)
    assert found.accepted_suggestions == ()
    told = (found.override_reason_code, found.override_reason_system, found.override_reason_display, found.user_comment)
    assert told == (None, None, None, None)


@pytest.mark.parametrize(
    ("stated", "hour"),
    [
        ("2026-11-22T09:30:00Z", 9),
        ("2026-11-22T09:30:00.123+00:00", 9),
        ("2026-11-22T04:30:00-05:00", 9),
        ("2026-11-22T09:30:00", 9),
    ],
)
def test_timestamps_are_in_utc(stated: str, hour: int) -> None:
    found = entry(outcomeTimestamp=stated).outcome_at
    assert (found.hour, found.tzinfo) == (hour, UTC)


def test_entries_keep_their_order() -> None:
    found = parse({"feedback": [{**ENTRY, "card": f"c{n}"} for n in range(3)]})
    assert [each.card_id for each in found] == ["c0", "c1", "c2"]


REFUSED: dict[str, tuple[Any, str | None]] = {
    "not JSON": (b"{", None),
    "a list": ([ENTRY], None),
    "no feedback": ({}, "feedback"),
    "feedback is an object": ({"feedback": ENTRY}, "feedback"),
    "no entries": ({"feedback": []}, "feedback"),
    "an entry is text": ({"feedback": [ENTRY, MARKER]}, "feedback[1]"),
    "an entry is null": ({"feedback": [None]}, "feedback[0]"),
}
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no card": ({"card": None}, "card"),
    "an empty card": ({"card": ""}, "card"),
    "card is a number": ({"card": 7}, "card"),
    "an endless card": ({"card": MARKER * 1000}, "card"),
    "a card of control characters": ({"card": f"{MARKER}\x1b[2J"}, "card"),
    "no outcome": ({"outcome": None}, "outcome"),
    "an outcome of its own": ({"outcome": MARKER}, "outcome"),
    "suggestions are an object": ({"acceptedSuggestions": {"id": MARKER}}, "acceptedSuggestions"),
    "a suggestion is text": ({"acceptedSuggestions": [{"id": "s1"}, MARKER]}, "acceptedSuggestions[1]"),
    "a suggestion without id": ({"acceptedSuggestions": [{"uuid": MARKER}]}, "acceptedSuggestions[0].id"),
    "override reason is text": ({"overrideReason": MARKER}, "overrideReason"),
    "reason is text": ({"overrideReason": {"reason": MARKER}}, "overrideReason.reason"),
    "reason without code": ({"overrideReason": {"reason": {"display": MARKER}}}, "overrideReason.reason.code"),
    "system is a list": ({"overrideReason": {"reason": {"code": "x", "system": []}}}, "overrideReason.reason.system"),
    "display in lines": (
        {"overrideReason": {"reason": {"code": "x", "display": f"{MARKER}\n"}}},
        "overrideReason.reason.display",
    ),
    "comment is a number": ({"overrideReason": {"userComment": 1}}, "overrideReason.userComment"),
    "comment holds NUL": ({"overrideReason": {"userComment": f"{MARKER}\0"}}, "overrideReason.userComment"),
    "comment is a book": ({"overrideReason": {"userComment": MARKER * 2000}}, "overrideReason.userComment"),
    "no time": ({"outcomeTimestamp": None}, "outcomeTimestamp"),
    "time is a number": ({"outcomeTimestamp": 1795340000}, "outcomeTimestamp"),
    "only a day": ({"outcomeTimestamp": "2026-11-22"}, "outcomeTimestamp"),
    "no such time": ({"outcomeTimestamp": "2026-11-31T09:30:00Z"}, "outcomeTimestamp"),
    "before all time": ({"outcomeTimestamp": "0001-01-01T00:00:00+14:00"}, "outcomeTimestamp"),
}
REFUSED |= {name: ({"feedback": [{**ENTRY, **c}]}, f"feedback[0].{element}") for name, (c, element) in WRONG.items()}


@pytest.mark.parametrize(("body", "element"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_by_element_and_without_quoting(body: Any, element: str | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(body)
    assert (caught.value.status, caught.value.element) == (400, element)
    assert MARKER not in caught.value.message


def test_more_entries_than_are_taken() -> None:
    with pytest.raises(PayloadTooLarge) as caught:
        parse({"feedback": [ENTRY] * (MAX_ENTRIES + 1)})
    assert caught.value.element == "feedback"
    assert len(parse({"feedback": [ENTRY] * MAX_ENTRIES})) == MAX_ENTRIES
