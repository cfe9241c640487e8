"""The ledger that a command reads, and what it must say of an answer that is not the last word."""

from __future__ import annotations

import click

from app.encryption import Encryption
from app.errors import SettingsError
from app.ledger import Ledger
from app.settings import Settings


def open_ledger(settings: Settings) -> Ledger:
    """The ledger that is there, closed when the command ends; SettingsError where there is none yet."""
    file = settings.data_dir / "ledger.sqlite"
    if settings.database_url is None and not file.exists():
        raise SettingsError(f"There is no ledger at {file}. Name its folder with --data-dir.")
    ledger = Ledger.open(settings.ledger_url, Encryption.of_settings(settings), synchronous=settings.sqlite_synchronous)
    click.get_current_context().call_on_close(ledger.close)
    return ledger


def say_what_holds(ledger: Ledger, assertion_id: str) -> None:
    """Say on the error stream when a completed form changed an answer since, under the same id."""
    told = ledger.told_under(assertion_id)
    if len(told) > 1:
        last = told[-1]
        words = " ".join(filter(None, (last.covered, last.pa_needed)))
        click.echo(
            f"A completed form changed this answer since. Under the same id the client was told {words}: that answer is"
            f" kept as {last.assertion_id}.",
            err=True,
        )
