"""Alembic's entry: runs on the connection `app.ledger.schema` hands over, inside the transaction it holds."""

from __future__ import annotations

from alembic import context

from app.ledger.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
