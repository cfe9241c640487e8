"""`signpost metrics`: figures of the service, computed from the ledger."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click

from app.cli.ledger import data_dir
from app.cli.opened import open_ledger
from app.cli.options import Since, settings_from
from app.fhir.json import encode
from app.metrics.crd import DIMENSIONS, CrdMetrics, Group, Metric


@click.group()
def metrics() -> None:
    """Compute figures from the ledger."""


@metrics.command()
@click.option("--since", type=Since(), help="Only calls since: days back (30d) or a date (2026-11-01), in UTC.")
@click.option("--until", type=Since(), help="Only calls before: days back or a date.")
@click.option("--by", type=click.Choice(list(DIMENSIONS)), default="hook", show_default=True, help="What to group by.")
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
@data_dir
def crd(since: datetime | None, until: datetime | None, by: str, form: str, data_dir: Path | None) -> None:
    """Compute the metrics that the CRD guide suggests, such as the share answered within its budget, by hook.

    A call whose answer could not be written to the ledger, and so was not given, is not in it to be counted.
    """
    counted = CrdMetrics(by)
    open_ledger(settings_from(data_dir=data_dir)).measure(counted.add, since=since, until=until)
    groups = counted.groups()
    if form == "json":
        click.echo(_json(groups, by, since, until))
    elif form == "csv":
        click.echo(_csv(groups), nl=False)
    elif groups:
        click.echo(_table(groups))
    else:
        click.echo("There were no calls.")


def _json(groups: Sequence[Group], by: str, since: datetime | None, until: datetime | None) -> str:
    told = [
        {
            "group": group.name,
            "calls": group.calls,
            "metrics": [
                {"number": m.number or None, "name": m.name, "volume": m.volume, "of": m.of, "percent": m.percent}
                for m in group.metrics
            ],
            "seconds": group.seconds,
            "statuses": {str(status): count for status, count in group.statuses.items()},
            "answers": list(group.answers),
        }
        for group in groups
    ]
    span = {"since": since.isoformat() if since else None, "until": until.isoformat() if until else None}
    return encode({**span, "by": by, "groups": told}).decode()


def _csv(groups: Sequence[Group]) -> str:
    """One metric of one group a line; times and answers are among them."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("group", "number", "metric", "volume", "of", "percent"))
    for group in groups:
        # The name may be what a client calls itself: a spreadsheet must not run it as a formula.
        name = f"'{group.name}" if group.name[:1] in tuple("=+-@") else group.name
        for metric in group.metrics:
            share = "" if metric.percent is None else metric.percent
            writer.writerow((name, metric.number, metric.name, metric.volume, metric.of, share))
        writer.writerows((name, "", f"seconds {at}", value, "", "") for at, value in group.seconds.items())
        writer.writerows((name, "", f"HTTP {status}", count, "", "") for status, count in group.statuses.items())
        for each in group.answers:
            writer.writerow((name, "", f"answers {each.track}/{each.covered}/{each.pa_needed}", each.count, "", ""))
    return out.getvalue()


def _table(groups: Sequence[Group]) -> str:
    """A metric a line, a group a column; then times, then the answers of all calls."""
    lines = [["", "", *(group.name for group in groups)], ["", "calls", *(str(group.calls) for group in groups)]]
    for position, metric in enumerate(groups[0].metrics):
        cells = (_cell(group.metrics[position]) for group in groups)
        lines.append([metric.number, metric.name, *cells])
    lines += [
        ["", f"seconds, {at}", *(f"{group.seconds[at]:.3f}" if group.seconds else "-" for group in groups)]
        for at in ("p50", "p95", "p99", "max")
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = [
        "  ".join(
            cell.ljust(width) if position < 2 else cell.rjust(width)
            for position, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    if answers := groups[0].answers:
        aligned += ["", "Answers (track, covered, authorization)"]
        aligned += [f"{each.count:>8}  {each.track}, {each.covered}, {each.pa_needed}" for each in answers]
    return "\n".join(aligned)


def _cell(metric: Metric) -> str:
    return f"{metric.volume} of {metric.of}" + ("" if metric.percent is None else f"  {metric.percent:5.1f} %")
