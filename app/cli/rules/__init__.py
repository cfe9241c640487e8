"""`signpost rules`: the commands of those who own the rules."""

from __future__ import annotations

import click

from app.cli.rules.check import check
from app.cli.rules.diff import diff
from app.cli.rules.exchange import export, import_
from app.cli.rules.explain import explain
from app.cli.rules.propose import propose
from app.cli.rules.publishing import approve, publish, published, rollback, submit, withdraw
from app.cli.rules.schema import schema
from app.cli.rules.simulate import simulate
from app.cli.rules.test import test
from app.cli.rules.whatif import whatif


@click.group()
def rules() -> None:
    """Check and try the rule files."""


for command in (
    check, test, schema, propose, export, import_, explain, diff, whatif, simulate,
    publish, submit, approve, published, rollback, withdraw,
):  # fmt: skip
    rules.add_command(command)
