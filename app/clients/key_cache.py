"""The keys of clients that publish them at a URL: fetched when needed, kept a while, asked for again with restraint.

Who holds no key of a client can still name a `kid` nobody knows. So a fetch is never made more than once in
COOL_DOWN seconds for one URL in one worker, whatever the calls say.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from app.clients.client import Client
from app.clients.public_keys import KeyId, PublicKey, read_keys
from app.errors import EhrError, InvalidRequest
from app.fhir.json import decode
from app.fhir.transport import ConnectionPool, HostPolicy

log = structlog.get_logger("signpost.clients")

MAX_AGE = 300
"""Seconds after which keys are fetched anew: the longest that a withdrawn key is still accepted."""

GRACE = 3600
"""Seconds for which keys are used when their URL does not answer, so that its outage does not stop all orders."""

COOL_DOWN = 30
"""Seconds between two fetches of one URL."""

FETCH_SECONDS = 2.0
MAX_BYTES = 256 * 1024

Fetch = Callable[[Client], bytes]


def fetcher(pool: ConnectionPool) -> Fetch:
    """Fetches a client's JWK set from the URL registered for it. Raises EhrError; over in FETCH_SECONDS.

    The pool sees to it that no redirect is followed, that the answer is small, and, unless the client may be private,
    that the address is public.
    """
    policies = {private: pool.under(HostPolicy((), public_only=not private)) for private in (False, True)}

    def fetch(client: Client) -> bytes:
        assert client.jwks_url is not None  # a client without has inline keys
        asking = policies[client.allow_private]
        return asking.get_within(client.jwks_url, {"Accept": "application/json"}, FETCH_SECONDS)

    return fetch


@dataclass(slots=True)
class _Published:
    """What is known of one URL. Read without the lock; changed by one thread at a time, under it."""

    lock: threading.Lock
    keys: dict[KeyId, PublicKey]
    fetched_at: float
    next_fetch_at: float


class KeyCache:
    """One for a process; safe in threads. `clock` gives seconds; any zero will do."""

    def __init__(self, fetch: Fetch, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._published: dict[str, _Published] = {}

    def key(self, client: Client, key_id: KeyId) -> PublicKey | None:
        """The client's key, fetched if it must be; None when there is no such key. EhrError: no keys to be had."""
        if client.inline_keys:
            return client.inline_keys.get(key_id)
        assert client.jwks_url is not None
        never = float("-inf")
        # setdefault is atomic, so two threads never hold two locks for one URL.
        known = self._published.setdefault(client.jwks_url, _Published(threading.Lock(), {}, never, never))
        if self._age(known) < MAX_AGE and key_id in known.keys:
            return known.keys[key_id]
        aged = known.keys.get(key_id) if self._age(known) < GRACE else None
        # Who has a key to go on with does not wait for the thread that fetches.
        if not known.lock.acquire(blocking=aged is None):
            return aged
        try:
            if (self._age(known) >= MAX_AGE or key_id not in known.keys) and self._clock() >= known.next_fetch_at:
                self._renew(known, client)
            if self._age(known) >= GRACE:
                raise EhrError("The client's keys could not be fetched")
            return known.keys.get(key_id)
        finally:
            known.lock.release()

    def _age(self, known: _Published) -> float:
        return self._clock() - known.fetched_at

    def _renew(self, known: _Published, client: Client) -> None:
        known.next_fetch_at = self._clock() + COOL_DOWN
        try:
            keys, problems = read_keys(decode(self._fetch(client)))
        except (EhrError, InvalidRequest) as error:
            why = error.reason if isinstance(error, EhrError) else "It is not JSON"
            log.warning("keys.unreachable", client=client.iss, why=why)
            return
        if not keys:
            log.warning("keys.unusable", client=client.iss, why=problems[0][1] if problems else "It is empty")
            return
        known.keys, known.fetched_at = keys, self._clock()
