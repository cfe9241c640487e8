"""From publishing a rulebook to the last answer by the one before it, over HTTP with two workers."""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import requests

from app.crd.publishing import Checked, publish, roll_back
from app.encryption import Encryption
from app.ledger import Ledger
from app.rulebook.rulebook import load
from app.settings import ROOT, Settings
from bench.server import Server

_QUESTION = {"order": {"codes": ["HCPCS J1745"], "route": "intravenous", "encounter": "none"}, "member": "M100006"}
_CLIENTS = 4
_QUIET = 2.0  # seconds without an old answer: all workers have switched
_PATIENCE = 30.0


def main() -> None:
    """Measure and print. `--rounds` is how often the rules are switched, each way of publishing."""
    parser = argparse.ArgumentParser(prog="python -m bench.switching")
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="signpost-bench-") as scratch:
        _tell("published in the ledger", _published(Path(scratch) / "published", rounds))
        _tell("edited in files", _edited(Path(scratch) / "files", rounds))


def _published(folder: Path, rounds: int) -> list[float]:
    settings = Settings(data_dir=folder / "data")
    settings.data_dir.mkdir(parents=True)
    ledger = Ledger.open(settings.ledger_url, Encryption.of_settings(settings), synchronous=settings.sqlite_synchronous)
    for path, remark in (("one", ""), ("two", "# The second.\n")):
        rules = _copy(folder / path, remark)
        loaded = load(rules, ROOT / "questionnaires").rulebook
        assert loaded is not None
        publish(ledger, Checked(loaded, "bench"), author="a", approver="b", now=datetime.now(UTC))

    def switch() -> None:
        roll_back(ledger, author="a", approver="b", why="bench", now=datetime.now(UTC))

    with Server("wsgi:app", folder / "data", SIGNPOST_RULES_FROM="published") as server:
        return [_seconds_to_switch(server, switch) for _ in range(rounds)]


def _edited(folder: Path, rounds: int) -> list[float]:
    rules = _copy(folder / "rules", "")
    payer = rules / "payer.yaml"
    text = payer.read_text(encoding="utf-8")

    def switch() -> None:
        payer.write_text(f"{text}# {time.time_ns()}\n", encoding="utf-8")

    with Server("wsgi:app", folder / "data", SIGNPOST_RULES=str(rules)) as server:
        return [_seconds_to_switch(server, switch) for _ in range(rounds)]


def _copy(rules: Path, remark: str) -> Path:
    shutil.copytree(ROOT / "rules", rules)
    with (rules / "payer.yaml").open("a", encoding="utf-8") as file:
        file.write(remark)
    return rules


def _seconds_to_switch(server: Server, switch: Callable[[], None]) -> float:
    """Seconds from the end of `switch` to the sending of the last question that was answered by the old rules.

    Every question has a connection of its own, so that both workers are asked all the time.
    """
    body = json.dumps(_QUESTION).encode()
    answers: list[tuple[float, str]] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            sent = time.perf_counter()
            answer = requests.post(f"{server.url}/routing/v1/decisions", data=body, headers=_JSON, timeout=30)
            answers.append((sent, answer.json()["rulebook"]["hash"]))
            time.sleep(0.02)

    clients = [threading.Thread(target=ask) for _ in range(_CLIENTS)]
    for client in clients:
        client.start()
    time.sleep(1.5)
    before = answers[-1][1]
    switch()
    switched = last = time.perf_counter()
    while time.perf_counter() - last < _QUIET:
        time.sleep(0.1)
        last = max((sent for sent, label in answers if label == before), default=last)
        if last - switched > _PATIENCE:
            break
    stop.set()
    for client in clients:
        client.join()
    if last - switched > _PATIENCE:
        raise RuntimeError("The rules were not switched.")
    return max(last - switched, 0.0)


_JSON = {"Content-Type": "application/json"}


def _tell(name: str, seconds: list[float]) -> None:
    print(
        f"{name}: {len(seconds)} switches; last answer by the old rules after "
        f"{statistics.median(seconds) * 1000:.0f} ms (median), {max(seconds) * 1000:.0f} ms at most",
        flush=True,
    )


if __name__ == "__main__":
    main()
