"""Clients that run in a browser, and bodies packed with gzip."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import ValidationError

from app import check_exposure, create_app
from app.errors import InvalidRequest, SettingsError
from app.settings import Settings
from app.web.browsers import unpack
from tests.ehr_actions import example

ORIGIN = "https://ehr.example.org"
LIMIT = 20_000
Start = Callable[..., FlaskClient]
PATHS = ["/cds-services", "/cds-services/order-sign-crd", "/cds-services/order-sign-crd/feedback"]
DTR = ["/fhir/dtr/2.2/Questionnaire/$questionnaire-package", "/fhir/dtr/2.0/QuestionnaireResponse", "/auth/token"]
MRI = json.dumps(example("mri")).encode()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start the sandbox with further settings."""
    started: list[Flask] = []

    def _start(**settings: object) -> FlaskClient:
        given = {"sandbox": True, "data_dir": tmp_path, "rules_interval": 0, **settings}
        started.append(create_app(Settings.model_validate(given)))
        return started[-1].test_client()

    yield _start
    for app in started:
        app.extensions["ledger"].close()


@pytest.mark.parametrize("path", [*PATHS, *DTR])
def test_a_browser_asks_before_it_calls(start: Start, path: str) -> None:
    client = start(cors_origins=("https://other.example.org", ORIGIN))
    asked = client.options(path, headers={"Origin": ORIGIN, "Access-Control-Request-Method": "POST"})
    assert (asked.status_code, asked.data) == (204, b"")
    assert asked.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "POST" in asked.headers["Access-Control-Allow-Methods"]
    allowed = {name.strip().lower() for name in asked.headers["Access-Control-Allow-Headers"].split(",")}
    assert {"authorization", "content-type"} <= allowed
    assert "Origin" in asked.headers["Vary"]


@pytest.mark.parametrize(
    ("origins", "origin", "let_in"),
    [
        pytest.param((ORIGIN,), ORIGIN, True, id="named"),
        pytest.param(("*",), "https://anything.example.net", True, id="any"),
        pytest.param((ORIGIN,), "https://ehr.example.org.evil.example", False, id="longer"),
        pytest.param((ORIGIN,), "http://ehr.example.org", False, id="other-scheme"),
        pytest.param((ORIGIN,), "null", False, id="null"),
        pytest.param((ORIGIN,), None, False, id="no-browser"),
        pytest.param((), ORIGIN, False, id="default"),
    ],
)
@pytest.mark.parametrize("method", ["OPTIONS", "GET"])
def test_only_origins_that_are_named_are_let_in(
    start: Start, origins: tuple[str, ...], origin: str | None, let_in: bool, method: str
) -> None:
    client = start(cors_origins=origins)
    answer = client.open("/cds-services", method=method, headers={"Origin": origin} if origin else {})
    assert answer.headers.get("Access-Control-Allow-Origin") == (origin if let_in else None)
    assert ("Access-Control-Allow-Methods" in answer.headers) is (let_in and method == "OPTIONS")
    assert ("Origin" in answer.headers.get("Vary", "")) is bool(origins)


@pytest.mark.parametrize(("path", "status"), [(PATHS[1], 400), ("/cds-services/no-such", 404)])
def test_a_browser_may_read_why_it_was_refused(start: Start, path: str, status: int) -> None:
    answer = start(cors_origins=(ORIGIN,)).post(path, data=b"{", headers={"Origin": ORIGIN})
    assert answer.status_code == status
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN


def test_what_is_no_service_is_for_no_browser(start: Start) -> None:
    answer = start(cors_origins=("*",)).get("/readyz", headers={"Origin": ORIGIN})
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_origins_come_from_the_environment_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNPOST_CORS_ORIGINS", "https://a.example.org, http://localhost:3000")
    assert Settings().cors_origins == ("https://a.example.org", "http://localhost:3000")


@pytest.mark.parametrize("origin", ["https://a.example.org/", "a.example.org", "https://a.example.org/ehr", "", "null"])
def test_what_is_no_origin_is_refused_at_start(origin: str) -> None:
    with pytest.raises(ValidationError, match="is no origin"):
        Settings(cors_origins=(origin,))


def test_any_origin_is_for_the_sandbox_only(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Name the origins"):
        check_exposure(Settings(cors_origins=("*",), data_dir=tmp_path))


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip"])
def test_a_packed_request_is_answered_and_kept_as_it_was_meant(start: Start, encoding: str) -> None:
    client = start()
    answer = client.post(PATHS[1], data=gzip.compress(MRI), headers={"Content-Encoding": encoding})
    assert answer.status_code == 200
    assert json.loads(answer.data)["systemActions"]
    (call,) = client.application.extensions["ledger"].recent(1)
    assert json.loads(call.request) == json.loads(MRI)


@pytest.mark.parametrize("path", PATHS[1:])
@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        pytest.param(gzip.compress(b" " * LIMIT * 50), "gzip", 413, id="bomb"),
        pytest.param(gzip.compress(b" " * (LIMIT + 1)), "gzip", 413, id="one-byte-too-many"),
        pytest.param(gzip.compress(MRI)[:-9], "gzip", 400, id="breaks-off"),
        pytest.param(gzip.compress(MRI) + b"x", "gzip", 400, id="goes-on"),
        pytest.param(MRI, "gzip", 400, id="not-packed"),
        pytest.param(b"", "gzip", 400, id="empty"),
        pytest.param(zlib.compress(MRI), "deflate", 415, id="other-encoding"),
        pytest.param(gzip.compress(gzip.compress(MRI)), "gzip, gzip", 415, id="packed-twice"),
    ],
)
def test_bodies_that_cannot_be_unpacked(start: Start, path: str, body: bytes, encoding: str, status: int) -> None:
    answer = start(max_body_bytes=LIMIT).post(path, data=body, headers={"Content-Encoding": encoding})
    assert answer.status_code == status
    assert json.loads(answer.data)["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize("limit", [100, None])
def test_unpacking_up_to_the_limit(limit: int | None) -> None:
    assert unpack(gzip.compress(b"x" * 100), limit) == b"x" * 100


def test_unpacking_stops_at_what_is_no_gzip() -> None:
    with pytest.raises(InvalidRequest):
        unpack(b"plain", 100)


@pytest.mark.parametrize(
    ("path", "accepts", "packed"),
    [
        (PATHS[0], "gzip", True),
        (PATHS[0], "br;q=1.0, gzip;q=0.8", True),
        (PATHS[0], "*", True),
        (PATHS[0], "gzip;q=0", False),
        (PATHS[0], "br", False),
        (PATHS[0], "", False),
        ("/healthz", "gzip", False),
    ],
)
def test_answers_are_packed_where_it_is_worth_it(start: Start, path: str, accepts: str, packed: bool) -> None:
    client = start()
    plain = client.get(path)
    answer = client.get(path, headers={"Accept-Encoding": accepts} if accepts else {})
    assert answer.headers.get("Content-Encoding") == ("gzip" if packed else None)
    assert (gzip.decompress(answer.data) if packed else answer.data) == plain.data
    assert int(answer.headers["Content-Length"]) == len(answer.data)
    assert ("Accept-Encoding" in answer.headers.get("Vary", "")) is (path == PATHS[0])
