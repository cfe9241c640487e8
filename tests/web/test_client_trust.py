"""The service in earnest: registered clients are answered, everybody else is told why not and leaves no trace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import create_app
from app.clients.rate_limit import WINDOW
from app.clients.refusals import REASONS
from app.errors import SettingsError, StateError
from app.settings import Settings
from tests.clients.identities import ISS, SERVICE, bearing, claims, entry, registry, sign
from tests.ehr_actions import example
from tests.windows import wait_for_room

PATH = "/cds-services/order-sign-crd"
OTHER = "https://other.example.org"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "clients.yaml").write_text(
        registry(
            entry(),
            entry(iss="tenants", tenants=["north"]),
            entry(iss="es", algorithms=["ES384"]),
            entry(iss="select", services=["order-select-crd"]),
        )
    )
    return Settings(data_dir=tmp_path, rules_interval=0)


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    app = create_app(settings)
    yield app
    app.extensions["ledger"].close()


@pytest.fixture
def http(app: Flask) -> FlaskClient:
    return app.test_client()


def fire(http: FlaskClient, text: str | None, path: str = PATH, **changes: Any) -> TestResponse:
    """Sign the sample order with this JWT."""
    return http.post(path, json=example("mri") | changes, headers=bearing(text) if text is not None else {})


@pytest.mark.parametrize("kid", ["ec", "rsa"])
def test_a_registered_client_is_answered(app: Flask, http: FlaskClient, kid: str) -> None:
    response = fire(http, sign(claims(), kid))
    assert response.status_code == 200
    assert json.loads(response.data)["systemActions"]
    (call,) = app.extensions["ledger"].recent(5)
    assert (call.client, call.status) == (ISS, 200)


@pytest.mark.parametrize(
    ("changes", "kid", "status"),
    [
        ({"iss": "tenants", "tenant": "north"}, "ec", 200),
        ({"iss": "tenants", "tenant": "south"}, "ec", 401),
        ({"iss": "tenants", "tenant": ["north"]}, "ec", 401),
        ({"iss": "tenants"}, "ec", 401),
        ({"tenant": "whatever"}, "ec", 200),
        ({"iss": "es"}, "ec", 200),
        ({"iss": "es"}, "rsa", 401),
        ({"iss": "select"}, "ec", 403),
    ],
)
def test_what_the_registry_says_of_a_client(http: FlaskClient, changes: dict[str, Any], kid: str, status: int) -> None:
    assert fire(http, sign(claims(**changes), kid)).status_code == status


def test_not_allowed_is_recorded(app: Flask, http: FlaskClient) -> None:
    """The client is known, so its call is kept like any other."""
    response = fire(http, sign(claims(iss="select")))
    assert json.loads(response.data)["issue"][0]["code"] == "forbidden"
    (call,) = app.extensions["ledger"].recent(5)
    assert (call.client, call.status) == ("select", 403)


def test_an_unknown_service_is_told_to_clients_only(http: FlaskClient) -> None:
    path = "/cds-services/no-such-service"
    assert fire(http, None, path).status_code == 401
    assert fire(http, sign(claims("http://localhost" + path)), path).status_code == 404


def test_discovery_is_open(http: FlaskClient) -> None:
    assert http.get("/cds-services").status_code == 200


def refused(response: TestResponse, reason: str) -> None:
    """A 401 as it must be."""
    code, words = REASONS[reason]
    assert response.status_code == 401
    assert response.mimetype == "application/fhir+json"
    (issue,) = json.loads(response.data)["issue"]
    assert (issue["code"], issue["diagnostics"]) == (code, words)
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_strangers_leave_a_line_and_nothing_else(
    app: Flask, http: FlaskClient, capfd: pytest.CaptureFixture[str]
) -> None:
    bad = sign(claims(jti="secret-jti"), kid="ec-other")
    refused(fire(http, None), "no-token")
    for _ in range(3):
        refused(fire(http, bad), "unknown-key")
    refused(fire(http, sign(claims(iss="https://new.example.org"))), "issuer")
    assert app.extensions["ledger"].recent(5) == []
    logged = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    lines = [(line["reason"], line["count"], line["claimed"]) for line in logged if line["event"] == "client.refused"]
    assert lines == [
        ("no-token", 1, None),
        ("unknown-key", 1, ISS),
        ("unknown-key", 2, ISS),
        ("unknown-key", 3, ISS),
        ("issuer", 1, "https://new.example.org"),
    ]
    assert not any(part in json.dumps(logged) for part in [*bad.split("."), "secret-jti", "Robin"])


def test_the_body_of_a_stranger_is_not_read(http: FlaskClient) -> None:
    assert http.post(PATH, data=b" " * 20_000_000).status_code == 401


def test_the_sandbox_asks_nobody(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"sandbox": True}))
    assert fire(app.test_client(), None).status_code == 200
    assert fire(app.test_client(), "not.a.jwt").status_code == 200
    assert app.extensions["ledger"].recent(1)[0].client == "sandbox"
    app.extensions["ledger"].close()


@pytest.mark.parametrize(
    ("base_url", "aud", "host", "status"),
    [
        (None, SERVICE, "localhost", 200),
        (None, "http://127.0.0.1:8080" + PATH, "127.0.0.1:8080", 200),
        (None, "http://localhost", "localhost", 401),
        (None, "http://localhost/cds-services/order-select-crd", "localhost", 401),
        (None, OTHER + PATH, "other.example.org", 401),
        ("https://crd.example.org", "https://crd.example.org" + PATH, "localhost", 200),
        ("https://crd.example.org/", "https://crd.example.org" + PATH, "localhost", 200),
        ("https://crd.example.org/payer", "https://crd.example.org/payer" + PATH, "localhost", 200),
        ("https://crd.example.org", "https://crd.example.org", "localhost", 200),
        ("https://crd.example.org", "https://crd.example.org/cds-services/order-select-crd", "localhost", 401),
        ("https://crd.example.org", OTHER + PATH, "other.example.org", 401),
        ("https://crd.example.org", SERVICE, "localhost", 401),
    ],
)
def test_the_audience(settings: Settings, base_url: str | None, aud: str, host: str, status: int) -> None:
    """A JWT made for somebody else's service is of no use here, whatever Host the caller writes."""
    app = create_app(settings.model_copy(update={"base_url": base_url}))
    headers = bearing(sign(claims(aud))) | {"Host": host}
    assert app.test_client().post(PATH, json=example("mri"), headers=headers).status_code == status
    app.extensions["ledger"].close()


