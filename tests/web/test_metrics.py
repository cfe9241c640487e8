"""What Prometheus reads: right over all workers, whoever is asked and whoever died; and only for who may read it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from app import create_app
from app.errors import StateError
from app.fhir.ehr import Fetched, outcome_of
from app.fhir.transport import LATE
from app.settings import Settings
from app.state import MemoryState
from app.state.watched import WatchedState
from app.web import instruments
from tests.ehr_actions import EhrActions, example
from tests.faults.conftest import Service, start, wait_until

__all__ = ["start"]


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample by its name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def total(text: str, name: str, **labels: str) -> float:
    """The sum of a metric's samples that have these labels."""
    return sum(value for (found, has), value in samples(text).items() if found == name and set(labels.items()) <= has)


@pytest.fixture
def read(app: Flask) -> Callable[..., float]:
    """How much a metric grew since the test began: other tests count in the same process."""
    http = app.test_client()
    before = http.get("/metrics").text

    def read(name: str, **labels: str) -> float:
        return total(http.get("/metrics").text, name, **labels) - total(before, name, **labels)

    return read


def test_a_call_is_counted(app: Flask, ehr: EhrActions, read: Callable[..., float]) -> None:
    for _ in range(2):  # the second is given what stands
        assert ehr.sign(example("self-injected")).status == 200
    assert app.test_client().post("/cds-services/order-sign-crd", data=b"{").status_code == 400
    assert app.test_client().post("/cds-services/nonsense", data=b"{").status_code == 404
    calls = "signpost_hook_calls_total"
    assert read(calls, hook="order-sign", status="200", client="sandbox") == 2
    assert read(calls, hook="order-sign", status="400") == 1
    assert read(calls, hook="unknown", status="404") == 1
    assert read("signpost_hook_seconds_count", hook="order-sign") == 3
    assert read(calls, status="200", in_budget="yes") == 2
    assert read(calls, in_budget="no") == 0
    assert read("signpost_answers_total", track="pharmacy", covered="covered", pa_needed="auth-needed") == 2
    assert read("signpost_ledger_commit_seconds_count", outcome="written") == 4
    for stage in ("parse", "gather", "facts", "record", "decide", "respond"):
        assert read("signpost_hook_stage_seconds_total", stage=stage) > 0
    app.test_client().get("/nowhere")
    assert read("signpost_http_requests_total", endpoint="none", status="404") == 1


def test_how_things_stand(app: Flask, read: Callable[..., float]) -> None:
    text = app.test_client().get("/metrics").text
    rulebook = app.extensions["rulebook"].current
    assert total(text, "signpost_rulebook_info", label=rulebook.label, hash=rulebook.hash) == 1
    assert total(text, "signpost_rulebook_rejected_edit") == 0
    assert total(text, "signpost_worker_memory_bytes", worker="1") > 10_000_000
    buckets = {dict(labels)["le"] for name, labels in samples(text) if name == "signpost_hook_seconds_bucket"}
    assert {"5.0", "10.0"} <= buckets


def test_open_metrics(app: Flask) -> None:
    accept = "application/openmetrics-text;version=1.0.0"
    answered = app.test_client().get("/metrics", headers={"Accept": accept})
    assert answered.content_type.startswith("application/openmetrics-text")
    assert answered.text.count("# EOF") == 1
    assert answered.text.endswith("# EOF\n")


@pytest.mark.parametrize(
    ("fetched", "outcome"),
    [
        (Fetched((), True, None), "ok"),
        (Fetched((), True, "The EHR has no such record (Patient)"), "absent"),
        (Fetched((), False, LATE), "late"),
        (Fetched((), False, "The EHR refused access"), "failed"),
    ],
)
def test_outcomes_of_reads(fetched: Fetched, outcome: str) -> None:
    assert outcome_of(fetched) == outcome


@pytest.mark.parametrize("operation", ["get", "set", "add_if_absent", "count", "delete", "ping"])
def test_failures_of_the_shared_state(monkeypatch: pytest.MonkeyPatch, operation: str) -> None:
    """They are told of by what was tried, and raised as they are."""

    def fail(*_: object) -> None:
        raise StateError("away")

    state, told = MemoryState(), []
    watched = WatchedState(state, told.append)
    arguments: dict[str, tuple[Any, ...]] = {"set": ("k", b"v", 1), "ping": (), "get": ("k",), "delete": ("k",)}
    use = lambda: getattr(watched, operation)(*arguments.get(operation, ("k", 1)))  # noqa: E731
    use()
    assert told == []
    monkeypatch.setattr(MemoryState, operation, fail)
    with pytest.raises(StateError):
        use()
    assert told == [operation]


