"""Who sent the request at hand."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import current_app, request

from app.clients import Client, ClientTrust
from app.clients.rate_limit import RateLimit
from app.fhir.addresses import is_loopback


def calling_client() -> Client | None:
    """The registered client whose JWT the request bears; None in the sandbox, which asks nobody.

    Raises AuthenticationFailed (401), TooManyCalls (429), and StateError (503) when it cannot be known whether the JWT
    was used before.
    """
    trust: ClientTrust | None = current_app.extensions["clients"]
    if trust is None:
        return None
    client = trust.verify(request.headers.get("Authorization"), _addresses())
    count_call(client)
    return client


def count_call(client: Client) -> None:
    """Count a call of a client against its limit; TooManyCalls (429) beyond it."""
    limit: RateLimit | None = current_app.extensions["rate_limit"]
    if limit is not None:
        limit.count(client)


def _addresses() -> list[str]:
    """What a JWT for this request may have as `aud`: the URL called, its service's, or the service's base URL.

    The Host header is the caller's. Were it believed, a JWT that the client made for somebody else's service could be
    used here; so without a configured address only loopback goes.
    """
    base: str | None = current_app.config["BASE_URL"]
    if base is not None:
        called = base + request.path
        return [called, called.removesuffix("/feedback"), base]
    called = request.base_url
    if not is_loopback(urlsplit(called).hostname or ""):
        return []
    return [called, called.removesuffix("/feedback")]
