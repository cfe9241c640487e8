"""Logging in with an identity provider, played on this machine: who gets in, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Flask, request
from werkzeug.serving import make_server

from app import create_app
from app.console.provider import roles_of_groups
from app.errors import SettingsError
from app.settings import Settings
from tests.web.console.conftest import Person

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


class FakeProvider:
    """An OpenID Connect provider that says whatever a test wants."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {}
        self.asked: dict[str, str] = {}
        self.key = KEY
        app = Flask("provider")
        app.get("/.well-known/openid-configuration")(self.metadata)
        app.get("/keys")(self.keys)
        app.post("/token")(self.token)
        self._server = make_server("127.0.0.1", 0, app, threaded=True)
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def metadata(self) -> dict[str, str]:
        ends = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
        return {"issuer": self.issuer, **{name: f"{self.issuer}/{path}" for name, path in ends.items()}}

    def keys(self) -> dict[str, Any]:
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key()))
        return {"keys": [{**public, "kid": "k", "use": "sig", "alg": "RS256"}]}

    def token(self) -> dict[str, Any]:
        """Checks PKCE as a provider does."""
        digest = hashlib.sha256(request.form["code_verifier"].encode()).digest()
        assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == self.asked["code_challenge"]
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": "signpost",
            "sub": "1",
            "iat": now,
            "exp": now + 60,
            "nonce": self.asked["nonce"],
            "email": "kim@example.org",
            "roles": ["benefits", "unheard-of"],
            **self.claims,
        }
        token = jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": "k"})
        return {"access_token": "a", "token_type": "Bearer", "id_token": token}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    fake = FakeProvider()
    yield fake
    fake.close()


@pytest.fixture
def settings(settings: Settings, provider: FakeProvider) -> Settings:
    return settings.model_copy(
        update={
            "console_oidc_issuer": provider.issuer,
            "console_oidc_client_id": "signpost",
            "console_oidc_roles": ("benefits=editor",),
        }
    )


def begin(visitor: Person, provider: FakeProvider) -> str:
    """Go to the provider; the state that comes back."""
    sent = visitor.get("/oidc/start")
    assert sent.status_code == 303
    assert sent.location.startswith(f"{provider.issuer}/authorize?")
    provider.asked = {name: values[0] for name, values in parse_qs(urlsplit(sent.location).query).items()}
    assert provider.asked["code_challenge_method"] == "S256"
    return provider.asked["state"]


def test_in_with_the_roles_of_the_groups(visitor: Person, provider: FakeProvider) -> None:
    state = begin(visitor, provider)
    entered = visitor.get("/oidc/finish", state=state, code="c")
    assert (entered.status_code, entered.location) == (303, "/console/")
    page = visitor.get("/").text
    assert "kim@example.org <small>editor</small>" in page
    assert visitor.get("/oidc/finish", state=state, code="c").status_code == 403, "a state serves once"


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"roles": ["unheard-of"]}, "no role"),
        ({"roles": None}, "no role"),
        ({"email": None}, "no email"),
        ({"email_verified": False}, "not verified"),
        ({"nonce": "another"}, "another login"),
        ({"aud": "another"}, "InvalidAudienceError"),
        ({"iss": "https://evil.example.org"}, "InvalidIssuerError"),
        ({"exp": 1}, "ExpiredSignatureError"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_who_is_not_let_in(visitor: Person, provider: FakeProvider, claims: dict[str, Any], said: str) -> None:
    state = begin(visitor, provider)
    provider.claims = claims
    refused = visitor.get("/oidc/finish", state=state, code="c")
    assert (refused.status_code, said in refused.text) == (403, True), refused.text
    assert visitor.get("/").status_code == 303


def test_a_token_under_another_key_is_refused(visitor: Person, provider: FakeProvider) -> None:
    state = begin(visitor, provider)
    provider.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert "InvalidSignatureError" in visitor.get("/oidc/finish", state=state, code="c").text


def test_a_login_begun_elsewhere_is_refused(app: Flask, visitor: Person, provider: FakeProvider) -> None:
    state = begin(visitor, provider)
    another = Person(app.test_client())
    assert another.get("/oidc/finish", state=state, code="c").status_code == 403
    assert visitor.get("/oidc/finish", state="made-up", code="c").status_code == 403
    assert visitor.get("/oidc/finish", state=state, error="access_denied").status_code == 403


def test_settings_that_do_not_go_together(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="CLIENT_ID"):
        create_app(settings.model_copy(update={"console_oidc_client_id": None}))
    for wrong in ("benefits", "benefits=king", "=editor"):
        with pytest.raises(SettingsError, match="group=role"):
            roles_of_groups((wrong,))
    assert roles_of_groups(("cn=a,ou=b=editor",)) == {"cn=a,ou=b": "editor"}
    assert roles_of_groups(()) == {role: role for role in ("viewer", "editor", "approver", "auditor")}
