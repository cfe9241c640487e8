"""`signpost questionnaires populate`: fill a form from a Bundle and show where each answer comes from."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.cli.options import settings_from
from app.cli.rules.live import live
from app.cli.serve import FOLDER
from app.errors import InvalidRequest
from app.fhir.json import decode, encode

if TYPE_CHECKING:
    from app.dtr.draft import Version
    from app.dtr.populate import Populated

_MARKS = {"filled": "filled", "not-found": "not there", "not-evaluated": "not evaluated"}


@click.command()
@click.argument("form")
@click.option(
    "--data", "data_file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True,
    help="A FHIR Bundle of the patient's resources; the draft in it is the order.",
)  # fmt: skip
@click.option("--version", type=click.Choice(["2.0", "2.2"]), default="2.2", show_default=True, help="DTR version.")
@click.option("--on", type=click.DateTime(["%Y-%m-%d"]), help="Day the form is asked for; left out: today.")
@click.option("--rules", type=FOLDER, help="Folder of the rule files.")
@click.option("--questionnaires", type=FOLDER, help="Folder of the forms.")
@click.option("--response", "whole", is_flag=True, help="Print the QuestionnaireResponse instead.")
def populate(
    form: str,
    data_file: Path,
    version: str,
    on: datetime | None,
    rules: Path | None,
    questionnaires: Path | None,
    whole: bool,
) -> None:
    """Fill a form from a Bundle and show each item's answer with what it came from."""
    from app.dtr import populate as population
    from app.dtr.answer_space import codings_in
    from app.dtr.bundle_data import from_bundle
    from app.rulebook.spelling import nearest

    settings = settings_from(rules=rules, questionnaires=questionnaires)
    book = live(settings.rules, settings.questionnaires)
    if form not in book.forms:
        raise click.BadParameter(f"There is no form '{form}'. {nearest(form, book.forms)}", param_hint="FORM")
    try:
        bundle = decode(data_file.read_bytes())
    except InvalidRequest as error:
        raise click.BadParameter(f"{data_file} is not JSON: {error}", param_hint="--data") from None
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise click.BadParameter(f"{data_file} is no FHIR Bundle.", param_hint="--data")
    now = datetime.combine(on.date(), time(), tzinfo=UTC) if on is not None else datetime.now(UTC)
    prefill = book.prefills.get(form)
    data = from_bundle(bundle, prefill, book, now=now)
    spoken: Version = "2.0" if version == "2.0" else "2.2"
    populated = population.populate(book.forms[form], prefill, data, spoken, codings_in(book.value_sets), trails=True)
    if whole:
        sys.stdout.buffer.write(encode(populated.response) + b"\n")
        return
    _show(populated)


def _show(populated: Populated) -> None:
    from app.dtr.cases import plain

    for outcome in populated.items:
        told = ", ".join(str(plain(answer)) for answer in outcome.answers) or outcome.words
        click.echo(f"{outcome.link_id:<10} {_MARKS[outcome.kind]}: {told}")
        for line in (outcome.trail or "").splitlines():
            click.echo(f"{'':<10}   {line}")
    for remark in populated.remarks:
        click.echo(f"{remark['severity']}: {remark['diagnostics']}")
