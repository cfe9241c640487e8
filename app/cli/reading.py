"""Whoever reads what is kept of a person on the command line is written down, as in the console."""

from __future__ import annotations

import getpass
import os
import uuid
from datetime import UTC, datetime

from app.ledger import Ledger, Reading
from app.ledger.reading import Kind


def note_reading(ledger: Ledger, kind: Kind, about: str, member_id: str | None = None) -> None:
    """Write who reads what, before it is printed. LedgerError when it cannot be written: then nothing is read."""
    ledger.record_reading(
        Reading(
            reading_id=str(uuid.uuid4()),
            at=datetime.now(UTC),
            reader=_who(),
            through="command line",
            kind=kind,
            about=about,
            member_id=member_id,
        )
    )


def _who() -> str:
    """The user of this machine; its number where it has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
