"""`signpost questionnaires`: one module for each command."""

from __future__ import annotations

import click

from app.cli.questionnaires.build import build
from app.cli.questionnaires.check import check
from app.cli.questionnaires.populate import populate
from app.cli.questionnaires.test import test


@click.group()
def questionnaires() -> None:
    """Check the forms, and try how they are filled."""


for command in (build, check, populate, test):
    questionnaires.add_command(command)
