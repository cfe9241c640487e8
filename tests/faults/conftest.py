"""The real service under fault: gunicorn with two workers, pressed by clients that remember what they were told."""

from __future__ import annotations

import copy
import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from app.encryption import Encryption
from app.ledger import Ledger
from app.settings import ROOT, Settings
from tests.ehr_actions import COVERAGE_INFORMATION, example
from tests.servers import free_port

WORKERS = Settings.model_fields["workers"].default
_numbers = itertools.count(1)


def fresh(name: str = "infusion") -> dict[str, Any]:
    """A sample call about an order nobody asked about before."""
    call = copy.deepcopy(example(name))
    for entry in call["context"]["draftOrders"]["entry"]:
        entry["resource"]["id"] = f"fault-{next(_numbers)}"
    return call


def assertions_in(response: requests.Response) -> list[str]:
    """The assertion ids of an answer."""
    return [
        part["valueString"]
        for action in response.json().get("systemActions", ())
        for extension in action["resource"].get("extension", ())
        if extension["url"] == COVERAGE_INFORMATION
        for part in extension["extension"]
        if part["url"] == "coverage-assertion-id"
    ]


@dataclass
class Service:
    """A running service. `told` are the assertion ids its clients received, `statuses` what every call came to."""

    url: str
    process: subprocess.Popen[bytes]
    data_dir: Path
    rules: Path
    database_url: str | None
    told: list[str] = field(default_factory=list)
    statuses: list[int | str] = field(default_factory=list)

    def sign(self, call: dict[str, Any] | None = None, timeout: float = 20) -> requests.Response:
        """Sign an order; what the answer asserts is remembered."""
        response = requests.post(f"{self.url}/cds-services/order-sign-crd", json=call or fresh(), timeout=timeout)
        if response.status_code == 200:
            self.told += assertions_in(response)
        return response

    def ready(self) -> bool:
        """Whether it answers; fails when it has ended."""
        assert self.process.poll() is None, "the service ended"
        try:
            return requests.get(f"{self.url}/readyz", timeout=2).ok
        except requests.RequestException:
            return False

    def rulebook(self) -> str:
        """The label of its live rules."""
        return str(requests.get(f"{self.url}/readyz", timeout=2).json()["rulebook"])

    def workers(self) -> list[int]:
        """Process ids of the workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    @contextmanager
    def pressed(self, clients: int = 6) -> Iterator[None]:
        """Clients that sign one new order after the other, until the block ends."""
        stop = threading.Event()

        def press() -> None:
            while not stop.is_set():
                try:
                    self.statuses.append(self.sign().status_code)
                except requests.RequestException as error:
                    self.statuses.append(type(error).__name__)
                    time.sleep(0.02)

        threads = [threading.Thread(target=press) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """Its ledger, from outside."""
        url = self.database_url or f"sqlite:///{self.data_dir / 'ledger.sqlite'}"
        ledger = Ledger.open(url, Encryption.of_settings(Settings(data_dir=self.data_dir)))
        try:
            yield ledger
        finally:
            ledger.close()

    def check_nothing_was_lost(self) -> None:
        """Every answer that a client received is in the ledger, and the ledger is whole."""
        with self.ledger() as ledger:
            assert self.told
            assert [each for each in self.told if ledger.assertion(each) is None] == []
            assert ledger.verify() == []


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start a service in the sandbox, with settings by name; it is stopped when the test ends."""
    running: list[Service] = []

    def _start(prepare: Callable[[], None] | None = None, **settings: str) -> Service:
        rules = tmp_path / "rules"
        if not rules.exists():
            shutil.copytree(ROOT / "rules", rules)
        port = free_port()
        environment = {
            **os.environ,
            "SIGNPOST_SANDBOX": "true",
            "SIGNPOST_DATA_DIR": str(tmp_path / "data"),
            "SIGNPOST_RULES": str(rules),
            "SIGNPOST_RULES_INTERVAL": "0.2",
            "SIGNPOST_PORT": str(port),
            "SIGNPOST_LOG_LEVEL": "error",
            **{f"SIGNPOST_{name.upper()}": value for name, value in settings.items()},
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "serve"],
            cwd=ROOT,
            env=environment,
            stderr=subprocess.DEVNULL,
            preexec_fn=prepare,
        )
        service = Service(f"http://127.0.0.1:{port}", process, tmp_path / "data", rules, settings.get("database_url"))
        running.append(service)
        wait_until(lambda: service.ready(), "the service is ready", 120)
        # The first worker answers before the last is forked.
        forked = int(settings.get("workers", WORKERS))
        wait_until(lambda: len(service.workers()) == forked, "every worker is there", 120)
        return service

    yield _start
    for service in running:
        service.process.terminate()
        service.process.wait(timeout=30)


def wait_until(holds: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Return when it holds; fail when it does not in time."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, f"not in {seconds} s: {what}"
        time.sleep(0.05)


def issue_of(response: requests.Response) -> dict[str, Any]:
    """The first issue of an OperationOutcome."""
    outcome = json.loads(response.content)
    assert outcome["resourceType"] == "OperationOutcome"
    found: dict[str, Any] = outcome["issue"][0]
    return found
