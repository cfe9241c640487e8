"""Who is logged in: sessions kept by the service, and how often somebody may try to log in.

A browser holds a random token; the shared state holds its hash with the account, so reading that state logs nobody in.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from app.console.accounts import Account
from app.console.roles import Permission, Roles, known_roles, permissions
from app.state import SharedState

IDLE_S = 30 * 60
"""Seconds without a request after which somebody has to log in again."""

LONGEST_S = 10 * 3600
"""Seconds after which somebody has to log in again in any case."""

WINDOW_S, TRIES_OF_NAME, TRIES_OF_ADDRESS = 300, 10, 50
"""In so many seconds an account may be tried so often, and so many tries may come from one address."""


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody logged in. `csrf` has to come back with each form. `embedded`: by an account of this machine."""

    name: str
    roles: Roles
    csrf: str
    since: float
    embedded: bool

    def may(self, permission: Permission) -> bool:
        """Whether one of the roles allows it."""
        return permission in permissions(self.roles)


class Sessions:
    """Sessions and tries, for every worker. StateError when the shared state cannot be reached."""

    def __init__(self, state: SharedState, *, clock: Callable[[], float] = time.time) -> None:
        self._state = state
        self._clock = clock

    def begin(self, account: Account, *, embedded: bool) -> str:
        """A new session's token."""
        token = secrets.token_urlsafe(32)
        kept = Session(account.name, account.roles, secrets.token_urlsafe(32), self._clock(), embedded)
        self._keep(token, kept)
        return token

    def find(self, token: str) -> Session | None:
        """The session of a token, which lives on for another while; None when there is none any more."""
        kept = self._state.get(_key(token))
        if kept is None:
            return None
        data = msgspec.json.decode(kept)
        session = Session(data["name"], known_roles(data["roles"]), data["csrf"], data["since"], data["embedded"])
        if self._clock() - session.since > LONGEST_S:
            self.end(token)
            return None
        self._keep(token, session)
        return session

    def end(self, token: str) -> None:
        """Log out."""
        self._state.delete(_key(token))

    def may_try(self, name: str, address: str) -> bool:
        """Count a try to log in; whether it may be made."""
        window = int(self._clock() // WINDOW_S)
        of_name = self._state.count(f"console:try:{_hash(name)}:{window}", WINDOW_S)
        of_address = self._state.count(f"console:from:{_hash(address)}:{window}", WINDOW_S)
        return of_name <= TRIES_OF_NAME and of_address <= TRIES_OF_ADDRESS

    def remember(self, token: str, value: bytes, ttl: float) -> None:
        """Keep something for a browser that is not logged in yet (a login elsewhere under way)."""
        self._state.set(f"console:login:{_hash(token)}", value, ttl)

    def recall(self, token: str) -> bytes | None:
        """What was kept, once."""
        key = f"console:login:{_hash(token)}"
        kept = self._state.get(key)
        self._state.delete(key)
        return kept

    def _keep(self, token: str, session: Session) -> None:
        data = {
            "name": session.name,
            "roles": sorted(session.roles),
            "csrf": session.csrf,
            "since": session.since,
            "embedded": session.embedded,
        }
        self._state.set(_key(token), msgspec.json.encode(data), IDLE_S)


def _key(token: str) -> str:
    return f"console:session:{_hash(token)}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
