"""The CDS Hooks endpoints: discovery and the hook services."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, g, request
from werkzeug.exceptions import RequestEntityTooLarge

from app.crd.service import CrdService
from app.fhir.json import encode
from app.hooks.discovery import discovery
from app.rulebook.keeper import RulebookKeeper
from app.web.client_trust import calling_client

blueprint = Blueprint("cds_hooks", __name__, url_prefix="/cds-services")


@blueprint.get("")
def services() -> Response:
    """The discovery document."""
    keeper: RulebookKeeper = current_app.extensions["rulebook"]
    rulebook = keeper.current
    topics = {guidance.topic for guidance in rulebook.guidance}
    return Response(encode(discovery(rulebook.payer.name, topics)), mimetype="application/json")


@blueprint.post("/<service_id>")
def call(service_id: str) -> Response:
    """One hook call. Who calls is settled before the body is read."""
    client = calling_client()
    g.client = client.iss if client is not None else "sandbox"
    service: CrdService = current_app.extensions["crd"]
    answered = service.answer(service_id, _body(), client)
    return Response(answered.body, status=answered.status, mimetype="application/json")


def _body() -> bytes:
    """The body; one too large comes as one byte more than allowed, so that the service refuses and records it."""
    try:
        body: bytes = request.get_data(cache=False)
    except RequestEntityTooLarge:
        return b" " * (int(current_app.config["MAX_CONTENT_LENGTH"]) + 1)
    return body
