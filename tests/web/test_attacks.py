"""Attacks over HTTP: forged and stolen JWTs, and calls that would turn the service against its own network."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import create_app
from app.clients.key_cache import COOL_DOWN, MAX_AGE
from app.settings import ROOT, Settings
from tests.clients.identities import ISS, bearing, claims, entry, jwk, jwk_set, private_key, registry, sign
from tests.ehr_actions import example
from tests.fhir import ehr_server
from tests.fhir.ehr_server import EhrServer

PATH = "/cds-services/order-sign-crd"
RECORD = "https://fhir.ehr.example.org/r4"


@pytest.fixture
def network() -> Iterator[EhrServer]:
    """Everything an EHR has on the network: its keys, and its FHIR server. What it is asked, it remembers."""
    with EhrServer() as server:
        server.on["/jwks.json"] = ehr_server.answer(jwk_set("ec", "rsa"))
        yield server


@pytest.fixture
def elsewhere() -> Iterator[EhrServer]:
    """A server that must never be contacted."""
    with EhrServer() as server:
        server.on["/jwks.json"] = ehr_server.answer(jwk_set("ec-mallory"))
        yield server


@pytest.fixture
def jku(network: EhrServer) -> str:
    return f"{network.base}/jwks.json"


@pytest.fixture
def app(tmp_path: Path, network: EhrServer, jku: str) -> Iterator[Flask]:
    inside = entry(jwks=None, jwks_url=jku, fhir_bases=[f"{network.base}/r4"], allow_private=True)
    (tmp_path / "clients.yaml").write_text(registry(inside, entry(iss="outside")))
    app = create_app(Settings(data_dir=tmp_path, rules_interval=0))
    yield app
    app.extensions["ledger"].close()


@pytest.fixture
def clock(app: Flask) -> Callable[[float], None]:
    """Moves the clock by which keys grow old."""
    ahead = 0.0

    def move(seconds: float) -> None:
        nonlocal ahead
        ahead += seconds

    app.extensions["clients"]._keys._clock = lambda: time.monotonic() + ahead
    return move


@pytest.fixture
def http(app: Flask) -> FlaskClient:
    return app.test_client()


def fire(http: FlaskClient, text: str, **changes: Any) -> TestResponse:
    return http.post(PATH, json=example("mri") | changes, headers=bearing(text))


def segment(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def unsigned(alg: str) -> str:
    return f"{segment({'alg': alg, 'kid': 'ec'})}.{segment(claims())}."


def hmac_with_public_key(form: PublicFormat, encoding: Encoding) -> str:
    secret = private_key("rsa").public_key().public_bytes(encoding, form)
    signed = f"{segment({'alg': 'HS256', 'kid': 'rsa'})}.{segment(claims())}"
    mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def es384_over_p256() -> str:
    """A signature of the kind ES384 under a key that is published on another curve."""
    payload = claims()
    signed = f"{segment({'alg': 'ES384', 'kid': 'ec-p256'})}.{segment(payload)}"
    signature = jwt.get_algorithm_by_name("ES256").sign(signed.encode(), private_key("ec-p256"))
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def now(seconds: float) -> int:
    return int(time.time() + seconds)


FORGED: dict[str, Callable[[], str]] = {
    "alg none": lambda: unsigned("none"),
    "alg None": lambda: unsigned("None"),
    "alg nOnE": lambda: unsigned("nOnE"),
    "no alg": lambda: f"{segment({'kid': 'ec'})}.{segment(claims())}.",
    "no signature": lambda: unsigned("ES384"),
    "HS256 with the public key, PEM": lambda: hmac_with_public_key(PublicFormat.SubjectPublicKeyInfo, Encoding.PEM),
    "HS256 with the public key, DER": lambda: hmac_with_public_key(PublicFormat.SubjectPublicKeyInfo, Encoding.DER),
    "HS256 with the public key, PKCS 1": lambda: hmac_with_public_key(PublicFormat.PKCS1, Encoding.PEM),
    "another's key under a known kid": lambda: sign(claims(), "ec", key=private_key("ec-mallory")),
    "another's RSA key under a known kid": lambda: sign(claims(), "rsa", key=private_key("rsa-mallory")),
    "an RSA signature under an EC kid": lambda: sign(claims(), "ec", alg="RS384", key=private_key("rsa")),
    "an EC signature under an RSA kid": lambda: sign(claims(), "rsa", alg="ES384", key=private_key("ec")),
    "RS256": lambda: sign(claims(), "rsa", alg="RS256"),
    "PS384": lambda: sign(claims(), "rsa", alg="PS384"),
    "ES256 on its own curve": lambda: sign(claims(), "ec-p256", alg="ES256"),
    "ES384 on another curve": es384_over_p256,
    "signature of zeros": lambda: sign(claims()).rpartition(".")[0] + "." + "A" * 128,
    "own key in the header": lambda: sign(claims(), "ec", key=private_key("ec-mallory"), jwk=jwk("ec-mallory")),
    "crit": lambda: sign(claims(), crit=["exp"], exp=1),
    "wrong aud": lambda: sign(claims("https://other.example.org/cds-services/order-sign-crd")),
    "aud of another service here": lambda: sign(claims("http://localhost/cds-services/order-select-crd")),
    "expired": lambda: sign(claims(iat=now(-400), exp=now(-100))),
    "issued in the future": lambda: sign(claims(iat=now(100), exp=now(300))),
    "not valid yet": lambda: sign(claims(nbf=now(100))),
    "valid for a day": lambda: sign(claims(exp=now(86_400))),
    "valid for ever": lambda: sign(claims(exp=2**52)),
    "unknown iss": lambda: sign(claims(iss="https://evil.example.org")),
    "iss with a slash more": lambda: sign(claims(iss=ISS + "/")),
    "iss in capitals": lambda: sign(claims(iss=ISS.upper())),
    "iss of another client": lambda: sign(claims(iss="outside"), "ec", key=private_key("ec-mallory")),
    "unknown kid": lambda: sign(claims(), "ec-mallory"),
    "kid is a path": lambda: sign(claims(), "../../etc/passwd", key=private_key("ec")),
    "kid is SQL": lambda: sign(claims(), "' OR 1=1 --", key=private_key("ec")),
    "9 KB": lambda: sign(claims(padding="x" * 9_000)),
    "two JWTs": lambda: f"{sign(claims())} {sign(claims())}",
    **{f"no {name}": lambda name=name: sign(claims(**{name: None})) for name in ("iss", "aud", "exp", "iat", "jti")},
    "no kid": lambda: jwt.encode(claims(), private_key("ec"), "ES384"),
}


@pytest.mark.parametrize("name", FORGED)
def test_forged(app: Flask, http: FlaskClient, network: EhrServer, name: str) -> None:
    network.on["/jwks.json"] = ehr_server.answer({"keys": [jwk("ec"), jwk("rsa"), jwk("ec-p256"), jwk("rsa-1024")]})
    response = fire(http, FORGED[name]())
    assert response.status_code == 401
    assert json.loads(response.data)["resourceType"] == "OperationOutcome"
    assert app.extensions["ledger"].recent(1) == []
    assert fire(http, sign(claims())).status_code == 200


def test_a_jku_of_ones_own_is_never_fetched(http: FlaskClient, network: EhrServer, elsewhere: EhrServer) -> None:
    for own in (f"{elsewhere.base}/jwks.json", f"{elsewhere.base}/jwks.json#{network.base}", "http://[::1]/jwks.json"):
        for key in ("ec-mallory", "ec"):
            response = fire(http, sign(claims(), "ec", key=private_key(key), jku=own))
            assert "jku" in json.loads(response.data)["issue"][0]["diagnostics"]
    for near in (f"{network.base}/jwks.json?", f"{network.base}/../fhir/jwks.json", f"{network.base}/JWKS.json"):
        assert fire(http, sign(claims(), jku=near)).status_code == 401
    assert elsewhere.connections == 0
    assert network.connections == 0


def test_the_registered_jku_is_accepted(http: FlaskClient, jku: str) -> None:
    """As Inferno sends it."""
    assert fire(http, sign(claims(), jku=jku)).status_code == 200
    assert fire(http, sign(claims(), "rsa", jku=jku, typ="JWT")).status_code == 200


def test_strangers_cause_no_network_traffic(http: FlaskClient, network: EhrServer, jku: str) -> None:
    for text in (sign(claims(iss="https://evil.example.org"), jku=jku), sign(claims("x")), "a.b.c", unsigned("none")):
        assert fire(http, text).status_code == 401
    assert network.connections == 0


def test_unknown_kids_cause_one_fetch(http: FlaskClient, network: EhrServer, clock: Callable[[float], None]) -> None:
    assert fire(http, sign(claims())).status_code == 200
    clock(COOL_DOWN)
    for number in range(20):
        assert fire(http, sign(claims(), f"made-up-{number}", key=private_key("ec"))).status_code == 401
    assert network.asked == ["/jwks.json"] * 2
    assert fire(http, sign(claims())).status_code == 200


def test_without_keys_nobody_is_let_in(http: FlaskClient, network: EhrServer) -> None:
    network.on["/jwks.json"] = ehr_server.status(302, Location="/fhir/elsewhere.json")
    for _ in range(3):
        response = fire(http, sign(claims()))
        assert response.status_code == 401
        assert "could not be fetched" in json.loads(response.data)["issue"][0]["diagnostics"]
    assert network.asked == ["/jwks.json"]


def test_key_rotation(http: FlaskClient, network: EhrServer, clock: Callable[[float], None]) -> None:
    assert fire(http, sign(claims(), "ec")).status_code == 200
    network.on["/jwks.json"] = ehr_server.answer(jwk_set("ec-new"))
    clock(COOL_DOWN)
    assert fire(http, sign(claims(), "ec-new")).status_code == 200
    assert fire(http, sign(claims(), "ec")).status_code == 401
    clock(MAX_AGE)
    assert fire(http, sign(claims(), "ec")).status_code == 401


def test_a_stolen_token_works_once(http: FlaskClient) -> None:
    text = sign(claims())
    assert fire(http, text).status_code == 200
    response = fire(http, text)
    assert "used before" in json.loads(response.data)["issue"][0]["diagnostics"]
    same_jti = claims(jti="one")
    assert fire(http, sign(same_jti)).status_code == 200
    assert fire(http, sign(same_jti | {"exp": same_jti["exp"] - 1}, "rsa")).status_code == 401
    assert fire(http, sign(same_jti | {"iss": "outside"})).status_code == 200


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[str, list[int]]]:
    """The real service with two workers: its address and their process ids."""
    (tmp_path / "clients.yaml").write_text(registry())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "app.cli", "serve", "--workers", "2"]
    command += ["--port", str(port), "--data-dir", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        if not children.exists():
            process.terminate()
            pytest.skip("only Linux tells which processes the workers are")
        address = f"http://127.0.0.1:{port}"
        for _ in range(300):
            try:
                if requests.get(f"{address}/readyz", timeout=2).ok and len(children.read_text().split()) == 2:
                    break
            except requests.ConnectionError:
                time.sleep(0.1)
        workers = [int(pid) for pid in children.read_text().split()]
        yield address, workers
        for worker in workers:
            os.kill(worker, signal.SIGCONT)
        process.terminate()
        process.wait(timeout=30)


def test_a_stolen_token_works_with_one_worker_only(running: tuple[str, list[int]]) -> None:
    """The worker that saw it is stopped, so that the other one must answer."""
    address, (first, second) = running
    body = json.dumps(example("mri"))

    def post(text: str) -> int:
        return requests.post(address + PATH, body, headers=bearing(text), timeout=20).status_code

    for seen, other in ((first, second), (second, first)):
        text = sign(claims(address + PATH))
        os.kill(other, signal.SIGSTOP)
        assert post(text) == 200
        os.kill(other, signal.SIGCONT)
        os.kill(seen, signal.SIGSTOP)
        assert post(text) == 401
        assert post(sign(claims(address + PATH))) == 200
        os.kill(seen, signal.SIGCONT)


def test_a_refused_body_does_not_become_the_next_request(running: tuple[str, list[int]]) -> None:
    """What the service did not read of a stranger's call must not be taken for a call on the same connection."""
    address, _ = running
    smuggled = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 200
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        head = f"POST {PATH} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: {len(smuggled)}\r\n\r\n"
        connection.sendall(head.encode() + smuggled)
        connection.sendall(f"GET /cds-services HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        received = b""
        while piece := connection.recv(65536):
            received += piece
    assert received.startswith(b"HTTP/1.1 401")
    assert received.count(b"HTTP/1.1 ") == 2
    assert b'"status":"alive"' not in received


def calls(server: str) -> dict[str, Any]:
    """Members of a request that makes the service read from `server`."""
    authorization = {"access_token": "t", "token_type": "Bearer", "expires_in": 30, "scope": "x", "subject": "y"}
    prefetch = {k: v for k, v in example("mri")["prefetch"].items() if k != "coverage"}
    return {"fhirServer": server, "fhirAuthorization": authorization, "prefetch": prefetch}


TARGETS = [
    "http://169.254.169.254/latest/meta-data",
    "https://169.254.169.254",
    "http://localhost/r4",
    "http://127.0.0.1/r4",
    "http://[::1]/r4",
    "http://[::ffff:127.0.0.1]/r4",
    "http://[fd00:ec2::254]/r4",
    "http://2130706433/r4",
    "http://0177.0.0.1/r4",
    "http://0x7f000001/r4",
    "http://127.1/r4",
    "http://0/r4",
    "http://10.0.0.1/r4",
    "http://fhir.ehr.example.org/r4",
    "https://fhir.ehr.example.org:8443/r4",
    "https://fhir.ehr.example.org:80/r4",
    "https://user@fhir.ehr.example.org/r4",
    "https://fhir.ehr.example.org@127.0.0.1/r4",
    "https://fhir.ehr.example.org%40127.0.0.1/r4",
    "https://fhir.ehr.example.org\\@127.0.0.1/r4",
    "https://127.0.0.1#@fhir.ehr.example.org/r4",
    "https://127.0.0.1?@fhir.ehr.example.org/r4",
    "https://fhir.ehr.example.org/r4evil",
    "https://fhir.ehr.example.org/r4/../admin",
    "https://fhir.ehr.example.org/r4/%2e%2e/admin",
    "https://fhir.ehr.example.org/r4/..;/admin",
    "https://fhir.ehr.example.org/",
    "https://fhir.ehr.example.org.evil.example.org/r4",
    "https://evil-fhir.ehr.example.org/r4",
    "https://fhir.ehr.example.org\n.evil.example.org/r4",
    "//fhir.ehr.example.org/r4",
    "file:///etc/passwd",
    "gopher://fhir.ehr.example.org/r4",
    "fhir.ehr.example.org/r4",
    "",
]


@pytest.mark.parametrize("target", TARGETS)
def test_a_server_that_is_not_registered(app: Flask, http: FlaskClient, target: str) -> None:
    response = fire(http, sign(claims(iss="outside")), **calls(target))
    assert response.status_code == 400
    (issue,) = json.loads(response.data)["issue"]
    assert (issue["code"], issue["expression"]) == ("security", ["fhirServer"])
    assert app.extensions["ledger"].recent(1)[0].client == "outside"


def test_another_clients_server(http: FlaskClient, network: EhrServer) -> None:
    response = fire(http, sign(claims(iss="outside")), **calls(f"{network.base}/r4"))
    assert response.status_code == 400
    assert network.connections == 0


@pytest.mark.parametrize("base", ["/r4", "/r4/", "/r4/tenant"])
def test_the_registered_server_is_read(http: FlaskClient, network: EhrServer, base: str) -> None:
    fire(http, sign(claims()), **calls(network.base + base))
    assert any("/Coverage" in path for path in network.asked)


@pytest.mark.embedded  # every connection of the process is caught
@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["::1"], ["10.1.2.3"], ["169.254.169.254"], ["fd00:ec2::254"], ["93.184.215.14", "127.0.0.1"]],
    ids=str,
)
def test_a_registered_name_that_leads_inside(
    http: FlaskClient, elsewhere: EhrServer, monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    """The address is looked at when connecting, so a name that changes its address between two looks gains nothing."""
    asked, connected = [], []

    def resolve(host: str, port: int, *_: object, **__: object) -> list[Any]:
        asked.append(host)
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port))
            for each in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket.socket, "connect", lambda _, where: connected.append(where))
    response = fire(http, sign(claims(iss="outside")), **calls(RECORD))
    assert response.status_code == 200
    assert "could not be read" in response.text
    assert set(asked) == {"fhir.ehr.example.org"}
    assert connected == []


