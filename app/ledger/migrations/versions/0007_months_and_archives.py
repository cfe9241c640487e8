"""Calls by month on PostgreSQL, and archives; rows of a call name each other without foreign keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.errors import LedgerError
from app.ledger import partitions

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_REFERENCES = (
    ("event", "invocation_id", "invocation"),
    ("event", "assertion_id", "assertion"),
    ("snapshot", "assertion_id", "assertion"),
    ("returned_form", "assertion_id", "assertion"),
    ("assertion", "invocation_id", "invocation"),
    ("card", "invocation_id", "invocation"),
)
_INDEXES = {
    "invocation": {"received_at": "received_at"},
    "assertion": {"invocation_id": "invocation_id", "member_id": "member_id, order_ref"},
    "card": {"invocation_id": "invocation_id"},
}


def upgrade() -> None:
    op.create_table(
        "archive",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("made_at", sa.Text(), nullable=False),
        sa.Column("received_from", sa.Text(), nullable=False),
        sa.Column("received_to", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("file_sha256", sa.Text(), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("events_sha256", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_archive")),
    )
    for table, column, _ in _REFERENCES:
        with op.batch_alter_table(table) as changed:
            changed.drop_constraint(op.f(f"fk_{table}_{column}"), type_="foreignkey")
    with op.batch_alter_table("event") as event:
        event.add_column(sa.Column("archive", sa.Integer()))
        event.create_foreign_key(op.f("fk_event_archive"), "archive", ["archive"], ["number"])
    for table in ("assertion", "card"):
        op.add_column(table, sa.Column("received_at", sa.Text()))
        op.execute(
            f"UPDATE {table} SET received_at = (SELECT invocation.received_at FROM invocation"  # noqa: S608  # our own
            f" WHERE invocation.invocation_id = {table}.invocation_id)"
        )
        with op.batch_alter_table(table) as changed:
            changed.alter_column("received_at", existing_type=sa.Text(), nullable=False)
    if op.get_bind().dialect.name == "postgresql":
        for table in partitions.TABLES:
            _by_month(table)


def _by_month(table: str) -> None:
    """Copy a table of PostgreSQL to one with a partition a month. Takes the time of writing it once."""
    connection = op.get_bind()
    whole = f"{table}_whole"
    op.execute(f"ALTER TABLE {table} RENAME TO {whole}")
    op.execute(f"ALTER TABLE {whole} DROP CONSTRAINT pk_{table}")
    for index in _INDEXES[table]:
        op.execute(f"DROP INDEX ix_{table}_{index}")
    op.execute(f"CREATE TABLE {table} (LIKE {whole}) PARTITION BY RANGE (received_at)")
    op.execute(f"CREATE TABLE {table}_other PARTITION OF {table} DEFAULT")
    _finish(table, f"{table}_id, received_at")
    found = connection.exec_driver_sql(f"SELECT DISTINCT substr(received_at, 1, 7) FROM {whole}")  # noqa: S608  # our own
    partitions.make(connection, [row[0] for row in found], [table])
    op.execute(f"INSERT INTO {table} SELECT * FROM {whole}")  # noqa: S608  # our own
    op.execute(f"DROP TABLE {whole}")


def _finish(table: str, key: str) -> None:
    op.execute(f"ALTER TABLE {table} ADD CONSTRAINT pk_{table} PRIMARY KEY ({key})")
    for index, columns in _INDEXES[table].items():
        op.execute(f"CREATE INDEX ix_{table}_{index} ON {table} ({columns})")
    if table == "invocation":
        op.execute(
            "ALTER TABLE invocation ADD CONSTRAINT fk_invocation_rulebook_hash"
            " FOREIGN KEY (rulebook_hash) REFERENCES rulebook (hash)"
        )


def downgrade() -> None:
    connection = op.get_bind()
    if connection.exec_driver_sql("SELECT count(*) FROM archive").scalar():
        raise LedgerError("the older schema knows of no archives, and the chain breaks without them")
    if connection.dialect.name == "postgresql":
        for table in partitions.TABLES:
            op.execute(f"CREATE TABLE {table}_whole (LIKE {table})")
            op.execute(f"INSERT INTO {table}_whole SELECT * FROM {table}")  # noqa: S608  # our own
            op.execute(f"DROP TABLE {table}")
            op.execute(f"ALTER TABLE {table}_whole RENAME TO {table}")
            _finish(table, f"{table}_id")
    with op.batch_alter_table("event") as event:
        event.drop_constraint(op.f("fk_event_archive"), type_="foreignkey")
        event.drop_column("archive")
    for table in ("assertion", "card"):
        with op.batch_alter_table(table) as changed:
            changed.drop_column("received_at")
    for table, column, other in reversed(_REFERENCES):
        with op.batch_alter_table(table) as changed:
            changed.create_foreign_key(op.f(f"fk_{table}_{column}"), other, [column], [f"{other}_id"])
    op.drop_table("archive")
