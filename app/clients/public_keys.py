"""The public keys in a JWK set (RFC 7517) that may verify a client's JWT, and why the others may not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import Algorithm, ECAlgorithm, RSAAlgorithm

PublicKey: TypeAlias = EllipticCurvePublicKey | RSAPublicKey
KeyId: TypeAlias = tuple[str, str]
"""`kid` and algorithm: a set may use one `kid` for a key of each kind."""

ALGORITHMS: Mapping[str, Algorithm] = {name: jwt.get_algorithm_by_name(name) for name in ("ES384", "RS384")}
"""The algorithms of CDS Hooks. Never one that signs with a shared secret: the secret would be the public key."""

MAX_KEYS = 100
_KINDS = {"EC": "ES384", "RSA": "RS384"}
# Below, a key can be broken; above, verifying takes so long that strangers could keep the service busy.
_RSA_BITS = range(2048, 8192 + 1)


def read_keys(jwk_set: Any) -> tuple[dict[KeyId, PublicKey], list[tuple[int | None, str]]]:
    """The usable keys of a set, and for each other its position with the reason; position None is the set itself."""
    listed = jwk_set.get("keys") if isinstance(jwk_set, dict) else None
    if not isinstance(listed, list):
        return {}, [(None, "This is not a JWK set: it has no list 'keys'.")]
    if len(listed) > MAX_KEYS:
        return {}, [(None, f"The set has more than {MAX_KEYS} keys.")]
    keys: dict[KeyId, PublicKey] = {}
    problems: list[tuple[int | None, str]] = []
    for position, jwk in enumerate(listed):
        read = _read(jwk)
        if isinstance(read, str):
            problems.append((position, read))
        elif read[0] in keys:
            problems.append((position, "Another key of the set has the same kid and kty."))
        else:
            keys[read[0]] = read[1]
    return keys, problems


def _read(jwk: Any) -> tuple[KeyId, PublicKey] | str:
    """One key, or why it is of no use."""
    if not isinstance(jwk, dict):
        return "This is not a JWK."
    kid, kty = jwk.get("kid"), jwk.get("kty")
    if any(secret in jwk for secret in ("d", "p", "q", "k")):
        return "This is a private or secret key, which nobody else may have. Publish the public part of a new key."
    if not isinstance(kid, str) or not kid:
        return "The key has no kid, by which a JWT names it."
    algorithm = _KINDS.get(kty) if isinstance(kty, str) else None
    if algorithm is None:
        return "The key is neither EC nor RSA."
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not (isinstance(operations, list) and "verify" in operations):
        return "The key is not for signatures."
    if jwk.get("alg", algorithm) != algorithm:
        return f"The key is for another algorithm than {algorithm}."
    if kty == "EC" and jwk.get("crv") != "P-384":
        return "The curve of the key is not P-384, as ES384 needs."
    try:
        key = ECAlgorithm.from_jwk(jwk) if kty == "EC" else RSAAlgorithm.from_jwk(jwk)
    except Exception:  # whatever a stranger's numbers do to the parser
        return "The numbers of the key are not those of a public key."
    if isinstance(key, RSAPublicKey):
        if key.key_size not in _RSA_BITS:
            return f"The key has {key.key_size} bits; RS384 needs {_RSA_BITS[0]} to {_RSA_BITS[-1]}."
        if key.public_numbers().e.bit_length() > 32:
            return "The exponent of the key is too large."
    elif not (isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP384R1)):
        return "The numbers of the key are not those of a public key."
    return (kid, algorithm), key
