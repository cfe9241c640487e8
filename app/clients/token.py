"""One client JWT: taken apart, and held against what a JWT must say (CDS Hooks 2.0, "Trusting CDS Clients")."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import jwt

from app.clients.public_keys import ALGORITHMS, PublicKey
from app.clients.refusals import refusal
from app.errors import InvalidRequest
from app.fhir.json import decode

MAX_SIZE = 8 * 1024
LEEWAY = 30
"""Seconds by which two clocks may differ."""

_jws = jwt.PyJWS(options={"verify_signature": False})


@dataclass(frozen=True, slots=True, repr=False)
class Token:
    """A JWT whose header and claims are of the right types. Nothing it says is true before `is_signed_by`."""

    alg: str
    kid: str
    jku: str | None
    iss: str
    sub: str | None
    audiences: tuple[str, ...]
    expires_at: float
    issued_at: float | None
    not_before: float | None
    jti: str
    tenant: str | None
    signed: bytes
    signature: bytes

    def is_signed_by(self, key: PublicKey) -> bool:
        """Whether the holder of `key` signed it. The key is of the kind that `alg` needs (`PublicKey` lookup)."""
        return ALGORITHMS[self.alg].verify(self.signed, key, self.signature)

    def check(self, *, audiences: Collection[str], now: float, lifetime: float) -> None:
        """AuthenticationFailed unless it is meant for one of `audiences`, and in force at `now` (seconds of Unix)."""
        if not set(audiences).intersection(self.audiences):
            raise refusal("audience")
        if self.expires_at <= now - LEEWAY:
            raise refusal("expired")
        issued_at = now if self.issued_at is None else self.issued_at
        if max(issued_at, self.not_before or 0) > now + LEEWAY:
            raise refusal("not-yet")
        # A second more: a client may look at its clock twice. One that does not say when it was made may have been
        # made by a clock that is ahead.
        slack = LEEWAY if self.issued_at is None else 1
        if self.expires_at - issued_at > lifetime + slack:
            raise refusal("lifetime")


def bearer(authorization: str | None) -> str:
    """The JWT of an Authorization header."""
    scheme, _, value = (authorization or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not value.strip():
        raise refusal("no-token")
    return value.strip()


def parse(text: str, *, says_when: bool = True) -> Token:
    """Take a JWT apart; nothing is verified yet. AuthenticationFailed when it could not be accepted as it stands.

    `says_when`: it must have `iat`, as CDS Hooks has it and SMART does not.
    """
    if len(text) > MAX_SIZE:
        raise refusal("too-large")
    try:
        parts = _jws.decode_complete(text.encode("ascii"))
        claims = decode(parts["payload"])
    except (jwt.PyJWTError, InvalidRequest, UnicodeEncodeError, RecursionError):
        raise refusal("malformed") from None
    header: dict[str, Any] = parts["header"]
    if {"crit", "b64"} & set(header):
        raise refusal("critical")
    if str(header.get("typ", "JWT")).upper() != "JWT":
        raise refusal("type")
    if header.get("alg") not in ALGORITHMS:
        raise refusal("algorithm")
    kid, jku = header.get("kid"), header.get("jku")
    if not kid:
        raise refusal("no-kid")
    if jku is not None and not isinstance(jku, str):
        raise refusal("foreign-jku")
    if not isinstance(claims, dict):
        raise refusal("malformed")
    tenant, sub = claims.get("tenant"), claims.get("sub")
    return Token(
        alg=header["alg"],
        kid=kid,
        jku=jku,
        iss=_text(claims.get("iss")),
        sub=sub if isinstance(sub, str) else None,
        audiences=_texts(claims.get("aud")),
        expires_at=_seconds(claims.get("exp")),
        issued_at=_seconds(claims.get("iat")) if says_when or "iat" in claims else None,
        not_before=_seconds(claims["nbf"]) if "nbf" in claims else None,
        jti=_text(claims.get("jti")),
        tenant=tenant if isinstance(tenant, str) else None,
        signed=text.rpartition(".")[0].encode("ascii"),
        signature=parts["signature"],
    )


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise refusal("claim")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(map(_text, value)) if isinstance(value, list) and value else (_text(value),)


def _seconds(value: Any) -> float:
    # Within what a float counts exactly; `true` is an int to Python.
    if not isinstance(value, int | float | Decimal) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise refusal("claim")
    return float(value)
