"""`python -m bench.soak --minutes 10`: does the memory of the workers stay flat under load?

Presses order-sign as `make bench` does and prints, a line each half minute, the resident memory of every worker. At
the end: how much the workers together grew, in MiB an hour, by a straight line through the second half of the time,
when caches are full.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from pathlib import Path

from bench.body import order_sign
from bench.load import press
from bench.server import Server

PATH = "/cds-services/order-sign-crd"
CONNECTIONS = 8
EVERY_S = 30.0


def main() -> None:
    """Press, look, and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak")
    parser.add_argument("--minutes", type=float, default=10.0)
    seconds = parser.parse_args().minutes * 60
    body = order_sign()
    with tempfile.TemporaryDirectory(prefix="signpost-soak-") as scratch, Server("wsgi:app", Path(scratch)) as server:
        pressing = threading.Thread(target=_press, args=(server.port, body, seconds))
        began = time.monotonic()
        pressing.start()
        seen: list[tuple[float, float]] = []
        while pressing.is_alive():
            pressing.join(EVERY_S)
            workers = server.memory_mb()
            seen.append((time.monotonic() - began, sum(workers)))
            print(f"{seen[-1][0]:6.0f} s  {'  '.join(f'{each:7.1f}' for each in workers)} MiB", flush=True)
        half = [each for each in seen if each[0] > seconds / 2]
        print(f"growth in the second half: {_slope(half) * 3600:+.1f} MiB an hour, all workers together")


def _press(port: int, body: bytes, seconds: float) -> None:
    load = press(port, PATH, body, connections=CONNECTIONS, seconds=seconds)
    print(f"{load.requests} calls, {load.rate:.0f}/s, p99 {load.p99:.1f} ms, errors {load.errors}", flush=True)


def _slope(points: list[tuple[float, float]]) -> float:
    """Least squares."""
    if len(points) < 2:
        return 0.0
    x, y = (sum(values) / len(points) for values in zip(*points, strict=True))
    return sum((at - x) * (size - y) for at, size in points) / sum((at - x) ** 2 for at, _ in points)


if __name__ == "__main__":
    main()
