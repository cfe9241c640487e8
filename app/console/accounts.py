"""Accounts of one machine: names, roles and hashed passwords in a file, for where there is no identity provider.

Passwords are hashed with scrypt (RFC 7914). The algorithm and its costs stand with each hash, so they can be raised
without anybody losing their account.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from app.console.roles import ROLES, Roles, known_roles
from app.errors import SettingsError

# 16 MiB of memory and five passes for each try: the least that OWASP asks of scrypt at this size.
_N, _R, _P = 2**14, 8, 5
_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
SHORTEST = 12
"""Letters of a password at the least (NIST SP 800-63B asks for 8; nothing slows down who steals the file)."""

SAMPLE_PASSWORD = "signpost"  # noqa: S105  # of accounts that exist in the sandbox only, and is printed there
SAMPLES: Mapping[str, Roles] = {
    "vera": frozenset({"viewer"}),
    "ed": frozenset({"editor"}),
    "ann": frozenset({"approver"}),
    "otto": frozenset({"auditor"}),
}
"""Accounts of the sandbox: one for each role. They are never in a file, so they go nowhere else."""


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who may log in. `name` is what drafts, publications and readings are recorded under."""

    name: str
    roles: Roles


class Accounts(Protocol):
    """Where names and passwords are checked."""

    def check(self, name: str, password: str) -> Account | None:
        """The account, when the password is its own. Takes as long for a name nobody has."""

    def find(self, name: str) -> Account | None:
        """The account of that name as it is now; None when it was taken away."""


class FileAccounts:
    """The accounts in a JSON file. It is read at each look, so a change holds at once and in every worker."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def check(self, name: str, password: str) -> Account | None:
        """See Accounts."""
        entry = self._entries().get(name)
        if not matches(password, entry["password"] if entry else _nobody()) or entry is None:
            return None
        return Account(name, known_roles(entry["roles"]))

    def find(self, name: str) -> Account | None:
        """See Accounts."""
        entry = self._entries().get(name)
        return Account(name, known_roles(entry["roles"])) if entry else None

    def every(self) -> list[Account]:
        """All accounts by name."""
        return [Account(name, known_roles(entry["roles"])) for name, entry in sorted(self._entries().items())]

    def put(self, name: str, roles: Roles, password: str) -> None:
        """Add an account, or change one. SettingsError, which quotes no password, for what cannot be used."""
        if not _NAME.fullmatch(name):
            raise SettingsError(f"{name!r} cannot be a name. Use small letters, digits and . _ @ -, up to 64 of them.")
        if not roles:
            raise SettingsError(f"An account needs a role: {', '.join(ROLES)}.")
        if len(password) < SHORTEST:
            raise SettingsError(f"The password is too short. Use {SHORTEST} letters or more.")
        self._write({**self._entries(), name: {"roles": sorted(roles), "password": hashed(password)}})

    def remove(self, name: str) -> None:
        """Take an account away; who is logged in with it is logged out. SettingsError when there is none."""
        entries = dict(self._entries())
        if entries.pop(name, None) is None:
            raise SettingsError(f"There is no account {name}.")
        self._write(entries)

    def _entries(self) -> dict[str, dict[str, Any]]:
        try:
            found: dict[str, dict[str, Any]] = json.loads(self._path.read_text(encoding="utf-8"))["accounts"]
            for entry in found.values():
                entry["roles"], entry["password"]
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise SettingsError(f"The accounts in {self._path} cannot be read: {type(error).__name__}.") from None
        return found

    def _write(self, entries: Mapping[str, Any]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_name(self._path.name + ".new")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(json.dumps({"accounts": entries}, indent=2) + "\n")
        fresh.replace(self._path)


class SampleAccounts:
    """The sandbox's accounts before those of the file."""

    def __init__(self, others: Accounts) -> None:
        self._others = others

    def check(self, name: str, password: str) -> Account | None:
        """See Accounts."""
        if name in SAMPLES and hmac.compare_digest(password.encode(), SAMPLE_PASSWORD.encode()):
            return Account(name, SAMPLES[name])
        return self._others.check(name, password)

    def find(self, name: str) -> Account | None:
        """See Accounts."""
        return Account(name, SAMPLES[name]) if name in SAMPLES else self._others.find(name)


def hashed(password: str) -> str:
    """`scrypt$N$r$p$salt$hash`, the last two in base64."""
    salt = os.urandom(16)
    parts = (base64.b64encode(each).decode() for each in (salt, _scrypt(password, salt, _N, _R, _P)))
    return f"scrypt${_N}${_R}${_P}${'$'.join(parts)}"


def matches(password: str, kept: str) -> bool:
    """Whether a password is the one that was hashed; of a hash of another kind, none is."""
    kind, *rest = kept.split("$")
    if kind != "scrypt" or len(rest) != 5:
        return False
    n, r, p = (int(number) for number in rest[:3])
    salt, expected = (base64.b64decode(each) for each in rest[3:])
    return hmac.compare_digest(_scrypt(password, salt, n, r, p), expected)


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=256 * n * r, dklen=32)


@lru_cache(maxsize=1)
def _nobody() -> str:
    """What a password is held against when there is no such account, so that the time does not tell."""
    return hashed(base64.b64encode(os.urandom(18)).decode())
