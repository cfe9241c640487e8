"""`signpost rules diff`: what two rulebooks answer differently, in the terms of benefits."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.cli.options import settings_from
from app.cli.rules.versions import rulebook_of
from app.cli.serve import FOLDER
from app.fhir.json import encode

if TYPE_CHECKING:
    from app.crd.differences import Difference


@click.command()
@click.argument("old")
@click.argument("new")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="First day of service looked at; left out: today.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Most sentences of text.")
@click.option("--data-dir", type=FOLDER, help="Folder of the embedded ledger, which keeps rulebooks of the past.")
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
    help="Output.",
)
def diff(old: str, new: str, since: datetime | None, limit: int, data_dir: Path | None, style: str) -> None:
    """Compare rulebooks OLD and NEW: which drugs, members and dates change road, authorization or documents.

    Each is a folder of rule files, a git revision with its folder (HEAD~3:rules), or the hash of a rulebook that the
    ledger keeps. Exit 1 when an answer or a card changes.
    """
    from app.crd.differences import difference

    settings = settings_from(data_dir=data_dir)
    before, after = rulebook_of(old, settings), rulebook_of(new, settings)
    day = (since or datetime.now(UTC)).date()
    with click.progressbar(length=1, label="Deciding", file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:

        def step(done: int, whole: int) -> None:
            bar.length = whole
            bar.update(done - bar.pos)

        found = difference(before, after, since=day, step=step)
    if style == "json":
        click.echo(encode(found))
    else:
        click.echo("\n".join(_lines(found, limit, markdown=style == "markdown")))
    sys.exit(1 if found.answers or found.cards else 0)


def _lines(found: Difference, limit: int, *, markdown: bool) -> Iterator[str]:
    from app.crd.differences import rule_sentence, sentence

    head, item = ("## ", "- ") if markdown else ("", "  ")
    yield f"{'# ' if markdown else ''}Rulebook {found.old} to {found.new}, for services from {found.since} on"
    sections = (
        ("Answers that change", [sentence(each) for each in found.answers]),
        ("Cards", [rule_sentence(each) for each in found.cards]),
        ("Lists, drugs, forms and the payer", [rule_sentence(each) for each in found.others]),
        ("Rows and policies that change no answer", [rule_sentence(each) for each in found.silent]),
    )
    for title, sentences in sections:
        if sentences:
            yield ""
            yield f"{head}{title}"
            if markdown:
                yield ""
            yield from (f"{item}{words}" for words in sentences[:limit])
            if len(sentences) > limit:
                yield f"{item}and {len(sentences) - limit} more (--limit, or --format json for all)"
    yield ""
    if not found.answers:
        yield "No answer changes."
    yield (
        f"Decided {found.decisions} parts of the space of orders, for {found.subjects} drugs and services "
        "that a changed rule may speak of."
    )
    for name in found.cut_short:
        yield f"Not everything was looked at for {name}: too many combinations."
