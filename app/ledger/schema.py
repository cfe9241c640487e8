"""Bringing a store to the schema this version of Signpost writes."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect

from app.errors import LedgerError

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0011"
"""The newest migration. Kept here so that opening a current store does not have to import Alembic."""

_MIGRATIONS = Path(__file__).with_name("migrations")
_alembic_is_global = threading.Lock()


def version(connection: Connection) -> str | None:
    """The store's migration, None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return found


def alembic_config(connection: Connection) -> Config:
    """Alembic's configuration for migrating over this connection, in place of an alembic.ini."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection) -> None:
    """Migrate to HEAD unless already there; LedgerError for a store that a newer Signpost migrated.

    The caller holds the writers' lock and commits.
    """
    found = version(connection)
    if found == HEAD:
        return
    from alembic import command
    from alembic.script import ScriptDirectory

    with _alembic_is_global:
        config = alembic_config(connection)
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        if found is not None and found not in known:
            raise LedgerError(f"the ledger's schema {found} is newer than this Signpost knows: upgrade Signpost")
        command.upgrade(config, HEAD)
