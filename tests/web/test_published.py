"""Two servers, one ledger: both switch to what is published, over HTTP, while they answer."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli import main
from app.settings import ROOT

PATIENCE_S = 30


def run(*arguments: str) -> str:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def rulebook_of(port: int) -> str | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as response:  # noqa: S310  # ours
            return str(json.load(response)["rulebook"])
    except OSError:
        return None


@contextmanager
def server(data: Path) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "app.cli", "serve", "--sandbox", "--workers", "1", "--port", str(port)]
    environment = {**os.environ, "SIGNPOST_RULES_FROM": "published", "SIGNPOST_LOG_LEVEL": "error"}
    process = subprocess.Popen([*command, "--data-dir", str(data)], cwd=ROOT, env=environment)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_S)


def until_all_answer_with(label: str, ports: list[int]) -> set[str | None]:
    """Everything that was answered with on the way."""
    seen: set[str | None] = set()
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        now = [rulebook_of(port) for port in ports]
        seen.update(now)
        if set(now) == {label}:
            return seen
        time.sleep(0.02)
    raise AssertionError(f"{ports} never all answered with {label}, but with {seen}")


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """The sample's rules with few scenarios, which are not what is tested here."""
    rules = Path(shutil.copytree(ROOT / "rules", tmp_path / "rules"))
    for path in (rules / "scenarios").iterdir():
        path.unlink()
    return rules


def test_both_switch_to_what_is_published(rules: Path, tmp_path: Path) -> None:
    data = ("--data-dir", str(tmp_path / "data"))
    people = ("--by", "ann", "--approved-by", "bob")
    first = run("rules", "publish", str(rules), *people, *data).split()[1]
    with ExitStack() as stack:
        ports = [stack.enter_context(server(tmp_path / "data")) for _ in range(2)]
        until_all_answer_with(first, ports)
        policy = rules / "policies" / "lumbar-mri.yaml"
        policy.write_text(policy.read_text().replace("title: Magnetic", "title: Plain magnetic"))
        second = run("rules", "publish", str(rules), *people, *data).split()[1]
        assert second != first
        assert until_all_answer_with(second, ports) <= {first, second}
        run("rules", "rollback", *people, "--why", "complaints", *data)
        assert until_all_answer_with(first, ports) <= {first, second}
    assert "rolled-back" in run("rules", "published", *data)


def test_two_people_who_work_apart(rules: Path, tmp_path: Path) -> None:
    data = ("--data-dir", str(tmp_path / "data"))
    run("rules", "publish", str(rules), "--by", "ann", "--approved-by", "bob", *data)
    policy = rules / "policies" / "lumbar-mri.yaml"
    policy.write_text(policy.read_text().replace("title: Magnetic", "title: Plain magnetic"))
    assert "waits for approval as number 3" in run("rules", "submit", str(rules), "--by", "ann", *data)
    assert "goes live at 2999-01-01" in run("rules", "approve", "3", "--by", "bob", "--at", "2999-01-01T00:00Z", *data)
    assert "Number 4" in run("rules", "withdraw", "4", "--by", "bob", "--why", "too late", *data)
    told = run("rules", "published", *data)
    states = [line.split()[4:6:2] + line.split()[6:7] for line in told.splitlines() if line[:4].strip()]
    assert [(line[0], line[-1]) for line in states] == [
        ("withdrawn", "-"),
        ("approved", "withdrawn"),
        ("submitted", "approved"),
        ("approved", "live"),
        ("submitted", "approved"),
    ]


@pytest.mark.parametrize("moment", ["soon", "2026-12-01T00:00"])
def test_an_instant_says_its_time_zone(rules: Path, moment: str) -> None:
    people = ("--by", "ann", "--approved-by", "bob")
    result = CliRunner().invoke(main, ["rules", "publish", str(rules), *people, "--at", moment])
    assert result.exit_code == 2
    assert "-05:00" in result.output
