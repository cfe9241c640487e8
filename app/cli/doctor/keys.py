"""Checks of keys, of who may call, and of who may read the files."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from app.cli.clients import check_client
from app.cli.doctor.finding import Finding, ok, warning, wrong
from app.clients import load_clients
from app.encryption import Encryption
from app.errors import SettingsError
from app.fhir.transport import ConnectionPool, HostPolicy
from app.settings import Settings


def encryption(settings: Settings) -> Iterator[Finding]:
    """Whether what is kept of patients can be sealed and opened."""
    stated = [key.get_secret_value() for key in settings.encryption_keys]
    if not stated and not settings.key_path.exists():
        yield ok("encryption", f"{settings.key_path} is not there yet; the first start makes it")
    else:
        try:
            Encryption.of(stated, settings.key_path)
        except SettingsError as error:
            yield wrong("encryption", str(error), "Put back the key that was used; what it sealed opens with no other.")
            return
        yield ok("encryption", f"{len(stated)} keys from the settings" if stated else f"key in {settings.key_path}")
    if not stated and settings.database_url and not settings.database_url.startswith("sqlite"):
        said = "the key is this machine's own; services on other machines cannot open what this one seals"
        yield warning("encryption", said, "Give all of them the same SIGNPOST_ENCRYPTION_KEYS.")


def clients(settings: Settings, *, offline: bool) -> Iterator[Finding]:
    """Whether the registry can be read, and unless `offline`, whether each client's keys and hosts can be had."""
    if settings.sandbox:
        yield ok("clients", "the sandbox asks nobody who they are")
        return
    try:
        registry = load_clients(settings.clients_path)
    except SettingsError as error:
        for line in str(error).splitlines():
            yield wrong("clients", line, f"Correct {settings.clients_path}.")
        return
    if not registry:
        said = f"none is registered in {settings.clients_path}, so nobody is answered"
        yield wrong("clients", said, "Register one with `signpost clients add`.")
        return
    yield ok("clients", f"{len(registry)} registered in {settings.clients_path}")
    if offline:
        return
    with closing(ConnectionPool(HostPolicy(()), max_bytes=256 * 1024, workers=2)) as pool:
        for client in registry.values():
            for good, words in check_client(client, pool):
                if good:
                    yield ok(f"client {client.name}", words)
                else:
                    remedy = "Ask the client, or correct its entry; `signpost clients check` looks again."
                    yield wrong(f"client {client.name}", words, remedy)


# Bits that must not be set, and what they would let others do.
_SECRET = (stat.S_IRWXG | stat.S_IRWXO, "others on this machine may read or change it", "chmod 600")
_OWN = (stat.S_IWGRP | stat.S_IRWXO, "anyone on this machine may read or change it", "chmod o-rwx,g-w")
_UNCHANGED = (stat.S_IWOTH, "anyone on this machine may change it", "chmod o-w")


def files(settings: Settings) -> Iterator[Finding]:
    """Whether others on this machine could read patients' data or keys, or change what is answered."""
    held = [
        (settings.key_path, _SECRET),
        (settings.clients_path, _UNCHANGED),
        (settings.rules, _UNCHANGED),
        (settings.questionnaires, _UNCHANGED),
        *((settings.data_dir / name, _OWN) for name in ("ledger.sqlite", "state.sqlite")),
    ]
    open_ones = [found for path, limits in held if (found := _open(path, limits)) is not None]
    yield from open_ones or [ok("files", "keys, ledger and rules are as closed as they should be")]


def _open(path: Path, limits: tuple[int, str, str]) -> Finding | None:
    bits, said, remedy = limits
    try:
        mode = path.stat().st_mode
    except OSError:
        return None  # not there, or not ours to look at: other checks say so
    return wrong("files", f"{path}: {said}", f"{remedy} {path}") if mode & bits else None
