"""`signpost questionnaires check`: say everything that is wrong with the forms."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from app.cli.options import settings_from
from app.cli.serve import FOLDER
from app.rulebook.forms import read_forms
from app.rulebook.rulebook import load, read_files
from benefit_router import Problem


@click.command()
@click.argument("form", required=False)
@click.option("--rules", type=FOLDER, help="Folder of the rule files.")
@click.option("--questionnaires", type=FOLDER, help="Folder of the forms.")
def check(form: str | None, rules: Path | None, questionnaires: Path | None) -> None:
    """Say everything that is wrong with one form, or with all; exit 1 when something is an error.

    A warning is allowed by the profiles, and better otherwise.
    """
    from app.dtr.cases import read_cases
    from app.dtr.checks import check_form

    settings = settings_from(rules=rules, questionnaires=questionnaires)
    loaded = load(settings.rules, settings.questionnaires)
    if loaded.rulebook is None:
        told = [*loaded.problems, *_in_forms(settings.rules, settings.questionnaires)]
        for problem in told:
            click.echo(str(problem))
        errors = sum(problem.severity == "error" for problem in told)
        click.echo(f"{errors} errors: these rules and forms cannot go live.", err=True)
        sys.exit(1)
    book = loaded.rulebook
    chosen = {slug: each for slug, each in book.forms.items() if form is None or slug == form}
    problems = [
        problem
        for slug, each in chosen.items()
        for problem in check_form(
            slug, book.files[f"questionnaires/{slug}/questionnaire.json"], each, book.prefills.get(slug)
        )
    ]
    _, in_cases = read_cases(settings.questionnaires, book)
    problems += [each for each in in_cases if each.file.split("/")[-3] in chosen]
    for problem in problems:
        click.echo(str(problem))
    errors = sum(problem.severity == "error" for problem in problems)
    click.echo(f"{len(chosen)} forms: {errors} errors, {len(problems) - errors} warnings")
    if errors or not chosen:
        sys.exit(1)


def _in_forms(rules: Path, questionnaires: Path) -> list[Problem]:
    """The errors in forms of which, or beside which, something else keeps the rulebook from being built.

    Without warnings: some are about what a prefill does not fill, and that may be what cannot be read.
    """
    from app.dtr.checks import check_form

    try:
        files = read_files(rules, questionnaires)
    except OSError:
        return []  # told already
    found = (
        check_form(slug, files[f"questionnaires/{slug}/questionnaire.json"], form, None)
        for slug, form in read_forms(files, []).items()
    )
    return [problem for problems in found for problem in problems if problem.severity == "error"]
