"""Walking the event chain and checking every row it vouches for."""

from __future__ import annotations

from collections.abc import Iterator

import zstandard
from sqlalchemy import Connection, except_, select

from app.errors import EncryptionError
from app.ledger import chain
from app.ledger.archive_file import events_digest
from app.ledger.blobs import Blobs
from app.ledger.rows import Row, assertion_blobs, invocation_blob, split_exchange
from app.ledger.tables import archive, assertion, card, event, feedback, invocation, publication, reading, returned_form
from app.ledger.texts import Texts

_BATCH = 200


def audit(connection: Connection, blobs: Blobs, texts: Texts) -> list[str]:
    """What is wrong, one line a fault, each naming the event or row; [] is good."""
    return [*_walk(connection, blobs, texts), *_off_the_chain(connection)]


def _walk(connection: Connection, blobs: Blobs, texts: Texts) -> Iterator[str]:
    seq, previous = 0, chain.GENESIS
    digests = _Digests(connection, blobs, texts)
    archived: dict[int, list[str]] = {}
    for row in _events(connection):
        where = f"event {row['seq']}"
        if row["seq"] != seq + 1:
            yield f"{where}: events {seq + 1} to {row['seq'] - 1} are missing"
        if row["prev_hash"] != previous:
            yield f"{where}: does not follow event {seq}"
        try:
            if row["hash"] != chain.event_hash(texts.opened(row)):
                yield f"{where}: the row is not what was written"
        except EncryptionError as error:
            yield f"{where} cannot be read{_because(error)}"
        if row["archive"] is not None and row["invocation_id"] is not None:
            archived.setdefault(row["archive"], []).append(row["hash"])
        else:
            yield from (f"{where}: {fault}" for fault in digests.faults(row))
        seq, previous = row["seq"], row["hash"]
    yield from _archived(connection, archived)


def _archived(connection: Connection, events: dict[int, list[str]]) -> Iterator[str]:
    """What is wrong with the events that are said to be in archives, given their hashes by archive."""
    for row in connection.execute(select(archive).order_by(archive.c.number)):
        if row.events_sha256 != events_digest(events.pop(row.number, [])):
            yield f"archive {row.number}: the events said to be in it are not those that went there"
    yield from (f"archive {number} is missing" for number in sorted(events))


def _events(connection: Connection) -> Iterator[Row]:
    seq = 0
    while True:
        query = select(event).where(event.c.seq > seq).order_by(event.c.seq).limit(_BATCH)
        rows = [row._asdict() for row in connection.execute(query)]
        if not rows:
            return
        yield from rows
        seq = rows[-1]["seq"]


