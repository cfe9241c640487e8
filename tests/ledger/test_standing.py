"""What still stands of earlier answers, and answers given again."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.ledger import AssertionRecord, Call, Ledger, RulebookRecord

Run = Callable[[str], list[tuple[Any, ...]]]

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TODAY = NOON.date()


@pytest.fixture
def answer(
    ledger: Ledger, make_call: Callable[..., Call], make_assertion: Callable[..., AssertionRecord]
) -> Callable[..., AssertionRecord]:
    """Record one assertion; `minutes` after noon, in a call of that rulebook."""

    def answer(minutes: int = 0, rulebook_hash: str | None = "5e" * 32, **changes: Any) -> AssertionRecord:
        record = make_assertion(**{"supersedes": None, **changes})
        at = NOON + timedelta(minutes=minutes)
        ledger.record(make_call(received_at=at, rulebook_hash=rulebook_hash, assertions=(record,), cards=()))
        return record

    return answer


def standing(ledger: Ledger, like: AssertionRecord, **changes: Any) -> str | None:
    asked: dict[str, Any] = {
        "member_id": like.member_id,
        "order_ref": like.order_ref,
        "content_hash": like.content_hash,
        "coverage_ref": like.coverage_ref,
        "rulebook_hash": None,
        "on": TODAY,
    }
    found = ledger.standing_assertion(**{**asked, **changes})
    return found.assertion_id if found else None


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        pytest.param({}, True, id="the same"),
        pytest.param({"rulebook_hash": "5e" * 32}, True, id="same rulebook"),
        pytest.param({"rulebook_hash": "other"}, False, id="another rulebook"),
        pytest.param({"member_id": "other"}, False, id="another member"),
        pytest.param({"order_ref": "MedicationRequest/other"}, False, id="another order"),
        pytest.param({"content_hash": "other"}, False, id="changed order"),
        pytest.param({"coverage_ref": "Coverage/other"}, False, id="another coverage"),
        pytest.param({"on": date(2027, 2, 1)}, True, id="on its last day"),
        pytest.param({"on": date(2027, 2, 2)}, False, id="a day too late"),
    ],
)
def test_an_answer_stands_for_what_it_was_given_for(
    ledger: Ledger, answer: Callable[..., AssertionRecord], changes: dict[str, Any], found: bool
) -> None:
    given = answer(expires_on=date(2027, 2, 1))
    assert standing(ledger, given, **changes) == (given.assertion_id if found else None)


def test_without_an_expiry_it_stands_for_ever(ledger: Ledger, answer: Callable[..., AssertionRecord]) -> None:
    given = answer(expires_on=None)
    assert standing(ledger, given, on=date(2099, 1, 1)) == given.assertion_id


def test_the_newest_stands(ledger: Ledger, answer: Callable[..., AssertionRecord]) -> None:
    newest = answer(minutes=5)
    answer(minutes=3)
    expired = answer(minutes=7, expires_on=date(2026, 11, 1))

    assert standing(ledger, newest) == newest.assertion_id
    latest = ledger.latest_for_order("Zebedee-1", newest.order_ref, newest.coverage_ref)
    assert latest is not None
    assert latest.assertion_id == expired.assertion_id


def test_what_was_superseded_stands_no_more(ledger: Ledger, answer: Callable[..., AssertionRecord]) -> None:
    """An order changed and changed back: the first answer was taken back by the second."""
    first = answer()
    second = answer(minutes=1, content_hash="other", supersedes=first.assertion_id)

    assert standing(ledger, first) is None
    assert standing(ledger, second) == second.assertion_id
    latest = ledger.latest_for_order("Zebedee-1", first.order_ref, first.coverage_ref)
    assert latest is not None
    assert latest.assertion_id == second.assertion_id
    assert latest.content_hash == "other"


def test_what_was_told_under_an_id(ledger: Ledger, answer: Callable[..., AssertionRecord]) -> None:
    first = answer()
    later = [answer(minutes=each, told_as=first.assertion_id, supersedes=first.assertion_id) for each in (2, 1)]
    answer(minutes=3, supersedes=first.assertion_id)  # told under an id of its own
    told = [each.assertion_id for each in ledger.told_under(first.assertion_id)]
    assert told == [first.assertion_id, later[1].assertion_id, later[0].assertion_id]
    assert [each.told_id for each in ledger.told_under(first.assertion_id)] == [first.assertion_id] * 3
    assert [each.assertion_id for each in ledger.told_under(later[0].assertion_id)] == [later[0].assertion_id]
    assert ledger.told_under("unknown") == []
    assert ledger.verify() == []


@pytest.mark.parametrize("changes", [{"member_id": "x"}, {"order_ref": "x"}, {"coverage_ref": "x"}], ids=str)
def test_nothing_was_answered_before(
    ledger: Ledger, answer: Callable[..., AssertionRecord], changes: dict[str, str]
) -> None:
    given = answer()
    asked = {"member_id": given.member_id, "order_ref": given.order_ref, "coverage_ref": given.coverage_ref}
    assert ledger.latest_for_order(**{**asked, **changes}) is None  # type: ignore[arg-type]


def test_an_answer_given_again_is_an_event_and_no_new_assertion(
    ledger: Ledger, run: Run, answer: Callable[..., AssertionRecord], make_call: Callable[..., Call]
) -> None:
    first, second = answer(), answer(order_ref="ServiceRequest/7", track=None)
    call = make_call(assertions=(), honoured=(second.assertion_id, first.assertion_id))
    ledger.record(call)

    rows = run(
        "SELECT event_type, assertion_id, order_ref, track FROM event "
        f"WHERE invocation_id = '{call.invocation_id}' ORDER BY seq"
    )
    assert rows == [
        ("crd_honoured", second.assertion_id, "ServiceRequest/7", None),
        ("crd_honoured", first.assertion_id, first.order_ref, "medical"),
    ]
    assert ledger.assertions_of(call.invocation_id) == []
    assert ledger.verify() == []


def test_new_answers_and_old_ones_in_one_call(
    ledger: Ledger, run: Run, answer: Callable[..., AssertionRecord], make_call: Callable[..., Call]
) -> None:
    given = answer()
    ledger.record(make_call(honoured=(given.assertion_id,)))

    assert ledger.verify() == []
    kinds = [kind for (kind,) in run("SELECT event_type FROM event ORDER BY seq")]
    assert kinds == ["crd_returned", "crd_returned", "crd_returned", "crd_honoured"]
    run(f"UPDATE assertion SET covered = 'not-covered' WHERE assertion_id = '{given.assertion_id}'")
    assert [fault.partition(":")[0] for fault in ledger.verify()] == ["event 1", "event 4"]


def test_a_rulebook_of_its_own(
    ledger: Ledger, answer: Callable[..., AssertionRecord], rulebook: RulebookRecord
) -> None:
    old = answer()
    new = answer(minutes=1, rulebook_hash=None)

    assert standing(ledger, old) == new.assertion_id
    assert standing(ledger, old, rulebook_hash=rulebook.hash) == old.assertion_id


def test_the_index_finds_it(ledger: Ledger, path: Path) -> None:
    """A hook call must not cost more with every assertion made before it."""
    from sqlalchemy.dialects import sqlite

    from app.ledger.standing import latest_for_order, standing

    for query in (standing(["m"], ["o"], "c", ["v"], "r", TODAY), latest_for_order(["m"], ["o"], ["v"])):
        text = str(query.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))  # type: ignore[no-untyped-call]
        with closing(sqlite3.connect(path)) as connection:
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}")]
        assert not any(step.startswith("SCAN") for step in plan), plan
