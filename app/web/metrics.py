"""`GET /metrics`: what Prometheus reads, for all workers whichever is asked, and for those only who may."""

from __future__ import annotations

import hmac
import os
import platform
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import structlog
from flask import Blueprint, Flask, Response, current_app, g, request
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from app.errors import NotAllowed
from app.fhir.addresses import is_loopback
from app.rulebook.keeper import RulebookKeeper
from app.web import instruments

log = structlog.get_logger("signpost.web")

blueprint = Blueprint("metrics", __name__)

_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via")
_HOOK = "cds_hooks.call"


@blueprint.get("/metrics")
def metrics() -> Response:
    """Everything counted so far, and how things stand now."""
    _check_reader()
    instruments.stage_times.count()
    registry = instruments.COUNTED
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    now = CollectorRegistry()
    now.register(Standing(current_app.extensions["rulebook"]))
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    counted, standing = encode(registry), encode(now)
    # OpenMetrics ends with a mark of its own, once.
    return Response(counted.removesuffix(b"# EOF\n") + standing, content_type=content_type)


def _check_reader() -> None:
    """NotAllowed (403) for whoever has neither the token nor, where none is set, a place on this machine."""
    token: str | None = current_app.config["METRICS_TOKEN"]
    if token is not None:
        given = request.headers.get("Authorization", "").encode("utf-8", "replace")
        if hmac.compare_digest(given, f"Bearer {token}".encode()):
            return
        raise NotAllowed("This address wants the bearer token of SIGNPOST_METRICS_TOKEN.", code="forbidden")
    # Whoever comes through a proxy comes from this machine too; and a web page may call a name that leads here.
    here = is_loopback(request.remote_addr or "") and is_loopback(request.host.rsplit(":", 1)[0].strip("[]"))
    if not here or any(name in request.headers for name in _FORWARDED):
        raise NotAllowed("Figures are for this machine; set SIGNPOST_METRICS_TOKEN for others.", code="forbidden")


def register(app: Flask) -> None:
    """Count every request of the app."""

    @app.before_request
    def _begin() -> None:
        g.started = time.perf_counter()

    @app.after_request
    def _count(response: Response) -> Response:
        try:
            if request.endpoint == _HOOK:
                service_id = (request.view_args or {})["service_id"]
                elapsed_s = time.perf_counter() - g.started
                instruments.count_hook(service_id, response.status_code, g.get("client", ""), elapsed_s)
            else:
                instruments.count_request(request.endpoint or "none", response.status_code)
        except Exception as error:  # costs the figure, not the answer
            log.error("metrics.failed", error=type(error).__name__)
        return response


class Standing(Collector):
    """How things stand at this moment, as the worker that is asked sees it."""

    def __init__(self, keeper: RulebookKeeper) -> None:
        self._keeper = keeper

    def collect(self) -> Iterator[Metric]:
        """The rulebook, the code, and the memory of every worker."""
        rulebook = self._keeper.current
        live = GaugeMetricFamily("signpost_rulebook_info", "The live rulebook.", labels=["label", "hash"])
        live.add_metric([rulebook.label, rulebook.hash], 1)
        yield live
        yield GaugeMetricFamily(
            "signpost_rulebook_rejected_edit", "1 when the newest edit was refused.", value=bool(self._keeper.rejected)
        )
        code = GaugeMetricFamily("signpost_build_info", "The code that runs.", labels=["version", "python"])
        code.add_metric([version("signpost"), platform.python_version()], 1)
        yield code
        memory = GaugeMetricFamily(
            "signpost_worker_memory_bytes", "Resident memory of each worker, oldest first.", labels=["worker"]
        )
        for number, resident in enumerate(_workers_memory(), 1):
            memory.add_metric([str(number)], resident)
        yield memory


def _workers_memory() -> list[int]:
    """Resident bytes of this process and of those that its parent started beside it. Empty where there is no /proc.

    Outside gunicorn the parent is somebody else, with other children: then only this process is told of.
    """
    pids = [os.getpid()]
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        parent = os.getppid()
        with suppress(OSError):
            pids = sorted(map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split()))
    page = os.sysconf("SC_PAGE_SIZE")
    found = []
    for pid in pids:
        try:
            found.append(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page)
        except (OSError, IndexError):  # it ended between the two looks, or the system has no such file
            continue
    return found
