"""Every error Signpost raises on purpose, and what each one means to a caller.

    SignpostError
    ├── RequestError              the caller's message is at fault        → 4xx + OperationOutcome
    │   ├── InvalidRequest        not JSON, not CDS Hooks, not FHIR       → 400
    │   ├── UnprocessableRequest  valid CDS Hooks, breaks a CRD rule      → 422
    │   ├── PrefetchMissing       nothing to decide on, and no way to ask → 412
    │   ├── AuthenticationFailed  no client JWT, or one not accepted    → 401
    │   ├── GrantRefused          a token request that is not granted     → 400, 401 or 429, in OAuth's JSON
    │   ├── NotAllowed            a known client may not do this          → 403
    │   ├── TooManyCalls          more calls than the client may make     → 429
    │   ├── PayloadTooLarge       body over the configured size           → 413
    │   ├── UnknownService        no such CDS service                     → 404
    │   └── NotFound              nothing of this url or id               → 404
    ├── EhrError                  the EHR's FHIR server did not deliver   → the answer says `indeterminate`
    ├── RulebookError             rule files that must not go live        → the running rulebook stays
    ├── StateError                what workers share cannot be reached    → 503, who calls cannot be checked
    ├── EncryptionError           what was kept cannot be opened          → as if it had not been kept, and logged
    ├── LedgerError               the answer could not be written down    → 503, the answer is not sent
    ├── ReplayError               a past answer cannot be given again     → the message says what is gone
    └── SettingsError             the service cannot start like this      → exit 2 with the remedy

`app.web` is the only place that turns one of these into an HTTP status.
"""

from __future__ import annotations

from typing import Any


class SignpostError(Exception):
    """Base of all errors raised on purpose."""


class RequestError(SignpostError):
    """The caller's message is at fault. `element` is a FHIRPath-like path into the body, `code` an issue-type code.

    `issues`, of an OperationOutcome, say it in more than one place.
    """

    status = 400
    issues: tuple[dict[str, Any], ...] = ()

    def __init__(self, message: str, *, element: str | None = None, code: str = "invalid") -> None:
        super().__init__(message)
        self.message = message
        self.element = element
        self.code = code


class InvalidRequest(RequestError):
    """Not parsable, or fails core FHIR or CDS Hooks rules (CRD hook-13)."""


class UnprocessableRequest(RequestError):
    """Valid FHIR and CDS Hooks, but breaks a rule of CRD (CRD hook-13)."""

    status = 422


class PrefetchMissing(RequestError):
    """Prefetch lacks what is needed and the call gives no way to query for it (CDS Hooks, HTTP 412)."""

    status = 412


class AuthenticationFailed(RequestError):
    """The call bears no client JWT, or one that is not accepted (CDS Hooks, "Trusting CDS Clients").

    `reason` is one of `app.clients.refusals.REASONS`. The message quotes nothing of the token.
    """

    status = 401

    def __init__(self, reason: str, message: str, *, code: str) -> None:
        super().__init__(message, code=code)
        self.reason = reason

    @property
    def challenge(self) -> str:
        """The WWW-Authenticate header (RFC 6750, 3): only a call with a token is told of an error."""
        return "Bearer" if self.reason == "no-token" else 'Bearer error="invalid_token"'


class GrantRefused(RequestError):
    """A token request that is not granted (RFC 6749, 5.2). `error` is OAuth's word for why."""

    def __init__(self, error: str, message: str, *, status: int | None = None) -> None:
        super().__init__(message, code="login")
        self.error = error
        self.status = status or (401 if error == "invalid_client" else 400)


class NotAllowed(RequestError):
    """The client is known, and not allowed to do this."""

    status = 403


class TooManyCalls(RequestError):
    """The client calls more often than it may. `retry_after` is in seconds (RFC 9110, 10.2.3)."""

    status = 429

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message, code="throttled")
        self.retry_after = retry_after


class PayloadTooLarge(RequestError):
    """The body exceeds the configured limit."""

    status = 413


class NotFound(RequestError):
    """There is no resource of this url or id."""

    status = 404


class UnknownService(RequestError):
    """No CDS service of that id."""

    status = 404


class EhrError(SignpostError):
    """The EHR's FHIR server could not be read. `reason` is fit for a clinician and holds no PHI and no token."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RulebookError(SignpostError):
    """Rule files that must not go live."""


class StateError(SignpostError):
    """The state that the workers share could not be read or written."""


class EncryptionError(SignpostError):
    """Something sealed does not open."""


class LedgerError(SignpostError):
    """The ledger could not be written or read."""


class ReplayError(SignpostError):
    """A past answer cannot be given again; the message says what is no longer there."""


class SettingsError(SignpostError):
    """The service cannot start with these settings; the message says what to change."""
