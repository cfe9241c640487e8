"""Simulate over a million synthetic claims: rate and memory."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import tempfile
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from app.crd.claims import simulate
from app.rulebook.rulebook import Rulebook, load
from app.settings import ROOT

_HEADER = "claim_id,paid_as,date,line,plan,system,code,ndc,route,pos,diagnoses,age,quantity\n"
_DIAGNOSES = [f"{letter}{number:02}.{tail}" for letter in "CDEKLM" for number in range(10, 60) for tail in range(10)]


def main() -> None:
    """Measure and print. `--rows` is the number of claims, `--processes` how many share them."""
    parser = argparse.ArgumentParser(prog="python -m bench.claims")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    stated = parser.parse_args()
    rows, processes = stated.rows, stated.processes
    rulebook = load(ROOT / "rules", ROOT / "questionnaires").rulebook
    assert rulebook is not None
    with tempfile.TemporaryDirectory(prefix="signpost-bench-") as scratch:
        path = Path(scratch) / "claims.csv"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(_repeated(list(synthetic_claims(rulebook, 50_000)), rows))
        peaks: dict[int, float] = {}

        def watch(_: int) -> None:
            for pid in (os.getpid(), *(each.pid for each in multiprocessing.active_children())):
                peaks[pid or 0] = max(peaks.get(pid or 0, 0.0), _peak_of(pid))

        started, cpu = time.perf_counter(), _cpu()
        with path.open(encoding="utf-8") as lines:
            told = simulate(lines, rulebook, file=path.name, processes=processes, progress=watch)
        seconds, cpu = time.perf_counter() - started, _cpu() - cpu
    print(
        f"{rows} rows in {processes} processes: {seconds:.1f} s ({rows / seconds:.0f}/s), CPU {cpu:.1f} s, "
        f"{told.wrong_rows} wrong"
    )
    print(f"peak memory {sum(peaks.values()):.0f} MiB in all: {', '.join(f'{each:.0f}' for each in peaks.values())}")


def _cpu() -> float:
    """Seconds of processor time of this process and of those it has seen end."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _peak_of(pid: int | None) -> float:
    """The most memory that a process has held, in MiB; 0 when it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0.0)


def synthetic_claims(rulebook: Rulebook, rows: int) -> Iterator[str]:
    """Lines of claims of every drug in the catalog, with dates of two years and 3,000 diagnoses."""
    chance = random.Random(0)  # noqa: S311  # no secret
    drugs = [
        (system, code)
        for product in rulebook.table.catalog.products
        for system, code in sorted(product.identities)
        if system in ("HCPCS", "NDC", "RxNorm") and (system != "NDC" or len(code) == 11)
    ]
    lines = sorted(rulebook.payer.lines)
    for number in range(rows):
        system, code = chance.choice(drugs)
        day = date(2025, 1, 1) + timedelta(days=chance.randrange(730))
        paid = chance.choice(("837", "837", "ncpdp"))
        route = chance.choice(("", "", "intravenous", "subcutaneous", "oral"))
        line, pos = chance.choice(lines), chance.choice(("11", "12", "22"))
        yield (
            f"c{number},{paid},{day},{line},,{system},{code},,{route},{pos},"
            f"{chance.choice(_DIAGNOSES)},{chance.randrange(90)},{chance.randrange(1, 400)}\n"
        )


def _repeated(claims: list[str], rows: int) -> Iterator[str]:
    yield _HEADER
    for number in range(rows):
        # Another age for each round, so that rounds are not simply remembered.
        cells = claims[number % len(claims)].split(",")
        cells[11] = str((int(cells[11]) + number // len(claims)) % 100)
        yield ",".join(cells)


if __name__ == "__main__":
    main()
