"""DTR's payer service: one FHIR base a version, since their answers differ on the wire."""

from __future__ import annotations

from importlib.metadata import version as version_of
from typing import Any

from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import MethodNotAllowed, UnsupportedMediaType

from app.dtr.capability import SEARCH, capability_statement, davinci_configuration, smart_configuration
from app.dtr.draft import Version
from app.dtr.expand_request import parse_expand_request
from app.dtr.service import DtrService
from app.dtr.wire import VERSIONS
from app.errors import NotFound
from app.fhir.json import encode
from app.web.access import client_allowed
from app.web.addresses import service_url

_ROOT = "/fhir/dtr"
_JSON = frozenset({"", "application/json", "text/json"})
blueprint = Blueprint("dtr", __name__, url_prefix=f"{_ROOT}/<version>")
well_known = Blueprint("well_known", __name__, url_prefix="/.well-known")


@blueprint.post("/Questionnaire/$questionnaire-package")
@blueprint.post("/$questionnaire-package")
def questionnaire_package(version: str) -> Response:
    """The forms for an order, each with its draft response and all that it builds on."""
    spoken, base = _spoken(version)
    client = client_allowed("Questionnaire", "r", base)
    return _fhir(_service().package(_body(), spoken, base, client))


@blueprint.post("/Questionnaire/$next-question")
def next_question(version: str) -> Response:
    """The next questions of an adaptive form, as the response itself: not in Parameters."""
    spoken, base = _spoken(version)
    client = client_allowed("Questionnaire", "r", base)
    return _fhir(_service().next_question(_body(), spoken, base, client))


@blueprint.post("/Questionnaire/$log-questionnaire-errors")
def log_questionnaire_errors(version: str) -> Response:
    """What a client could not do with a form."""
    _, base = _spoken(version)
    client = client_allowed("Questionnaire", "r", base)
    _service().log_errors(_body(), client)
    return Response(status=204)


@blueprint.post("/QuestionnaireResponse")
def questionnaire_response(version: str) -> Response:
    """A completed form comes back."""
    spoken, base = _spoken(version)
    client = client_allowed("QuestionnaireResponse", "c", base)
    body = _body()
    form_id, outcome = _service().take(body, request.args.get("context"), spoken, client)
    response = _fhir(outcome, 201)
    response.headers["Location"] = f"{base}/QuestionnaireResponse/{form_id}"
    return response


@blueprint.route("/ValueSet/$expand", methods=["GET", "POST"])
def expand(version: str) -> Response:
    """The codes of a value set, all or some of them."""
    _, base = _spoken(version)
    client_allowed("ValueSet", "r", base)
    body = _body() if request.method == "POST" else None
    asked = parse_expand_request(request.args.to_dict(), body)
    return _fhir(_service().expand(asked))


@blueprint.get("/<any(Questionnaire, Library, ValueSet):kind>/<identity>")
def read(version: str, kind: str, identity: str) -> Response:
    """One resource by its id."""
    if identity.startswith("$"):
        raise MethodNotAllowed(["POST"])  # an operation, which no id begins like
    spoken, base = _spoken(version)
    client_allowed(kind, "r", base)
    return _fhir(_service().read(kind, identity, spoken, base))


@blueprint.get("/<any(Questionnaire, Library, ValueSet):kind>")
def search(version: str, kind: str) -> Response:
    """Resources by url, version, name, title, status or id; other parameters are passed over."""
    spoken, base = _spoken(version)
    client_allowed(kind, "s", base)
    wanted = {name: value for name, value in request.args.items() if name in SEARCH}
    return _fhir(_service().search(kind, wanted, spoken, base))


@blueprint.get("/metadata")
def metadata(version: str) -> Response:
    """The CapabilityStatement. Open to everybody."""
    spoken, base = _spoken(version)
    return _fhir(
        capability_statement(
            spoken,
            base,
            version_of("signpost"),
            current_app.config["STARTED"],
            open_to_all=current_app.extensions["access"] is None,
        )
    )


@blueprint.get("/.well-known/smart-configuration")
def smart(version: str) -> Response:
    """Where tokens are to be had. Open to everybody."""
    _spoken(version)
    own = current_app.extensions["token_endpoint"] is not None
    issuer = service_url("") if own else current_app.config["TOKEN_ISSUER"]
    endpoint = service_url("/auth/token") if own else current_app.config["TOKEN_URL"]
    return Response(encode(smart_configuration(issuer, endpoint)), mimetype="application/json")


@blueprint.get("/.well-known/davinci-configuration")
def davinci_of_base(version: str) -> Response:
    """HRex's discovery document. Open to everybody."""
    _spoken(version)
    return davinci()


@well_known.get("/davinci-configuration")
def davinci() -> Response:
    """HRex's discovery document. Open to everybody."""
    bases: dict[str, str] = {each: service_url(f"{_ROOT}/{each}") for each in VERSIONS}
    rulebook = current_app.extensions["rulebook"].current
    found = davinci_configuration(rulebook.payer, bases, service_url(""))
    return Response(encode(found), mimetype="application/json")


def _spoken(version: str) -> tuple[Version, str]:
    """The version, and the base URL that clients call."""
    if version not in VERSIONS:
        raise NotFound(f"DTR is spoken here in {' and '.join(VERSIONS)}.", code="not-found")
    return version, service_url(f"{_ROOT}/{version}")


def _service() -> DtrService:
    found: DtrService = current_app.extensions["dtr"]
    return found


def _body() -> bytes:
    """The body, which is JSON; one of which nothing is said may be."""
    if request.mimetype not in _JSON and not request.mimetype.endswith("+json"):
        raise UnsupportedMediaType
    body: bytes = request.get_data(cache=False)
    return body


def _fhir(resource: dict[str, Any], status: int = 200) -> Response:
    return Response(encode(resource), status=status, mimetype="application/fhir+json")
