"""Why a call is not taken for that of a registered client: one word for logs, a sentence for who runs the EHR."""

from __future__ import annotations

from collections.abc import Mapping

from app.errors import AuthenticationFailed

REASONS: Mapping[str, tuple[str, str]] = {
    "no-token": ("login", "The call has no JWT: send 'Authorization: Bearer' and a JWT signed by the client."),
    "malformed": ("login", "What follows 'Bearer' is not a signed JWT of three parts, or a part of it is not JSON."),
    "too-large": ("login", "The JWT is larger than 8 KB."),
    "type": ("login", "The header names a 'typ' other than JWT."),
    "critical": ("login", "The header has 'crit' or 'b64'; no extension of JWT is supported."),
    "algorithm": ("login", "The 'alg' must be ES384 or RS384, and one that is registered for this client."),
    "no-kid": ("login", "The header has no 'kid'."),
    "claim": ("login", "One of the claims iss, aud, exp, iat and jti is missing or is not of its type."),
    "issuer": ("unknown", "The 'iss' is not that of a registered client; it must be equal letter by letter."),
    "foreign-jku": ("login", "The 'jku' is not the JWK set URL registered for this client; it was not fetched."),
    "unknown-key": ("login", "No key of this 'kid' and 'alg' is in the client's JWK set."),
    "keys-unreachable": ("login", "The client's JWK set could not be fetched, or holds no usable key."),
    "signature": ("login", "The signature does not match the client's key of this 'kid'."),
    "audience": ("login", "The 'aud' is not the URL of the service called, as the service itself knows it."),
    "expired": ("expired", "The JWT has expired."),
    "not-yet": ("login", "The 'iat' or 'nbf' lies in the future; is a clock wrong?"),
    "lifetime": ("login", "The JWT is valid for too long, from 'iat' to 'exp'."),
    "tenant": ("login", "The 'tenant' is missing, or is not one registered for this client."),
    "subject": ("login", "The 'sub' is not equal to the 'iss': both are the client's id."),
    "access-token": ("login", "The access token is unknown or has expired; ask the token endpoint for another."),
    "replayed": ("login", "The 'jti' was used before: each call needs a JWT of its own."),
}


def refusal(reason: str) -> AuthenticationFailed:
    """The error of a reason in REASONS."""
    code, words = REASONS[reason]
    return AuthenticationFailed(reason, words, code=code)
