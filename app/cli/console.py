"""`signpost console`: who may log in to the console with an account of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

import click

from app.cli.options import settings_from
from app.cli.serve import FOLDER
from app.console.accounts import FileAccounts
from app.console.roles import MEANINGS, ROLES, known_roles

data_dir = click.option("--data-dir", type=FOLDER, help="Data folder, where console.json is when not told otherwise.")


@click.group()
def console() -> None:
    """The web console: its accounts."""


@console.group()
def user() -> None:
    """Accounts of this machine, for where there is no identity provider."""


@user.command()
@click.argument("name")
@click.option(
    "--role", "roles", multiple=True, required=True, type=click.Choice(list(ROLES)), help="Role; may be repeated."
)
@click.option("--password-file", type=click.File("r"), help="File with the password, - for stdin; left out: asked for.")
@data_dir
def add(name: str, roles: tuple[str, ...], password_file: TextIO | None, data_dir: Path | None) -> None:
    """Add the account NAME, or give it other roles and another password. It can log in at once."""
    path = settings_from(data_dir=data_dir).accounts_path
    if password_file is not None:
        password = password_file.read().rstrip("\r\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    FileAccounts(path).put(name, known_roles(roles), password)
    click.echo(f"{name} ({', '.join(roles)}) can log in. The account is in {path}.")


@user.command()
@click.argument("name")
@data_dir
def remove(name: str, data_dir: Path | None) -> None:
    """Take the account NAME away; whoever is logged in with it is logged out."""
    FileAccounts(settings_from(data_dir=data_dir).accounts_path).remove(name)
    click.echo(f"{name} can no longer log in.")


@user.command(name="list")
@data_dir
def list_(data_dir: Path | None) -> None:
    """List the accounts with their roles."""
    for account in FileAccounts(settings_from(data_dir=data_dir).accounts_path).every():
        said = "; ".join(f"{role}: {MEANINGS[role]}" for role in ROLES if role in account.roles)
        click.echo(f"{account.name}  {said}")
