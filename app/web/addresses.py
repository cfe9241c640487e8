"""The service's own address, as clients call it."""

from __future__ import annotations

from flask import current_app, request


def service_url(path: str) -> str:
    """The URL of a path. Without a configured address it is the one that was called, which only loopback may be."""
    base: str | None = current_app.config["BASE_URL"]
    return f"{base if base is not None else request.host_url.rstrip('/')}{path}"
