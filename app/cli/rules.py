"""`signpost rules`: check the rule files, and try them against their scenarios."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from app.cli.options import settings_from
from app.cli.serve import FOLDER
from app.errors import RulebookError
from app.rulebook.rulebook import Rulebook, load


@click.group()
def rules() -> None:
    """Check and try the rule files."""


@rules.command()
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


@rules.command()
@click.option("--rules", type=FOLDER, help="Folder of the rule files.")
@click.option("--only", help="Run scenarios whose id starts with this.")
@click.option("--verbose", is_flag=True, help="Name every scenario, not only those that fail.")
def test(rules: Path | None, only: str | None, verbose: bool) -> None:
    """Run every scenario under scenarios/; exit 1 when one does not get the answer it must get."""
    from app.crd.scenarios import run
    from app.rulebook.scenarios import read_scenarios

    settings = settings_from(rules=rules)
    book = live(settings.rules, settings.questionnaires)
    scenarios, problems = read_scenarios(settings.rules / "scenarios", book)
    for problem in problems:
        click.echo(str(problem), err=True)
    chosen = [scenario for scenario in scenarios if only is None or scenario.id.startswith(only)]
    failed = 0
    for scenario in chosen:
        outcome = run(scenario, book, settings.roster_path)
        failed += not outcome.passed
        if verbose or not outcome.passed:
            click.echo(f"{'ok  ' if outcome.passed else 'FAIL'} {scenario.id}: {scenario.title} ({scenario.place})")
        for words in outcome.differences:
            click.echo(f"       {words}")
    click.echo(f"{len(chosen) - failed} passed, {failed} failed")
    if failed or problems or not chosen:
        sys.exit(1)


def live(rules_folder: Path, questionnaires: Path) -> Rulebook:
    """The rulebook on disk; RulebookError with every problem when it could not go live."""
    loaded = load(rules_folder, questionnaires)
    if loaded.rulebook is None:
        raise RulebookError("\n".join(str(problem) for problem in loaded.errors))
    return loaded.rulebook
