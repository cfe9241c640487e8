"""The events of calls that are still here are found by their call: metrics join them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    here = sa.text("archive IS NULL")
    op.create_index("ix_event_invocation_id", "event", ["invocation_id"], postgresql_where=here, sqlite_where=here)


def downgrade() -> None:
    op.drop_index("ix_event_invocation_id", "event")
