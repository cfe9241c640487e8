"""Is it alive, and can it answer?"""

from __future__ import annotations

from flask import Blueprint, Response, current_app

from app.errors import LedgerError
from app.fhir.json import encode
from app.ledger import Ledger
from app.rulebook.keeper import RulebookKeeper

blueprint = Blueprint("ops", __name__)


@blueprint.get("/healthz")
def alive() -> Response:
    """The process answers."""
    return Response(b'{"status":"alive"}', mimetype="application/json")


@blueprint.get("/readyz")
def ready() -> Response:
    """A hook would be answered: there is a rulebook, and the ledger can be written. Says when an edit was refused."""
    keeper: RulebookKeeper = current_app.extensions["rulebook"]
    ledger: Ledger = current_app.extensions["ledger"]
    state = {"status": "ready", "rulebook": keeper.current.label, "rejected_edit": bool(keeper.rejected)}
    try:
        ledger.healthy()
    except LedgerError as error:
        return Response(encode({"status": "no ledger", "reason": str(error)}), status=503, mimetype="application/json")
    return Response(encode(state), mimetype="application/json")
