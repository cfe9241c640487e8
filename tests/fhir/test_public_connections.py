"""Connections that go to public addresses only; how calls use them is in tests/web/test_attacks.py."""

from __future__ import annotations

import datetime
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from app.errors import EhrError
from app.fhir import transport
from app.fhir.transport import LATE, ConnectionPool, HostPolicy
from tests.fhir import ehr_server
from tests.fhir.ehr_server import EhrServer


@pytest.fixture
def server() -> Iterator[EhrServer]:
    with EhrServer() as server:
        server.on["/x"] = ehr_server.answer({"read": True})
        yield server


@pytest.fixture
def pool() -> Iterator[ConnectionPool]:
    pool = ConnectionPool(HostPolicy(None))
    yield pool
    pool.close()


@pytest.fixture
def public(pool: ConnectionPool) -> ConnectionPool:
    return pool.under(HostPolicy(None, public_only=True))


def get(pool: ConnectionPool, url: str) -> bytes:
    return pool.get(url, {}, time.monotonic() + 5)


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Every name leads to these addresses, and all addresses count as public."""
    real = socket.getaddrinfo

    def resolve(host: str, port: int, *arguments: Any, **named: Any) -> list[Any]:
        if host in addresses:
            return real(host, port, *arguments, **named)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(transport, "is_public", lambda _: True)


def test_each_address_is_tried(server: EhrServer, public: ConnectionPool, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, "127.0.0.2", "127.0.0.1")
    assert get(public, f"http://ehr.example.org:{server.server_port}/fhir/x") == b'{"read": true}'
    assert server.headers[0]["Host"] == f"ehr.example.org:{server.server_port}"


def test_a_name_without_an_address(public: ConnectionPool, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch)
    with pytest.raises(EhrError, match="not public"):
        get(public, "http://ehr.example.org/x")


@pytest.mark.parametrize(("error", "words"), [(TimeoutError(), LATE), (ConnectionRefusedError(), "not be reached")])
def test_an_address_that_does_not_answer(
    public: ConnectionPool, monkeypatch: pytest.MonkeyPatch, error: OSError, words: str
) -> None:
    def fail(*_: object) -> socket.socket:
        raise error

    resolve_to(monkeypatch, "127.0.0.1")
    monkeypatch.setattr(transport, "create_connection", fail)
    with pytest.raises(EhrError, match=words):
        get(public, "http://ehr.example.org/x")


def test_a_connection_kept_for_one_client_does_not_serve_another(
    server: EhrServer, pool: ConnectionPool, public: ConnectionPool
) -> None:
    url = f"{server.base}/x"
    assert get(pool, url)
    with pytest.raises(EhrError, match="not public"):
        get(public, url)
    assert get(pool, url)
    assert server.connections == 1


def certificate(folder: Path, name: str) -> Path:
    """A certificate of `name` with its key, signed by itself."""
    key, today = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    path = folder / "certificate.pem"
    path.write_bytes(made.public_bytes(pem) + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return path


def test_the_certificate_must_be_of_the_name(
    server: EhrServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the address that is connected to, and still the name that must prove itself."""
    path = certificate(tmp_path, "ehr.example.org")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    resolve_to(monkeypatch, "127.0.0.1")
    pool = ConnectionPool(HostPolicy(None, public_only=True), verify=str(path))
    assert get(pool, f"https://ehr.example.org:{server.server_port}/fhir/x")
    with pytest.raises(EhrError, match="certificate"):
        get(pool, f"https://other.example.org:{server.server_port}/fhir/x")
    pool.close()
