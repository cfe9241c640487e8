"""What the ledger keeps of patients is sealed, opens in its own place only, and can be sealed under another key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import zstandard

from app.encryption import Encryption
from app.errors import LedgerError
from app.ledger import Call, Ledger, RulebookRecord
from app.ledger.blobs import unpack
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

    assert (done.rows, done.closed) == (3 + 4, 0), "three calls and four assertions; the new one was right already"
    assert both.reseal().rows == 0
    alone = opened(NEW)
    assert alone.verify() == []
    assert [alone.invocation(each.invocation_id).fetched for each in calls] == [each.fetched for each in calls]  # type: ignore[union-attr]


def test_what_does_not_open_stays_and_is_counted(opened: Opened, call: Call) -> None:
    opened(OLD).record(call)
    done = opened(NEW).reseal()
    assert (done.rows, done.closed) == (0, 1 + 2)
    assert opened(OLD).verify() == []


def test_without_a_key_nothing_can_be_sealed(opened: Opened) -> None:
    with pytest.raises(LedgerError, match="no key"):
        opened().reseal()
