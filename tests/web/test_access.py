"""SMART Backend Services over HTTP: who gets a token, what it lets them do, and whose answers they may take further."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import create_app
from app.clients.access import GRANTS, WINDOW
from app.clients.scopes import SCOPES, allows, granted
from app.errors import SettingsError
from app.fhir.json import encode
from app.settings import Settings
from tests.clients.identities import ISS, bearing, claims, entry, jwk_set, private_key, registry, sign
from tests.dtr.dtr_actions import DtrActions, context, coverage, coverage_of, order
from tests.ehr_actions import example, order_of
from tests.windows import wait_for_room

TOKEN_URL = "http://localhost/auth/token"
APP, RIVAL = "https://app.example.org", "https://rival.example.org"
HOOK = "http://localhost/cds-services/order-sign-crd"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    clients = registry(entry(), entry(name="An app", iss=APP, acts_for=[ISS]), entry(name="Another", iss=RIVAL))
    (tmp_path / "clients.yaml").write_text(clients)
    return Settings(data_dir=tmp_path, rules_interval=0)


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    app = create_app(settings)
    yield app
    app.extensions["ledger"].close()
    app.extensions["state"].close()


@pytest.fixture
def http(app: Flask) -> FlaskClient:
    return app.test_client()


def assertion(iss: str = ISS, **changes: Any) -> str:
    said = claims(TOKEN_URL, iss=iss, sub=iss, **changes)
    return sign(said)


def ask(http: FlaskClient, text: str | None = None, **changes: str) -> TestResponse:
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion() if text is None else text,
        "scope": " ".join(SCOPES),
    }
    return http.post("/auth/token", data=form | changes)


def token(http: FlaskClient, iss: str = ISS, scope: str = " ".join(SCOPES)) -> str:
    response = ask(http, assertion(iss), scope=scope)
    assert response.status_code == 200, response.data
    return str(response.get_json()["access_token"])


def signed(http: FlaskClient) -> tuple[Any, ...]:
    """An order signed by the EHR, as parameters of a package call."""
    request = example("mri")
    response = http.post("/cds-services/order-sign-crd", json=request, headers=bearing(sign(claims(HOOK))))
    repetition = response.get_json()["systemActions"][0]["resource"]["extension"][-1]["extension"]
    known = next(part["valueString"] for part in repetition if part["url"] == "coverage-assertion-id")
    return coverage(coverage_of(request)), order(order_of(request)), context(known)


def test_a_token_for_a_registered_client(http: FlaskClient) -> None:
    response = ask(http)
    told = response.get_json()
    assert (response.status_code, response.headers["Cache-Control"]) == (200, "no-store")
    assert (told["token_type"], told["scope"]) == ("bearer", " ".join(SCOPES))
    assert 0 < told["expires_in"] <= 300


def test_iat_may_be_left_out(http: FlaskClient) -> None:
    """As SMART has it; CDS Hooks wants it."""
    assert ask(http, assertion(iat=None)).status_code == 200
    assert ask(http, assertion(iat=None, exp=int(time.time()) + 3600)).status_code == 401


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"client_assertion_type": "x"}, 401, "invalid_client"),
        ({"client_assertion": ""}, 401, "invalid_client"),
        ({"client_assertion": "a.b.c"}, 401, "invalid_client"),
        ({"scope": ""}, 400, "invalid_scope"),
        ({"scope": "patient/Questionnaire.rs system/Patient.rs system/Questionnaire.rs?x=1"}, 400, "invalid_scope"),
    ],
)
def test_what_is_not_granted(http: FlaskClient, change: dict[str, str], status: int, error: str) -> None:
    response = ask(http, **change)
    assert (response.status_code, response.get_json()["error"]) == (status, error)


@pytest.mark.parametrize(
    "text",
    [
        lambda: sign(claims(TOKEN_URL, sub="somebody")),
        lambda: sign(claims(TOKEN_URL)),
        lambda: sign(claims(HOOK, sub=ISS)),
        lambda: assertion("https://nobody.example.org"),
        lambda: sign(claims(TOKEN_URL, sub=ISS), key=private_key("ec-other")),
        lambda: assertion(exp=int(time.time()) - 60, iat=int(time.time()) - 120),
        lambda: assertion(jti=None),
    ],
    ids=["sub of another", "no sub", "made for a hook", "stranger", "forged", "expired", "no jti"],
)
def test_assertions_that_are_not_taken(http: FlaskClient, text: Any) -> None:
    response = ask(http, text())
    assert (response.status_code, response.get_json()["error"]) == (401, "invalid_client")


def test_an_assertion_is_good_once(http: FlaskClient) -> None:
    once = assertion()
    assert [ask(http, once).status_code for _ in range(2)] == [200, 401]


def test_not_too_many_tokens(http: FlaskClient) -> None:
    wait_for_room(WINDOW, 4)
    statuses = [ask(http).status_code for _ in range(GRANTS + 2)]
    assert statuses == [200] * GRANTS + [429] * 2


def test_a_call_needs_a_token_with_its_scope(http: FlaskClient) -> None:
    reading = token(http, scope="system/questionnaire.rs")
    for headers, status in (
        ({}, 401),
        (bearing("made-up"), 401),
        (bearing(assertion()), 401),
        (bearing(reading), 200),
    ):
        response = http.get("/fhir/dtr/2.2/Questionnaire?name=x", headers=headers)
        assert response.status_code == status
        assert ("WWW-Authenticate" in response.headers) is (status == 401)
    assert http.get("/fhir/dtr/2.2/ValueSet/x", headers=bearing(reading)).status_code == 403
    assert http.get("/fhir/dtr/2.2/metadata").status_code == 200


def test_tokens_are_known_to_every_worker_until_they_expire(settings: Settings, http: FlaskClient) -> None:
    other = create_app(settings)
    granted_here = token(http)
    asked = lambda: other.test_client().get("/fhir/dtr/2.2/Library", headers=bearing(granted_here)).status_code  # noqa: E731
    assert asked() == 200
    state = other.extensions["state"]
    state.get = lambda key: None  # as it is once the time has passed
    assert asked() == 401
    other.extensions["ledger"].close()
    state.close()


def test_an_answer_is_for_its_ehr_and_who_acts_for_it(http: FlaskClient) -> None:
    parameters = signed(http)
    found = {}
    for iss in (ISS, APP, RIVAL):
        client = DtrActions(http, "2.2", bearing(token(http, iss)))
        found[iss] = client.package(*parameters)
    assert [found[iss].status for iss in (ISS, APP, RIVAL)] == [200, 200, 422]
    unknown = DtrActions(http, "2.2", bearing(token(http, RIVAL))).package(*parameters[:2], context("unknown"))
    assert found[RIVAL].json == unknown.json  # not even that it is there
    assert found[ISS].forms == found[APP].forms  # spec-1: the same for every app


def test_smart_configuration(http: FlaskClient) -> None:
    told = http.get("/fhir/dtr/2.0/.well-known/smart-configuration").get_json()
    assert told["token_endpoint"] == TOKEN_URL
    assert told["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    security = http.get("/fhir/dtr/2.0/metadata").get_json()["rest"][0]["security"]
    assert security["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"


ISSUER = "https://login.payer.example.org"


@pytest.fixture
def elsewhere(settings: Settings) -> Iterator[FlaskClient]:
    """The service with an authorization server of the payer's own."""
    named = {
        "token_issuer": ISSUER,
        "token_jwks_url": f"{ISSUER}/jwks",
        "token_url": f"{ISSUER}/token",
    }
    app = create_app(settings.model_copy(update=named))
    app.extensions["access"]._keys._fetch = lambda client: encode(jwk_set("ec"))
    yield app.test_client()
    app.extensions["ledger"].close()
    app.extensions["state"].close()


