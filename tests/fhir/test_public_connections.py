"""Connections that go to public addresses only; how calls use them is in tests/web/test_attacks.py."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

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
