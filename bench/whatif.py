"""What-if over a large ledger: a change that few calls meet, and one that every call must be tried on."""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

from app import logs
from app.crd.whatif import WhatIf, what_if
from app.rulebook.rulebook import read_files
from app.settings import ROOT
from bench.ledger import KEY, synthetic_ledger

PROCESSES = 2


def main() -> None:
    """Measure and print. `--calls` is the size of the ledger."""
    parser = argparse.ArgumentParser(prog="python -m bench.whatif")
    parser.add_argument("--calls", type=int, default=100_000)
    calls = parser.parse_args().calls
    logs.configure("warning")
    with tempfile.TemporaryDirectory(prefix="signpost-bench-") as scratch:
        started = time.perf_counter()
        url = synthetic_ledger(Path(scratch), calls)
        size = (Path(scratch) / "synthetic.sqlite").stat().st_size / 2**20
        print(f"ledger of {calls} calls, {size:.0f} MiB, written in {time.perf_counter() - started:.0f} s", flush=True)
        for name, files in candidates().items():
            seconds, told = measure(url, files)
            print(
                f"{name:<8} {seconds:6.1f} s, {told.calls / seconds:6.0f} calls/s, {told.replayed} decided again, "
                f"{told.decided_once} once, {told.changed_orders} of {told.orders} orders differ, "
                f"{sum(n for _, n in told.not_replayed)} not replayed",
                flush=True,
            )
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(f"largest process {peak / 1024:.0f} MiB")


def candidates() -> dict[str, dict[str, str]]:
    """Texts of changed rulebooks: one policy; and a list, after which no call can be passed over."""
    files = read_files(ROOT / "rules", ROOT / "questionnaires")
    policy, codes = "policies/lumbar-mri.yaml", "lists/cancer.csv"
    return {
        "narrow": {**files, policy: files[policy].replace("count() >= 4", "count() >= 5")},
        "wide": {**files, codes: files[codes].rstrip("\n").rpartition("\n")[0] + "\n"},
    }


def measure(url: str, files: dict[str, str]) -> tuple[float, WhatIf]:
    """Seconds for the whole question, starting the processes included."""
    started = time.perf_counter()
    told = what_if(url, files, encryption=KEY, processes=PROCESSES)
    return time.perf_counter() - started, told


if __name__ == "__main__":
    main()
