"""Feedback is kept with its card, on the chain, and added up."""

from __future__ import annotations

import itertools
import sqlite3
import traceback
from collections.abc import Callable
from contextlib import closing
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.errors import LedgerError
from app.ledger import Call, CardRecord, FeedbackLine, FeedbackRecord, Ledger
from tests.ledger.test_chain import Tamper, statement

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MARKER = "Zebedee"

ids = itertools.count()


def said(card_id: str, outcome: Any = "accepted", reason: str | None = None, **changes: Any) -> FeedbackRecord:
    record: dict[str, Any] = {
        "feedback_id": f"f{next(ids)}",
        "card_id": card_id,
        "outcome": outcome,
        "override_reason_code": reason,
        "outcome_at": NOON,
        "received_at": NOON + timedelta(minutes=1),
        "client": "https://ehr.example.org",
    }
    return FeedbackRecord(**{**record, **changes})


@pytest.fixture
def show(
    ledger: Ledger, make_call: Callable[..., Call], make_card: Callable[..., CardRecord]
) -> Callable[..., list[str]]:
    """Show cards of a guidance; their ids."""

    def show(guidance: str, times: int = 1, at: datetime = NOON) -> list[str]:
        cards = tuple(make_card(guidance=guidance) for _ in range(times))
        ledger.record(make_call(received_at=at, cards=cards))
        return [card.card_id for card in cards]

    return show


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="only what must be"),
        pytest.param(
            {
                "outcome": "overridden",
                "accepted_suggestions": ("s2", "s1"),
                "override_reason_code": "contraindicated",
                "override_reason_system": "https://ehr.example.org/reasons",
                "override_reason_display": "Contraindicated",
                "user_comment": "Änderung\nnot wanted",
                "client": None,
            },
            id="every field",
        ),
    ],
)
def test_feedback_comes_back_as_it_was(ledger: Ledger, show: Callable[..., list[str]], changes: dict[str, Any]) -> None:
    (card,) = show("biosimilar")
    records = [said(card, **changes), said("of-another-service", **changes)]

    assert ledger.record_feedback(records) == 1

    for record, known in zip(records, (True, False), strict=True):
        (stored,) = ledger.feedback_on(record.card_id)
        assert stored.known is known
        for field in fields(FeedbackRecord):
            assert getattr(stored, field.name) == getattr(record, field.name), field.name
    assert ledger.verify() == []


def test_feedback_is_on_the_chain_with_the_call_of_its_card(
    ledger: Ledger, run: Callable[[str], list[tuple[str, ...]]], show: Callable[..., list[str]]
) -> None:
    (card,) = show("biosimilar")
    (call,) = ledger.recent(1)
    records = [said(card), said("unknown")]
    ledger.record_feedback(records)

    rows = run("SELECT invocation_id, feedback_id, occurred_at FROM event WHERE event_type = 'feedback' ORDER BY seq")
    assert [row[:2] for row in rows] == [(call.invocation_id, records[0].feedback_id), (None, records[1].feedback_id)]
    assert {datetime.fromisoformat(row[2]) for row in rows} == {NOON}


def test_a_batch_is_written_whole_or_not_at_all(ledger: Ledger, show: Callable[..., list[str]]) -> None:
    (card,) = show("biosimilar")
    again = said(card)
    ledger.record_feedback([again])

    with pytest.raises(LedgerError, match="in the ledger already"):
        ledger.record_feedback([said(card), again])

    assert [found.feedback_id for found in ledger.feedback_on(card)] == [again.feedback_id]
    assert ledger.verify() == []


@pytest.mark.parametrize(
    "changes",
    [{"user_comment": f"{MARKER}\ud800"}, {"outcome_at": MARKER}, {"received_at": NOON.replace(tzinfo=None)}],
    ids=["lone surrogate", "text for a time", "no zone"],
)
def test_refused_feedback_quotes_nothing(
    ledger: Ledger, show: Callable[..., list[str]], changes: dict[str, Any]
) -> None:
    (card,) = show("biosimilar")
    with pytest.raises(LedgerError, match="feedback was not recorded") as caught:
        ledger.record_feedback([said(card, **changes)])
    assert MARKER not in "".join(traceback.format_exception(caught.value))
    assert ledger.feedback_on(card) == []


