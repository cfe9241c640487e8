"""The one place where an error becomes an HTTP status with an OperationOutcome."""

from __future__ import annotations

from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from app.errors import RequestError
from app.fhir import outcomes
from app.fhir.json import encode

_CODES = {404: "not-found", 405: "not-supported", 413: "too-long", 400: "invalid"}


def register(app: Flask) -> None:
    """Answer errors that arise outside a hook service: unknown paths, wrong methods."""

    @app.errorhandler(RequestError)
    def _request_error(error: RequestError) -> Response:
        return _outcome(error.status, outcomes.from_error(error))

    @app.errorhandler(HTTPException)
    def _http_error(error: HTTPException) -> Response:
        status = error.code or 500
        words = {404: "There is nothing at this address.", 405: "This address does not take that method."}
        text = words.get(status, error.name)
        return _outcome(
            status, outcomes.operation_outcome(outcomes.issue("error", _CODES.get(status, "processing"), text))
        )


def _outcome(status: int, outcome: dict[str, object]) -> Response:
    return Response(encode(outcome), status=status, mimetype="application/fhir+json")
