"""An EHR that can sign: its keys, its JWK set, its entry in a registry, and JWTs with whatever is wrong with them."""

from __future__ import annotations

import json
import time
import uuid
from functools import cache
from typing import Any

import jwt
import yaml
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

ISS = "https://ehr.example.org"
SERVICE = "http://localhost/cds-services/order-sign-crd"
BASE = "https://fhir.ehr.example.org/r4"

Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@cache
def private_key(kid: str) -> Private:
    """A key that is always the same for one `kid`: RSA when it begins with "rsa", of the size or curve it names."""
    kind, _, size = kid.partition("-")
    if kind == "rsa":
        return rsa.generate_private_key(65537, int(size) if size.isdigit() else 2048)
    return ec.generate_private_key(ec.SECP256R1() if size == "p256" else ec.SECP384R1())


def jwk(of: str, **changes: Any) -> dict[str, Any]:
    """The public half of `private_key(of)`; a change of None leaves a member out."""
    key = private_key(of).public_key()
    made = (RSAAlgorithm if of.startswith("rsa") else ECAlgorithm).to_jwk(key, as_dict=True)
    return {k: v for k, v in {**made, "kid": of, "use": "sig", **changes}.items() if v is not None}


def jwk_set(*kids: str) -> dict[str, Any]:
    return {"keys": [jwk(kid) for kid in kids or ("ec", "rsa")]}


def claims(aud: Any = SERVICE, *, now: float | None = None, **changes: Any) -> dict[str, Any]:
    """What a good JWT says; a change of None leaves a claim out."""
    iat = int(time.time() if now is None else now)
    good = {"iss": ISS, "aud": aud, "iat": iat, "exp": iat + 300, "jti": str(uuid.uuid4())}
    return {k: v for k, v in {**good, **changes}.items() if v is not None}


def sign(payload: dict[str, Any], kid: str = "ec", *, alg: str | None = None, key: Any = None, **header: Any) -> str:
    """A JWT; a header of None leaves it out."""
    alg = alg or ("RS384" if kid.startswith("rsa") else "ES384")
    headers = {"kid": kid, **header}
    return jwt.encode(payload, key or private_key(kid), alg, {k: v for k, v in headers.items() if v is not None})


def bearing(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def entry(**changes: Any) -> dict[str, Any]:
    """A client with inline keys as the registry has it; a change of None leaves a key out."""
    good = {"name": "Sample Hospital", "iss": ISS, "jwks": jwk_set(), "fhir_bases": [BASE]}
    return {k: v for k, v in {**good, **changes}.items() if v is not None}


def registry(*entries: dict[str, Any]) -> str:
    # By way of JSON, so that one key used twice is written twice and not as an alias.
    return yaml.safe_dump({"clients": json.loads(json.dumps(entries or [entry()]))}, sort_keys=False)
