"""What is kept for forms: written with its assertion, and gone when it is used or expired."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from app.errors import LedgerError
from app.ledger import AssertionRecord, Call, Ledger, SnapshotRecord

NOW = datetime.now(UTC)


def kept(assertion_id: str, hours: int = 1) -> SnapshotRecord:
    return SnapshotRecord(
        assertion_id=assertion_id, taken_at=NOW, expires_at=NOW + timedelta(hours=hours), content=b"\x01sealed"
    )


@pytest.fixture
def recorded(
    ledger: Ledger, make_call: Callable[..., Call], make_assertion: Callable[..., AssertionRecord]
) -> Callable[[int], str]:
    """Writes a call with an assertion whose snapshot expires in so many hours; the assertion's id."""

    def write(hours: int) -> str:
        made = make_assertion()
        ledger.record(make_call(assertions=(made,), snapshots=(kept(made.assertion_id, hours),)))
        return made.assertion_id

    return write


def test_it_comes_back_as_it_was(ledger: Ledger, recorded: Callable[[int], str]) -> None:
    wanted = recorded(1)
    assert ledger.snapshot(wanted, NOW) == kept(wanted)
    assert ledger.snapshot("another", NOW) is None


def test_it_expires(ledger: Ledger, recorded: Callable[[int], str]) -> None:
    wanted = recorded(2)
    assert ledger.snapshot(wanted, NOW + timedelta(hours=2)) is None
    assert ledger.purge_snapshots(NOW + timedelta(hours=1)) == 0
    assert ledger.purge_snapshots(NOW + timedelta(hours=2)) == 1
    assert ledger.snapshot(wanted, NOW) is None


def test_a_new_one_clears_away_the_expired(ledger: Ledger, recorded: Callable[[int], str]) -> None:
    expired, fresh = recorded(1), recorded(5)
    long_ago = NOW - timedelta(days=1)
    assert ledger.snapshot(expired, long_ago) is not None
    old = recorded(-1)
    assert ledger.snapshot(old, long_ago) is None, "the next writer, here itself, deletes it"
    assert ledger.snapshot(fresh, long_ago) is not None


def test_it_is_deleted_once_used(ledger: Ledger, recorded: Callable[[int], str]) -> None:
    wanted = recorded(1)
    assert ledger.delete_snapshot(wanted)
    assert not ledger.delete_snapshot(wanted)
    assert ledger.snapshot(wanted, NOW) is None
    assert ledger.verify() == [], "snapshots come and go; the chain does not know them"


def test_none_without_its_assertion(ledger: Ledger, make_call: Callable[..., Call]) -> None:
    with pytest.raises(LedgerError):
        ledger.record(make_call(snapshots=(kept("no assertion of this call"),)))
    assert ledger.recent(1) == [], "half an answer is none"
