"""`signpost rules explain`: why an order gets its answer, and what would change it."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.cli.ledger import data_dir
from app.cli.opened import open_ledger, say_what_holds
from app.cli.options import settings_from
from app.cli.reading import note_reading
from app.cli.rules.live import live, members
from app.cli.serve import FOLDER
from app.errors import ReplayError, RequestError, SettingsError
from app.settings import Settings

if TYPE_CHECKING:
    from app.crd.determine import Decided
    from app.rulebook.rulebook import Rulebook


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--assertion", help="Explain a past answer instead, by its coverage-assertion-id, under its rulebook.")
@click.option("--rules", type=FOLDER, help="Folder of the rule files.")
@data_dir
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
    file: Path | None,
    assertion: str | None,
    rules: Path | None,
    data_dir: Path | None,
    order: str | None,
    on: datetime | None,
    every_row: bool,
    changes: int,
    style: str,
) -> None:
    """Explain the answer to FILE, a CDS Hooks request: every rule considered, and what would change it.

    Nothing is read from an EHR: what the request does not bring is missing. A past answer is explained from what the
    ledger keeps of it.
    """
    from app.cli.explanation_text import explanation_text
    from app.crd.counterfactual import what_would_change
    from app.crd.explanation import explain as explain_one
    from app.fhir.json import encode

    settings = settings_from(rules=rules, data_dir=data_dir)
    if (file is None) == (assertion is None):
        raise SettingsError("Name a request FILE or an --assertion, and only one of them.")
    if assertion is not None:
        decided, book = _past(assertion, settings)
    else:
        assert file is not None  # one of the two was named
        decided, book = _asked(file, on or datetime.now(UTC), settings)
    wanted = [each for each in decided if order is None or each.order.key == order]
    if not wanted:
        click.echo(f"There is no such order. The call has: {', '.join(each.order.key for each in decided)}.", err=True)
        sys.exit(1)
    told = [
        (explain_one(each, book), what_would_change(each, book, most_changes=changes) if changes else None)
        for each in wanted
    ]
    if style == "json":
        click.echo(encode([{"explanation": one, "would_change": other} for one, other in told]))
    else:
        click.echo("\n\n".join(explanation_text(one, other, every_row=every_row) for one, other in told))


def _asked(file: Path, on: datetime, settings: Settings) -> tuple[list[Decided], Rulebook]:
    """The orders of a request file, decided under the rules on disk."""
    from app.crd.rehearsal import Rehearsal

    book = live(settings.rules, settings.questionnaires)
    try:
        call = Rehearsal.of(file.read_bytes(), directory=members(settings, book), payer=book.payer, today=on.date())
    except RequestError as error:
        click.echo(f"{file}: the request would be refused: {error}", err=True)
        sys.exit(2)
    return call.decide(book), book


def _past(assertion_id: str, settings: Settings) -> tuple[list[Decided], Rulebook]:
    """The order of a past answer, decided again as it was then, under each Coverage of the call."""
    from app.crd.replay import replay

    ledger = open_ledger(settings)
    made = ledger.assertion(assertion_id)
    if made is None:
        raise ReplayError(f"No answer was given under {assertion_id}.")
    note_reading(ledger, "answer", assertion_id, made.member_id)
    say_what_holds(ledger, assertion_id)
    replayed = replay(ledger, assertion_id)
    decided = [each for coverage in replayed.decided for each in coverage if each.order.key == made.order_ref]
    if not replayed.same:
        click.echo("The answer does not come out as it was given; see signpost replay.", err=True)
    return decided, replayed.rulebook
