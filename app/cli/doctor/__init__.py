"""`signpost doctor`: what would keep the service from answering, and what to do about it."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click

from app.cli.doctor import keys, rules, stores
from app.cli.doctor.finding import Finding, wrong
from app.cli.options import settings_from
from app.cli.serve import FOLDER
from app.errors import SettingsError
from app.fhir.json import encode
from app.settings import Settings

_MARKS = {"ok": "ok  ", "warning": "WARN", "wrong": "FAIL"}


@click.command()
@click.option("--data-dir", type=FOLDER, help="Folder for the embedded ledger.")
@click.option("--rules", type=FOLDER, help="Folder of the rule files.")
@click.option("--sandbox", is_flag=True, default=None, help="Check for a start with --sandbox.")
@click.option("--offline", is_flag=True, help="Do not fetch the clients' keys.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(offline: bool, as_json: bool, data_dir: Path | None, rules: Path | None, sandbox: bool | None) -> None:
    """Check settings, rules, database, shared state, keys, clock and files, and say what to fix; exit 1 if anything.

    Nothing is changed or made. Give it the same environment as the service.
    """
    try:
        settings = settings_from(data_dir=data_dir, rules=rules, sandbox=sandbox)
    except SettingsError as error:
        found = [wrong("settings", str(error), "The rest can be checked once this is right.")]
    else:
        found = list(examined(settings, offline=offline))
    failed = sum(each.verdict == "wrong" for each in found)
    if as_json:
        click.echo(encode({"well": not failed, "findings": found}))
    else:
        click.echo("\n".join(map(_told, found)))
        warned = sum(each.verdict == "warning" for each in found)
        click.echo(f"\n{failed} to fix, {warned} to think about." if failed or warned else "\nAll is well.")
    sys.exit(1 if failed else 0)


def examined(settings: Settings, *, offline: bool) -> Iterator[Finding]:
    """Every check, in the order in which one would mend things."""
    yield from rules.settings(settings)
    yield from stores.clock()
    yield from stores.disk(settings)
    yield from stores.ledger(settings)
    yield from stores.shared_state(settings)
    yield from keys.encryption(settings)
    yield from keys.clients(settings, offline=offline)
    yield from keys.files(settings)
    yield from rules.members(settings)
    yield from rules.rulebook(settings)


def _told(found: Finding) -> str:
    lines = textwrap.wrap(f"{found.check}: {found.said}", 110, break_long_words=False, break_on_hyphens=False)
    if found.remedy:
        lines += textwrap.wrap(f"-> {found.remedy}", 110, break_long_words=False, break_on_hyphens=False)
    return f"{_MARKS[found.verdict]}  " + "\n      ".join(lines)