@pytest.mark.parametrize(
    ("aud", "status"),
    [(SERVICE, 200), (SERVICE + "/feedback", 200), (SERVICE.replace("sign", "select") + "/feedback", 401)],
)
def test_feedback_is_for_clients_too(app: Flask, http: FlaskClient, aud: str, status: int) -> None:
    feedback = {"feedback": [{"card": "c", "outcome": "accepted", "outcomeTimestamp": "2026-11-22T10:00:00Z"}]}
    assert http.post(f"{PATH}/feedback", json=feedback).status_code == 401
    response = http.post(f"{PATH}/feedback", json=feedback, headers=bearing(sign(claims(aud))))
    assert response.status_code == status, response.text


def test_without_the_shared_state_nobody_is_let_in(
    app: Flask, http: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bool:
        raise StateError("the disk is gone")

    monkeypatch.setattr(app.extensions["state"], "add_if_absent", fail)
    response = fire(http, sign(claims()))
    assert response.status_code == 503
    assert json.loads(response.data)["issue"][0]["code"] == "transient"
    assert app.extensions["ledger"].recent(1) == []


@pytest.mark.embedded  # of what is set when there is one machine
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"clients_file": Path("/nowhere.yaml")}, "signpost clients add"),
        ({"host": "0.0.0.0"}, "SIGNPOST_BASE_URL"),
        ({"state_url": "memory://"}, "--workers 1"),
        ({"state_url": "postgresql://state"}, "SIGNPOST_STATE_URL"),
        ({"redis_url": "http://cache"}, "SIGNPOST_REDIS_URL"),
    ],
)
def test_refuses_to_start(settings: Settings, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        create_app(settings.model_copy(update=changes))


def test_refuses_to_start_on_a_bad_registry(settings: Settings) -> None:
    settings.clients_path.write_text(registry(entry(algorithms=["HS256"])))
    with pytest.raises(SettingsError, match=r"clients\.yaml:\d+ .*'HS256' is not known"):
        create_app(settings)


@pytest.mark.parametrize(
    "changes", [{"host": "0.0.0.0", "base_url": "https://crd.example.org"}, {"state_url": "memory://", "workers": 1}]
)
def test_starts(settings: Settings, changes: dict[str, Any]) -> None:
    create_app(settings.model_copy(update=changes)).extensions["ledger"].close()


def test_a_client_may_call_so_often(settings: Settings) -> None:
    """Over all workers: two services that share their state count together."""
    limited = settings.model_copy(update={"calls_per_minute": 3})
    apps = [create_app(limited), create_app(limited)]
    wait_for_room(WINDOW, 10)
    answers = [fire(apps[turn % 2].test_client(), sign(claims())) for turn in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert json.loads(answers[3].data)["issue"][0]["code"] == "throttled"
    assert 1 <= int(answers[3].headers["Retry-After"]) <= 60
    assert len(apps[0].extensions["ledger"].recent(10)) == 3
    for app in apps:
        app.extensions["ledger"].close()
        app.extensions["state"].close()
