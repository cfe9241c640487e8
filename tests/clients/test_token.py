"""What is wrong with a JWT, each thing by its own word."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from app.clients.refusals import REASONS
from app.clients.token import LEEWAY, bearer, parse
from app.errors import AuthenticationFailed
from tests.clients.identities import SERVICE, claims, private_key, sign

NOW = 1_800_000_000


def segment(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def raw(header: Any, payload: Any) -> str:
    """A JWT that no library would make; the signature is not looked at here."""
    return f"{segment(header)}.{segment(payload)}.{segment(b'signature')}"


HEADER = {"alg": "ES384", "kid": "ec"}
GOOD = claims(now=NOW)


def test_a_good_one() -> None:
    text = sign(claims(now=NOW, nbf=NOW, tenant="north", other=[1]), jku="https://e.example.org/k", typ="JWT")
    token = parse(text)
    assert (token.alg, token.kid, token.jku, token.tenant) == ("ES384", "ec", "https://e.example.org/k", "north")
    assert token.audiences == (SERVICE,)
    assert (token.issued_at, token.expires_at, token.not_before) == (NOW, NOW + 300, NOW)
    assert token.is_signed_by(private_key("ec").public_key())
    assert not token.is_signed_by(private_key("ec-other").public_key())
    assert text.split(".")[1] not in repr(token)


@pytest.mark.parametrize("changed", [0, 1, 2])
def test_a_changed_part_is_not_signed(changed: int) -> None:
    parts = sign(claims(now=NOW)).split(".")
    replaced = [segment({**HEADER, "x": 1}), segment({**GOOD, "x": 1}), segment(b"\x01" * 96)]
    parts[changed] = replaced[changed]
    assert not parse(".".join(parts)).is_signed_by(private_key("ec").public_key())


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in GOOD.items() if key != name}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "malformed"),
        ("x", "malformed"),
        ("a.b", "malformed"),
        ("a.b.c.d", "malformed"),
        ("ä.b.c", "malformed"),
        (raw(b"{", GOOD), "malformed"),
        (raw([], GOOD), "malformed"),
        (raw(HEADER, b"{"), "malformed"),
        (raw(HEADER, []), "malformed"),
        (raw(HEADER, b"[" * 5000), "malformed"),
        (raw(b'{"alg":' + b"[" * 5000, GOOD), "malformed"),
        (raw(HEADER, b'{"exp": NaN}'), "malformed"),
        (raw(HEADER, b'{"exp": 1e999999}'), "malformed"),
        (raw({**HEADER, "kid": 7}, GOOD), "malformed"),
        (raw(HEADER, GOOD) + "A" * 9000, "too-large"),
        (raw({**HEADER, "crit": ["b64"], "b64": True}, GOOD), "critical"),
        (raw({**HEADER, "typ": "at+jwt"}, GOOD), "type"),
        (raw({**HEADER, "alg": "none"}, GOOD), "algorithm"),
        (raw({**HEADER, "alg": "None"}, GOOD), "algorithm"),
        (raw({**HEADER, "alg": "es384"}, GOOD), "algorithm"),
        (raw({**HEADER, "alg": "HS256"}, GOOD), "algorithm"),
        (raw({**HEADER, "alg": "ES256"}, GOOD), "algorithm"),
        (raw({**HEADER, "alg": "PS384"}, GOOD), "algorithm"),
        (raw({"kid": "ec"}, GOOD), "algorithm"),
        (raw({"alg": "ES384"}, GOOD), "no-kid"),
        (raw({**HEADER, "kid": ""}, GOOD), "no-kid"),
        (raw({**HEADER, "jku": ["x"]}, GOOD), "foreign-jku"),
        *((raw(HEADER, without(name)), "claim") for name in ("iss", "aud", "exp", "iat", "jti")),
        *((raw(HEADER, {**GOOD, name: ""}), "claim") for name in ("iss", "aud", "exp", "iat", "jti")),
        *((raw(HEADER, {**GOOD, name: None}), "claim") for name in ("iss", "aud", "exp", "iat", "jti", "nbf")),
        *((raw(HEADER, {**GOOD, name: True}), "claim") for name in ("iss", "aud", "exp", "iat", "jti", "nbf")),
        (raw(HEADER, {**GOOD, "iss": ["https://ehr.example.org"]}), "claim"),
        (raw(HEADER, {**GOOD, "aud": []}), "claim"),
        (raw(HEADER, {**GOOD, "aud": [7]}), "claim"),
        (raw(HEADER, {**GOOD, "exp": str(NOW)}), "claim"),
        (raw(HEADER, {**GOOD, "exp": -1}), "claim"),
        (raw(HEADER, {**GOOD, "exp": 10**30}), "claim"),
    ],
)
def test_refused_as_it_stands(text: str, reason: str) -> None:
    with pytest.raises(AuthenticationFailed) as refused:
        parse(text)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"aud": [SERVICE, "https://other.example.org"]}, None),
        ({"aud": "https://other.example.org"}, "audience"),
        ({"aud": SERVICE + "/"}, "audience"),
        ({"aud": SERVICE.upper()}, "audience"),
        ({"aud": "http://localhost"}, "audience"),
        ({"iat": NOW - 320, "exp": NOW - LEEWAY + 1}, None),
        ({"iat": NOW - 320, "exp": NOW - LEEWAY}, "expired"),
        ({"iat": NOW + LEEWAY}, None),
        ({"iat": NOW + LEEWAY + 1}, "not-yet"),
        ({"nbf": NOW + LEEWAY}, None),
        ({"nbf": NOW + LEEWAY + 1}, "not-yet"),
        ({"exp": NOW + 301}, None),
        ({"exp": NOW + 302}, "lifetime"),
        ({"exp": NOW + 10_000}, "lifetime"),
        ({"exp": NOW + 10.5, "iat": NOW - 0.5}, None),
    ],
    ids=str,
)
def test_held_against_place_and_time(changes: dict[str, Any], reason: str | None) -> None:
    token = parse(sign(claims(now=NOW) | changes))
    if reason is None:
        token.check(audiences=[SERVICE], now=NOW, lifetime=300)
        return
    with pytest.raises(AuthenticationFailed) as refused:
        token.check(audiences=[SERVICE], now=NOW, lifetime=300)
    assert refused.value.reason == reason


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic eDp5", "eyJhbGciOi"])
def test_no_bearer(header: str | None) -> None:
    with pytest.raises(AuthenticationFailed) as refused:
        bearer(header)
    assert (refused.value.reason, refused.value.challenge) == ("no-token", "Bearer")


@pytest.mark.parametrize("header", ["Bearer a.b.c", "bearer a.b.c", " BEARER  a.b.c "])
def test_bearer(header: str) -> None:
    assert bearer(header) == "a.b.c"


def test_reasons_have_issue_codes_and_sentences() -> None:
    for code, words in REASONS.values():
        assert code in {"login", "unknown", "expired"}
        assert words.endswith((".", "?"))
