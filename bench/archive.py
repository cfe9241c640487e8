"""`python -m bench.archive --calls N`: how long it takes to archive a whole ledger, and the memory that takes.

The ledger is SQLite, filled with the sample's scenarios as the service answered them, each call a millisecond after the
one before. At the end the chain is walked.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app import logs
from app.ledger import Ledger
from bench.ledger import KEY, synthetic_ledger

LATER = datetime.now(UTC) + timedelta(days=3650)
"""When everything has expired."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.archive")
    parser.add_argument("--calls", type=int, default=100_000)
    calls = parser.parse_args().calls
    logs.configure("warning")
    with tempfile.TemporaryDirectory(prefix="signpost-bench-") as scratch:
        folder = Path(scratch)
        started = time.perf_counter()
        url = synthetic_ledger(folder, calls)
        size = (folder / "synthetic.sqlite").stat().st_size / 2**20
        print(f"ledger of {calls} calls, {size:.0f} MiB, written in {time.perf_counter() - started:.0f} s", flush=True)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        ledger = Ledger.open(url, KEY, synchronous="normal")
        started = time.perf_counter()
        told = ledger.archive(LATER, folder / "archive", LATER)
        seconds = time.perf_counter() - started
        print(f"{told.calls} moved to {len(told.files)} files in {seconds:.0f} s, {told.kept} kept", flush=True)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"largest so far {before:.0f} MiB when filled, {peak:.0f} MiB when archived", flush=True)
        kept = sum(each.stat().st_size for each in told.files) / 2**20
        left = sum(each.stat().st_size for each in folder.glob("synthetic.sqlite*")) / 2**20
        started = time.perf_counter()
        faults = ledger.verify()
        print(f"files {kept:.0f} MiB, ledger {left:.0f} MiB, chain walked in {time.perf_counter() - started:.0f} s")
        print(f"faults: {faults or 'none'}")
        ledger.close()


if __name__ == "__main__":
    main()
