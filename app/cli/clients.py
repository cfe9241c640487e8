"""`signpost clients`: the EHRs that are answered."""

from __future__ import annotations

import socket
import sys
import textwrap
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import yaml

from app.cli.options import settings_from
from app.cli.serve import FOLDER
from app.clients import Client, ClientRegistry, load_clients
from app.clients.key_cache import fetcher
from app.clients.public_keys import ALGORITHMS, KeyId, read_keys
from app.clients.registry import read_clients
from app.errors import EhrError, InvalidRequest, SettingsError
from app.fhir.addresses import is_public
from app.fhir.json import decode
from app.fhir.transport import ConnectionPool, HostPolicy
from app.hooks.discovery import SERVICE_IDS

FILE = click.Path(path_type=Path, dir_okay=False)

clients_file = click.option("--clients-file", type=FILE, help="Registry of the clients.")
data_dir = click.option("--data-dir", type=FOLDER, help="Data folder, where clients.yaml is when not told otherwise.")


@click.group()
def clients() -> None:
    """Register the EHRs that are answered, and check what they publish."""


@clients.command()
@click.option("--name", required=True, help="Whose EHR it is, for people.")
@click.option("--iss", required=True, help="The `iss` of its JWTs, letter by letter.")
@click.option("--jwks-url", help="Where it publishes its public keys.")
@click.option("--jwks", type=click.File("rb"), help="File with its public keys (JWK set); then none are fetched.")
@click.option("--fhir-base", "fhir_bases", multiple=True, help="FHIR base URL that may be read; may be repeated.")
@click.option(
    "--algorithm", "algorithms", multiple=True, type=click.Choice(list(ALGORITHMS)), help="Only this one; else both."
)
@click.option("--tenant", "tenants", multiple=True, help="A `tenant` that is answered; may be repeated.")
@click.option(
    "--service", "services", multiple=True, type=click.Choice(list(SERVICE_IDS)), help="A service it may call."
)
@click.option(
    "--acts-for", "acts_for", multiple=True, help="The `iss` of an EHR whose forms it may fetch; may be repeated."
)
@click.option("--allow-private", is_flag=True, help="The EHR is inside your own network.")
@clients_file
@data_dir
def add(clients_file: Path | None, data_dir: Path | None, jwks: Any, **given: Any) -> None:
    """Add a client to the registry; what stands there stays as it is."""
    path = settings_from(clients_file=clients_file, data_dir=data_dir).clients_path
    entry = {key: list(value) if isinstance(value, tuple) else value for key, value in given.items() if value}
    entry["fhir_bases"] = list(given["fhir_bases"])
    if jwks is not None:
        entry["jwks"] = _jwk_set(jwks.read())
    before = path.read_text(encoding="utf-8") if path.exists() else "clients:\n"
    after = before.rstrip("\n") + "\n" + textwrap.indent(_item(entry), " " * _indentation(before))
    registry, problems = read_clients(after, str(path))
    kept, _ = read_clients(before, str(path))
    if not problems and (len(registry) != len(kept) + 1 or any(registry.get(iss) != kept[iss] for iss in kept)):
        raise SettingsError(f"{path} is written so that nothing can be added at its end. Add this:\n{_item(entry)}")
    if problems:
        raise SettingsError("Nothing was added.\n" + "\n".join(map(str, problems)))
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(after, encoding="utf-8")
    fresh.replace(path)
    click.echo(f"Added {given['name']} to {path}. Restart the service; `signpost clients check` looks at its keys.")


