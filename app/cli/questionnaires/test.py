"""`signpost questionnaires test`: run the cases of the forms."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from app.cli.options import settings_from
from app.cli.rules.live import live
from app.cli.serve import FOLDER


@click.command()
@click.argument("form", required=False)
@click.option("--rules", type=FOLDER, help="Folder of the rule files.")
@click.option("--questionnaires", type=FOLDER, help="Folder of the forms.")
@click.option("--verbose", is_flag=True, help="Name every case, not only those that fail.")
def test(form: str | None, rules: Path | None, questionnaires: Path | None, verbose: bool) -> None:
    """Run the cases of one form, or of all; exit 1 when a form is not filled as a case expects."""
    from app.dtr.cases import read_cases, run

    settings = settings_from(rules=rules, questionnaires=questionnaires)
    book = live(settings.rules, settings.questionnaires)
    cases, problems = read_cases(settings.questionnaires, book)
    for problem in problems:
        click.echo(str(problem), err=True)
    chosen = [case for case in cases if form is None or case.form == form]
    failed = 0
    for case in chosen:
        differences = run(case, book)
        failed += bool(differences)
        if verbose or differences:
            mark = "FAIL" if differences else "ok  "
            click.echo(f"{mark} {case.form} {case.name}: {case.title} ({case.place})")
        for words in differences:
            click.echo(f"       {words}")
    click.echo(f"{len(chosen) - failed} passed, {failed} failed")
    if failed or problems or not chosen:
        sys.exit(1)
