"""`signpost rules check`: say everything that is wrong with the rule files."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from app.cli.options import settings_from
from app.cli.serve import FOLDER
from app.rulebook.rulebook import load


@click.command()
@click.option("--rules", type=FOLDER, help="Folder of the rule files.")
def check(rules: Path | None) -> None:
    """Say everything that is wrong with the rule files; exit 1 when they could not go live."""
    settings = settings_from(rules=rules)
    loaded = load(settings.rules, settings.questionnaires)
    for problem in loaded.problems:
        click.echo(str(problem))
    if loaded.rulebook is None:
        click.echo(f"{len(loaded.errors)} errors: these rules cannot go live.", err=True)
        sys.exit(1)
    book = loaded.rulebook
    click.echo(
        f"Rulebook {book.label} is good: {len(book.table)} routing rows, {len(book.policies)} policies, "
        f"{len(book.guidance)} cards, {len(book.lists)} lists, {len(book.questionnaires)} forms."
    )
