"""What `signpost demo` answers with: the rules folder made live, until somebody publishes others."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from app.cli.demo import _service, _wait, publish_samples
from app.crd import publishing
from app.errors import SettingsError
from app.ledger import Ledger
from app.ledger.publication import live_at
from app.rulebook.rulebook import Rulebook
from app.settings import ROOT, Settings
from tests.servers import free_port


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sample rules without their scenarios, which take their time."""
    folder = tmp_path / "rules"
    shutil.copytree(ROOT / "rules", folder, ignore=shutil.ignore_patterns("scenarios"))
    monkeypatch.setenv("SIGNPOST_RULES", str(folder))
    return folder


@contextmanager
def ledger_in(folder: Path) -> Iterator[Ledger]:
    ledger = Ledger.open(Settings(sandbox=True, data_dir=folder).ledger_url)
    yield ledger
    ledger.close()


def live(folder: Path) -> str:
    with ledger_in(folder) as ledger:
        act = live_at(ledger.publications(), datetime.now(UTC))
    assert act is not None
    return act.rulebook_hash


def test_the_folder_is_live_until_somebody_publishes(rules: Path, tmp_path: Path, sample_rulebook: Rulebook) -> None:
    data = tmp_path / "data"
    assert publish_samples(data)
    assert live(data) == sample_rulebook.hash
    policy = rules / "policies" / "infliximab.yaml"
    policy.write_text(policy.read_text() + "# looked at\n")
    assert publish_samples(data)
    assert live(data) != sample_rulebook.hash, "the folder was changed since"
    with ledger_in(data) as ledger:
        checked = publishing.Checked(sample_rulebook, "by hand")
        publishing.publish(ledger, checked, author="ed", approver="ann", now=datetime.now(UTC))
    assert not publish_samples(data)
    assert live(data) == sample_rulebook.hash


def test_a_service_that_ends_at_once_is_noticed_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with (
        pytest.raises(SettingsError, match="did not start"),
        _service(1, str(tmp_path), "files") as process,
    ):
        _wait(process, "http://127.0.0.1:1")


def test_a_service_that_takes_its_time_is_waited_for(requests_mock: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """On a slow machine it says what is missing and goes on."""
    late = {"exc": requests.ConnectionError}
    requests_mock.get("http://here/readyz", [late, {"status_code": 503, "text": "no ledger"}, {"text": "ready"}])
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        _wait(process, "http://here", tell_after=0)
        process.kill()
    told = capsys.readouterr().out
    assert "it does not listen yet" in told
    assert "it says 503 no ledger" in told


def test_no_service_stays_behind_when_it_is_ended(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "app.cli", "demo", "--port", str(port)]
    environment = {**os.environ, "SIGNPOST_RULES_FROM": "files", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL) as started:
        until = time.monotonic() + 60
        while not listens(port) and time.monotonic() < until:
            time.sleep(0.05)
        started.terminate()
        assert started.wait(timeout=30) == 128 + signal.SIGTERM
    assert not listens(port)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
