"""`signpost rules simulate`: the router beside claims as they were paid."""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from app.cli.options import settings_from
from app.cli.rules.live import live
from app.cli.serve import FOLDER
from app.errors import SignpostError
from app.fhir.json import encode

if TYPE_CHECKING:
    from app.crd.claims import Confusion, Simulation

_HEADER = ("drug", "line", "claims", "agree", "disagree", "undetermined", "presumptive", "paid and routed", "rules")


@click.command()
@click.option(
    "--claims", required=True, type=click.File("r", encoding="utf-8-sig", errors="replace"), help="The claims."
)
@click.option("--rules", type=FOLDER, help="Folder of the rule files.")
@click.option("--top", default=20, show_default=True, type=click.IntRange(min=0), help="Most drugs listed as text.")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes at work; left out: one for each processor.")
@click.option("--wrong-rows", type=click.File("w"), help="Write the place and fault of every row left out to a file.")
@click.option("--format", "form", type=click.Choice(("text", "csv", "json")), default="text", show_default=True)
def simulate(
    claims: TextIO, rules: Path | None, top: int, jobs: int | None, wrong_rows: TextIO | None, form: str
) -> None:
    """Compare the road the router names with the system that paid: 837 or NCPDP, by drug and line of business.

    docs/rules/simulate.md lists the columns. Exit 1 when rows could not be read.
    """
    from app.crd.claim_router import WrongRow
    from app.crd.claims import simulate as compare

    settings = settings_from(rules=rules)
    book = live(settings.rules, settings.questionnaires)
    try:
        told = compare(
            claims,
            book,
            file=Path(claims.name).name,
            processes=jobs or os.cpu_count() or 1,
            progress=_progress,
            wrong_row=lambda words: _write(wrong_rows, words),
        )
    except WrongRow as error:
        raise SignpostError(str(error)) from None
    if sys.stderr.isatty():
        click.echo("", err=True)
    if form == "json":
        click.echo(encode(told))
    else:
        click.echo(_csv(told) if form == "csv" else "\n".join(_text(told, top)))
    for place in told.wrong_places:
        click.echo(place, err=True)
    if told.wrong_rows:
        click.echo(f"{told.wrong_rows:,} rows could not be read and are left out.", err=True)
        sys.exit(1)


def _progress(rows: int) -> None:
    """How many are read: how many there are, nobody knows before the end."""
    if sys.stderr.isatty():
        click.echo(f"\r{rows:,} claims", nl=False, err=True)


def _write(file: TextIO | None, words: str) -> None:
    if file is not None:
        file.write(f"{words}\n")


def _text(told: Simulation, top: int) -> Iterator[str]:
    compared, agree, undetermined = told.total
    yield f"{told.claims:,} claims under rulebook {told.rulebook}; {told.wrong_rows:,} rows could not be read."
    yield (
        f"The system that paid is the one of the road the router names for {agree:,} of {compared:,} claims "
        f"({_share(agree, compared)}); for {undetermined:,} the router leaves the road open."
    )
    yield ""
    yield "By line of business"
    for each in told.lines:
        yield from _told(each.line, each)
    found = [each for each in told.drugs if each.disagree][:top]
    yield ""
    yield "Drugs with the most disagreement" if found else "No drug disagrees."
    for each in found:
        yield from _told(f"{each.drug}, {each.line}", each)
    for reason, count in told.wrong:
        yield f"Not read: {count:,} rows: {reason}"


def _told(name: str, each: Confusion) -> Iterator[str]:
    yield (
        f"  {name}: {each.claims:,} claims, {_share(each.agree, each.compared)} of {each.compared:,} agree, "
        f"{each.undetermined:,} open"
    )
    yield f"      {_cells(each)}"
    if each.rules:
        yield f"      disagreement by {_rules(each)}"


def _csv(told: Simulation) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_HEADER)
    for each in told.drugs:
        numbers = (each.claims, each.agree, each.disagree, each.undetermined, each.presumptive)
        writer.writerow([_safe(each.drug or ""), _safe(each.line), *numbers, _cells(each), _safe(_rules(each))])
    return out.getvalue().rstrip("\n")


def _cells(each: Confusion) -> str:
    return "; ".join(f"paid {paid} routed {track} {count:,}" for paid, track, count in each.counts)


def _rules(each: Confusion) -> str:
    return "; ".join(f"{rule} ({count:,})" for rule, count in each.rules)


def _safe(text: str) -> str:
    """Text from claims and rules, which a spreadsheet must not run as a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "none"
