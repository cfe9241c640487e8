"""The token endpoint, and who may do what to the FHIR endpoints."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, Response, current_app, request

from app.clients import AccessCheck, Client, TokenEndpoint
from app.clients.scopes import allows
from app.errors import GrantRefused, NotAllowed, NotFound
from app.fhir.json import encode
from app.web.addresses import service_url
from app.web.client_trust import count_call

blueprint = Blueprint("access", __name__, url_prefix="/auth")


@blueprint.post("/token")
def token() -> Response:
    """An access token for a client that shows who it is (SMART Backend Services)."""
    endpoint: TokenEndpoint | None = current_app.extensions["token_endpoint"]
    if endpoint is None:
        raise NotFound("Tokens are not granted here.", code="not-found")
    try:
        granted = endpoint.grant(request.form.to_dict(), [service_url("/auth/token")])
    except GrantRefused as error:
        refused = {"error": error.error, "error_description": error.message}
        return _told(refused, error.status)
    return _told(granted, 200)


def _told(content: Mapping[str, object], status: int) -> Response:
    return Response(encode(content), status=status, mimetype="application/json")


def client_allowed(kind: str, action: str, audience: str) -> Client | None:
    """The client whose access token lets it do `action` (c, r or s) to resources of a type; None in the sandbox.

    Raises AuthenticationFailed (401), NotAllowed (403), and StateError (503).
    """
    check: AccessCheck | None = current_app.extensions["access"]
    if check is None:
        return None
    access = check.verify(request.headers.get("Authorization"), audience)
    if not allows(access.scopes, kind, action):
        raise NotAllowed(f"The token's scopes do not have system/{kind}.{action}.", code="forbidden")
    count_call(access.client)
    return access.client
