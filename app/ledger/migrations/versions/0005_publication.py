"""Which rulebook was made live, by whom and when."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.errors import LedgerError

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "publication",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("rulebook_hash", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("effective_at", sa.Text()),
        sa.Column("about", sa.Integer()),
        sa.Column("checks", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_publication")),
        sa.ForeignKeyConstraint(["rulebook_hash"], ["rulebook.hash"], name=op.f("fk_publication_rulebook_hash")),
    )
    with op.batch_alter_table("event") as event:
        event.add_column(sa.Column("publication", sa.Integer()))
        event.create_foreign_key(op.f("fk_event_publication"), "publication", ["publication"], ["number"])


def downgrade() -> None:
    if op.get_bind().exec_driver_sql("SELECT count(*) FROM publication").scalar():
        raise LedgerError("the older schema cannot keep what is in publication, and the chain breaks without it")
    with op.batch_alter_table("event") as event:
        event.drop_constraint(op.f("fk_event_publication"), type_="foreignkey")
        event.drop_column("publication")
    op.drop_table("publication")
