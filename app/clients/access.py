"""SMART Backend Services: a client shows who it is by a signed JWT and gets an access token for a few minutes.

Tokens are opaque and live in the shared state, so every worker knows them and none is told again once it expired. A
payer with an authorization server of its own names it instead (`ExternalIssuer`).

Source: SMART App Launch 2.2, "Backend Services", "Client Authentication: Asymmetric"; RFC 6749, 5.1 and 5.2; RFC 7523.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import jwt
import structlog

from app.clients.client import Client
from app.clients.key_cache import KeyCache
from app.clients.public_keys import ALGORITHMS
from app.clients.refusals import refusal
from app.clients.registry import ClientRegistry
from app.clients.scopes import granted
from app.clients.token import LEEWAY, MAX_SIZE, bearer
from app.clients.trust import ClientTrust
from app.errors import AuthenticationFailed, EhrError, GrantRefused, InvalidRequest
from app.fhir.json import decode, encode
from app.state import SharedState

log = structlog.get_logger("signpost.clients")

LIFETIME = 300
"""Seconds an access token lives; SMART recommends no more."""

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
GRANTS = 10
WINDOW = 10
"""At most GRANTS tokens in WINDOW seconds for one client; one token serves all its calls."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who calls, and what its token allows."""

    client: Client
    scopes: tuple[str, ...]


class AccessCheck(Protocol):
    """Knows the bearer of an access token."""

    def verify(self, authorization: str | None, audience: str) -> Access:
        """The client that a call with this Authorization header is from. AuthenticationFailed, StateError."""


class TokenEndpoint:
    """Grants access tokens and knows them again. One for a process; `clock` gives seconds of Unix time."""

    def __init__(
        self,
        trust: ClientTrust,
        registry: ClientRegistry,
        state: SharedState,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._trust = trust
        self._registry = registry
        self._state = state
        self._clock = clock

    def grant(self, form: Mapping[str, str], audiences: Collection[str]) -> dict[str, Any]:
        """The token response for a token request. GrantRefused, and StateError when a replay could not be ruled out."""
        if form.get("grant_type") != "client_credentials":
            raise GrantRefused("unsupported_grant_type", "The grant_type must be client_credentials.")
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise GrantRefused("invalid_client", f"The client_assertion_type must be {ASSERTION_TYPE}.")
        try:
            client = self._trust.verify_assertion(form.get("client_assertion", ""), audiences)
        except AuthenticationFailed as error:
            raise GrantRefused("invalid_client", error.message) from None
        scopes = granted(form.get("scope", ""))
        if not scopes:
            raise GrantRefused("invalid_scope", "No scope is asked for that this service has.")
        self._limit(client)
        token = secrets.token_urlsafe(32)
        self._state.set(_key(token), encode({"client": client.iss, "scopes": scopes}), LIFETIME)
        log.info("access.granted", client=client.iss, scopes=scopes)
        return {"access_token": token, "token_type": "bearer", "expires_in": LIFETIME, "scope": " ".join(scopes)}

    def _limit(self, client: Client) -> None:
        window = int(self._clock() / WINDOW)
        who = hashlib.sha256(client.iss.encode()).hexdigest()
        if self._state.count(f"grant:{who}:{window}", WINDOW * 2) > GRANTS:
            log.warning("access.refused", client=client.iss, reason="too many")
            raise GrantRefused("invalid_request", "Too many tokens in a short time; one serves all calls.", status=429)

    def verify(self, authorization: str | None, audience: str) -> Access:
        """The client a token was granted to."""
        text = bearer(authorization)
        kept = self._state.get(_key(text)) if len(text) <= MAX_SIZE else None
        if kept is None:
            raise refusal("access-token")
        known = decode(kept)
        client = self._registry.get(known["client"])
        if client is None:
            raise refusal("issuer")
        return Access(client, tuple(known["scopes"]))


class ExternalIssuer:
    """Knows the JWT access tokens (RFC 9068) of another authorization server by its published keys.

    A client of it must be registered here too, under an `iss` equal to its `client_id`.
    """

    def __init__(self, issuer: str, jwks_url: str, keys: KeyCache, registry: ClientRegistry) -> None:
        self._issuer = Client(name=issuer, iss=issuer, fhir_bases=(), jwks_url=jwks_url)
        self._keys = keys
        self._registry = registry

    def verify(self, authorization: str | None, audience: str) -> Access:
        """The client named by a token of that issuer for this service."""
        text = bearer(authorization)
        if len(text) > MAX_SIZE:
            raise refusal("too-large")
        claims = self._claims(text, audience)
        named = next((claims[name] for name in ("client_id", "azp", "sub") if isinstance(claims.get(name), str)), "")
        client = self._registry.get(named)
        if client is None:
            raise refusal("issuer")
        scope = claims.get("scope", claims.get("scp", ""))
        scopes = scope if isinstance(scope, list) else str(scope).split()
        return Access(client, granted(" ".join(map(str, scopes))))

    def _claims(self, text: str, audience: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(text)
            kid, alg = header.get("kid"), header.get("alg")
            if not (isinstance(kid, str) and isinstance(alg, str) and alg in ALGORITHMS) or "crit" in header:
                raise refusal("access-token")
            key = self._keys.key(self._issuer, (kid, alg))
            if key is None:
                raise refusal("unknown-key")
            found: dict[str, Any] = jwt.decode(
                text,
                key,
                [alg],
                options={"require": ["exp", "iss", "aud"]},
                audience=audience,
                issuer=self._issuer.iss,
                leeway=LEEWAY,
            )
        except EhrError:
            raise refusal("keys-unreachable") from None
        except (jwt.PyJWTError, InvalidRequest, RecursionError):
            raise refusal("access-token") from None
        return found


def _key(token: str) -> str:
    """Only a digest is kept: whoever reads the state learns no token."""
    return f"access:{hashlib.sha256(token.encode()).hexdigest()}"