@clients.command(name="list")
@clients_file
@data_dir
def list_(clients_file: Path | None, data_dir: Path | None) -> None:
    """List the clients."""
    for client in _registry(clients_file, data_dir).values():
        click.echo(f"{client.name}\n  iss         {client.iss}")
        keys = ", ".join(map(_named, client.inline_keys)) or client.jwks_url
        click.echo(f"  keys        {keys} ({', '.join(sorted(client.algorithms))})")
        click.echo(f"  FHIR        {', '.join(client.fhir_bases) or 'none: prefetch only'}")
        for words, values in (("tenants", client.tenants), ("services", client.services)):
            if values is not None:
                click.echo(f"  {words:<11} {', '.join(sorted(values))}")
        if client.acts_for:
            click.echo(f"  acts for    {', '.join(sorted(client.acts_for))}")
        if client.allow_private:
            click.echo("  private     addresses and plain http are accepted")


@clients.command()
@clients_file
@data_dir
def check(clients_file: Path | None, data_dir: Path | None) -> None:
    """Fetch every client's keys and look its hosts up; exit 1 when an EHR could not be answered."""
    pool = ConnectionPool(HostPolicy(()), max_bytes=256 * 1024, workers=2)
    failed = 0
    for client in _registry(clients_file, data_dir).values():
        click.echo(client.name)
        told = check_client(client, pool)
        for good, words in told:
            click.echo(f"  {'ok  ' if good else 'FAIL'} {words}")
        failed += not all(good for good, _ in told)
    pool.close()
    if failed:
        click.echo(f"{failed} of the clients could not be answered.", err=True)
        sys.exit(1)


def check_client(client: Client, pool: ConnectionPool) -> list[tuple[bool, str]]:
    """Whether a client's keys can be had and its hosts have addresses that may be called: each in words."""
    return [*_check_keys(client, pool), *_check_hosts(client)]


def _check_keys(client: Client, pool: ConnectionPool) -> list[tuple[bool, str]]:
    keys, told = dict(client.inline_keys), []
    if not keys:
        try:
            keys, problems = read_keys(decode(fetcher(pool)(client)))
        except (EhrError, InvalidRequest) as error:
            why = error.reason if isinstance(error, EhrError) else error.message
            return [(False, f"{client.jwks_url}: {why}")]
        # A set may hold keys for other uses; they only matter when none is left.
        told = [(True, f"passed over: key {position}: {words}") for position, words in problems]
    usable = [_named(key_id) for key_id in keys if key_id[1] in client.algorithms]
    return [*told, (bool(usable), f"keys: {', '.join(usable) or 'none for ' + ', '.join(sorted(client.algorithms))}")]


def _check_hosts(client: Client) -> list[tuple[bool, str]]:
    told = []
    for base in client.fhir_bases:
        try:
            found = socket.getaddrinfo(urlsplit(base).hostname, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            told.append((False, f"{base}: the host has no address"))
            continue
        private = [str(where[0]) for *_, where in found if not is_public(str(where[0]))]
        if private and not client.allow_private:
            told.append((False, f"{base}: leads to {private[0]}, which is not public (see allow_private)"))
        else:
            told.append((True, f"{base}: leads to {', '.join(sorted({str(where[0]) for *_, where in found}))}"))
    return told


def _registry(clients_file: Path | None, data_dir: Path | None) -> ClientRegistry:
    path = settings_from(clients_file=clients_file, data_dir=data_dir).clients_path
    registry = load_clients(path)
    if not registry:
        raise SettingsError(f"No client is registered in {path}. Add one with `signpost clients add`.")
    return registry


def _jwk_set(data: bytes) -> Any:
    try:
        return decode(data)
    except InvalidRequest as error:
        raise SettingsError(f"The file of --jwks is no JWK set: {error.message}") from None


def _item(entry: dict[str, Any]) -> str:
    return str(yaml.safe_dump([entry], sort_keys=False, allow_unicode=True, width=1000))


def _indentation(text: str) -> int:
    """How far the items of the registry's list are indented."""
    for line in text.splitlines():
        if line.lstrip().startswith("- "):
            return len(line) - len(line.lstrip())
    return 2


def _named(key_id: KeyId) -> str:
    return f"{key_id[0]} ({key_id[1]})"
