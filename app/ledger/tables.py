"""The tables, in types that mean the same on SQLite and PostgreSQL.

Instants are text, ISO 8601 in UTC with microseconds, and dates ISO text: both sort as time does, read the same from
either database, and enter the hash chain exactly as stored. Lists and maps are JSON text. Blobs are zstd frames.

On PostgreSQL `invocation`, `assertion` and `card` are partitioned by month (partitions.py), so their keys there hold
`received_at` too. `event` is not: the chain is one, and its numbers and links are unique over all of it.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

rulebook = Table(
    "rulebook",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("label", Text, nullable=False),
    Column("files", LargeBinary, nullable=False),
    Column("loaded_at", Text, nullable=False),
)

invocation = Table(
    "invocation",
    metadata,
    Column("invocation_id", Text, primary_key=True),
    Column("received_at", Text, nullable=False, index=True),
    Column("answered_in_ms", Float, nullable=False),
    Column("service_id", Text, nullable=False),
    Column("hook", Text, nullable=False),
    Column("hook_instance", Text),
    Column("client", Text),
    Column("fhir_server", Text),
    Column("protocol_version", Text),
    Column("status", Integer, nullable=False),
    Column("request_kept", Boolean, nullable=False),
    Column("request_size", Integer, nullable=False),
    Column("request_sha256", Text, nullable=False),
    Column("response_sha256", Text, nullable=False),
    # Request and response in one frame: the response repeats the orders it answers, and is stored as a reference.
    Column("exchange", LargeBinary, nullable=False),
    Column("token_use", Text, nullable=False),
    Column("rulebook_hash", Text, ForeignKey("rulebook.hash")),
    Column("fetched", LargeBinary),
    Column("timings", Text, nullable=False),
    Column("issues", Text, nullable=False),
    Column("basis", LargeBinary),
)

# Rows of a call name each other without foreign keys: PostgreSQL has none onto what is partitioned, and events outlive
# what is archived. The chain says what is missing.
assertion = Table(
    "assertion",
    metadata,
    Column("assertion_id", Text, primary_key=True),
    Column("invocation_id", Text, nullable=False, index=True),
    Column("order_ref", Text, nullable=False),
    Column("coverage_ref", Text, nullable=False),
    Column("member_id", Text),
    Column("line_of_business", Text),
    Column("track", Text),
    Column("covered", Text, nullable=False),
    Column("pa_needed", Text),
    Column("content_hash", Text, nullable=False),
    Column("expires_on", Text),
    Column("rule_ids", Text, nullable=False),
    Column("facts", LargeBinary, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Column("supersedes", Text),
    Column("told_as", Text),
    # The call's, as in `card`: what the months of PostgreSQL's partitions go by.
    Column("received_at", Text, nullable=False),
    # What was answered before: the same order of a member comes again from hook to hook.
    Index(None, "member_id", "order_ref"),
)

# What a form will need of the record, sealed (app/encryption.py), until it is used or expires. Not part of the chain.
snapshot = Table(
    "snapshot",
    metadata,
    Column("assertion_id", Text, primary_key=True),
    Column("taken_at", Text, nullable=False),
    Column("expires_at", Text, nullable=False, index=True),
    Column("content", LargeBinary, nullable=False),
)

card = Table(
    "card",
    metadata,
    Column("card_id", Text, primary_key=True),
    Column("invocation_id", Text, nullable=False, index=True),
    Column("guidance", Text, nullable=False),
    Column("response", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("order_refs", Text, nullable=False),
    Column("suggestion_ids", Text, nullable=False),
    Column("received_at", Text, nullable=False),
)

feedback = Table(
    "feedback",
    metadata,
    Column("feedback_id", Text, primary_key=True),
    # Not a foreign key: what users say of a card this ledger does not know is kept too.
    Column("card_id", Text, nullable=False, index=True),
    Column("known", Boolean, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("accepted_suggestions", Text, nullable=False),
    Column("override_reason_code", Text),
    Column("override_reason_system", Text),
    Column("override_reason_display", Text),
    Column("user_comment", Text),
    Column("outcome_at", Text, nullable=False),
    Column("received_at", Text, nullable=False),
    Column("client", Text),
)

publication = Table(
    "publication",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("act", Text, nullable=False),
    Column("rulebook_hash", Text, ForeignKey("rulebook.hash"), nullable=False),
    Column("label", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("effective_at", Text),
    Column("about", Integer),
    Column("checks", Text, nullable=False),
    Column("note", Text, nullable=False),
)

returned_form = Table(
    "returned_form",
    metadata,
    Column("form_id", Text, primary_key=True),
    Column("assertion_id", Text, nullable=False),
    Column("member_id", Text),
    Column("order_ref", Text, nullable=False),
    Column("questionnaire", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("received_at", Text, nullable=False),
    Column("client", Text, nullable=False),
    # Sealed before it comes here, so neither a zstd frame nor readable.
    Column("content", LargeBinary, nullable=False),
    Index(None, "member_id", "order_ref"),
)

form_error = Table(
    "form_error",
    metadata,
    Column("error_id", Text, primary_key=True),
    Column("questionnaire", Text, nullable=False, index=True),
    Column("received_at", Text, nullable=False),
    Column("client", Text, nullable=False),
    Column("issues", Text, nullable=False),
)

# Calls that were moved to a file. Their events stay, and `events_sha256` is over the hashes of those, in order.
archive = Table(
    "archive",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("made_at", Text, nullable=False),
    Column("received_from", Text, nullable=False),
    Column("received_to", Text, nullable=False),
    Column("file", Text, nullable=False),
    Column("file_sha256", Text, nullable=False),
    Column("calls", Integer, nullable=False),
    Column("events", Integer, nullable=False),
    Column("events_sha256", Text, nullable=False),
)

# Who read what is kept of a person. On the chain, so that a read cannot be struck out.
reading = Table(
    "reading",
    metadata,
    Column("reading_id", Text, primary_key=True),
    Column("at", Text, nullable=False, index=True),
    Column("reader", Text, nullable=False),
    Column("through", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("about", Text, nullable=False),
    Column("member_id", Text, index=True),
)

draft = Table(
    "draft",
    metadata,
    Column("draft_id", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("based_on", Text, ForeignKey("rulebook.hash"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("changed_at", Text, nullable=False),
    Column("files", LargeBinary, nullable=False),
)

# Not on the chain: scenarios hold rules to something and decide nothing.
scenarios = Table(
    "scenarios",
    metadata,
    Column("rulebook_hash", Text, ForeignKey("rulebook.hash"), primary_key=True),
    Column("files", LargeBinary, nullable=False),
)

event = Table(
    "event",
    metadata,
    # Numbered by the writer, under the lock that orders the chain: no gaps, and the number is part of the hash.
    Column("seq", Integer().with_variant(BigInteger, "postgresql"), primary_key=True, autoincrement=False),
    Column("occurred_at", Text, nullable=False),
    Column("recorded_at", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    # NULL for feedback on a card that is not in the ledger, and for acts on rulebooks.
    Column("invocation_id", Text),
    Column("assertion_id", Text),
    Column("order_ref", Text),
    Column("track", Text),
    Column("payload_hash", Text, nullable=False),
    Column("prev_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("feedback_id", Text, ForeignKey("feedback.feedback_id")),
    Column("publication", Integer, ForeignKey("publication.number")),
    Column("form_id", Text, ForeignKey("returned_form.form_id")),
    # The archive that holds what the event vouches for, or, where it names no call, whose making it records.
    Column("archive", Integer, ForeignKey("archive.number")),
    Column("reading_id", Text, ForeignKey("reading.reading_id")),
    UniqueConstraint("prev_hash"),
)
# Of the calls that are still here: it does not grow with what was archived.
_here = event.c.archive.is_(None)
Index(None, event.c.invocation_id, postgresql_where=_here, sqlite_where=_here)
