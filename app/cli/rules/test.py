"""`signpost rules test`: run the scenarios that benefit staff wrote."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from app.cli.options import settings_from
from app.cli.rules.live import live
from app.cli.serve import FOLDER


@click.command()
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
