"""What an answer rested on beside its request and its rulebook."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.errors import LedgerError

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("invocation", sa.Column("basis", sa.LargeBinary()))


def downgrade() -> None:
    if op.get_bind().exec_driver_sql("SELECT count(*) FROM invocation WHERE basis IS NOT NULL").scalar():
        raise LedgerError("the older schema cannot keep what answers rested on, and the chain breaks without it")
    op.drop_column("invocation", "basis")
