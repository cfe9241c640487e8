"""Who read what is kept of a person, and drafts of rules that people work on in the console."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.errors import LedgerError

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reading",
        sa.Column("reading_id", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("reader", sa.Text(), nullable=False),
        sa.Column("through", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text()),
        sa.PrimaryKeyConstraint("reading_id", name=op.f("pk_reading")),
    )
    op.create_index(op.f("ix_reading_at"), "reading", ["at"])
    op.create_index(op.f("ix_reading_member_id"), "reading", ["member_id"])
    op.create_table(
        "draft",
        sa.Column("draft_id", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("based_on", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.Text(), nullable=False),
        sa.Column("files", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("draft_id", name=op.f("pk_draft")),
        sa.ForeignKeyConstraint(["based_on"], ["rulebook.hash"], name=op.f("fk_draft_based_on")),
    )
    with op.batch_alter_table("event") as event:
        event.add_column(sa.Column("reading_id", sa.Text()))
        event.create_foreign_key(op.f("fk_event_reading_id"), "reading", ["reading_id"], ["reading_id"])


def downgrade() -> None:
    if op.get_bind().exec_driver_sql("SELECT count(*) FROM reading").scalar():
        raise LedgerError("the older schema cannot keep what is in reading, and the chain breaks without it")
    with op.batch_alter_table("event") as event:
        event.drop_constraint(op.f("fk_event_reading_id"), type_="foreignkey")
        event.drop_column("reading_id")
    op.drop_table("draft")
    op.drop_table("reading")