@pytest.mark.embedded  # every connection of the process is caught
def test_the_address_that_was_checked_is_the_one_connected_to(
    http: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that answers with a public address first and with a private one afterwards."""
    real = socket.getaddrinfo
    named, connected = [], []

    def resolve(host: str, port: int, *arguments: Any, **named_arguments: Any) -> list[Any]:
        if host != "fhir.ehr.example.org":
            return real(host, port, *arguments, **named_arguments)
        named.append(host)
        address = "93.184.215.14" if len(named) % 2 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    def connect(_: socket.socket, where: tuple[str, int]) -> None:
        connected.append(where[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket.socket, "connect", connect)
    fire(http, sign(claims(iss="outside")), **calls(RECORD))
    assert "93.184.215.14" in connected
    assert "127.0.0.1" not in connected


def test_a_redirect_is_not_followed(http: FlaskClient, network: EhrServer, elsewhere: EhrServer) -> None:
    network.on["/r4/Coverage"] = ehr_server.status(302, Location=f"{elsewhere.base}/r4/Coverage")
    response = fire(http, sign(claims()), **calls(f"{network.base}/r4"))
    assert response.status_code == 200
    assert "redirected" in response.text
    assert elsewhere.connections == 0


def test_a_next_link_is_not_followed_elsewhere(http: FlaskClient, network: EhrServer, elsewhere: EhrServer) -> None:
    page = {
        "resourceType": "Bundle",
        "type": "searchset",
        "link": [{"relation": "next", "url": f"{elsewhere.base}/r4/Coverage?page=2"}],
    }
    network.on["/r4/Coverage"] = ehr_server.answer(page)
    assert fire(http, sign(claims()), **calls(f"{network.base}/r4")).status_code == 200
    assert any("/Coverage" in path for path in network.asked)
    assert elsewhere.connections == 0
