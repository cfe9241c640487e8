"""The routing API: which benefit pays, for any vendor that asks."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog
from flask import Blueprint, Response, current_app, request

from app.crd.routing import standards
from app.crd.routing_service import Routed, RoutingService, day
from app.errors import InvalidRequest
from app.fhir.json import encode
from app.rulebook.keeper import RulebookKeeper
from app.rulebook.spelling import nearest
from app.rulebook.standards import DRUG_CATEGORIES, TRANSACTIONS
from app.web.client_trust import calling_client
from app.web.routing_openapi import check, document

log = structlog.get_logger("signpost.routing")
blueprint = Blueprint("routing", __name__, url_prefix="/routing/v1")


@blueprint.post("/decisions")
def decisions() -> Response:
    """Which benefit pays for one order."""
    client = calling_client()
    service: RoutingService = current_app.extensions["routing"]
    return _response(service.one(request.get_data(cache=False), check, client))


@blueprint.post("/batch")
def batch() -> Response:
    """Which benefit pays for each of several orders."""
    client = calling_client()
    service: RoutingService = current_app.extensions["routing"]
    return _response(service.batch(request.get_data(cache=False), check, client))


@blueprint.get("/standards")
def which_standard() -> Response:
    """Which standard and version carries a transaction. Public: it is about rules, and about nobody."""
    keeper: RulebookKeeper = current_app.extensions["rulebook"]
    rulebook = keeper.current
    words = {"transaction": TRANSACTIONS, "line": rulebook.payer.lines, "drug_category": DRUG_CATEGORIES}
    for name in request.args:
        if name not in (*words, "on"):  # passed over, a misspelt one would widen the question
            raise InvalidRequest(f"There is no such parameter. {nearest(name, (*words, 'on'))}", element=name)
    asked = {}
    for name, known in words.items():
        asked[name] = request.args.get(name)
        if asked[name] is not None and asked[name] not in known:
            raise InvalidRequest(f"This is not known here. {nearest(asked[name] or '', known)}", element=name)
    on = day(request.args.get("on")) or datetime.now(UTC).date()
    rows = standards(rulebook, asked["transaction"], asked["line"], asked["drug_category"], on)
    version = {"label": rulebook.label, "hash": rulebook.hash}
    told = {"on": on.isoformat(), "standards": rows, "rulebook": version}
    return Response(encode(told), mimetype="application/json")


@blueprint.get("/openapi.json")
def openapi() -> Response:
    """The OpenAPI document of these addresses."""
    return Response(encode(document()), mimetype="application/json")


def _response(routed: Routed) -> Response:
    kind = "application/json" if routed.status < 400 else "application/fhir+json"
    return Response(routed.body, status=routed.status, mimetype=kind)
