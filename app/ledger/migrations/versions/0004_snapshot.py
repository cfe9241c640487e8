"""What a form will need of the record, kept from order time until the form is asked for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "snapshot",
        sa.Column("assertion_id", sa.Text(), nullable=False),
        sa.Column("taken_at", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("assertion_id", name=op.f("pk_snapshot")),
        sa.ForeignKeyConstraint(["assertion_id"], ["assertion.assertion_id"], name=op.f("fk_snapshot_assertion_id")),
    )
    op.create_index(op.f("ix_snapshot_expires_at"), "snapshot", ["expires_at"])


def downgrade() -> None:
    op.drop_table("snapshot")
