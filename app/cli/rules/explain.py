"""`signpost rules explain`: why a request gets its answer, and what would change it."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from pathlib import Path

import click

from app.cli.options import settings_from
from app.cli.rules.live import live, members
from app.cli.serve import FOLDER
from app.errors import RequestError


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--rules", type=FOLDER, help="Folder of the rule files.")
@click.option("--order", help="Only the order of this key, such as MedicationRequest/mr1.")
@click.option("--on", type=click.DateTime(["%Y-%m-%d"]), help="Day of the call; left out: today.")
@click.option("--all", "every_row", is_flag=True, help="Show weaker routing rows that could not hold, too.")
@click.option(
    "--changes", type=click.IntRange(0, 3), default=2, show_default=True, help="Most facts to change at once."
)
@click.option(
    "--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Output."
)
def explain(
    file: Path, rules: Path | None, order: str | None, on: datetime | None, every_row: bool, changes: int, style: str
) -> None:
    """Explain the answer to FILE, a CDS Hooks request: every rule considered, and what would change it.

    Nothing is read from an EHR: what the request does not bring is missing.
    """
    from app.cli.explanation_text import explanation_text
    from app.crd.counterfactual import what_would_change
    from app.crd.explanation import explain as explain_one
    from app.crd.rehearsal import Rehearsal
    from app.fhir.json import encode

    settings = settings_from(rules=rules)
    book = live(settings.rules, settings.questionnaires)
    today: date = (on or datetime.now(UTC)).date()
    try:
        rehearsal = Rehearsal.of(file.read_bytes(), directory=members(settings, book), payer=book.payer, today=today)
    except RequestError as error:
        click.echo(f"{file}: the request would be refused: {error}", err=True)
        sys.exit(2)
    decided = [each for each in rehearsal.decide(book) if order is None or each.order.key == order]
    if not decided:
        named = ", ".join(each.key for each in rehearsal.orders) or "none"
        click.echo(f"There is no such order in {file}. It has: {named}.", err=True)
        sys.exit(1)
    told = [
        (explain_one(each, book), what_would_change(each, book, most_changes=changes) if changes else None)
        for each in decided
    ]
    if style == "json":
        click.echo(encode([{"explanation": one, "would_change": other} for one, other in told]))
    else:
        click.echo("\n\n".join(explanation_text(one, other, every_row=every_row) for one, other in told))
