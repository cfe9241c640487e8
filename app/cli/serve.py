"""`signpost serve`: start the service."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from app.cli.options import settings_from
from app.settings import ROOT, Settings

FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="Port to listen on.")
@click.option("--workers", type=int, help="Worker processes.")
@click.option("--data-dir", type=FOLDER, help="Folder for the embedded ledger.")
@click.option("--rules", type=FOLDER, help="Folder of the rule files.")
@click.option("--sandbox", is_flag=True, default=None, help="Open mode for trying and testing, on loopback only.")
def serve(**flags: object) -> None:
    """Start the service. Every flag is also a setting (SIGNPOST_HOST, ...); see docs/operate.md."""
    settings = settings_from(**flags)
    _check(settings)
    if settings.sandbox:
        click.echo(
            "SANDBOX: no client is checked, any payer and any fhirServer is accepted. For trying and testing only.",
            err=True,
        )
    for name, value in flags.items():
        if value is not None:
            os.environ[f"SIGNPOST_{name.upper()}"] = str(value)
    click.echo(f"Signpost answers at http://{settings.host}:{settings.port}/cds-services", err=True)
    sys.stdout.flush()
    gunicorn = [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py"), "--chdir", os.getcwd()]
    os.execv(sys.executable, [*gunicorn, "--pythonpath", str(ROOT), "wsgi:app"])  # noqa: S606  # our own interpreter


def _check(settings: Settings) -> None:
    """Say what is wrong before a server is started around it."""
    from app import check_exposure
    from app.crd.published import PublishedKeeper
    from app.errors import RulebookError
    from app.ledger import Ledger
    from app.rulebook.rulebook import load

    check_exposure(settings)
    if settings.rules_from == "published":
        ledger = Ledger.open(settings.ledger_url, synchronous=settings.sqlite_synchronous)
        PublishedKeeper(ledger, interval=0)
        ledger.close()
        return
    loaded = load(settings.rules, settings.questionnaires)
    if loaded.rulebook is None:
        found = "\n".join(str(problem) for problem in loaded.errors)
        raise RulebookError(f"The rules in {settings.rules} cannot go live:\n{found}")