# One call of two assertions, which are events 1 and 2, and feedback on one of its cards, event 3.
TAMPERED: dict[str, tuple[Tamper, list[str]]] = {
    "outcome": (statement("UPDATE feedback SET outcome = 'overridden'"), ["event 3: feedback f1 is not"]),
    "comment": (statement("UPDATE feedback SET user_comment = 'x'"), ["event 3: feedback f1 is not"]),
    "known": (statement("UPDATE feedback SET known = 0"), ["event 3: feedback f1 is not"]),
    "removed": (statement("DELETE FROM feedback"), ["event 3: feedback f1 is missing"]),
    "slipped in": (
        statement(
            "INSERT INTO feedback SELECT 'forged', card_id, known, outcome, accepted_suggestions, NULL, NULL, "
            "NULL, NULL, outcome_at, received_at, client FROM feedback"
        ),
        ["feedback forged: no event"],
    ),
    "the event's card": (statement("UPDATE event SET invocation_id = NULL WHERE seq = 3"), ["event 3: the row is not"]),
    "the event's feedback": (
        statement("UPDATE event SET feedback_id = NULL WHERE seq = 3"),
        ["event 3: invocation", "feedback f1: no event"],
    ),
    "another event's feedback": (
        statement("UPDATE event SET feedback_id = 'f1' WHERE seq = 2"),
        ["event 2: feedback f1 is not"],
    ),
    "the event": (statement("DELETE FROM event WHERE seq = 3"), ["feedback f1: no event"]),
}


@pytest.mark.parametrize(("tamper", "expected"), TAMPERED.values(), ids=TAMPERED.keys())
def test_tampering_is_found(
    ledger: Ledger, path: Path, show: Callable[..., list[str]], tamper: Tamper, expected: list[str]
) -> None:
    (card,) = show("biosimilar")
    ledger.record_feedback([said(card, feedback_id="f1")])
    assert ledger.verify() == []

    with closing(sqlite3.connect(path)) as connection:
        tamper(connection)
        connection.commit()

    faults = ledger.verify()
    assert len(faults) == len(expected), faults
    for fault, beginning in zip(faults, expected, strict=True):
        assert fault.startswith(beginning)


def line(guidance: str | None, shown: int, accepted: int, overridden: int, ignored: int, **more: Any) -> FeedbackLine:
    return FeedbackLine(
        guidance=guidance, shown=shown, accepted=accepted, overridden=overridden, ignored=ignored, **more
    )


def test_the_report_adds_up(ledger: Ledger, show: Callable[..., list[str]]) -> None:
    biosimilar, step = show("biosimilar", 5), show("step-therapy", 2)
    ledger.record_feedback(
        [
            said(biosimilar[0]),
            said(biosimilar[1], "overridden", "stable", override_reason_display="Stable on the brand"),
            said(biosimilar[2], "overridden", "stable"),
            said(biosimilar[3], "overridden", "allergy"),
            said(step[0], "overridden"),
            said("unknown-1", "overridden", "other"),
            said("unknown-2"),
        ]
    )

    assert ledger.feedback_report(None) == [
        line("biosimilar", 5, 1, 3, 1, reasons=(("Stable on the brand", 2), ("allergy", 1))),
        line("step-therapy", 2, 0, 1, 1),
        line(None, 0, 1, 1, 0, reasons=(("other", 1),)),
    ]


def test_only_the_last_word_on_a_card_counts(ledger: Ledger, show: Callable[..., list[str]]) -> None:
    (card,) = show("biosimilar")
    accepted = said(card, outcome_at=NOON + timedelta(hours=1))
    ledger.record_feedback([accepted])
    # Reported late: what the user did before.
    ledger.record_feedback([said(card, "overridden", "stable", received_at=NOON + timedelta(hours=2))])

    assert ledger.feedback_report(None) == [line("biosimilar", 1, 1, 0, 0)]
    assert [found.outcome for found in ledger.feedback_on(card)] == ["overridden", "accepted"]


def test_since_looks_at_when_a_card_was_shown(ledger: Ledger, show: Callable[..., list[str]]) -> None:
    early, late = show("biosimilar", 2), show("biosimilar", 3, at=NOON + timedelta(days=1))
    ledger.record_feedback([said(early[0]), said(late[0]), said("unknown-1", received_at=NOON - timedelta(days=9))])
    ledger.record_feedback([said("unknown-2", received_at=NOON + timedelta(days=9))])

    assert ledger.feedback_report(NOON + timedelta(days=1)) == [line("biosimilar", 3, 1, 0, 2), line(None, 0, 1, 0, 0)]
    assert ledger.feedback_report(NOON + timedelta(days=10)) == []


def test_no_cards_no_lines(ledger: Ledger) -> None:
    assert ledger.feedback_report(None) == []
