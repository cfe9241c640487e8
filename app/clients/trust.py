"""Who sends a call: the registered client whose JWT it bears."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Collection

import structlog

from app.clients.client import Client
from app.clients.key_cache import KeyCache
from app.clients.refusals import refusal
from app.clients.registry import ClientRegistry
from app.clients.token import LEEWAY, Token, bearer, parse
from app.errors import AuthenticationFailed, EhrError
from app.state import SharedState

log = structlog.get_logger("signpost.clients")


class ClientTrust:
    """Checks the JWT of each call. One for a process; safe in threads. `clock` gives seconds of Unix time.

    `lifetime` is the longest time from `iat` to `exp`, in seconds. `state` remembers each `jti` for all workers.
    """

    def __init__(
        self,
        registry: ClientRegistry,
        keys: KeyCache,
        state: SharedState,
        *,
        lifetime: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._registry = registry
        self._keys = keys
        self._state = state
        self._lifetime = lifetime
        self._clock = clock
        self._refused: Counter[str] = Counter()

    def verify(self, authorization: str | None, audiences: Collection[str]) -> Client:
        """The client that sent a call with this Authorization header to one of `audiences` (URLs of the service).

        Raises AuthenticationFailed, and StateError when it cannot be known whether the JWT was used before.
        Of a refused call nothing is kept but a line in the log and a count: strangers must not fill the ledger.
        """
        return self._known(lambda: parse(bearer(authorization)), audiences)

    def verify_assertion(self, assertion: str, audiences: Collection[str]) -> Client:
        """The client that signed a client assertion for one of `audiences` (RFC 7523, 3). Raises as `verify`."""

        def read() -> Token:
            token = parse(assertion, says_when=False)
            if token.sub != token.iss:
                raise refusal("subject")
            return token

        return self._known(read, audiences)

    def _known(self, read: Callable[[], Token], audiences: Collection[str]) -> Client:
        token: Token | None = None
        try:
            token = read()
            return self._verified(token, audiences)
        except AuthenticationFailed as failed:
            self._refused[failed.reason] += 1
            claimed = token.iss[:200] if token else None
            log.warning("client.refused", reason=failed.reason, count=self._refused[failed.reason], claimed=claimed)
            raise

    def _verified(self, token: Token, audiences: Collection[str]) -> Client:
        """What costs nothing first, the network only for a registered client, and the `jti` last of all."""
        client = self._registry.get(token.iss)
        if client is None:
            raise refusal("issuer")
        if token.alg not in client.algorithms:
            raise refusal("algorithm")
        if token.jku is not None and token.jku != client.jwks_url:
            raise refusal("foreign-jku")
        now = self._clock()
        token.check(audiences=audiences, now=now, lifetime=self._lifetime)
        if client.tenants is not None and token.tenant not in client.tenants:
            raise refusal("tenant")
        try:
            key = self._keys.key(client, (token.kid, token.alg))
        except EhrError:
            raise refusal("keys-unreachable") from None
        if key is None:
            raise refusal("unknown-key")
        if not token.is_signed_by(key):
            raise refusal("signature")
        used = hashlib.sha256(f"{token.iss}\n{token.jti}".encode()).hexdigest()
        if not self._state.add_if_absent(f"jti:{used}", token.expires_at + LEEWAY - now):
            raise refusal("replayed")
        return client
