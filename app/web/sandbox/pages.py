"""The page of the sandbox's EHR and what its script asks for. The hooks themselves go the way every EHR's do."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, current_app, render_template, request

from app.errors import InvalidRequest, NotFound
from app.fhir.json import decode, encode
from app.members.roster import Roster
from app.rulebook.keeper import RulebookKeeper
from app.rulebook.rulebook import Rulebook
from app.rulebook.scenarios import Scenario, build_scenarios
from app.web.addresses import service_url
from app.web.sandbox.orders import demo_call, draft, menu, unlike
from app.web.sandbox.records import PHARMACIES, SITES, patients

blueprint = Blueprint("sandbox", __name__, url_prefix="/sandbox", template_folder="templates", static_folder="static")

# Everything comes from here and nothing inline; the page calls this service and no other.
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


@blueprint.get("")
def page() -> Response:
    """The EHR."""
    told = render_template(
        "sandbox/page.html", patients=patients().values(), orders=menu().values(), sites=SITES, pharmacies=PHARMACIES
    )
    response = Response(told, mimetype="text/html")
    response.headers["Content-Security-Policy"] = _POLICY
    return response


@blueprint.get("/setup")
def setup() -> Response:
    """What the script works with: where the EHR's records are and the token for them, orders, and scenarios."""
    told = {
        "fhirServer": service_url("/sandbox/fhir"),
        "token": current_app.config["SANDBOX_TOKEN"],
        "orders": list(menu().values()),
        "scenarios": [{"id": each.id, "title": each.title, "unlike": unlike(each)} for each in _scenarios()],
    }
    return Response(encode(told), mimetype="application/json")


@blueprint.post("/drafts")
def make_draft() -> Response:
    """A draft order, as an EHR writes it when somebody chooses from the menu."""
    asked: Any = decode(request.get_data(cache=False))
    if not isinstance(asked, dict):
        raise InvalidRequest("The body is not a JSON object.", code="structure")
    made = draft(asked, _rulebook(), datetime.now(UTC).date(), str(uuid.uuid4()))
    return Response(encode(made), mimetype="application/fhir+json")


@blueprint.get("/scenarios/<name>")
def scenario(name: str) -> Response:
    """The hook call that a scenario of the rules makes."""
    found = next((each for each in _scenarios() if each.id == name), None)
    if found is None:
        raise NotFound("The rules have no scenario of this name.", code="not-found")
    if found.request is not None:
        return Response(found.request, mimetype="application/json")
    call = demo_call(found, _rulebook(), Roster.read(current_app.config["ROSTER"]), datetime.now(UTC).date())
    return Response(encode(call), mimetype="application/json")


def _rulebook() -> Rulebook:
    keeper: RulebookKeeper = current_app.extensions["rulebook"]
    return keeper.current


def _scenarios() -> list[Scenario]:
    rulebook, texts = _rulebook(), current_app.extensions["scenarios"]
    return build_scenarios(texts(rulebook.hash), rulebook)[0]
