"""`signpost rules propose`: draft routing rows from CMS's HCPCS file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from app.cli.options import settings_from
from app.cli.rules.live import live
from app.cli.serve import FOLDER
from app.errors import RulebookError
from app.rulebook.hcpcs import read_hcpcs, text_of
from app.rulebook.proposals import propose as proposals
from app.rulebook.rulebook import ROUTES_FILE

_LARGEST = 64 * 1024 * 1024  # the whole of HCPCS with every descriptor is below 3 MB
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option(
    "--hcpcs",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CMS's HCPCS quarterly file: the ANWEB text, or its table saved as CSV.",
)
@click.option("--release", help="Its release, such as 'July 2026'; left out: the name of the file.")
@click.option("--on", type=click.DateTime(["%Y-%m-%d"]), help="The day the file was read; left out: today.")
@click.option("--rules", type=FOLDER, help="Folder of the rule files.")
@click.option("--out", type=_FILE, help="New file for the drafts; left out: they are printed.")
def propose(hcpcs: Path, release: str | None, on: datetime | None, rules: Path | None, out: Path | None) -> None:
    """Propose draft routing rows from what HCPCS descriptors say of how a drug is given.

    The routing table itself is never written to. A code that a row already names is marked in the draft's title; a
    draft whose rule_id the table already has is left out.
    """
    settings = settings_from(rules=rules)
    if out is not None and out.exists():
        raise click.UsageError(f"{out} exists already; name a new file.")
    if hcpcs.stat().st_size > _LARGEST:
        raise RulebookError(f"{hcpcs}: The file is larger than {_LARGEST // 1024**2} MB; HCPCS is not.")
    text = text_of(hcpcs.read_bytes())
    rulebook = live(settings.rules, settings.questionnaires)
    found = proposals(
        read_hcpcs(text, str(hcpcs)),
        rulebook.files[ROUTES_FILE],
        rulebook.lists,
        release=release or hcpcs.name,
        retrieved=(on or datetime.now(UTC)).date(),
    )
    if out is None:
        click.echo(found.text(), nl=False)
    else:
        out.write_text(found.text(), encoding="utf-8")
    click.echo(f"{len(found.rows)} drafts from {found.codes} codes.", err=True)
    if found.ruled:
        click.echo(f"Already ruled, and marked: {', '.join(found.ruled)}.", err=True)
    if found.passed_over:
        click.echo(f"Left out, since the table has them: {', '.join(found.passed_over)}.", err=True)