class _Digests:
    """Digests of stored rows. The events of one call are neighbours, so its invocation is read once for them all."""

    def __init__(self, connection: Connection, blobs: Blobs, texts: Texts) -> None:
        self._connection = connection
        self._blobs = blobs
        self._texts = texts
        self._invocation_id: str | None = None
        self._invocation_faults: list[str] = []
        self._invocation_digest: str | None = None
        self._cards_digest: str | None = None

    def faults(self, row: Row) -> list[str]:
        """What is wrong with the rows an event speaks of."""
        try:
            return self._faults(row)
        except EncryptionError as error:
            return [f"what it vouches for cannot be read{_because(error)}"]

    def _faults(self, row: Row) -> list[str]:
        if row["feedback_id"] is not None:
            return self._feedback_faults(row)
        if row["publication"] is not None:
            return self._publication_faults(row)
        if row["form_id"] is not None:
            return self._form_faults(row)
        if row["archive"] is not None:
            return self._archive_faults(row)
        if row["reading_id"] is not None:
            return self._reading_faults(row)
        if row["invocation_id"] != self._invocation_id:
            self._read_invocation(row["invocation_id"])
        faults = list(self._invocation_faults)
        if self._invocation_digest is None:
            return faults
        told: str | None = None
        if row["assertion_id"] is not None:
            try:
                told = self._assertion_digest(row["assertion_id"])
            except (EncryptionError, zstandard.ZstdError, MemoryError) as error:
                return [*faults, f"assertion {row['assertion_id']} cannot be read{_because(error)}"]
            if told is None:
                return [*faults, f"assertion {row['assertion_id']} is missing"]
        if row["payload_hash"] != chain.payload_hash(self._invocation_digest, told, self._cards_digest):
            of = "" if told is None else f" or assertion {row['assertion_id']}"
            faults.append(f"invocation {row['invocation_id']} with its cards{of} is not what was recorded")
        return faults

    def _feedback_faults(self, row: Row) -> list[str]:
        query = select(feedback).where(feedback.c.feedback_id == row["feedback_id"])
        found = self._connection.execute(query).first()
        if found is None:
            return [f"feedback {row['feedback_id']} is missing"]
        if row["payload_hash"] != chain.feedback_digest(self._texts.opened(found._asdict())):
            return [f"feedback {row['feedback_id']} is not what was recorded"]
        return []

    def _publication_faults(self, row: Row) -> list[str]:
        query = select(publication).where(publication.c.number == row["publication"])
        found = self._connection.execute(query).first()
        if found is None:
            return [f"publication {row['publication']} is missing"]
        if row["payload_hash"] != chain.publication_digest(found._asdict()):
            return [f"publication {row['publication']} is not what was recorded"]
        return []

    def _form_faults(self, row: Row) -> list[str]:
        query = select(returned_form).where(returned_form.c.form_id == row["form_id"])
        found = self._connection.execute(query).first()
        if found is None:
            return [f"returned form {row['form_id']} is missing"]
        if row["payload_hash"] != chain.returned_form_digest(self._texts.opened(found._asdict())):
            return [f"returned form {row['form_id']} is not what was recorded"]
        return []

    def _archive_faults(self, row: Row) -> list[str]:
        found = self._connection.execute(select(archive).where(archive.c.number == row["archive"])).first()
        if found is None:
            return [f"archive {row['archive']} is missing"]
        if row["payload_hash"] != chain.archive_digest(found._asdict()):
            return [f"archive {row['archive']} is not what was recorded"]
        return []

    def _reading_faults(self, row: Row) -> list[str]:
        query = select(reading).where(reading.c.reading_id == row["reading_id"])
        found = self._connection.execute(query).first()
        if found is None:
            return [f"reading {row['reading_id']} is missing"]
        if row["payload_hash"] != chain.reading_digest(self._texts.opened(found._asdict())):
            return [f"reading {row['reading_id']} is not what was recorded"]
        return []

    def _read_invocation(self, invocation_id: str) -> None:
        self._invocation_id, self._invocation_digest = invocation_id, None
        query = select(invocation).where(invocation.c.invocation_id == invocation_id)
        found = self._connection.execute(query).first()
        if found is None:
            self._invocation_faults = [f"invocation {invocation_id} is missing"]
            return
        row = found._asdict()
        try:
            request, response = split_exchange(row, self._blobs)
            read, basis = (invocation_blob(row, name, self._blobs) for name in ("fetched", "basis"))
        except (EncryptionError, zstandard.ZstdError, MemoryError) as error:
            self._invocation_faults = [f"invocation {invocation_id} cannot be read{_because(error)}"]
            return
        self._invocation_digest = chain.invocation_digest(row, read, basis)
        shown = self._connection.execute(select(card).where(card.c.invocation_id == invocation_id))
        self._cards_digest = chain.cards_digest(self._texts.opened(each._asdict()) for each in shown)
        self._invocation_faults = []
        if request is not None and chain.content_digest(request) != row["request_sha256"]:
            self._invocation_faults.append(f"the request of invocation {invocation_id} does not match its hash")
        if chain.content_digest(response) != row["response_sha256"]:
            self._invocation_faults.append(f"the response of invocation {invocation_id} does not match its hash")

    def _assertion_digest(self, assertion_id: str) -> str | None:
        query = select(assertion).where(assertion.c.assertion_id == assertion_id)
        found = self._connection.execute(query).first()
        if found is None:
            return None
        row = self._texts.opened(found._asdict())
        return chain.assertion_digest(row, *assertion_blobs(row, self._blobs))


def _because(error: Exception) -> str:
    """Why something sealed does not open; other errors' texts add nothing."""
    return f": {error}" if isinstance(error, EncryptionError) else ""


def _off_the_chain(connection: Connection) -> Iterator[str]:
    for table, column in (
        (invocation, "invocation_id"),
        (assertion, "assertion_id"),
        (feedback, "feedback_id"),
        (returned_form, "form_id"),
        (reading, "reading_id"),
    ):
        unvouched = except_(select(table.c[column]), select(event.c[column])).order_by(column)
        for (found,) in connection.execute(unvouched):
            yield f"{table.name} {found}: no event vouches for it"
    made = select(event.c.archive).where(event.c.invocation_id.is_(None))
    for (found,) in connection.execute(except_(select(archive.c.number), made).order_by("number")):
        yield f"archive {found}: no event vouches for it"
    acts = except_(select(publication.c.number), select(event.c.publication)).order_by("number")
    for (found,) in connection.execute(acts):
        yield f"publication {found}: no event vouches for it"
    # An event vouches for all cards of its invocation, but for none of an invocation that is not there.
    astray = select(card.c.card_id).where(card.c.invocation_id.not_in(select(invocation.c.invocation_id)))
    for (found,) in connection.execute(astray.order_by(card.c.card_id)):
        yield f"card {found}: its invocation is missing"
