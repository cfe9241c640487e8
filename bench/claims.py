"""Simulate over a million synthetic claims: rate and memory."""

from __future__ import annotations

import argparse
import random
import resource
import time
from collections.abc import Iterator
from datetime import date, timedelta

from app.crd.claims import simulate
from app.rulebook.rulebook import Rulebook, load
from app.settings import ROOT

_HEADER = "claim_id,paid_as,date,line,plan,system,code,ndc,route,pos,diagnoses,age,quantity\n"
_DIAGNOSES = [f"{letter}{number:02}.{tail}" for letter in "CDEKLM" for number in range(10, 60) for tail in range(10)]


def main() -> None:
    """Measure and print. `--rows` is the number of claims."""
    parser = argparse.ArgumentParser(prog="python -m bench.claims")
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    rulebook = load(ROOT / "rules", ROOT / "questionnaires").rulebook
    assert rulebook is not None
    claims = list(synthetic_claims(rulebook, 50_000))
    before = _peak()
    started, cpu = time.perf_counter(), time.process_time()
    told = simulate(_repeated(claims, rows), rulebook, file="claims.csv")
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    print(f"{rows} rows in {seconds:.1f} s ({rows / seconds:.0f}/s), CPU {cpu:.1f} s, {told.wrong_rows} wrong")
    print(f"peak memory {_peak():.0f} MiB, of which {before:.0f} before the first row")


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


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
