"""The id that an answer was told under, where that is the id of an earlier one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.errors import LedgerError

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("assertion", sa.Column("told_as", sa.Text()))


def downgrade() -> None:
    if op.get_bind().exec_driver_sql("SELECT count(*) FROM assertion WHERE told_as IS NOT NULL").scalar():
        raise LedgerError("the older schema cannot keep what ids answers were told under, and the chain breaks without")
    op.drop_column("assertion", "told_as")