def test_counting_costs_no_answer(
    app: Flask, ehr: EhrActions, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(instruments, "_of", full)
    assert ehr.sign(example("mri")).status == 200
    assert capfd.readouterr().err.count("metrics.failed") == 2


TOKEN = "correct-horse-battery"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    folder = tmp_path_factory.mktemp("guarded")
    app = create_app(Settings(sandbox=True, data_dir=folder, rules_interval=0, metrics_token=TOKEN))
    yield app.test_client()
    app.extensions["ledger"].close()
    app.extensions["state"].close()


@pytest.fixture
def unguarded(guarded: FlaskClient) -> Iterator[FlaskClient]:
    """The same service without its token."""
    guarded.application.config["METRICS_TOKEN"] = None
    yield guarded
    guarded.application.config["METRICS_TOKEN"] = TOKEN


@pytest.mark.parametrize(
    ("headers", "remote", "status"),
    [
        ({}, "127.0.0.1", 200),
        ({}, "::1", 200),
        ({}, "192.0.2.7", 403),
        ({"X-Forwarded-For": "192.0.2.7"}, "127.0.0.1", 403),
        ({"Forwarded": "for=192.0.2.7"}, "127.0.0.1", 403),
        ({"Via": "1.1 proxy"}, "127.0.0.1", 403),
        ({"Host": "crd.example.org"}, "127.0.0.1", 403),
        ({"Host": "127.0.0.1.example.org:8080"}, "127.0.0.1", 403),
        ({"Host": "[::1]:8080"}, "::1", 200),
    ],
)
def test_without_a_token_only_this_machine_reads(
    unguarded: FlaskClient, headers: dict[str, str], remote: str, status: int
) -> None:
    answered = unguarded.get("/metrics", headers=headers, environ_overrides={"REMOTE_ADDR": remote})
    assert answered.status_code == status
    assert (status == 200) is ("signpost_hook_calls" in answered.text)


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (None, 403),
        ("Bearer ", 403),
        ("Bearer wrong", 403),
        (TOKEN, 403),
        ("Bearer \xe9", 403),
    ],
)
def test_with_a_token_whoever_has_it_reads(guarded: FlaskClient, authorization: str | None, status: int) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    for remote in ("127.0.0.1", "192.0.2.7"):
        answered = guarded.get("/metrics", headers=headers, environ_overrides={"REMOTE_ADDR": remote})
        assert answered.status_code == status


def test_right_over_all_workers(start: Callable[..., Service]) -> None:
    """Every worker is asked in turn; one is killed under the calls, and what it counted stays."""
    service = start()

    def text() -> str:
        return requests.get(f"{service.url}/metrics", headers={"Connection": "close"}, timeout=5).text

    def agree(calls: int) -> None:
        for _ in range(8):
            told = text()
            assert total(told, "signpost_hook_calls_total", hook="order-sign", status="200") == calls
            assert total(told, "signpost_hook_seconds_bucket", hook="order-sign", le="+Inf") == calls
            assert sum(name == "signpost_worker_memory_bytes" for name, _ in samples(told)) == 2

    for _ in range(20):
        assert service.sign().status_code == 200
    agree(20)
    before = set(service.workers())
    killed = service.workers()[0]
    (folder,) = Path("/dev/shm").glob(f"signpost-metrics-{service.process.pid}-*")  # noqa: S108
    gauge, counter = (folder / f"{kind}_{killed}.db" for kind in ("gauge_liveall", "counter"))
    gauge.touch()
    assert counter.exists()
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: len(set(service.workers()) - before) == 1, "another worker")
    wait_until(lambda: not gauge.exists(), "what only the living say is gone")
    assert counter.exists()
    wait_until(lambda: requests.get(f"{service.url}/readyz", timeout=5).ok, "it answers")
    agree(20)
    for _ in range(10):
        assert service.sign().status_code == 200
    agree(30)
    service.process.terminate()
    service.process.wait(timeout=30)
    assert not folder.exists()
