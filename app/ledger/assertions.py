"""Assertions: what was answered for an order, read back."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import select

from app.encryption import Encryption
from app.ledger import standing
from app.ledger.part import Part
from app.ledger.records import StoredAssertion
from app.ledger.rows import Row, instant, stored_assertion
from app.ledger.store import Store
from app.ledger.tables import assertion


class Assertions(Part):
    """Reads them by id, call, order, member and time. They are written with their call."""

    def __init__(self, store: Store, encryption: Encryption | None) -> None:
        super().__init__(store, encryption)
        self._latest_for_order = store.query_sql(
            standing.latest_for_order(self._any("member_id"), self._any("order_ref"), self._any("coverage_ref"))
        )

    def assertion(self, assertion_id: str) -> StoredAssertion | None:
        """The assertion of that id, None where there is none."""
        query = select(assertion).where(assertion.c.assertion_id == assertion_id)
        return next(iter(self._find(query, self._stored_assertion)), None)

    def told_under(self, assertion_id: str) -> list[StoredAssertion]:
        """The assertion of that id, and those told under it since, oldest first; [] where there is none."""
        first = self.assertion(assertion_id)
        if first is None:
            return []
        member = self._texts.wanted(first.member_id or "", "member_id")
        since = standing.told_as(assertion_id, member, self._texts.wanted(first.order_ref, "order_ref"))
        return [first, *self._find(since, self._stored_assertion)]

    def assertions_of(self, invocation_id: str) -> list[StoredAssertion]:
        """The assertions an invocation's response made, by order; [] for an unknown invocation."""
        of = select(assertion).where(assertion.c.invocation_id == invocation_id)
        return self._find(of.order_by(assertion.c.order_ref, assertion.c.assertion_id), self._stored_assertion)

    def standing_assertion(
        self,
        member_id: str,
        order_ref: str,
        content_hash: str,
        coverage_ref: str,
        rulebook_hash: str | None,
        on: date,
    ) -> StoredAssertion | None:
        """The newest assertion for the same member, order, content and coverage that still holds on that day.

        One holds through its `expires_on`, for ever without, and until another supersedes it. `rulebook_hash` asks for
        one of that rulebook. None where there is none. Which hook it answered is in its invocation.
        """
        query = standing.standing(
            self._texts.wanted(member_id, "member_id"),
            self._texts.wanted(order_ref, "order_ref"),
            content_hash,
            self._texts.wanted(coverage_ref, "coverage_ref"),
            rulebook_hash,
            on,
        )
        return next(iter(self._find(query, self._stored_assertion)), None)

    def latest_for_order(self, member_id: str, order_ref: str, coverage_ref: str) -> StoredAssertion | None:
        """The newest assertion for a member's order under a coverage, expired or not: what a new one supersedes."""
        wanted = self._wanted(member_id=member_id, order_ref=order_ref, coverage_ref=coverage_ref)
        return next(iter(self._find_fast(self._latest_for_order, wanted, self._stored_assertion)), None)

    def assertions_about(
        self,
        *,
        member_id: str | None = None,
        order_ref: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 100,
    ) -> list[tuple[datetime, StoredAssertion]]:
        """Assertions with the instant of their call, newest first: of a member, an order, a half-open span of time."""
        newest = assertion.c.received_at.desc(), assertion.c.assertion_id
        query = select(assertion).order_by(*newest).limit(limit)
        if member_id is not None:
            query = query.where(assertion.c.member_id.in_(self._texts.wanted(member_id, "member_id")))
        if order_ref is not None:
            query = query.where(assertion.c.order_ref.in_(self._texts.wanted(order_ref, "order_ref")))
        if since is not None:
            query = query.where(assertion.c.received_at >= instant(since))
        if until is not None:
            query = query.where(assertion.c.received_at < instant(until))

        def record(row: Row) -> tuple[datetime, StoredAssertion]:
            return datetime.fromisoformat(row["received_at"]), self._stored_assertion(row)

        return self._find(query, record)

    def _stored_assertion(self, row: Row) -> StoredAssertion:
        return stored_assertion(row, self._blobs)
