"""`python -m bench.servers`: the same service under different WSGI servers, with and without an EHR to wait for."""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.body import order_sign
from bench.ehr import without_record
from bench.load import press
from bench.server import ROOT, Server, free_port

PATH = "/cds-services/order-sign-crd"
_OURS = ("gunicorn", "-c", str(ROOT / "gunicorn.conf.py"))
_GRANIAN = (
    "granian",
    "--interface",
    "wsgi",
    "--host",
    "127.0.0.1",
    "--port",
    "{port}",
    "--no-ws",
    "--log-level",
    "error",
)
SERVERS: dict[str, tuple[str, ...]] = {
    "gunicorn, ours": _OURS,
    "gunicorn gthread": (*_OURS, "-k", "gthread"),
    "gunicorn sync": (*_OURS, "-k", "sync", "--threads", "1"),  # with threads gunicorn makes it gthread
    "granian": (*_GRANIAN, "--workers", "2", "--blocking-threads", "16", "--backpressure", "64"),
}


def main() -> None:
    """Measure and print. `--seconds` is the length of each pressing."""
    parser = argparse.ArgumentParser(prog="python -m bench.servers")
    parser.add_argument("--seconds", type=float, default=5.0)
    seconds = parser.parse_args().seconds
    body = order_sign()
    with tempfile.TemporaryDirectory(prefix="signpost-bench-") as scratch, _ehr(Path(scratch), body) as base:
        waiting = without_record(body, base)
        for name, command in SERVERS.items():
            if name == "granian" and importlib.util.find_spec("granian") is None:
                print("granian is not installed; pip install --editable '.[dev]'")
                continue
            _measure(name, command, Path(scratch) / name.replace(" ", "-"), body, waiting, seconds)


def _measure(name: str, command: tuple[str, ...], folder: Path, body: bytes, waiting: bytes, seconds: float) -> None:
    with Server("wsgi:app", folder, command=command) as server:
        for kind, sent, connections in (("prefetch", body, 1), ("prefetch", body, 8), ("EHR", waiting, 32)):
            press(server.port, PATH, sent, connections=connections, seconds=min(1.5, seconds))
            before = server.cpu_seconds()
            load = press(server.port, PATH, sent, connections=connections, seconds=seconds)
            cpu = (server.cpu_seconds() - before) * 1000 / load.requests
            print(
                f"{name:<17} {kind:<8} c={connections:<3} {load.rate:6.0f} req/s  p50 {load.p50:6.1f} ms"
                f"  p99 {load.p99:6.1f} ms  CPU {cpu:5.2f} ms/req  errors {load.errors}",
                flush=True,
            )
        each = ", ".join(f"{one:.0f}" for one in server.memory_mb() if one > 20)
        print(
            f"{name:<17} start {server.start_seconds:.2f} s; workers {each} MiB resident, "
            f"{server.own_memory_mb():.0f} MiB in all, shared counted once",
            flush=True,
        )


@contextmanager
def _ehr(scratch: Path, body: bytes) -> Iterator[str]:
    """The slow EHR in a process of its own; its FHIR base."""
    port, file = free_port(), scratch / "body.json"
    file.write_bytes(body)
    process = subprocess.Popen([sys.executable, "-m", "bench.ehr", str(port), str(file)], cwd=ROOT)
    time.sleep(1)
    try:
        yield f"http://127.0.0.1:{port}/fhir"
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