def issued(**changes: Any) -> str:
    now = int(time.time())
    said = {
        "iss": ISSUER,
        "aud": "http://localhost/fhir/dtr/2.2",
        "iat": now,
        "exp": now + 300,
        "jti": str(uuid.uuid4()),
        "client_id": APP,
        "scope": "system/Questionnaire.rs system/Library.rs",
    }
    kept = {name: value for name, value in (said | changes).items() if value is not None}
    return jwt.encode(kept, private_key("ec"), "ES384", {"kid": "ec", "typ": "at+jwt"})


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 200),
        ({"client_id": None, "azp": APP}, 200),
        ({"scope": None, "scp": ["system/*.read"]}, 200),
        ({"scope": "system/Library.rs"}, 403),
        ({"client_id": "https://stranger.example.org"}, 401),
        ({"iss": "https://other.example.org"}, 401),
        ({"aud": "http://localhost/fhir/dtr/2.0"}, 401),
        ({"exp": int(time.time()) - 100}, 401),
        ({"exp": None}, 401),
    ],
)
def test_tokens_of_an_authorization_server_elsewhere(
    elsewhere: FlaskClient, changes: dict[str, Any], status: int
) -> None:
    response = elsewhere.get("/fhir/dtr/2.2/Questionnaire", headers=bearing(issued(**changes)))
    assert response.status_code == status


def test_then_none_are_granted_here(elsewhere: FlaskClient) -> None:
    assert ask(elsewhere).status_code == 404
    told = elsewhere.get("/fhir/dtr/2.2/.well-known/smart-configuration").get_json()
    assert (told["issuer"], told["token_endpoint"]) == (ISSUER, f"{ISSUER}/token")
    forged = jwt.encode({"iss": ISSUER}, "secret" * 10, "HS256", {"kid": "ec"})
    assert elsewhere.get("/fhir/dtr/2.2/Library", headers=bearing(forged)).status_code == 401


def test_half_an_authorization_server_stops_the_start(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="go together"):
        create_app(settings.model_copy(update={"token_issuer": ISSUER}))


@pytest.mark.parametrize(
    ("scope", "kind", "action", "allowed"),
    [
        ("system/questionnaire.rs", "Questionnaire", "r", True),
        ("system/QUESTIONNAIRE.r", "Questionnaire", "r", True),
        ("system/Questionnaire.r", "Questionnaire", "s", False),
        ("system/Questionnaire.read", "Questionnaire", "s", True),
        ("system/*.rs", "Library", "s", True),
        ("system/*.*", "QuestionnaireResponse", "c", True),
        ("system/QuestionnaireResponse.cu", "QuestionnaireResponse", "c", True),
        ("system/QuestionnaireResponse.rs", "QuestionnaireResponse", "c", False),
        ("system/Questionnaire.sr", "Questionnaire", "r", False),
        ("user/Questionnaire.rs", "Questionnaire", "r", False),
        ("system/Questionnaire.rs?url=x", "Questionnaire", "r", False),
    ],
)
def test_scopes(scope: str, kind: str, action: str, allowed: bool) -> None:
    assert allows([scope], kind, action) is allowed
    assert not allowed or granted(scope) == (scope,)
