"""`signpost rules whatif`: who would have been answered differently."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.cli.options import Since, settings_from
from app.cli.serve import FOLDER
from app.fhir.json import encode

if TYPE_CHECKING:
    from app.crd.whatif import WhatIf


@click.command()
@click.argument("new", type=FOLDER)
@click.option("--since", type=Since(), help="Only calls since: days back (30d) or a date (2026-11-01).")
@click.option("--until", type=Since(), help="Only calls before: days back or a date.")
@click.option("--sample", type=click.IntRange(min=1), help="Only so many calls, drawn by chance.")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes at work; left out: one for each processor.")
@click.option("--format", "form", type=click.Choice(("text", "json", "markdown")), default="text", show_default=True)
@click.option("--data-dir", type=FOLDER, help="Folder of the embedded ledger.")
def whatif(
    new: Path,
    since: datetime | None,
    until: datetime | None,
    sample: int | None,
    jobs: int | None,
    form: str,
    data_dir: Path | None,
) -> None:
    """Decide the ledger's real calls again under the rules in NEW, and say who would be answered differently.

    Nothing is changed. Ids of answers are printed, nothing else of a patient.
    """
    from app.cli.opened import open_ledger
    from app.crd.whatif import what_if
    from app.encryption import Encryption
    from app.rulebook.rulebook import read_files

    settings = settings_from(data_dir=data_dir)
    total = len(open_ledger(settings).answered_between(since, until))
    calls, hidden = min(total, sample or total), not sys.stderr.isatty()
    with click.progressbar(length=calls, label="Calls", file=sys.stderr, hidden=hidden) as bar:
        told = what_if(
            settings.ledger_url,
            read_files(new, settings.questionnaires),
            encryption=Encryption.of_settings(settings),
            since=since,
            until=until,
            sample=sample,
            processes=jobs or os.cpu_count() or 1,
            progress=lambda done, _: bar.update(done - bar.pos),
        )
    if form == "json":
        click.echo(encode(told))
    else:
        click.echo("\n".join(_markdown(told) if form == "markdown" else _text(told)))


def _head(told: WhatIf) -> str:
    return (
        f"Under rulebook {told.candidate}, {told.changed_orders:,} of {_number(told.orders, 'order')} and "
        f"{told.changed_members:,} of {_number(told.members, 'member')} would have been answered differently."
    )


def _counted(told: WhatIf) -> str:
    return (
        f"{told.replayed:,} of {_number(told.calls, 'call')} decided again; {told.decided_once:,} about orders "
        "of which no changed rule speaks."
    )


def _text(told: WhatIf) -> Iterator[str]:
    yield _head(told)
    yield _counted(told)
    for group in told.groups:
        yield ""
        yield f"{_number(group.orders, 'order')}, {_number(group.members, 'member')}"
        yield f"  rule           {group.before}"
        if group.after != group.before:
            yield f"              -> {group.after}"
        for aspect, before, after in group.changes:
            yield f"  {aspect:<14} {before} -> {after}"
        yield from (f"  for example    {example}" for example in group.examples)
    if told.not_replayed:
        yield ""
        yield f"Not decided again: {_number(sum(count for _, count in told.not_replayed), 'call')}"
        for reason, count in told.not_replayed:
            yield f"  {count:>6,}  {reason}"


def _markdown(told: WhatIf) -> Iterator[str]:
    yield _head(told)
    yield ""
    yield _counted(told)
    if told.groups:
        yield ""
        yield "| Orders | Members | Rule before | Rule after | What changes | For example |"
        yield "|---|---|---|---|---|---|"
    for group in told.groups:
        changes = "<br>".join(f"{aspect}: {before} → {after}" for aspect, before, after in group.changes)
        yield (
            f"| {group.orders} | {group.members} | {group.before} | {group.after} | {changes} | "
            f"{'<br>'.join(group.examples)} |"
        )
    if told.not_replayed:
        yield ""
        yield "| Calls not decided again | Why |"
        yield "|---|---|"
        yield from (f"| {count} | {reason} |" for reason, count in told.not_replayed)


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
