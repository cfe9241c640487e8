"""`signpost replay`: give a past answer again, and say whether it comes out the same."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from app.cli.ledger import data_dir
from app.cli.opened import open_ledger, say_what_holds
from app.cli.options import settings_from
from app.cli.reading import note_reading


@click.command()
@click.argument("answer_id")
@data_dir
@click.option("--response", is_flag=True, help="Print the answer as it comes out (holds patient data).")
def replay(answer_id: str, data_dir: Path | None, response: bool) -> None:
    """Give a past answer again from the rulebook of then; exit 1 when it does not come out byte for byte.

    ANSWER_ID is a coverage-assertion-id, or the id of a whole call.
    """
    from app.crd.replay import replay as give_again

    ledger = open_ledger(settings_from(data_dir=data_dir))
    replayed = give_again(ledger, answer_id)
    call = replayed.call
    click.echo(f"Call        {call.invocation_id}, {call.service_id}, {call.received_at:%Y-%m-%d %H:%M:%S} UTC")
    say_what_holds(ledger, answer_id)
    click.echo(f"Rulebook    {replayed.rulebook.label} ({replayed.rulebook.hash})")
    made = ledger.assertions_of(call.invocation_id)
    for each in made:
        click.echo(f"Assertion   {each.assertion_id}  {each.order_ref}  {each.covered} {each.pa_needed or ''}".rstrip())
    for honoured in replayed.honoured:
        click.echo(f"Given again {honoured}")
    if response:
        note_reading(ledger, "call", call.invocation_id)
        click.echo(replayed.body)
    if replayed.same:
        click.echo(f"The same answer, byte for byte: {len(replayed.body)} bytes, SHA-256 {call.response_sha256}.")
        return
    for words in replayed.differences:
        click.echo(words)
    click.echo("The answer does not come out the same.")
    sys.exit(1)
