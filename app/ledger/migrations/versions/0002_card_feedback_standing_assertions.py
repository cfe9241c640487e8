"""Cards and the feedback on them, and finding what was answered before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.errors import LedgerError

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(op.f("ix_assertion_member_id"), "assertion", ["member_id", "order_ref"])
    op.create_table(
        "card",
        sa.Column("card_id", sa.Text(), nullable=False),
        sa.Column("invocation_id", sa.Text(), nullable=False),
        sa.Column("guidance", sa.Text(), nullable=False),
        sa.Column("response", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("order_refs", sa.Text(), nullable=False),
        sa.Column("suggestion_ids", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("card_id", name=op.f("pk_card")),
        sa.ForeignKeyConstraint(["invocation_id"], ["invocation.invocation_id"], name=op.f("fk_card_invocation_id")),
    )
    op.create_index(op.f("ix_card_invocation_id"), "card", ["invocation_id"])
    op.create_table(
        "feedback",
        sa.Column("feedback_id", sa.Text(), nullable=False),
        sa.Column("card_id", sa.Text(), nullable=False),
        sa.Column("known", sa.Boolean(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("accepted_suggestions", sa.Text(), nullable=False),
        sa.Column("override_reason_code", sa.Text()),
        sa.Column("override_reason_system", sa.Text()),
        sa.Column("override_reason_display", sa.Text()),
        sa.Column("user_comment", sa.Text()),
        sa.Column("outcome_at", sa.Text(), nullable=False),
        sa.Column("received_at", sa.Text(), nullable=False),
        sa.Column("client", sa.Text()),
        sa.PrimaryKeyConstraint("feedback_id", name=op.f("pk_feedback")),
    )
    op.create_index(op.f("ix_feedback_card_id"), "feedback", ["card_id"])
    # SQLite cannot lift NOT NULL: Alembic copies the table there. Nothing refers to it, and the rows stay as they are.
    with op.batch_alter_table("event") as event:
        event.alter_column("invocation_id", existing_type=sa.Text(), nullable=True)
        event.add_column(sa.Column("feedback_id", sa.Text()))
        event.create_foreign_key(op.f("fk_event_feedback_id"), "feedback", ["feedback_id"], ["feedback_id"])


def downgrade() -> None:
    for table in ("card", "feedback"):
        if op.get_bind().exec_driver_sql(f"SELECT count(*) FROM {table}").scalar():  # noqa: S608  # names of our own
            raise LedgerError(f"the older schema cannot keep what is in {table}, and the chain breaks without it")
    with op.batch_alter_table("event") as event:
        event.drop_constraint(op.f("fk_event_feedback_id"), type_="foreignkey")
        event.drop_column("feedback_id")
        event.alter_column("invocation_id", existing_type=sa.Text(), nullable=False)
    op.drop_table("feedback")
    op.drop_table("card")
    op.drop_index(op.f("ix_assertion_member_id"), "assertion")
