"""Forms that came back filled in, and what clients report of forms that do not work."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.errors import LedgerError

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "returned_form",
        sa.Column("form_id", sa.Text(), nullable=False),
        sa.Column("assertion_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text()),
        sa.Column("order_ref", sa.Text(), nullable=False),
        sa.Column("questionnaire", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("received_at", sa.Text(), nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("form_id", name=op.f("pk_returned_form")),
        sa.ForeignKeyConstraint(
            ["assertion_id"], ["assertion.assertion_id"], name=op.f("fk_returned_form_assertion_id")
        ),
    )
    op.create_index(op.f("ix_returned_form_member_id"), "returned_form", ["member_id", "order_ref"])
    op.create_table(
        "form_error",
        sa.Column("error_id", sa.Text(), nullable=False),
        sa.Column("questionnaire", sa.Text(), nullable=False),
        sa.Column("received_at", sa.Text(), nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("issues", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("error_id", name=op.f("pk_form_error")),
    )
    op.create_index(op.f("ix_form_error_questionnaire"), "form_error", ["questionnaire"])
    with op.batch_alter_table("event") as event:
        event.add_column(sa.Column("form_id", sa.Text()))
        event.create_foreign_key(op.f("fk_event_form_id"), "returned_form", ["form_id"], ["form_id"])


def downgrade() -> None:
    if op.get_bind().exec_driver_sql("SELECT count(*) FROM returned_form").scalar():
        raise LedgerError("the older schema cannot keep what is in returned_form, and the chain breaks without it")
    with op.batch_alter_table("event") as event:
        event.drop_constraint(op.f("fk_event_form_id"), type_="foreignkey")
        event.drop_column("form_id")
    op.drop_table("form_error")
    op.drop_table("returned_form")
