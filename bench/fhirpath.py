"""Compile and warm evaluation over the corpus, beside fhirpathpy; and growth in memory over many evaluations.

    python bench/fhirpath.py [--evaluations 1000000] [--skip-fhirpathpy]

Times are medians over the expressions of the corpus, each the best of several runs, in microseconds.
"""

from __future__ import annotations

import argparse
import datetime as dt
import gc
import statistics
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from app import fhirpath  # noqa: E402 - runs from a checkout without installation

NOW = dt.datetime(2026, 11, 22, 10, 0, tzinfo=dt.UTC)
BARS = {"evaluate_us": 15.0, "compile_us": 100.0, "growth_kib": 4096}


def corpus() -> dict[str, Any]:
    data = yaml.safe_load((ROOT / "tests" / "fhirpath" / "corpus.yaml").read_text("utf-8"))
    return msgspec.json.Decoder(float_hook=Decimal).decode(msgspec.json.encode(data))


def best(run: Callable[[], Any], repeat: int, number: int) -> float:
    """Microseconds a call, the best of `repeat` rounds."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        for _ in range(number):
            run()
        times.append((time.perf_counter() - start) / number)
    return min(times) * 1e6


def ours(data: dict[str, Any]) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """Compile, evaluate and judge, by expression. Judge only where the result is one Boolean."""
    resources = data["resources"]
    allowed = frozenset(resources)
    compiling, evaluating, judging = {}, {}, {}
    for case in data["cases"]:
        text, resource = case["expression"], resources[case["input"]]
        compiling[text] = best(lambda text=text: fhirpath.compile(text, allowed), 5, 20)
        compiled = fhirpath.compile(text, allowed)
        evaluating[text] = best(lambda e=compiled, r=resource: e.evaluate(r, variables=resources, now=NOW), 5, 100)
        if len(case["result"]) == 1 and isinstance(case["result"][0], bool):
            judging[text] = best(lambda e=compiled, r=resource: e.judge(r, variables=resources, now=NOW), 5, 100)
    return compiling, evaluating, judging


def theirs(data: dict[str, Any]) -> tuple[dict[str, float], dict[str, float]]:
    """The same by fhirpathpy, where it does not raise."""
    import fhirpathpy
    from fhirpathpy.models import models

    resources = data["resources"]
    compiling, evaluating = {}, {}
    for case in data["cases"]:
        text, resource = case["expression"], resources[case["input"]]
        variables = {**resources, "resource": resource}
        try:
            compiled = fhirpathpy.compile(text, models["r4"])
            compiled(resource, variables)
        except Exception:  # noqa: BLE001, S112 - what it cannot do it is not timed for
            continue
        compiling[text] = best(lambda text=text: fhirpathpy.compile(text, models["r4"]), 2, 2)
        evaluating[text] = best(lambda c=compiled, r=resource, v=variables: c(r, v), 3, 10)
    return compiling, evaluating


def resident() -> int:
    """Resident memory in KiB (Linux)."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def growth(data: dict[str, Any], evaluations: int) -> int:
    """KiB by which the process grew over so many evaluations of the whole corpus, after a warm-up."""
    resources = data["resources"]
    runs = [
        (fhirpath.compile(case["expression"]), resources[case["input"]])
        for case in data["cases"]
        if "clock" not in case.get("oracle", "")
    ]

    def some(count: int) -> None:
        for number in range(count):
            compiled, resource = runs[number % len(runs)]
            compiled.evaluate(resource, variables=resources, now=NOW)

    some(min(evaluations, 20 * len(runs)))
    gc.collect()
    before = resident()
    some(evaluations)
    gc.collect()
    return resident() - before


def measure(evaluations: int = 0, *, with_fhirpathpy: bool = True) -> dict[str, Any]:
    """Medians in microseconds and growth in KiB; figures that were not asked for are left out."""
    data = corpus()
    compiling, evaluating, judging = ours(data)
    figures: dict[str, Any] = {
        "expressions": len(evaluating),
        "compile_us": statistics.median(compiling.values()),
        "evaluate_us": statistics.median(evaluating.values()),
        "evaluate_p95_us": statistics.quantiles(evaluating.values(), n=20)[-1],
        "judge_us": statistics.median(judging.values()),
    }
    if with_fhirpathpy:
        their_compiling, their_evaluating = theirs(data)
        figures["fhirpathpy_expressions"] = len(their_evaluating)
        figures["fhirpathpy_compile_us"] = statistics.median(their_compiling.values())
        figures["fhirpathpy_evaluate_us"] = statistics.median(their_evaluating.values())
    if evaluations:
        figures["evaluations"] = evaluations
        figures["growth_kib"] = growth(data, evaluations)
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evaluations", type=int, default=1_000_000)
    parser.add_argument("--skip-fhirpathpy", action="store_true")
    options = parser.parse_args()
    figures = measure(options.evaluations, with_fhirpathpy=not options.skip_fhirpathpy)
    for name, value in figures.items():
        bar = f"   (bar {BARS[name]:,.0f})" if name in BARS else ""
        number = f"{value:12,.1f}" if isinstance(value, float) else f"{value:12,}"
        print(f"{name:24} {number}{bar}")
    return int(any(figures.get(name, 0) > bar for name, bar in BARS.items()))


if __name__ == "__main__":
    raise SystemExit(main())
