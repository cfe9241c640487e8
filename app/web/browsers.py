"""What clients that run in a browser need: CORS for the origins that are let in, and bodies packed with gzip.

Sources: CDS Hooks 2.0, "Cross-Origin Resource Sharing"; Fetch, "CORS protocol"; RFC 9110, 8.4 (Content-Encoding).
"""

from __future__ import annotations

import gzip
import zlib
from typing import Any

from flask import Flask, Request, Response, request
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from app.errors import InvalidRequest

# Less than this grows as often as it shrinks.
_WORTH_PACKING = 1024
_SERVICES = ("/cds-services", "/routing/v1", "/fhir/dtr", "/auth")
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Encoding, Content-Type",
    "Access-Control-Max-Age": "600",
}


class PackedRequest(Request):
    """A request whose body may be packed. It is unpacked where it is read, so never before it is known who calls."""

    def get_data(self, *args: Any, **kwargs: Any) -> Any:
        """The body as its sender wrote it. RequestEntityTooLarge as soon as it unpacks to more than is allowed."""
        data = super().get_data(*args, **kwargs)
        encoding = self.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding in ("identity", ""):
            return data
        if encoding not in ("gzip", "x-gzip"):
            raise UnsupportedMediaType
        return unpack(data, self.max_content_length)


def unpack(data: bytes, limit: int | None) -> bytes:
    """One gzip member, unpacked no further than `limit` bytes.

    Raises RequestEntityTooLarge beyond the limit, and InvalidRequest for what is no gzip, breaks off or goes on.
    """
    member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        # One byte more than allowed tells too much from just enough; zero would mean no limit.
        found = member.decompress(data, 0 if limit is None else limit + 1)
    except zlib.error:
        found = b""
    if limit is not None and len(found) > limit:
        raise RequestEntityTooLarge
    if not member.eof or member.unused_data:
        raise InvalidRequest("The body is not what its Content-Encoding says.", code="structure")
    return found


def register(app: Flask, origins: tuple[str, ...]) -> None:
    """Answer browsers of `origins`, and pack answers for whoever takes them packed. `*` lets every origin in."""
    app.request_class = PackedRequest

    if origins:

        @app.before_request
        def _preflight() -> Response | None:
            """A browser asks before it calls, and bears no token then."""
            if request.method != "OPTIONS" or not _is_service():
                return None
            return Response(status=204, headers=_PREFLIGHT if _is_let_in(origins) else {})

        @app.after_request
        def _let_in(response: Response) -> Response:
            if _is_service():
                response.vary.add("Origin")
                if _is_let_in(origins):
                    response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
                    response.headers["Access-Control-Expose-Headers"] = "Location, WWW-Authenticate"
            return response

    @app.after_request
    def _pack(response: Response) -> Response:
        if response.is_streamed or len(response.get_data()) <= _WORTH_PACKING:
            return response
        response.vary.add("Accept-Encoding")
        if request.accept_encodings["gzip"] > 0 and "Content-Encoding" not in response.headers:
            response.set_data(gzip.compress(response.get_data(), compresslevel=1, mtime=0))
            response.headers["Content-Encoding"] = "gzip"
        return response


def _is_service() -> bool:
    return any(request.path == service or request.path.startswith(f"{service}/") for service in _SERVICES)


def _is_let_in(origins: tuple[str, ...]) -> bool:
    origin = request.headers.get("Origin")
    return origin is not None and ("*" in origins or origin in origins)
