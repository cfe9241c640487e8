"""A server under measurement, as a child process, with the CPU its whole tree used."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import requests

ROOT = Path(__file__).resolve().parent.parent
_TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """gunicorn with the project's own configuration, or what `command` starts. `app` is the WSGI application.

    In `command`, `{port}` stands for the port to listen on.
    """

    def __init__(self, app: str, scratch: Path, *, command: Sequence[str] | None = None, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = {
            **os.environ,
            "SIGNPOST_SANDBOX": "true",
            "SIGNPOST_PORT": str(self.port),
            "SIGNPOST_DATA_DIR": str(scratch),
            "SIGNPOST_LOG_LEVEL": "warning",
            **environment,
        }
        ours = ["gunicorn", "-c", str(ROOT / "gunicorn.conf.py")]
        given = [each.replace("{port}", str(self.port)) for each in command or ours]
        self._command = [sys.executable, "-m", *given, app]

    def __enter__(self) -> Server:
        started = time.perf_counter()
        self._process = subprocess.Popen(self._command, env=self._environment, cwd=ROOT)
        for _ in range(3000):
            try:
                if requests.get(f"{self.url}/readyz", timeout=5).status_code == 200:
                    break
            except requests.ConnectionError:
                if self._process.poll() is not None:
                    raise RuntimeError("the server did not start") from None
                time.sleep(0.01)
        self.start_seconds = time.perf_counter() - started
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(timeout=30)

    def cpu_seconds(self) -> float:
        """User and system time of the process and everything below it, so far."""
        return sum(_cpu(pid) for pid in self._tree())

    def memory_mb(self) -> list[float]:
        """Resident memory of each worker, in MiB."""
        workers = self._tree()[1:]
        return [
            int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
            for pid in workers
        ]

    def own_memory_mb(self) -> float:
        """Memory of all its processes in MiB, what they share counted once (PSS)."""
        total = 0
        for pid in self._tree():
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return total / 1024

    def _tree(self) -> list[int]:
        parents = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                except OSError:
                    continue
                parents[int(entry.name)] = int(fields[1])
        tree = [self._process.pid]
        for pid in tree:
            tree += [child for child, parent in parents.items() if parent == pid]
        return tree


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
