"""The `signpost` command."""

from __future__ import annotations

import sys

import click

from app.cli.clients import clients
from app.cli.console import console
from app.cli.demo import demo
from app.cli.doctor import doctor
from app.cli.feedback import feedback
from app.cli.hook import hook
from app.cli.ledger import ledger
from app.cli.metrics import metrics
from app.cli.questionnaires import questionnaires
from app.cli.replay import replay
from app.cli.rules import rules
from app.cli.serve import serve
from app.errors import SignpostError


class _Group(click.Group):
    """Turns our errors into their message: they are written for the person at the terminal."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except SignpostError as error:
            click.echo(str(error), err=True)
            sys.exit(2)


@click.group(cls=_Group)
@click.version_option(package_name="signpost")
def main() -> None:
    """Signpost: the payer's answer at order time."""


for command in (serve, demo, hook, rules, questionnaires, clients, console, ledger, replay, feedback, metrics, doctor):
    main.add_command(command)
