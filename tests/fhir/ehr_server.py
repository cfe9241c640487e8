"""A FHIR server on loopback that misbehaves on request: what it does is chosen by the path asked for."""

from __future__ import annotations

import gzip
import json
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Behaviour = Callable[["_Handler"], None]


class EhrServer(ThreadingHTTPServer):
    """`on[path]` answers GET path (without the query); `connections` counts what was accepted."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.on: dict[str, Behaviour] = {}
        self.connections = 0
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.closing = threading.Event()
        self.scheme = "http"

    @property
    def base(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}/fhir"

    def get_request(self) -> tuple[socket.socket, Any]:
        accepted = super().get_request()
        self.connections += 1
        return accepted

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The client going away is what many of these tests are about."""

    def __enter__(self) -> EhrServer:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: EhrServer

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].removeprefix("/fhir")
        self.server.asked.append(self.path.removeprefix("/fhir"))
        self.server.headers.append(dict(self.headers))
        self.server.on.get(path, status(404))(self)

    def log_message(self, format: str, *args: Any) -> None:
        """Silence."""

    def send(self, code: int, body: bytes, **headers: str) -> None:
        self.send_response(code)
        for name, value in ({"Content_Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def drip(self, data: bytes) -> None:
        for byte in data:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            if self.server.closing.wait(0.02):
                return


def answer(content: Any, **headers: str) -> Behaviour:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return lambda handler: handler.send(200, body, **headers)


def status(code: int, body: bytes = b"<html>an error page</html>", **headers: str) -> Behaviour:
    return lambda handler: handler.send(code, body, **headers)


def hang(handler: _Handler) -> None:
    handler.server.closing.wait()
    handler.close_connection = True


def drip_headers(handler: _Handler) -> None:
    handler.drip(b"HTTP/1.1 200 OK\r\n" + b"X-Slow: " + b"1" * 60_000)


def drip_body(handler: _Handler) -> None:
    handler.drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b" " * 100_000)


def drip_chunks(handler: _Handler) -> None:
    handler.drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 100_000)


def reset(handler: _Handler) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True


def cut_short(handler: _Handler) -> None:
    handler.send(200, b'{"resourceType":', Content_Length="100")
    handler.close_connection = True


def endless(code: int) -> Behaviour:
    def stream(handler: _Handler) -> None:
        handler.send(code, b"", Transfer_Encoding="chunked", Location="/fhir/Patient/p2")
        piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        with suppress(OSError):
            while not handler.server.closing.is_set():
                handler.wfile.write(piece)
        handler.close_connection = True

    return stream


def bomb(handler: _Handler) -> None:
    """50 MB in 50 KB."""
    handler.send(200, gzip.compress(b" " * 50_000_000), Content_Encoding="gzip")


def once(first: Behaviour, then: Behaviour) -> Behaviour:
    turns = iter([first])
    return lambda handler: next(turns, then)(handler)
