"""`signpost feedback`: what users made of the cards they were shown."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import click

from app.cli.ledger import data_dir
from app.cli.opened import open_ledger
from app.cli.options import Since, settings_from
from app.ledger import FeedbackLine

_COLUMNS = ("card", "shown", "accepted", "overridden", "no answer", "reasons")
_TOP = 3


@click.group()
def feedback() -> None:
    """See what users made of the cards they were shown."""


@feedback.command()
@click.option("--since", type=Since(), help="Only cards shown since: days back (30d) or a date (2026-11-01).")
@data_dir
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values with every reason.")
def report(since: datetime | None, data_dir: Path | None, as_csv: bool) -> None:
    """Count, card by card, how often it was shown, accepted, overridden and why, or left without an answer."""
    lines = open_ledger(settings_from(data_dir=data_dir)).feedback_report(since)
    if as_csv:
        _write_csv(lines)
    elif lines:
        _write_table(lines)
    else:
        click.echo("No cards were shown.")


def _write_csv(lines: Iterable[FeedbackLine]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for line in lines:
        reasons = "; ".join(f"{words} ({count})" for words, count in line.reasons)
        # The words of a reason are the client's: a spreadsheet must not run them as a formula.
        writer.writerow([*_counted(line), f"'{reasons}" if reasons[:1] in tuple("=+-@") else reasons])


def _write_table(lines: Iterable[FeedbackLine]) -> None:
    rows = [_COLUMNS]
    for line in lines:
        reasons = ", ".join(f"{words} ({count})" for words, count in line.reasons[:_TOP])
        rows.append((*_counted(line), reasons))
    widest = max(len(row[0]) for row in rows)
    for name, *counts, reasons in rows:
        columns = "  ".join(f"{count:>10}" for count in counts)
        click.echo(f"{name:<{widest}}  {columns}  {reasons}".rstrip())


def _counted(line: FeedbackLine) -> tuple[str, str, str, str, str]:
    """The columns before the reasons. How often an unknown card was shown, and not answered, nobody knows."""
    accepted, overridden = str(line.accepted), str(line.overridden)
    if line.guidance is None:
        return "(not in this ledger)", "", accepted, overridden, ""
    return line.guidance, str(line.shown), accepted, overridden, str(line.ignored)
