"""Who read what: written, found again, and on the chain. Drafts: nobody overwrites what they have not seen."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.ledger import Draft, Ledger, Reading, RulebookRecord

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
READ = Reading(
    reading_id="r1", at=AT, reader="ann", through="console", kind="answer", about="an-assertion", member_id="M1"
)


def test_a_reading_is_found_by_reader_member_and_time(ledger: Ledger) -> None:
    other = replace(READ, reading_id="r2", at=AT + timedelta(days=1), reader="bob", member_id=None)
    ledger.record_reading(READ)
    ledger.record_reading(other)
    assert ledger.readings() == [other, READ]
    assert ledger.readings(reader="ann") == ledger.readings(member_id="M1") == ledger.readings(until=other.at) == [READ]
    assert ledger.readings(since=other.at) == ledger.readings(limit=1) == [other]
    assert ledger.verify() == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE reading SET reader = 'nobody'", "reading r1 is not what was recorded"),
        ("DELETE FROM reading", "reading r1 is missing"),
        ("INSERT INTO reading SELECT 'r9', at, reader, through, kind, about, member_id FROM reading", "reading r9: no"),
    ],
)
def test_a_reading_cannot_be_struck_out(ledger: Ledger, path: Path, change: str, said: str) -> None:
    ledger.record_reading(READ)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(change)
        connection.commit()
    assert [said in line for line in ledger.verify()] == [True]


def test_a_draft_is_kept_once_for_each_version_seen(ledger: Ledger) -> None:
    ledger.record_rulebook(RulebookRecord(hash="h", label="h", files=b"{}", loaded_at=AT))
    first = Draft(
        draft_id="d", title="A title", author="ann", based_on="h", version=1, changed_at=AT, files={"a": "b", "c": None}
    )
    assert ledger.keep_draft(first, seen=None)
    second = replace(first, version=2, files={})
    assert ledger.keep_draft(second, seen=1)
    assert not ledger.keep_draft(replace(first, version=2, title="Of somebody who saw version 1"), seen=1)
    assert ledger.drafts() == [second] == [ledger.draft("d")]
    ledger.delete_draft("d")
    assert ledger.draft("d") is None
