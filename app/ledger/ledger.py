"""The ledger itself: written once a hook call, before the answer leaves, and read when somebody asks why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, Text, bindparam, delete, func, insert, select, update

from app.encryption import Encryption
from app.errors import LedgerError
from app.ledger import chain, partitions, schema, standing
from app.ledger.archive_file import ArchivedCall, read, sha256_of
from app.ledger.archiving import Archived, move
from app.ledger.audit import audit
from app.ledger.blobs import Blobs, pack, unpack
from app.ledger.draft import Draft, draft_row, stored_draft
from app.ledger.feedback import feedback_report
from app.ledger.measured import MeasuredCall, measured_calls
from app.ledger.publication import Publication, PublicationRecord
from app.ledger.reading import Reading, reading_row, readings_between, stored_reading
from app.ledger.records import (
    AssertionRecord,
    Call,
    CardRecord,
    FeedbackLine,
    FeedbackRecord,
    RulebookRecord,
    SnapshotRecord,
    StoredAssertion,
    StoredFeedback,
    StoredInvocation,
)
from app.ledger.reseal import Resealed, reseal
from app.ledger.returned_form import (
    FormError,
    ReturnedForm,
    form_error_row,
    forms_of_assertion,
    forms_of_member,
    returned_form_row,
    stored_form,
    stored_form_error,
)
from app.ledger.rows import (
    Row,
    assertion_row,
    card_row,
    feedback_row,
    instant,
    invocation_row,
    publication_row,
    rulebook_row,
    snapshot_row,
    stored_assertion,
    stored_card,
    stored_feedback,
    stored_invocation,
    stored_publication,
    stored_rulebook,
    stored_snapshot,
)
from app.ledger.store import WAIT_S, Cursor, Store, Synchronous, create_sqlite_file, use_write_ahead_log
from app.ledger.tables import (
    archive,
    assertion,
    card,
    draft,
    feedback,
    form_error,
    invocation,
    metadata,
    publication,
    rulebook,
    scenarios,
    snapshot,
)
from app.ledger.together import Together

T = TypeVar("T")

_TAIL = "SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1"
_ACTS = select(publication).order_by(publication.c.number)
# Changes nothing, yet is a write: SQLite gives the lock on a read-only file and refuses only the statement.
_TOUCH = "UPDATE event SET seq = seq WHERE seq = 0"


class Ledger:
    """Every method raises LedgerError, and nothing else, when the store does not do as asked.

    Safe to share between threads. Holds no connection across a fork: one opened before gunicorn forks serves the
    workers too.
    """

    def __init__(self, store: Store, encryption: Encryption | None = None) -> None:
        self._store = store
        self._encryption = encryption
        self._blobs = Blobs(encryption)
        self._months = partitions.Months() if store.dialect == "postgresql" else None
        self._together = Together(self._write_calls, WAIT_S)
        self._insert = {table.name: store.insert_sql(table) for table in metadata.tables.values()}
        member, order, coverage = (bindparam(name, type_=Text) for name in ("member_id", "order_ref", "coverage_ref"))
        self._latest_for_order = store.query_sql(standing.latest_for_order(member, order, coverage))
        self._replaced_snapshot = store.query_sql(
            delete(snapshot).where(snapshot.c.assertion_id == bindparam("assertion_id", type_=Text))
        )
        self._purge_expired = store.query_sql(
            delete(snapshot).where(snapshot.c.expires_at <= bindparam("now", type_=Text))
        )

    @classmethod
    def open(cls, url: str, encryption: Encryption | None = None, *, synchronous: Synchronous = "full") -> Self:
        """The ledger at `sqlite:///path` (made and migrated where needed) or `postgresql://…` (at head already).

        `encryption` seals what is written of patients and opens what was sealed; without it nothing is, and sealed
        rows cannot be read. `synchronous` is SQLite's: "full" survives a power cut, "normal" may lose the last answers
        to one.
        """
        store = Store(url, synchronous)
        if store.dialect == "sqlite":
            _migrate_sqlite(store)
        else:
            found = store.read("the ledger cannot be opened", schema.version)
            if found != schema.HEAD:
                store.close_idle()
                raise LedgerError(
                    f"the ledger's schema is {found or 'empty'}, this version of Signpost needs {schema.HEAD}:"
                    " run `signpost ledger migrate`"
                )
            store.write("the ledger's months cannot be made", partitions.make_ahead)
        store.close_idle()
        return cls(store, encryption)

    @staticmethod
    def migrate(url: str) -> None:
        """Bring the store at `url` to this version's schema, however many processes try at once."""
        store = Store(url)
        if store.dialect == "sqlite":
            _migrate_sqlite(store)
        else:
            store.write("the ledger cannot be migrated", schema.upgrade)
            store.write("the ledger's months cannot be made", partitions.make_ahead)
        store.close_idle()

    def record(self, call: Call) -> None:
        """Write the invocation, its assertions, cards and events in one transaction, or nothing.

        The call's rulebook must be in the store (`record_rulebook`): an answer nobody can replay is not an answer.
        So must the assertions it honours. A snapshot takes the place of the one that was kept for its assertion.
        """
        doing = f"invocation {call.invocation_id} was not recorded"
        honoured = self._honoured(doing, call.honoured)
        earlier = {each.assertion_id for each in call.snapshots} - {each.assertion_id for each in call.assertions}
        if any(self.assertion(each) is None for each in sorted(earlier)):
            raise LedgerError(f"{doing}: what it keeps for forms is for no assertion of the ledger")
        try:
            asked = invocation_row(call, self._blobs)
            answered = [assertion_row(record, call, self._blobs) for record in call.assertions]
            shown = [card_row(record, call) for record in call.cards]
            events = _events(call, asked, answered, shown, honoured)
        except Exception as error:
            # Outside the handler again, and by its kind only: the message may quote the value.
            reason = type(error).__name__
        else:
            kept = [snapshot_row(record) for record in call.snapshots]
            rows = {"invocation": [asked], "assertion": answered, "snapshot": kept, "card": shown, "event": events}
            self._together.add(doing, rows)
            return
        raise LedgerError(f"{doing}: the call holds a value of the wrong kind ({reason})")

    def _honoured(self, doing: str, ids: Sequence[str]) -> list[tuple[StoredAssertion, str]]:
        """Earlier assertions with their digests. Read before the writers' lock is taken: they never change."""
        if not ids:
            return []

        def find(connection: Connection) -> list[tuple[StoredAssertion, str]]:
            rows = connection.execute(select(assertion).where(assertion.c.assertion_id.in_(ids)))
            by_id = {row.assertion_id: row._asdict() for row in rows}
            if not by_id.keys() >= set(ids):
                raise LedgerError(f"{doing}: an assertion it honours is not in the ledger")
            earlier = [(self._stored_assertion(by_id[each]), by_id[each]) for each in ids]
            return [(found, chain.assertion_digest(row, found.facts, found.answer)) for found, row in earlier]

        return self._store.read(doing, find)

    def _write_calls(self, doing: str, calls: list[dict[str, list[Row]]]) -> None:
        """Write the rows of several calls in one transaction."""

        def append(cursor: Cursor) -> None:
            for rows in calls:
                if rows["snapshot"]:  # taken again for an answer that was given again
                    cursor.executemany(self._replaced_snapshot, rows["snapshot"])
                self._append(cursor, rows)
            if any(rows["snapshot"] for rows in calls):  # whoever adds one clears away those that have expired
                cursor.execute(self._purge_expired, {"now": instant(datetime.now(UTC))})

        if self._months is not None:
            self._months.make(self._store, datetime.now(UTC))
        self._store.write_fast(doing, append)

    def _append(self, cursor: Cursor, rows: dict[str, list[Row]]) -> None:
        """Insert rows by table, in that order; the events, which come last, are numbered and chained first."""
        cursor.execute(_TAIL)
        seq, previous = cursor.fetchone() or (0, chain.GENESIS)
        recorded_at = instant(datetime.now(UTC))
        for row in rows["event"]:
            seq += 1
            row.update(seq=seq, recorded_at=recorded_at, prev_hash=previous)
            row.setdefault("archive", None)
            row.setdefault("reading_id", None)
            row["hash"] = previous = chain.event_hash(row)
        for table, added in rows.items():
            if added:
                cursor.executemany(self._insert[table], added)

    def record_feedback(self, batch: Sequence[FeedbackRecord]) -> int:
        """Write a batch of feedback and its events in one transaction, or nothing; how many cards in it are known."""
        query = select(card.c.card_id, card.c.invocation_id)
        named = query.where(card.c.card_id.in_({record.card_id for record in batch}))

        def keep(connection: Connection) -> int:
            shown_in = {row.card_id: row.invocation_id for row in connection.execute(named)}
            said = [feedback_row(record, known=record.card_id in shown_in) for record in batch]
            events = [_feedback_event(row, shown_in.get(row["card_id"])) for row in said]
            self._append(connection.connection.cursor(), {"feedback": said, "event": events})
            return sum(row["known"] for row in said)

        return self._store.write("the feedback was not recorded", keep)

    def record_rulebook(self, record: RulebookRecord) -> None:
        """Keep a rulebook version before its first answer leaves; one already kept is left as it is."""

        def keep(connection: Connection) -> None:
            kept = select(rulebook.c.hash).where(rulebook.c.hash == record.hash)
            if connection.execute(kept).first() is None:
                connection.exec_driver_sql(self._insert["rulebook"], rulebook_row(record))

        self._store.write(f"rulebook {record.hash} was not recorded", keep)

    def publish(self, decide: Callable[[list[Publication]], PublicationRecord]) -> Publication:
        """Add an act on a rulebook, with its event, or nothing.

        `decide` makes the act in view of all before it, and nobody adds one meanwhile; what it raises is passed on as
        it is. The rulebook must be in the store (`record_rulebook`).
        """
        refused: list[Exception] = []

        def keep(connection: Connection) -> Publication | None:
            acts = [stored_publication(row._asdict()) for row in connection.execute(_ACTS)]
            try:
                record = decide(acts)
            except Exception as error:
                refused.append(error)
                return None
            row = publication_row(record, len(acts) + 1)
            self._append(connection.connection.cursor(), {"publication": [row], "event": [_publication_event(row)]})
            return stored_publication(row)

        made = self._store.write("the rulebook was not published", keep)
        if made is None:
            raise refused[0]
        return made

    def publications(self) -> list[Publication]:
        """Every act on a rulebook, oldest first."""
        return self._find(_ACTS, stored_publication)

    def publications_count(self) -> int:
        """How many acts there are: what a worker asks to see whether something happened."""
        query = select(func.count()).select_from(publication)
        return self._store.read(
            "the ledger could not be read", lambda connection: connection.execute(query).scalar_one()
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
        return [
            first,
            *self._find(standing.told_as(assertion_id, first.member_id or "", first.order_ref), self._stored_assertion),
        ]

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
        query = standing.standing(member_id, order_ref, content_hash, coverage_ref, rulebook_hash, on)
        return next(iter(self._find(query, self._stored_assertion)), None)

    def latest_for_order(self, member_id: str, order_ref: str, coverage_ref: str) -> StoredAssertion | None:
        """The newest assertion for a member's order under a coverage, expired or not: what a new one supersedes."""
        wanted = {"member_id": member_id, "order_ref": order_ref, "coverage_ref": coverage_ref}

        def find(cursor: Cursor) -> StoredAssertion | None:
            # Asked for every order of every call, so by text compiled once.
            cursor.execute(self._latest_for_order, wanted)
            row = cursor.fetchone()
            if row is None:
                return None
            names = (column[0] for column in cursor.description)
            return self._stored_assertion(dict(zip(names, row, strict=True)))

        return self._store.read_fast("the ledger could not be read", find)

    def snapshot(self, assertion_id: str, now: datetime) -> SnapshotRecord | None:
        """What was kept for an assertion's forms; None where nothing was, or it is used, or it has expired by `now`."""
        query = select(snapshot).where(snapshot.c.assertion_id == assertion_id, snapshot.c.expires_at > instant(now))
        return next(iter(self._find(query, stored_snapshot)), None)

    def delete_snapshot(self, assertion_id: str) -> bool:
        """Forget what was kept for an assertion: its form is complete. Whether there was anything."""
        return self._delete_snapshots(snapshot.c.assertion_id == assertion_id) > 0

    def purge_snapshots(self, now: datetime) -> int:
        """Delete every snapshot that has expired by `now`; how many."""
        return self._delete_snapshots(snapshot.c.expires_at <= instant(now))

    def _delete_snapshots(self, which: ColumnElement[bool]) -> int:
        query = delete(snapshot).where(which)
        return self._store.write("snapshots were not deleted", lambda connection: connection.execute(query).rowcount)

    def record_returned_form(
        self, record: ReturnedForm, is_it: Callable[[ReturnedForm], bool] = lambda _: False
    ) -> str:
        """Write a form that came back with its event in one transaction, or nothing. Its assertion must be there.

        Nothing is written when the last to come back for the assertion, of that form in any version, `is_it` already:
        it was sent twice. The id of the one that is kept.
        """
        row = returned_form_row(record)
        made_in = select(assertion.c.invocation_id).where(assertion.c.assertion_id == record.assertion_id)
        before = forms_of_assertion(record.assertion_id)

        def keep(connection: Connection) -> str:
            invocation_id = connection.execute(made_in).scalar()
            if invocation_id is None:
                raise LedgerError("the form was not recorded: its assertion is not in the ledger")
            kept = [stored_form(found._asdict()) for found in connection.execute(before)]
            last = next((each for each in kept if each.form_url == record.form_url), None)
            if last is not None and is_it(last):
                return last.form_id
            self._append(
                connection.connection.cursor(), {"returned_form": [row], "event": [_form_event(row, invocation_id)]}
            )
            return record.form_id

        return self._store.write("the form was not recorded", keep)

    def forms_of_member(self, member_id: str) -> list[ReturnedForm]:
        """Every form that came back for a member, newest first."""
        return self._find(forms_of_member(member_id), stored_form)

    def forms_returned_for(self, assertion_id: str) -> list[ReturnedForm]:
        """Every form that came back for an assertion, newest first."""
        return self._find(forms_of_assertion(assertion_id), stored_form)

    def record_form_errors(self, records: Sequence[FormError]) -> None:
        """Keep what a client could not do with forms, all or nothing. It is about no answer, so it is not chained."""
        rows = [form_error_row(record) for record in records]

        def keep(connection: Connection) -> None:
            for row in rows:
                connection.exec_driver_sql(self._insert["form_error"], row)

        self._store.write("the errors were not recorded", keep)

    def form_errors(self) -> list[FormError]:
        """What clients reported of forms, newest first."""
        return self._find(select(form_error).order_by(form_error.c.received_at.desc()), stored_form_error)

    def cards_of(self, invocation_id: str) -> list[CardRecord]:
        """The cards an invocation's response showed, by id; [] for an unknown invocation."""
        of = select(card).where(card.c.invocation_id == invocation_id)
        return self._find(of.order_by(card.c.card_id), stored_card)

    def feedback_on(self, card_id: str) -> list[StoredFeedback]:
        """All that was said of a card, in the order users said it; cards that are none of ours included."""
        on = select(feedback).where(feedback.c.card_id == card_id)
        return self._find(on.order_by(feedback.c.outcome_at, feedback.c.received_at), stored_feedback)

    def feedback_report(self, since: datetime | None) -> list[FeedbackLine]:
        """What users did with the cards shown since then (aware), or ever: one line a guidance, most shown first."""
        doing = "the feedback could not be added up"
        return self._store.read_snapshot(doing, lambda connection: feedback_report(connection, since))

    def measure(
        self, take: Callable[[MeasuredCall], None], *, since: datetime | None = None, until: datetime | None = None
    ) -> None:
        """Hand each call received from `since` up to, not including, `until` to `take`, oldest first, on one view."""

        def each(connection: Connection) -> None:
            for call in measured_calls(connection, since, until, self._blobs):
                take(call)

        self._store.read_snapshot("the calls could not be measured", each)

    def invocation(self, invocation_id: str) -> StoredInvocation | None:
        """The invocation of that id, None where there is none."""
        query = select(invocation).where(invocation.c.invocation_id == invocation_id)
        return next(iter(self._find(query, self._stored_invocation)), None)

    def answered_between(self, since: datetime | None, until: datetime | None) -> list[str]:
        """Ids of the invocations that were answered (HTTP below 400) from `since` up to, not including, `until`."""
        query = select(invocation.c.invocation_id).where(invocation.c.status < 400)
        if since is not None:
            query = query.where(invocation.c.received_at >= instant(since))
        if until is not None:
            query = query.where(invocation.c.received_at < instant(until))
        return self._find(query.order_by(invocation.c.received_at), lambda row: str(row["invocation_id"]))

    def recent(self, limit: int) -> list[StoredInvocation]:
        """The latest invocations, newest first."""
        newest = select(invocation).order_by(invocation.c.received_at.desc(), invocation.c.invocation_id)
        return self._find(newest.limit(limit), self._stored_invocation)

    def rulebook(self, rulebook_hash: str) -> RulebookRecord | None:
        """The rulebook version of that hash, None where there is none."""
        query = select(rulebook).where(rulebook.c.hash == rulebook_hash)
        return next(iter(self._find(query, stored_rulebook)), None)

    def archive(self, before: datetime, folder: Path, now: datetime) -> Archived:
        """Move the calls received before an instant (aware) to files in a folder, but for those still needed.

        Stay: a call whose assertion still holds, which was given again by a call that stays, for which a form came
        back since, or for whose forms something is still kept.
        """
        return move(self._store, self._sealing(), self._append, before, folder, now)

    def read_archive(self, path: Path) -> list[ArchivedCall]:
        """The calls in a file, whether or not it is of this ledger."""
        return list(read(path, self._sealing()))

    def check_archive(self, path: Path) -> list[str]:
        """What is wrong with a file that was written from this ledger, by what the ledger says of it; [] is good."""
        digest = sha256_of(path)
        query = select(archive).where(archive.c.file_sha256 == digest)
        if not self._find(query, dict):
            return [f"{path}: no archive of this ledger is this file, or it was changed"]
        return [fault for call in self.read_archive(path) for fault in call.faults()]

    def _sealing(self) -> Encryption:
        if self._encryption is None:
            raise LedgerError("nothing can be sealed or opened: no key is at hand")
        return self._encryption

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
            query = query.where(assertion.c.member_id == member_id)
        if order_ref is not None:
            query = query.where(assertion.c.order_ref == order_ref)
        if since is not None:
            query = query.where(assertion.c.received_at >= instant(since))
        if until is not None:
            query = query.where(assertion.c.received_at < instant(until))

        def record(row: Row) -> tuple[datetime, StoredAssertion]:
            return datetime.fromisoformat(row["received_at"]), self._stored_assertion(row)

        return self._find(query, record)

    def record_reading(self, record: Reading) -> None:
        """Write that somebody reads what is kept of a person, with its event. Show nothing unless it is written."""
        row = reading_row(record)
        rows = {"reading": [row], "event": [_reading_event(row)]}
        self._store.write_fast("the reading was not recorded", lambda cursor: self._append(cursor, rows))

    def readings(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        reader: str | None = None,
        member_id: str | None = None,
        limit: int = 200,
    ) -> list[Reading]:
        """Who read what, newest first."""
        return self._find(readings_between(since, until, reader, member_id, limit), stored_reading)

    def keep_draft(self, record: Draft, *, seen: int | None) -> bool:
        """Write a draft over version `seen` of it, or as a new one (None); whether it was still that version."""
        row = draft_row(record)

        def keep(connection: Connection) -> bool:
            if seen is None:
                connection.exec_driver_sql(self._insert["draft"], row)
                return True
            over = draft.c.draft_id == record.draft_id, draft.c.version == seen
            return connection.execute(update(draft).where(*over).values(**row)).rowcount == 1

        return self._store.write("the draft was not kept", keep)

    def keep_scenarios(self, rulebook_hash: str, files: Mapping[str, str]) -> None:
        """Keep the texts, by path, of the scenarios that a rulebook in the store is held to, over those kept before."""
        packed = pack(msgspec.json.encode(dict(files)))

        def keep(connection: Connection) -> None:
            connection.execute(delete(scenarios).where(scenarios.c.rulebook_hash == rulebook_hash))
            connection.execute(insert(scenarios).values(rulebook_hash=rulebook_hash, files=packed))

        self._store.write("the scenarios were not kept", keep)

    def scenarios(self, rulebook_hash: str) -> Mapping[str, str] | None:
        """The scenarios kept with a rulebook, None where there are none."""
        query = select(scenarios.c.files).where(scenarios.c.rulebook_hash == rulebook_hash)
        found = self._find(query, lambda row: msgspec.json.decode(unpack(row["files"]), type=dict[str, str]))
        return next(iter(found), None)

    def drafts(self) -> list[Draft]:
        """Every draft, the last changed first."""
        return self._find(select(draft).order_by(draft.c.changed_at.desc()), stored_draft)

    def draft(self, draft_id: str) -> Draft | None:
        """The draft of that id, None where there is none."""
        return next(iter(self._find(select(draft).where(draft.c.draft_id == draft_id), stored_draft)), None)

    def delete_draft(self, draft_id: str) -> None:
        """Throw a draft away."""
        query = delete(draft).where(draft.c.draft_id == draft_id)
        self._store.write("the draft was not deleted", lambda connection: connection.execute(query))

    def _stored_assertion(self, row: Row) -> StoredAssertion:
        return stored_assertion(row, self._blobs)

    def _stored_invocation(self, row: Row) -> StoredInvocation:
        return stored_invocation(row, self._blobs)

    def _find(self, query: Select[Any], record: Callable[[Row], T]) -> list[T]:
        def find(connection: Connection) -> list[T]:
            return [record(row._asdict()) for row in connection.execute(query)]

        return self._store.read("the ledger could not be read", find)

    def verify(self) -> list[str]:
        """What is wrong with the chain and the rows it vouches for, one line a fault; [] is good.

        Reads the whole store. It cannot see that the newest events were cut off together with all their rows:
        for that, keep the last event's hash somewhere else.
        """
        return self._store.read_snapshot(
            "the ledger could not be verified", lambda connection: audit(connection, self._blobs)
        )

    def reseal(self) -> Resealed:
        """Seal under the first key what is not: written under an older one, or before blobs were sealed.

        Writers get their turn after every few rows. LedgerError without keys.
        """
        return reseal(self._store, self._sealing())

    def healthy(self) -> None:
        """Return when the ledger could be written now: its lock can be had and its chain takes a write."""
        self._store.write("the ledger cannot be written", lambda connection: connection.exec_driver_sql(_TOUCH))

    def close(self) -> None:
        """Close the connections not in use."""
        self._store.close_idle()


def _migrate_sqlite(store: Store) -> None:
    create_sqlite_file(store.url)

    def prepare(connection: Connection) -> str | None:
        use_write_ahead_log(connection)
        return schema.version(connection)

    doing = "the ledger cannot be opened"
    if store.read(doing, prepare) != schema.HEAD:
        store.rebuild(doing, schema.upgrade)


def _events(
    call: Call, asked: Row, answered: list[Row], shown: list[Row], honoured: list[tuple[StoredAssertion, str]]
) -> list[Row]:
    """The events of a call, still to be numbered and chained. Every call has one: none is off the chain."""
    told, cards = chain.invocation_digest(asked, call.fetched, call.basis), chain.cards_digest(shown)
    occurred_at = instant(call.received_at + timedelta(milliseconds=call.answered_in_ms))

    def event(kind: str, about: AssertionRecord | None = None, digest: str | None = None) -> Row:
        return {
            "occurred_at": occurred_at,
            "event_type": kind,
            "invocation_id": call.invocation_id,
            "assertion_id": about.assertion_id if about else None,
            "order_ref": about.order_ref if about else None,
            "track": about.track if about else None,
            "payload_hash": chain.payload_hash(told, digest, cards),
            "feedback_id": None,
            "publication": None,
            "form_id": None,
        }

    events = [
        event("crd_returned", record, chain.assertion_digest(row, record.facts, record.answer))
        for row, record in zip(answered, call.assertions, strict=True)
    ]
    events += [event("crd_honoured", record, digest) for record, digest in honoured]
    if call.status >= 400 or not events:
        events.append(event("call_failed" if call.status >= 400 else "call_answered"))
    return events


def _publication_event(act: Row) -> Row:
    """The event of a `publication` row."""
    return {
        "occurred_at": act["at"],
        "event_type": f"rulebook_{act['act'].replace('-', '_')}",
        "invocation_id": None,
        "assertion_id": None,
        "order_ref": None,
        "track": None,
        "payload_hash": chain.publication_digest(act),
        "feedback_id": None,
        "publication": act["number"],
        "form_id": None,
    }


def _form_event(row: Row, invocation_id: str | None) -> Row:
    """The event of a `returned_form` row, for an assertion made in that invocation."""
    return {
        "occurred_at": row["received_at"],
        "event_type": "form_returned",
        "invocation_id": invocation_id,
        "assertion_id": row["assertion_id"],
        "order_ref": row["order_ref"],
        "track": None,
        "payload_hash": chain.returned_form_digest(row),
        "feedback_id": None,
        "publication": None,
        "form_id": row["form_id"],
    }


def _reading_event(row: Row) -> Row:
    """The event of a `reading` row. Its answer or call is told in the row: ids that were asked for may not exist."""
    return {
        "occurred_at": row["at"],
        "event_type": "record_read",
        "invocation_id": None,
        "assertion_id": None,
        "order_ref": None,
        "track": None,
        "payload_hash": chain.reading_digest(row),
        "feedback_id": None,
        "publication": None,
        "form_id": None,
        "reading_id": row["reading_id"],
    }


def _feedback_event(said: Row, invocation_id: str | None) -> Row:
    """The event of a `feedback` row on a card of that invocation, None for a card nobody knows."""
    return {
        "occurred_at": said["outcome_at"],
        "event_type": "feedback",
        "invocation_id": invocation_id,
        "assertion_id": None,
        "order_ref": None,
        "track": None,
        "payload_hash": chain.feedback_digest(said),
        "feedback_id": said["feedback_id"],
        "publication": None,
        "form_id": None,
    }
