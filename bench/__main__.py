"""`make bench`: order-sign over HTTP beside its floor, the routing table at three sizes, start-up and memory."""

from __future__ import annotations

import argparse
import platform
import tempfile
from pathlib import Path

from app.state import open_state
from bench import fhirpath, jwt
from bench.body import order_sign
from bench.load import Load, press
from bench.server import Server
from bench.tables import rulebook_with

PATH = "/cds-services/order-sign-crd"
CONNECTIONS = (1, 8, 32)
SIZES = (100, 10_000, 100_000)


def main() -> None:
    """Measure and print. `--seconds` is the length of each pressing."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--seconds", type=float, default=6.0)
    seconds = parser.parse_args().seconds
    body = order_sign()
    print(f"Python {platform.python_version()}, {platform.machine()}; body {len(body)} bytes, two orders, 2 workers")
    with tempfile.TemporaryDirectory(prefix="signpost-bench-") as scratch:
        folder = Path(scratch)
        floor = _floor(folder, body, seconds)
        _signpost(folder, body, seconds, floor)
        _sizes(folder, body, seconds)
    _fhirpath()
    _jwt()


def _jwt() -> None:
    """What checking the client's JWT adds to a call, in CPU, jti kept in the state that workers share."""
    with tempfile.TemporaryDirectory(prefix="signpost-bench-") as scratch:
        for algorithm in ("ES384", "RS384"):
            state = open_state(f"sqlite:///{scratch}/{algorithm}.sqlite")
            print(f"JWT {algorithm}: {jwt.measure(algorithm, state):.0f} us CPU a call")


def _fhirpath() -> None:
    """The rules' own language, beside the kept library on the same corpus."""
    found = fhirpath.measure()
    for name, prefix in (("own engine", ""), ("fhirpathpy", "fhirpathpy_")):
        print(
            f"FHIRPath {name:<11} compile {found[f'{prefix}compile_us']:6.1f} us, "
            f"warm evaluation {found[f'{prefix}evaluate_us']:6.1f} us (medians)"
        )


def _pressed(server: Server, body: bytes, connections: int, seconds: float) -> tuple[Load, float]:
    """One pressing after a short warm-up; the load and CPU milliseconds a request."""
    press(server.port, PATH, body, connections=connections, seconds=min(1.0, seconds))
    before = server.cpu_seconds()
    load = press(server.port, PATH, body, connections=connections, seconds=seconds)
    return load, (server.cpu_seconds() - before) * 1000 / load.requests


def _print(name: str, connections: int, load: Load, cpu: float, note: str = "") -> None:
    print(
        f"{name:<22} c={connections:<3} {load.rate:7.0f} req/s  p50 {load.p50:7.2f} ms  p99 {load.p99:7.2f} ms"
        f"  CPU {cpu:6.3f} ms/req  errors {load.errors}{note}",
        flush=True,
    )


def _floor(folder: Path, body: bytes, seconds: float) -> dict[int, float]:
    cost = {}
    with Server("bench.floor:app", folder / "floor") as server:
        for connections in CONNECTIONS:
            load, cost[connections] = _pressed(server, body, connections, seconds)
            _print("floor (parse, echo)", connections, load, cost[connections])
    return cost


def _signpost(folder: Path, body: bytes, seconds: float, floor: dict[int, float]) -> None:
    with Server("wsgi:app", folder / "signpost") as server:
        for connections in CONNECTIONS:
            load, cpu = _pressed(server, body, connections, seconds)
            _print("order-sign", connections, load, cpu, f"  {cpu / floor[connections]:.2f} x floor")
        memory = ", ".join(f"{each:.0f}" for each in server.memory_mb())
        print(f"cold start {server.start_seconds:.2f} s; memory a worker {memory} MiB", flush=True)


def _sizes(folder: Path, body: bytes, seconds: float) -> None:
    """The same calls on tables of three sizes, in turns, so that a busy machine bends them alike."""
    servers = {
        size: Server("wsgi:app", folder / f"data-{size}", SIGNPOST_RULES=str(rulebook_with(size, folder)))
        for size in SIZES
    }
    costs: dict[int, list[float]] = {size: [] for size in SIZES}
    loads: dict[int, Load] = {}
    for server in servers.values():
        server.__enter__()
    try:
        for _ in range(3):
            for size, server in servers.items():
                loads[size], cpu = _pressed(server, body, 8, seconds / 2)
                costs[size].append(cpu)
    finally:
        for server in servers.values():
            server.__exit__(None, None, None)
    base = sorted(costs[SIZES[0]])[1]
    for size in SIZES:
        cpu = sorted(costs[size])[1]
        note = f"  {(cpu / base - 1) * 100:+.1f} % of {SIZES[0]}; start {servers[size].start_seconds:.2f} s"
        _print(f"{size} routing rows", 8, loads[size], cpu, note)


if __name__ == "__main__":
    main()
