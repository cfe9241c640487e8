"""OpenTelemetry traces of hook calls: a span for the call and one for each of its stages. An extra, off by default.

The spans are made once the call is over, from the times it took anyway, so a call costs nothing where traces are off.
Where spans go, and how many calls are traced, is said in OpenTelemetry's own environment variables.

Attributes are ids and codes of ours, no PHI; nothing that a caller sends is passed on but the ids of its traceparent.
"""

from __future__ import annotations

import threading
import time
from importlib.metadata import version
from typing import TYPE_CHECKING

import structlog
from flask import request

from app.crd.service import Answered, Progress
from app.errors import SettingsError
from app.hooks.discovery import SERVICE_IDS

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

log = structlog.get_logger("signpost.web")


class Traces:
    """Makes the spans of each call. SettingsError where the extra is not installed."""

    def __init__(self, provider: TracerProvider | None = None) -> None:
        """`provider` None: one that sends spans over OTLP/HTTP, made in each worker with its first call."""
        try:
            import opentelemetry.exporter.otlp.proto.http
            import opentelemetry.sdk.trace  # noqa: F401
        except ImportError:
            raise SettingsError("OpenTelemetry is not installed: pip install 'signpost[traces]'.") from None
        self._provider = provider
        self._making = threading.Lock()

    def observe(self, progress: Progress, answered: Answered) -> None:
        """The spans of a call. A fault in tracing costs the trace, not the answer."""
        try:
            self._trace(progress, answered, request.headers.get("traceparent"))
        except Exception as error:
            log.error("traces.failed", error=type(error).__name__)

    def _trace(self, progress: Progress, answered: Answered, traceparent: str | None) -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        now = time.time_ns()
        passed = now - time.perf_counter_ns()  # from the clock of the stages to that of the spans
        # The traceparent alone: a tracestate may hold anything, and would be sent on.
        carrier = {"traceparent": traceparent} if traceparent is not None else {}
        tracer = self._tracer()
        made = progress.answering
        laps = list(made.laps) if made is not None else []
        if progress.ledger_s is not None:
            laps.append(("ledger", progress.ledger_at, progress.ledger_at + progress.ledger_s))
        call = tracer.start_span(
            f"POST /cds-services/{progress.service_id if progress.service_id in SERVICE_IDS else '{service_id}'}",
            context=TraceContextTextMapPropagator().extract(carrier),
            kind=SpanKind.SERVER,
            start_time=now - (time.monotonic_ns() - int(progress.started * 1e9)),
            attributes={
                "http.request.method": "POST",
                "http.route": "/cds-services/{service_id}",
                "http.response.status_code": answered.status,
                "signpost.hook": SERVICE_IDS.get(progress.service_id, "unknown"),
                "signpost.invocation": progress.invocation_id,
                "signpost.rulebook": progress.rulebook.label if progress.rulebook is not None else "",
                "signpost.tracks": made.tracks if made is not None else [],
            },
        )
        if call.is_recording():
            below = set_span_in_context(call)
            for stage, began, ended in laps:
                inside = tracer.start_span(stage, context=below, start_time=int(began * 1e9) + passed)
                inside.end(int(ended * 1e9) + passed)
            if answered.status >= 500:
                call.set_status(Status(StatusCode.ERROR))
        call.end(now)

    def _tracer(self) -> Tracer:
        with self._making:  # in the worker: what sends has a thread, which no fork would take along
            if self._provider is None:
                self._provider = _sending()
        return self._provider.get_tracer("signpost", version("signpost"))


def _sending() -> TracerProvider:
    """Sends to OTEL_EXPORTER_OTLP_ENDPOINT, in batches, as OpenTelemetry's environment variables say."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES go before ours.
    named = Resource({"service.name": "signpost", "service.version": version("signpost")})
    provider = TracerProvider(resource=named.merge(Resource.create()))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
