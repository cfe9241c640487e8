"""The feedback endpoint of each CDS service."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import structlog
from flask import Blueprint, Response, current_app, request

from app.errors import LedgerError, NotAllowed, UnknownService
from app.fhir import outcomes
from app.fhir.json import encode
from app.hooks.discovery import SERVICE_IDS
from app.hooks.feedback import parse_feedback
from app.ledger import Ledger
from app.web.client_trust import calling_client

log = structlog.get_logger("signpost.feedback")

blueprint = Blueprint("feedback", __name__, url_prefix="/cds-services")


@blueprint.post("/<service_id>/feedback")
def take(service_id: str) -> Response:
    """Store what users did with cards: all of it, or nothing and an OperationOutcome."""
    client = calling_client()
    if service_id not in SERVICE_IDS:
        raise UnknownService("There is no CDS service of this id.", code="not-found")
    if client is not None and not client.may_call(service_id):
        raise NotAllowed("This client is not registered for this service.", code="forbidden")
    teller = client.iss if client is not None else "sandbox"
    batch = parse_feedback(
        request.get_data(cache=False),
        received_at=datetime.now(UTC),
        client=teller,
        new_id=lambda: str(uuid.uuid4()),
    )
    ledger: Ledger = current_app.extensions["ledger"]
    try:
        known = ledger.record_feedback(batch)
    except LedgerError as error:
        log.error("ledger.failed", error=str(error))
        words = "The feedback could not be recorded. Please send it again."
        failed = outcomes.operation_outcome(outcomes.issue("fatal", "transient", words))
        return Response(encode(failed), status=503, mimetype="application/fhir+json")
    # Counts only: what a user wrote may hold PHI.
    log.info("feedback.stored", service=service_id, client=teller, entries=len(batch), unknown=len(batch) - known)
    return Response(mimetype="text/plain")
