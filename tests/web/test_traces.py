"""A trace of each call, when asked for: a span a stage, under the caller's own trace, and nothing of the patient."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app import create_app
from app.settings import Settings
from app.web import traces
from tests.ehr_actions import example
from tests.faults.conftest import Service, start, wait_until

__all__ = ["start"]

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
# Of the sample calls: names, identifiers and codes of the patient, the order and who signs.
PRIVATE = ("Almeida", "Sample", "M100006", "MRN-0001", "1234567893", "191831", "mr1", "Patient/", "Practitioner")


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(traces, "_sending", lambda: provider)
    return exporter


@pytest.fixture
def http(kept: InMemorySpanExporter, tmp_path: Path) -> Iterator[FlaskClient]:
    app = create_app(Settings(sandbox=True, data_dir=tmp_path, rules_interval=0, traces=True))
    yield app.test_client()
    app.extensions["ledger"].close()
    app.extensions["state"].close()


def spans(kept: InMemorySpanExporter) -> tuple[ReadableSpan, list[ReadableSpan]]:
    """The span of the only call, and those of its stages."""
    (call,) = (span for span in kept.get_finished_spans() if span.name.startswith("POST"))
    return call, [span for span in kept.get_finished_spans() if span is not call]


@pytest.mark.parametrize(
    ("headers", "trace"),
    [
        ({"traceparent": PARENT}, "0af7651916cd43dd8448eb211c80319c"),
        ({"traceparent": PARENT, "tracestate": "vendor=Almeida"}, "0af7651916cd43dd8448eb211c80319c"),
        ({"traceparent": "00-nonsense"}, None),
        ({}, None),
    ],
)
def test_a_span_a_stage(
    http: FlaskClient, kept: InMemorySpanExporter, headers: dict[str, str], trace: str | None
) -> None:
    assert http.post("/cds-services/order-sign-crd", json=example("infusion"), headers=headers).status_code == 200
    call, stages = spans(kept)
    assert call.name == "POST /cds-services/order-sign-crd"
    if trace is not None:
        assert f"{call.context.trace_id:032x}" == trace
        assert f"{call.parent.span_id:016x}" == "b7ad6b7169203331"
    else:
        assert call.parent is None
    names = ["parse", "gather", "facts", "record", "decide", "respond", "snapshot", "ledger"]
    assert [span.name for span in sorted(stages, key=lambda span: span.start_time)] == names
    for span in stages:
        assert span.parent.span_id == call.context.span_id
        # A microsecond for what two clocks differ by.
        assert call.start_time - 1000 <= span.start_time <= span.end_time <= call.end_time + 1000
    assert call.attributes["http.response.status_code"] == 200
    assert call.attributes["signpost.tracks"] == ("medical",)
    told = " ".join(span.to_json() for span in kept.get_finished_spans())
    assert [word for word in PRIVATE if word in told] == []


@pytest.mark.parametrize(("path", "body", "status"), [("order-sign-crd", b"{", 400), ("Almeida", b"{}", 404)])
def test_calls_that_are_refused(
    http: FlaskClient, kept: InMemorySpanExporter, path: str, body: bytes, status: int
) -> None:
    assert http.post(f"/cds-services/{path}", data=body).status_code == status
    call, stages = spans(kept)
    assert call.attributes["http.response.status_code"] == status
    assert "ledger" in {span.name for span in stages}
    assert "Almeida" not in call.to_json()


def test_a_trace_that_was_not_sampled(http: FlaskClient, kept: InMemorySpanExporter) -> None:
    headers = {"traceparent": PARENT[:-1] + "0"}
    assert http.post("/cds-services/order-sign-crd", json=example("mri"), headers=headers).status_code == 200
    assert kept.get_finished_spans() == ()


def test_tracing_costs_no_answer(
    http: FlaskClient, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise RuntimeError("no way to send")

    monkeypatch.setattr(traces, "_sending", fail)
    assert http.post("/cds-services/order-sign-crd", json=example("mri")).status_code == 200
    assert "traces.failed" in capfd.readouterr().err


def test_off_by_default(app: Flask, kept: InMemorySpanExporter) -> None:
    sent = app.test_client().post("/cds-services/order-sign-crd", json=example("mri"), headers={"traceparent": PARENT})
    assert sent.status_code == 200
    assert kept.get_finished_spans() == ()


class Collector(BaseHTTPRequestHandler):
    """Takes what is sent over OTLP/HTTP."""

    got: list[tuple[str, bytes]]

    def do_POST(self) -> None:  # noqa: N802  # the name that http.server calls
        body = self.rfile.read(int(self.headers["Content-Length"]))
        packed = self.headers.get("Content-Encoding") == "gzip"
        self.got.append((self.path, gzip.decompress(body) if packed else body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_every_worker_sends(start: Callable[..., Service], monkeypatch: pytest.MonkeyPatch) -> None:
    got: list[tuple[str, bytes]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Taking", (Collector,), {"got": got}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
        service = start(traces="true")
        with service.pressed(4):
            wait_until(lambda: sum(body.count(b"decide") for _, body in list(got)) >= 20, "traces arrive")
    finally:
        server.shutdown()
        server.server_close()
    assert {path for path, _ in got} == {"/v1/traces"}
    told = b" ".join(body for _, body in got)
    assert b"signpost" in told
    assert [word for word in PRIVATE if word.encode() in told] == []
    assert set(service.statuses) == {200}
