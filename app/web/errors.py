"""The one place where an error becomes an HTTP status with an OperationOutcome."""

from __future__ import annotations

import structlog
from flask import Flask, Response
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from app.crd.determine import place_of
from app.errors import AuthenticationFailed, LedgerError, RequestError, StateError, TooManyCalls
from app.fhir import outcomes
from app.fhir.json import encode

log = structlog.get_logger("signpost.web")

_CODES = {404: "not-found", 405: "not-supported", 415: "not-supported", 413: "too-long", 400: "invalid"}


def register(app: Flask) -> None:
    """Answer errors that arise outside a hook service: unknown paths, wrong methods."""

    @app.errorhandler(RequestError)
    def _request_error(error: RequestError) -> Response:
        response = _outcome(error.status, outcomes.from_error(error))
        if isinstance(error, AuthenticationFailed):
            response.headers["WWW-Authenticate"] = error.challenge
        if isinstance(error, TooManyCalls):
            response.headers["Retry-After"] = str(error.retry_after)
        return response

    @app.errorhandler(StateError)
    def _state_error(error: StateError) -> Response:
        log.error("state.failed", error=str(error))
        words = "It cannot be checked now who is calling. Please try again."
        return _outcome(503, outcomes.operation_outcome(outcomes.issue("fatal", "transient", words)))

    @app.errorhandler(LedgerError)
    def _ledger_error(error: LedgerError) -> Response:
        log.error("ledger.failed", error=str(error))
        words = "The answer could not be recorded, so it is not given. Please try again."
        return _outcome(503, outcomes.operation_outcome(outcomes.issue("fatal", "transient", words)))

    @app.errorhandler(Exception)
    def _fault(error: Exception) -> Response:
        """A fault of ours. Its message may quote a record; its place may not."""
        log.error("web.fault", error=type(error).__name__, at=place_of(error))
        words = "The service failed on this call."
        return _outcome(500, outcomes.operation_outcome(outcomes.issue("fatal", "exception", words)))

    @app.errorhandler(HTTPException)
    def _http_error(error: HTTPException) -> Response:
        status = error.code or 500
        words = {
            404: "There is nothing at this address.",
            405: "This address does not take that method.",
            415: "Only JSON is spoken here: send application/fhir+json.",
        }
        text = words.get(status, error.name)
        issue = outcomes.issue("error", _CODES.get(status, "processing"), text)
        response = _outcome(status, outcomes.operation_outcome(issue))
        if isinstance(error, MethodNotAllowed):
            response.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
        return response


def _outcome(status: int, outcome: dict[str, object]) -> Response:
    return Response(encode(outcome), status=status, mimetype="application/fhir+json")
