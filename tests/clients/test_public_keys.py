"""Which keys of a JWK set verify a JWT."""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from app.clients.public_keys import read_keys
from tests.clients.identities import jwk, jwk_set, private_key


def test_good_keys() -> None:
    keys, problems = read_keys(jwk_set("ec", "rsa"))
    assert problems == []
    assert set(keys) == {("ec", "ES384"), ("rsa", "RS384")}
    assert keys["ec", "ES384"] == private_key("ec").public_key()


def private_jwk(kid: str) -> dict[str, Any]:
    algorithm = jwt.get_algorithm_by_name("RS384" if kid.startswith("rsa") else "ES384")
    return {**algorithm.to_jwk(private_key(kid), as_dict=True), "kid": kid}


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("text", "not a JWK"),
        (jwk("ec", kid=None), "no kid"),
        (jwk("ec", kid=""), "no kid"),
        (jwk("ec", kid=7), "no kid"),
        (jwk("ec", kty=None), "neither EC nor RSA"),
        ({"kty": "oct", "kid": "s", "k": "c2VjcmV0"}, "private or secret"),
        ({"kty": "OKP", "crv": "Ed25519", "kid": "o", "x": "AA"}, "neither EC nor RSA"),
        ({"kty": ["EC"], "kid": "o"}, "neither EC nor RSA"),
        (private_jwk("ec"), "private or secret"),
        (private_jwk("rsa"), "private or secret"),
        (jwk("ec", use="enc"), "not for signatures"),
        (jwk("ec", key_ops=["sign"]), "not for signatures"),
        (jwk("ec", key_ops=7), "not for signatures"),
        (jwk("ec", alg="ES256"), "another algorithm"),
        (jwk("rsa", alg="RS256"), "another algorithm"),
        (jwk("ec-p256"), "P-384"),
        (jwk("ec-p256", crv="P-384"), "numbers"),
        (jwk("ec", crv=None), "P-384"),
        (jwk("ec", y="AAAA"), "numbers"),
        (jwk("ec", x=None), "numbers"),
        (jwk("ec", x=7), "numbers"),
        (jwk("rsa-1024"), "1024 bits"),
        (jwk("rsa", n="AQAB"), "numbers"),
        (jwk("rsa", n="_" * 4000), "bits"),
        (jwk("rsa", e="_" * 300), "exponent"),
        (jwk("rsa", e="AQ"), "numbers"),
        (jwk("rsa", n=None), "numbers"),
    ],
)
def test_others_are_passed_over(key: Any, words: str) -> None:
    keys, problems = read_keys({"keys": [key, jwk("rsa")]})
    assert set(keys) == {("rsa", "RS384")}
    ((position, told),) = problems
    assert position == 0
    assert words in told


def test_one_kid_for_a_key_of_each_kind() -> None:
    keys, _ = read_keys({"keys": [jwk("ec", kid="k"), jwk("rsa", kid="k"), jwk("ec-other", kid="k")]})
    assert keys == {("k", "ES384"): private_key("ec").public_key(), ("k", "RS384"): private_key("rsa").public_key()}


@pytest.mark.parametrize("jwk_set", [None, [], "x", {}, {"keys": {}}, {"keys": [jwk("ec")] * 101}])
def test_not_a_set(jwk_set: Any) -> None:
    keys, problems = read_keys(jwk_set)
    assert keys == {}
    assert problems[0][0] is None
