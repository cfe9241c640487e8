"""Workers die, files turn to garbage, disks fill up, clients are slow or many: nobody is told what is not kept."""

from __future__ import annotations

import os
import resource
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
import requests

from app.web.worker import REQUESTS_A_CONNECTION
from tests.faults.conftest import Service, assertions_in, fresh, issue_of, wait_until

Start = Callable[..., Service]


def test_a_killed_worker_takes_no_answer_with_it(start: Start) -> None:
    service = start()
    with service.pressed():
        for _ in range(3):
            time.sleep(0.5)
            before = set(service.workers())
            os.kill(service.workers()[0], signal.SIGKILL)
            wait_until(lambda before=before: len(set(service.workers()) - before) == 1, "another worker")
        time.sleep(0.5)
    assert service.statuses.count(200) > 20
    assert set(service.statuses) <= {200, "ConnectionError", "ChunkedEncodingError"}
    service.check_nothing_was_lost()


def test_garbage_in_the_rules_changes_no_answer(start: Start) -> None:
    service = start()
    table = service.rules / "benefit_routes.csv"
    good = table.read_bytes()
    live = requests.get(f"{service.url}/readyz", timeout=5).json()["rulebook"]
    with service.pressed(3):
        for spoilt in (b"\x00\xff\xfe" * 1000, b"", good[: len(good) // 2], good.replace(b",medical,", b",mediocre,")):
            table.write_bytes(spoilt)
            wait_until(
                lambda: requests.get(f"{service.url}/readyz", timeout=5).json()["rejected_edit"], "the edit is refused"
            )
            table.write_bytes(good)
            wait_until(
                lambda: not requests.get(f"{service.url}/readyz", timeout=5).json()["rejected_edit"], "all is well"
            )
    assert set(service.statuses) == {200}
    assert requests.get(f"{service.url}/readyz", timeout=5).json()["rulebook"] == live
    service.check_nothing_was_lost()


def test_a_full_disk_silences_rather_than_forgets(start: Start) -> None:
    """No file may grow past two megabytes, as on a disk with that much left."""
    service = start(prepare=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000)))
    last = None
    for _ in range(2000):
        last = service.sign()
        if last.status_code != 200:
            break
    assert last is not None
    assert last.status_code == 503
    assert issue_of(last)["code"] == "transient"
    assert "could not be recorded" in issue_of(last)["diagnostics"]
    assert requests.get(f"{service.url}/healthz", timeout=5).ok
    service.process.terminate()
    service.process.wait(timeout=30)
    service.check_nothing_was_lost()


def test_the_same_call_several_times_at_once(start: Start) -> None:
    service = start()
    call = fresh()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: service.sign(call), range(16)))
    assert {answer.status_code for answer in answers} == {200}
    service.check_nothing_was_lost()
    # Whoever came while the first was written may have been given one of its own; from then on one stands.
    again = {assertions_in(service.sign(call))[0] for _ in range(4)}
    assert len(again) == 1
    assert again <= set(service.told)


def test_many_idle_connections_keep_nobody_out(start: Start) -> None:
    service = start()
    address = urlsplit(service.url)
    with ExitStack() as stack:
        for _ in range(2000):
            stack.enter_context(socket.create_connection((address.hostname, address.port), timeout=5))
        assert service.sign(timeout=10).status_code == 200
    service.check_nothing_was_lost()


@pytest.mark.parametrize("sent", [b"", b"POST /cds-services/order-sign-crd HTTP/1.1\r\nHost: x\r\nContent-Le"])
def test_slow_senders_keep_nobody_out_for_long(start: Start, sent: bytes) -> None:
    """As many as there are threads, each having sent the beginning of a request."""
    service = start(threads="4")
    address = urlsplit(service.url)
    with ExitStack() as stack:
        for _ in range(8):
            slow = stack.enter_context(socket.create_connection((address.hostname, address.port), timeout=5))
            slow.sendall(sent)
        assert service.sign(timeout=60).status_code == 200
    service.check_nothing_was_lost()


def test_a_connection_that_is_never_idle_is_closed_in_time(start: Start) -> None:
    """So that a gateway's few connections do not stay with one worker for ever."""
    service = start()
    with requests.Session() as session:
        answered = [session.get(f"{service.url}/healthz", timeout=5) for _ in range(REQUESTS_A_CONNECTION + 1)]
    assert {each.status_code for each in answered} == {200}
    closing = [number for number, each in enumerate(answered, 1) if each.headers["Connection"] == "close"]
    assert closing == [REQUESTS_A_CONNECTION]
