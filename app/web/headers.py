"""Headers that every response bears: what browsers and caches may not do with it."""

from __future__ import annotations

from flask import Flask, Response

# Answers are about persons, or tell of the payer's rules as they stand: nobody keeps them, and no page shows them.
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def register(app: Flask) -> None:
    """Add them to each response, errors included, unless the answer has its own."""

    @app.after_request
    def _guard(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response
