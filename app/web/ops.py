"""Is it alive, and can it answer?"""

from __future__ import annotations

from flask import Blueprint, Response, current_app

from app.errors import LedgerError, StateError
from app.fhir.json import encode
from app.ledger import Ledger
from app.rulebook.keeper import RulebookKeeper
from app.state import SharedState

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
    shared: SharedState | None = current_app.extensions["state"]
    try:
        ledger.healthy()
        if shared is not None:
            shared.ping()
    except (LedgerError, StateError) as error:
        status = "no ledger" if isinstance(error, LedgerError) else "no shared state"
        return Response(encode({"status": status, "reason": str(error)}), status=503, mimetype="application/json")
    told = {"status": "ready", "rulebook": keeper.current.label, "rejected_edit": bool(keeper.rejected)}
    return Response(encode(told), mimetype="application/json")
