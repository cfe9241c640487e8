"""`signpost rules test`: run the scenarios that benefit staff wrote, and see what they leave open."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from app.cli.options import settings_from
from app.cli.parallel import spread
from app.cli.rules.live import live
from app.cli.rules.report import FORMATS, Report
from app.cli.serve import FOLDER


@click.command()
@click.option("--rules", type=FOLDER, help="Folder of the rule files.")
@click.option("--only", help="Run scenarios whose id starts with this.")
@click.option("--verbose", is_flag=True, help="Name every scenario, not only those that fail.")
@click.option("--coverage", is_flag=True, help="Say which rows, cases and cards no scenario touches.")
@click.option("--mutate", is_flag=True, help="Change one rule at a time, and say which changes no scenario notices.")
@click.option("--rule", help="Change rules whose name starts with this, such as route:ma- or policy:infliximab.")
@click.option("--jobs", type=click.IntRange(1), help="Processes that try changes; left out: one a core.")
@click.option("--min-coverage", type=click.IntRange(0, 100), help="Exit 1 when fewer percent of the rules decide.")
@click.option("--max-unnoticed", type=click.IntRange(0), help="Exit 1 when more changes go unnoticed.")
@click.option("--format", "style", type=click.Choice(list(FORMATS)), default="text", show_default=True, help="Output.")
def test(
    rules: Path | None,
    only: str | None,
    verbose: bool,
    coverage: bool,
    mutate: bool,
    rule: str | None,
    jobs: int | None,
    min_coverage: int | None,
    max_unnoticed: int | None,
    style: str,
) -> None:
    """Run every scenario under scenarios/; exit 1 when one does not get the answer it must get."""
    from app.crd.mutation import mutations
    from app.crd.reach import reach
    from app.crd.scenarios import run
    from app.crd.watch import Watch
    from app.rulebook.scenarios import read_scenarios

    settings = settings_from(rules=rules)
    book = live(settings.rules, settings.questionnaires)
    scenarios, problems = read_scenarios(settings.rules / "scenarios", book)
    chosen = [scenario for scenario in scenarios if only is None or scenario.id.startswith(only)]
    ran = [(scenario, run(scenario, book, settings.roster_path)) for scenario in chosen]
    report = Report(book.label, problems, ran, verbose=verbose)
    if coverage or min_coverage is not None:
        report.reached = reach((outcome for _, outcome in ran), book)
    if mutate or max_unnoticed is not None:
        watch = Watch.of(ran, book, settings.roster_path)
        tried = [each for each in mutations(book) if rule is None or each.rule.startswith(rule)]
        if only is not None:
            tried = [each for each in tried if watch.may_notice(each)]
        noticed = spread(lambda number: watch.noticed_by(tried[number]), len(tried), label="Changing rules", jobs=jobs)
        report.mutated = list(zip(tried, noticed, strict=True))
    click.echo(FORMATS[style](report))
    sys.exit(0 if report.holds(min_coverage, max_unnoticed) else 1)
