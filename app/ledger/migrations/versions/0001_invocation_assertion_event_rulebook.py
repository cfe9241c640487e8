"""Invocations, assertions, the event chain and the rulebooks that answered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rulebook",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("files", sa.LargeBinary(), nullable=False),
        sa.Column("loaded_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_rulebook")),
    )
    op.create_table(
        "invocation",
        sa.Column("invocation_id", sa.Text(), nullable=False),
        sa.Column("received_at", sa.Text(), nullable=False),
        sa.Column("answered_in_ms", sa.Float(), nullable=False),
        sa.Column("service_id", sa.Text(), nullable=False),
        sa.Column("hook", sa.Text(), nullable=False),
        sa.Column("hook_instance", sa.Text()),
        sa.Column("client", sa.Text()),
        sa.Column("fhir_server", sa.Text()),
        sa.Column("protocol_version", sa.Text()),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("request_kept", sa.Boolean(), nullable=False),
        sa.Column("request_size", sa.Integer(), nullable=False),
        sa.Column("request_sha256", sa.Text(), nullable=False),
        sa.Column("response_sha256", sa.Text(), nullable=False),
        sa.Column("exchange", sa.LargeBinary(), nullable=False),
        sa.Column("token_use", sa.Text(), nullable=False),
        sa.Column("rulebook_hash", sa.Text()),
        sa.Column("fetched", sa.LargeBinary()),
        sa.Column("timings", sa.Text(), nullable=False),
        sa.Column("issues", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("invocation_id", name=op.f("pk_invocation")),
        sa.ForeignKeyConstraint(["rulebook_hash"], ["rulebook.hash"], name=op.f("fk_invocation_rulebook_hash")),
    )
    op.create_index(op.f("ix_invocation_received_at"), "invocation", ["received_at"])
    op.create_table(
        "assertion",
        sa.Column("assertion_id", sa.Text(), nullable=False),
        sa.Column("invocation_id", sa.Text(), nullable=False),
        sa.Column("order_ref", sa.Text(), nullable=False),
        sa.Column("coverage_ref", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text()),
        sa.Column("line_of_business", sa.Text()),
        sa.Column("track", sa.Text()),
        sa.Column("covered", sa.Text(), nullable=False),
        sa.Column("pa_needed", sa.Text()),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("expires_on", sa.Text()),
        sa.Column("rule_ids", sa.Text(), nullable=False),
        sa.Column("facts", sa.LargeBinary(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("supersedes", sa.Text()),
        sa.PrimaryKeyConstraint("assertion_id", name=op.f("pk_assertion")),
        sa.ForeignKeyConstraint(
            ["invocation_id"], ["invocation.invocation_id"], name=op.f("fk_assertion_invocation_id")
        ),
    )
    op.create_index(op.f("ix_assertion_invocation_id"), "assertion", ["invocation_id"])
    op.create_table(
        "event",
        sa.Column(
            "seq",
            sa.Integer().with_variant(sa.BigInteger(), "postgresql"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("occurred_at", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("invocation_id", sa.Text(), nullable=False),
        sa.Column("assertion_id", sa.Text()),
        sa.Column("order_ref", sa.Text()),
        sa.Column("track", sa.Text()),
        sa.Column("payload_hash", sa.Text(), nullable=False),
        sa.Column("prev_hash", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_event")),
        sa.ForeignKeyConstraint(["invocation_id"], ["invocation.invocation_id"], name=op.f("fk_event_invocation_id")),
        sa.ForeignKeyConstraint(["assertion_id"], ["assertion.assertion_id"], name=op.f("fk_event_assertion_id")),
        sa.UniqueConstraint("prev_hash", name=op.f("uq_event_prev_hash")),
    )


def downgrade() -> None:
    for table in ("event", "assertion", "invocation", "rulebook"):
        op.drop_table(table)
