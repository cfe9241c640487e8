"""What still stands of earlier answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, TypeAlias

from sqlalchemy import BindParameter, Select, and_, exists, or_, select

from app.ledger.tables import assertion, invocation

Wanted: TypeAlias = "Sequence[str] | Sequence[BindParameter[str]]"
"""What a text may stand as in its column (texts.py)."""

_newest = (assertion.c.received_at.desc(), assertion.c.assertion_id.desc())


def latest_for_order(member_id: Wanted, order_ref: Wanted, coverage_ref: Wanted) -> Select[Any]:
    """Assertions for a member's order under a coverage, newest first, whatever the order's content was."""
    return (
        select(assertion)
        .where(
            assertion.c.member_id.in_(member_id),
            assertion.c.order_ref.in_(order_ref),
            assertion.c.coverage_ref.in_(coverage_ref),
        )
        .order_by(*_newest)
    )


def told_as(assertion_id: str, member_id: Wanted, order_ref: Wanted) -> Select[Any]:
    """Assertions told under the id of an earlier one, for a member's order, oldest first."""
    # By member and order for the index: what is told under an id is about the same.
    of_order = select(assertion).where(assertion.c.member_id.in_(member_id), assertion.c.order_ref.in_(order_ref))
    return of_order.where(assertion.c.told_as == assertion_id).order_by(
        assertion.c.received_at, assertion.c.assertion_id
    )


def standing(
    member_id: Wanted,
    order_ref: Wanted,
    content_hash: str,
    coverage_ref: Wanted,
    rulebook_hash: str | None,
    on: date,
) -> Select[Any]:
    """The newest assertion for the very same order that is neither expired on that day nor superseded."""
    later = assertion.alias("later")
    # By member as well, for the index: what supersedes an assertion is about the same person.
    superseded = exists().where(later.c.member_id.in_(member_id), later.c.supersedes == assertion.c.assertion_id)
    query = latest_for_order(member_id, order_ref, coverage_ref).where(
        assertion.c.content_hash == content_hash,
        or_(assertion.c.expires_on.is_(None), assertion.c.expires_on >= on.isoformat()),
        ~superseded,
    )
    if rulebook_hash is None:
        return query
    # By instant as well, for PostgreSQL to look into one partition.
    made_in = and_(
        invocation.c.invocation_id == assertion.c.invocation_id, invocation.c.received_at == assertion.c.received_at
    )
    return query.join(invocation, made_in).where(invocation.c.rulebook_hash == rulebook_hash)
