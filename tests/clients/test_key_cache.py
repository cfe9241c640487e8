"""Keys at a URL: kept, renewed, and never fetched at a stranger's pace."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from app.clients import Client
from app.clients import key_cache as module
from app.clients.key_cache import COOL_DOWN, GRACE, MAX_AGE, KeyCache, fetcher
from app.clients.public_keys import read_keys
from app.errors import EhrError
from app.fhir.transport import ConnectionPool, HostPolicy
from tests.clients.identities import jwk_set, private_key
from tests.fhir import ehr_server
from tests.fhir.ehr_server import Behaviour, EhrServer

CLIENT = Client("Sample", "iss", (), jwks_url="https://ehr.example.org/jwks.json")
EC, RSA = ("ec", "ES384"), ("rsa", "RS384")


class Publisher:
    """The JWK set of CLIENT, a clock, and a count of fetches. `answer` is a set, raw bytes, or an error."""

    def __init__(self) -> None:
        self.answer: Any = jwk_set("ec")
        self.fetches = 0
        self.now = 1_000.0
        self.cache = KeyCache(self.fetch, lambda: self.now)

    def fetch(self, client: Client) -> bytes:
        assert client is CLIENT
        self.fetches += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer if isinstance(self.answer, bytes) else json.dumps(self.answer).encode()


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


def test_fetched_once_and_kept(publisher: Publisher) -> None:
    for _ in range(5):
        assert publisher.cache.key(CLIENT, EC) == private_key("ec").public_key()
    assert publisher.fetches == 1
    publisher.now += MAX_AGE
    assert publisher.cache.key(CLIENT, EC) is not None
    assert publisher.fetches == 2


def test_a_withdrawn_key_is_gone_when_the_set_is_renewed(publisher: Publisher) -> None:
    publisher.cache.key(CLIENT, EC)
    publisher.answer = jwk_set("rsa")
    assert publisher.cache.key(CLIENT, EC) is not None
    publisher.now += MAX_AGE
    assert publisher.cache.key(CLIENT, EC) is None


def test_a_new_key_is_found_at_once(publisher: Publisher) -> None:
    publisher.cache.key(CLIENT, EC)
    publisher.now += COOL_DOWN
    publisher.answer = jwk_set("ec", "rsa")
    assert publisher.cache.key(CLIENT, RSA) == private_key("rsa").public_key()
    assert publisher.fetches == 2


def test_unknown_kids_do_not_flood(publisher: Publisher) -> None:
    publisher.cache.key(CLIENT, EC)
    publisher.now += COOL_DOWN
    for number in range(100):
        assert publisher.cache.key(CLIENT, (f"made-up-{number}", "ES384")) is None
    assert publisher.fetches == 2
    assert publisher.cache.key(CLIENT, EC) is not None
    publisher.now += COOL_DOWN
    assert publisher.cache.key(CLIENT, ("made-up", "ES384")) is None
    assert publisher.fetches == 3


def test_a_kid_of_another_algorithm_is_unknown(publisher: Publisher) -> None:
    assert publisher.cache.key(CLIENT, ("ec", "RS384")) is None


@pytest.mark.parametrize(
    "trouble", [EhrError("down"), b"<html>", b"[]", {"keys": []}, jwk_set("ec-p256"), {"keys": [7]}]
)
def test_an_outage(publisher: Publisher, trouble: Any) -> None:
    """Old keys serve for a while; without any there is nothing to verify with. The URL is not hammered."""
    good, publisher.answer = publisher.answer, trouble
    for _ in range(3):
        with pytest.raises(EhrError):
            publisher.cache.key(CLIENT, EC)
    assert publisher.fetches == 1
    publisher.answer = good
    publisher.now += COOL_DOWN
    assert publisher.cache.key(CLIENT, EC) is not None
    publisher.answer = trouble
    publisher.now += MAX_AGE
    for _ in range(3):
        assert publisher.cache.key(CLIENT, EC) is not None
    assert publisher.fetches == 3
    publisher.now += GRACE
    with pytest.raises(EhrError):
        publisher.cache.key(CLIENT, EC)


def test_threads_wait_for_one_fetch(publisher: Publisher) -> None:
    found = []
    threads = [threading.Thread(target=lambda: found.append(publisher.cache.key(CLIENT, EC))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [private_key("ec").public_key()] * 16
    assert publisher.fetches == 1


def test_known_keys_do_not_wait_for_a_slow_fetch(publisher: Publisher) -> None:
    publisher.cache.key(CLIENT, EC)
    publisher.now += MAX_AGE
    fetching, go_on = threading.Event(), threading.Event()
    answer = publisher.fetch

    def slow(client: Client) -> bytes:
        fetching.set()
        assert go_on.wait(20)
        return answer(client)

    publisher.cache._fetch = slow
    renewing = threading.Thread(target=publisher.cache.key, args=(CLIENT, EC))
    renewing.start()
    assert fetching.wait(20)
    assert publisher.cache.key(CLIENT, EC) == private_key("ec").public_key()
    go_on.set()
    renewing.join()
    assert publisher.fetches == 2


def test_inline_keys_are_never_fetched(publisher: Publisher) -> None:
    keys, _ = read_keys(jwk_set("rsa"))
    client = Client("Sample", "iss", (), jwks_url="https://ehr.example.org/jwks.json", inline_keys=keys)
    assert publisher.cache.key(client, RSA) is not None
    assert publisher.cache.key(client, EC) is None
    assert publisher.fetches == 0


@pytest.fixture
def server() -> Iterator[EhrServer]:
    with EhrServer() as server:
        server.on["/jwks.json"] = ehr_server.answer(jwk_set("ec"))
        yield server


@pytest.fixture
def pool() -> Iterator[ConnectionPool]:
    pool = ConnectionPool(HostPolicy(()), max_bytes=50_000)
    yield pool
    pool.close()


def client_at(server: EhrServer, *, allow_private: bool = True) -> Client:
    return Client("Sample", "iss", (), jwks_url=f"{server.base}/jwks.json", allow_private=allow_private)


def test_fetching(server: EhrServer, pool: ConnectionPool) -> None:
    assert json.loads(fetcher(pool)(client_at(server))) == jwk_set("ec")
    assert "Authorization" not in server.headers[0]


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (ehr_server.status(302, Location="/fhir/other.json"), "status 302"),
        (ehr_server.status(500), "status 500"),
        (ehr_server.bomb, "larger"),
        (ehr_server.endless(200), "larger"),
        (ehr_server.hang, "in time"),
        (ehr_server.drip_body, "in time"),
        (ehr_server.drip_headers, "in time"),
        (ehr_server.reset, "broke off"),
    ],
    ids=["redirect", "500", "bomb", "endless", "hang", "drip", "drip headers", "reset"],
)
def test_a_hostile_key_server(
    server: EhrServer, pool: ConnectionPool, monkeypatch: pytest.MonkeyPatch, behaviour: Behaviour, words: str
) -> None:
    monkeypatch.setattr(module, "FETCH_SECONDS", 0.3 if words == "in time" else 5.0)
    server.on["/jwks.json"] = behaviour
    with pytest.raises(EhrError, match=words):
        fetcher(pool)(client_at(server))
    assert set(server.asked) == {"/jwks.json"}


def test_keys_are_not_fetched_from_a_private_address(
    server: EhrServer, pool: ConnectionPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EhrError, match="not public"):
        fetcher(pool)(client_at(server, allow_private=False))
    private = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.server_port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: private)
    named = Client("Sample", "iss", (), jwks_url=f"http://keys.example.org:{server.server_port}/fhir/jwks.json")
    with pytest.raises(EhrError, match="not public"):
        fetcher(pool)(named)
    assert server.connections == 0
