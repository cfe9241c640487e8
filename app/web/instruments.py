"""What is counted, for Prometheus. Labels take few values and none of a patient's: hooks, codes, registered clients.

With several workers each counts in files of its own (gunicorn.conf.py), and whoever is asked adds them up. Each step
costs a call a microsecond or two: so what is only added up is a counter, no histogram, nothing is counted twice, and
a series once found by its labels is kept at hand.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from functools import cache
from typing import TypeVar

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram

from app.crd.service import Answered, Progress
from app.hooks.discovery import SERVICE_IDS
from app.metrics.budget import BUDGETS_S, budget_s

Instrument = TypeVar("Instrument", Counter, Histogram)

log = structlog.get_logger("signpost.web")

COUNTED = CollectorRegistry()
"""The instruments of this process."""

_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, *BUDGETS_S)

requests = Counter(
    "signpost_http_requests", "Requests answered, hook calls aside.", ["endpoint", "status"], registry=COUNTED
)
calls = Counter(
    "signpost_hook_calls",
    "Hook calls answered, and whether within CRD's time for the hook.",
    ["hook", "status", "client", "in_budget"],
    registry=COUNTED,
)
seconds = Histogram(
    "signpost_hook_seconds",
    "Time of a hook call, from its arrival to the answer, the ledger included.",
    ["hook"],
    buckets=_SECONDS,
    registry=COUNTED,
)
stages = Counter(
    "signpost_hook_stage_seconds",
    "Time spent in each stage of hook calls before the ledger, added up.",
    ["stage"],
    registry=COUNTED,
)
answers = Counter(
    "signpost_answers",
    "Coverage-information given, anew or again, one for each order and coverage.",
    ["track", "covered", "pa_needed"],
    registry=COUNTED,
)
ehr_reads = Histogram(
    "signpost_ehr_read_seconds",
    "Time of a read or search at an EHR, by what became of it: ok, absent, late or failed.",
    ["outcome"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
    registry=COUNTED,
)
ledger_commits = Histogram(
    "signpost_ledger_commit_seconds",
    "Time to write a call to the ledger, by what became of it: written or failed.",
    ["outcome"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0),
    registry=COUNTED,
)
state_errors = Counter(
    "signpost_state_errors", "Uses of the shared state that failed, by what was tried.", ["operation"], registry=COUNTED
)


@cache
def _of(instrument: Instrument, *labels: str) -> Instrument:
    """The series of these labels, of which there are few."""
    return instrument.labels(*labels)


class _Stages:
    """Times of stages, added up here for a second before they are counted: seven steps more would double the cost of
    a call. The last second goes with a worker that is killed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: dict[str, float] = {}
        self._count_at = 0.0

    def add(self, timings: Mapping[str, float]) -> None:
        """Add the milliseconds of a call."""
        with self._lock:
            for stage, milliseconds in timings.items():
                self._sums[stage] = self._sums.get(stage, 0.0) + milliseconds
        if time.monotonic() >= self._count_at:
            self.count()

    def count(self) -> None:
        """Count what was added up so far."""
        with self._lock:
            sums, self._sums = self._sums, {}
            self._count_at = time.monotonic() + 1
        for stage, milliseconds in sums.items():
            _of(stages, stage).inc(milliseconds / 1000)


stage_times = _Stages()


def count_request(endpoint: str, status: int) -> None:
    """Count a request that is no hook call. `endpoint` is Flask's, "none" for an address that is none."""
    _of(requests, endpoint, str(status)).inc()


def count_hook(service_id: str, status: int, client: str, elapsed_s: float) -> None:
    """Count a call answered with that status. `client` is a registered `iss`, "sandbox", or "" when unknown."""
    hook = SERVICE_IDS.get(service_id, "unknown")
    _of(calls, hook, str(status), client, "yes" if elapsed_s < budget_s(hook) else "no").inc()
    _of(seconds, hook).observe(elapsed_s)


def observe_call(progress: Progress, answered: Answered) -> None:
    """Count what a hook call did: its stages, its answers, its writing to the ledger.

    A fault in counting costs the figure, not the answer.
    """
    try:
        made = progress.answering
        if made is not None:
            stage_times.add(made.timings)
        if progress.ledger_s is not None:
            _of(ledger_commits, "failed" if answered.status == 503 else "written").observe(progress.ledger_s)
        if made is not None and answered.status == 200:
            for determination in made.told:
                track = determination.route.track if determination.route else "-"
                for answer in determination.answers:
                    _of(answers, track, answer.covered, answer.pa_needed or "-").inc()
    except Exception as error:
        log.error("metrics.failed", error=type(error).__name__)


def observe_read(outcome: str, elapsed_s: float) -> None:
    """Count a read at an EHR."""
    _of(ehr_reads, outcome).observe(elapsed_s)


def observe_state_error(operation: str) -> None:
    """Count a use of the shared state that failed."""
    _of(state_errors, operation).inc()
