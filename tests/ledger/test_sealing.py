"""What the ledger keeps of patients is sealed, opens in its own place only, and can be sealed under another key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest
import zstandard

from app.encryption import Encryption
from app.errors import LedgerError
from app.ledger import (
    AssertionRecord,
    Call,
    FeedbackRecord,
    Ledger,
    Reading,
    ReturnedForm,
    RulebookRecord,
    StoredAssertion,
)
from app.ledger.blobs import unpack
from app.ledger.tables import metadata
from tests.ledger.conftest import MARKER

OLD, NEW = bytes([1]) * 32, bytes([2]) * 32
BLOBS = (
    ("invocation", "exchange"),
    ("invocation", "fetched"),
    ("invocation", "basis"),
    ("assertion", "facts"),
    ("assertion", "answer"),
)
Run = Callable[[str], list[tuple[Any, ...]]]
Opened = Callable[..., Ledger]


@pytest.fixture
def opened(url: str, rulebook: RulebookRecord) -> Iterator[Opened]:
    """The ledger opened with these keys, none for none."""
    ledgers = []

    def open_with(*keys: bytes) -> Ledger:
        found = Ledger.open(url, Encryption(keys) if keys else None, synchronous="normal")
        ledgers.append(found)
        found.record_rulebook(rulebook)
        return found

    yield open_with
    for each in ledgers:
        each.close()


@pytest.fixture
def call(make_call: Callable[..., Call]) -> Call:
    return make_call(basis=MARKER.encode())


def test_what_is_read_back_is_what_was_written(opened: Opened, call: Call) -> None:
    ledger = opened(OLD)
    ledger.record(call)
    found = ledger.invocation(call.invocation_id)
    assert found is not None
    assert (found.request, found.response) == (call.request, call.response)
    assert (found.fetched, found.basis) == (call.fetched, call.basis)
    made = {each.assertion_id: (each.facts, each.answer) for each in ledger.assertions_of(call.invocation_id)}
    assert made == {each.assertion_id: (each.facts, each.answer) for each in call.assertions}
    assert ledger.verify() == []


@pytest.mark.parametrize(("table", "column"), BLOBS)
def test_a_blob_is_not_readable(opened: Opened, run: Run, call: Call, table: str, column: str) -> None:
    opened(OLD).record(call)
    for (kept,) in run(f"SELECT {column} FROM {table}"):
        assert MARKER.encode() not in bytes(kept)
        with pytest.raises(zstandard.ZstdError):
            unpack(bytes(kept))


def test_no_table_tells_of_whom_it_is(
    opened: Opened, run: Run, make_call: Callable[..., Call], make_assertion: Callable[..., AssertionRecord]
) -> None:
    """Every table and column, with all that is ever kept of somebody."""
    ledger, told = (
        opened(OLD),
        make_assertion(order_ref=f"MedicationRequest/{MARKER}", coverage_ref=f"Coverage/{MARKER}"),
    )
    call = make_call(assertions=(told,))
    call = replace(call, cards=tuple(replace(each, order_refs=(told.order_ref,)) for each in call.cards))
    ledger.record(call)
    said = FeedbackRecord(
        feedback_id="f1",
        card_id=call.cards[0].card_id,
        outcome="overridden",
        user_comment=f"{MARKER} would not have it",
        outcome_at=call.received_at,
        received_at=call.received_at,
    )
    ledger.record_feedback([said])
    form = ReturnedForm(
        form_id="r1",
        assertion_id=told.assertion_id,
        member_id=told.member_id,
        order_ref=told.order_ref,
        questionnaire="https://payer.example.org/Questionnaire/one|1",
        status="completed",
        received_at=call.received_at,
        client="https://ehr.example.org",
        content=Encryption([OLD]).seal(b"{}", b"form"),
    )
    ledger.record_returned_form(form)
    read = Reading(
        reading_id="g1",
        at=call.received_at,
        reader="auditor",
        through="console",
        kind="search",
        about=f"member {MARKER}-1",
        member_id=told.member_id,
    )
    ledger.record_reading(read)

    for table in metadata.tables:
        assert MARKER not in str(run(f"SELECT * FROM {table}")), table
    assert list(ledger.assertions_of(call.invocation_id)) == [
        StoredAssertion(invocation_id=call.invocation_id, **{n.name: getattr(told, n.name) for n in fields(told)})
    ]
    assert sorted(ledger.cards_of(call.invocation_id), key=lambda each: each.card_id) == sorted(
        call.cards, key=lambda each: each.card_id
    )
    assert [each.user_comment for each in ledger.feedback_on(said.card_id)] == [said.user_comment]
    assert ledger.forms_of_member(f"{MARKER}-1") == ledger.forms_returned_for(told.assertion_id) == [form]
    assert ledger.readings(member_id=f"{MARKER}-1") == [read]
    assert ledger.verify() == []


@pytest.mark.parametrize("before", [(OLD,), ()], ids=["an older key", "not sealed"])
def test_what_is_searched_by_is_found_whatever_it_is_under(
    opened: Opened, make_call: Callable[..., Call], before: tuple[bytes, ...]
) -> None:
    """Before the key was changed, after, and after the rows were sealed anew."""
    early, late = make_call(), make_call(received_at=datetime(2026, 11, 23, tzinfo=UTC))
    opened(*before).record(early)
    ledger = opened(NEW, OLD)
    ledger.record(late)
    order, coverage = early.assertions[0].order_ref, early.assertions[0].coverage_ref
    for each in (ledger, ledger, opened(NEW)):
        about = each.assertions_about(member_id=f"{MARKER}-1", order_ref=order)
        assert [found.invocation_id for _, found in about] == [late.invocation_id, early.invocation_id]
        latest = each.latest_for_order(f"{MARKER}-1", order, coverage)
        assert latest is not None
        assert latest.invocation_id == late.invocation_id
        assert each.latest_for_order(f"{MARKER}-2", order, coverage) is None
        assert each.assertions_about(member_id="") == []
        ledger.reseal()


@pytest.mark.parametrize("change", ["order_ref = coverage_ref", "order_ref = 'MedicationRequest/none'"])
def test_a_text_that_was_moved_shows(opened: Opened, run: Run, call: Call, change: str) -> None:
    """Moved to another column it does not open; put in clear it opens, and the chain tells."""
    ledger = opened(OLD)
    ledger.record(call)
    run(f"UPDATE assertion SET {change}")
    assert any("cannot be read" in fault or "is not what was recorded" in fault for fault in ledger.verify())


@pytest.mark.parametrize("keys", [(NEW,), ()], ids=["another key", "no key"])
def test_without_its_key_it_says_so(opened: Opened, call: Call, keys: tuple[bytes, ...]) -> None:
    opened(OLD).record(call)
    other = opened(*keys)
    with pytest.raises(LedgerError, match="key") as raised:
        other.invocation(call.invocation_id)
    assert MARKER not in str(raised.value)
    assert any("cannot be read" in fault and "key" in fault for fault in other.verify())


def test_it_opens_in_its_own_row_only(opened: Opened, run: Run, make_call: Callable[..., Call]) -> None:
    ledger, one, other = opened(OLD), make_call(), make_call()
    ledger.record(one)
    ledger.record(other)
    run(
        "UPDATE invocation SET fetched = (SELECT moved.fetched FROM invocation AS moved"
        f" WHERE moved.invocation_id = '{one.invocation_id}') WHERE invocation_id = '{other.invocation_id}'"
    )
    with pytest.raises(LedgerError, match="belongs to something else"):
        ledger.invocation(other.invocation_id)
    assert ledger.verify() != []


@pytest.mark.parametrize("before", [(OLD,), ()], ids=["an older key", "not sealed"])
def test_rows_are_sealed_anew_and_the_chain_holds(
    opened: Opened, make_call: Callable[..., Call], before: tuple[bytes, ...]
) -> None:
    first = opened(*before)
    calls = [make_call(basis=MARKER.encode()), make_call(fetched=None), make_call(assertions=(), status=400)]
    for call in calls:
        first.record(call)
    both = opened(NEW, OLD)
    assert both.invocation(calls[0].invocation_id) is not None, "older rows are read before they are sealed anew"
    both.record(make_call(assertions=(), cards=()))

    done = both.reseal()

    assert (done.rows, done.closed) == (3 + 6 + 4 + 4, 0), (
        "calls, cards, assertions and their events; not the new one's"
    )
    assert both.reseal().rows == 0
    alone = opened(NEW)
    assert alone.verify() == []
    assert [alone.invocation(each.invocation_id).fetched for each in calls] == [each.fetched for each in calls]  # type: ignore[union-attr]


def test_what_does_not_open_stays_and_is_counted(opened: Opened, call: Call) -> None:
    opened(OLD).record(call)
    done = opened(NEW).reseal()
    assert (done.rows, done.closed) == (0, 1 + 2 + 2 + 2)
    assert opened(OLD).verify() == []


def test_without_a_key_nothing_can_be_sealed(opened: Opened) -> None:
    with pytest.raises(LedgerError, match="no key"):
        opened().reseal()
