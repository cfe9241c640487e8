"""What all pages of the console share: who is logged in, what they may, forged forms, errors, and headers."""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from typing import ParamSpec, TypeVar
from urllib.parse import urlsplit

import structlog
from flask import Blueprint, Response, current_app, g, make_response, redirect, render_template, request, url_for
from markupsafe import Markup
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as Redirect

from app.console.accounts import Account, Accounts
from app.console.provider import Provider
from app.console.roles import Permission
from app.console.sessions import Session, Sessions
from app.crd.determine import place_of
from app.errors import LedgerError, NotAllowed, NotFound, RequestError, StateError
from app.ledger import Ledger, Reading
from app.ledger.reading import Kind
from app.rulebook.rulebook import Rulebook
from app.settings import Settings

log = structlog.get_logger("signpost.console")

P = ParamSpec("P")
T = TypeVar("T")

blueprint = Blueprint("console", __name__, url_prefix="/console", template_folder="templates", static_folder="static")

# Everything comes from here: no inline script or style, no other host, and no page that frames it.
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_OPEN = frozenset({"console.login", "console.log_in", "console.oidc_start", "console.oidc_finish", "console.static"})


# Where to go: endpoint, words, and who may.
_NAV: tuple[tuple[str, str, Permission], ...] = (
    ("console.search", "Search", "rules"),
    ("console.routing_rows", "Routing table", "rules"),
    ("console.policies", "Policies", "rules"),
    ("console.why", "Why", "persons"),
    ("console.all_drafts", "Drafts", "draft"),
    ("console.publications", "Publications", "rules"),
    ("console.figures", "Figures", "figures"),
    ("console.readings", "Who read what", "reads"),
)


@dataclass(frozen=True, slots=True)
class Console:
    """The parts that the pages work with. `provider` None: accounts of this machine only."""

    settings: Settings
    accounts: Accounts
    sessions: Sessions
    provider: Provider | None

    @property
    def cookie(self) -> str:
        """Name of the session's cookie. Browsers take one called so over https only; the sandbox has no https."""
        return "signpost-console" if self.settings.sandbox else "__Secure-signpost-console"


def console() -> Console:
    """The parts of this service."""
    found: Console = current_app.extensions["console"]
    return found


def ledger() -> Ledger:
    """The ledger of this service."""
    found: Ledger = current_app.extensions["ledger"]
    return found


def live() -> Rulebook:
    """The rulebook that answers now."""
    found: Rulebook = current_app.extensions["rulebook"].current
    return found


def session() -> Session:
    """Who is logged in."""
    found: Session = g.session
    return found


def needs(permission: Permission) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """A page that only some roles may see."""

    def guarded(view: Callable[P, T]) -> Callable[P, T]:
        @wraps(view)
        def check(*args: P.args, **kwargs: P.kwargs) -> T:
            if not session().may(permission):
                raise NotAllowed("Your role does not allow this. Ask whoever runs the console for another.")
            return view(*args, **kwargs)

        return check

    return guarded


def note_reading(kind: Kind, about: str, member_id: str | None = None) -> None:
    """Write down that whoever is logged in reads something of a person. Before it is shown."""
    ledger().record_reading(
        Reading(
            reading_id=str(uuid.uuid4()),
            at=datetime.now(UTC),
            reader=session().name,
            through="console",
            kind=kind,
            about=about[:200],
            member_id=member_id,
        )
    )


def logged_in(account: Account, *, embedded: bool) -> Redirect:
    """To the first page, with a new session."""
    token = console().sessions.begin(account, embedded=embedded)
    log.info("console.logged_in", account=account.name, embedded=embedded)
    response = redirect(url_for("console.search"), 303)
    keep_cookie(response, console().cookie, token)
    return response


def keep_cookie(response: Redirect, name: str, value: str, *, seconds: int | None = None) -> None:
    """A cookie that scripts do not see and other sites' forms do not bring."""
    response.set_cookie(
        name, value, max_age=seconds, path="/console", secure=not console().settings.sandbox, httponly=True,
        samesite="Lax",
    )  # fmt: skip


@blueprint.before_request
def _guard() -> Redirect | None:
    """Nobody sees a page who is not logged in, and no form counts that another site made."""
    if request.method == "POST":
        _refuse_foreign()
    if request.endpoint in _OPEN:
        return None
    found = console().sessions.find(request.cookies.get(console().cookie, ""))
    if found is not None and found.embedded:
        # Roles hold as they are now, and an account that was taken away is out at once.
        account = console().accounts.find(found.name)
        found = Session(found.name, account.roles, found.csrf, found.since, True) if account is not None else None
    if found is None:
        return redirect(url_for("console.login"), 303)
    g.session = found
    sent = request.form.get("csrf", "")
    if request.method == "POST" and not hmac.compare_digest(sent.encode(), found.csrf.encode()):
        raise NotAllowed("The form is of another session. Go back, load the page again and send it once more.")
    return None


def _refuse_foreign() -> None:
    """Browsers say which site a form is from (Fetch, `Origin`)."""
    origin = request.headers.get("Origin")
    base = current_app.config["BASE_URL"] or request.host_url
    if origin is not None and urlsplit(origin)[:2] != urlsplit(base)[:2]:
        raise NotAllowed("The form comes from another site.")


@blueprint.after_request
def _headers(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Referrer-Policy"] = "same-origin"
    if request.endpoint == "console.static":
        response.headers["Cache-Control"] = "private, max-age=300"
    return response


@blueprint.context_processor
def _shared() -> dict[str, object]:
    """What every template may use."""
    found: Session | None = g.get("session")
    return {"session": found, "sandbox": console().settings.sandbox, "nav": _NAV, "csrf": _csrf}


def _csrf() -> Markup:
    """The field that every form bears."""
    return Markup('<input type="hidden" name="csrf" value="{}">').format(session().csrf)


@blueprint.get("/<path:rest>")
def nowhere(rest: str) -> str:
    """An address that is none of the console's, told on a page of its own instead of in FHIR."""
    raise NotFound("There is nothing at this address.")


@blueprint.errorhandler(RequestError)
def _request_error(error: RequestError) -> Response:
    return _failed(error.status, error.message)


@blueprint.errorhandler(LedgerError)
def _ledger_error(error: LedgerError) -> Response:
    log.error("console.failed", error=str(error))
    return _failed(503, "The ledger cannot be read or written now. Please try again.")


@blueprint.errorhandler(StateError)
def _state_error(error: StateError) -> Response:
    log.error("console.failed", error=str(error))
    return _failed(503, "It cannot be checked now who is logged in. Please try again.")


@blueprint.errorhandler(HTTPException)
def _http_error(error: HTTPException) -> Response:
    return _failed(error.code or 500, {404: "There is nothing at this address."}.get(error.code or 0, error.name))


@blueprint.errorhandler(Exception)
def _fault(error: Exception) -> Response:
    """A fault of ours. Its message may quote a record; its place may not."""
    log.error("web.fault", error=type(error).__name__, at=place_of(error))
    return _failed(500, "The console failed on this page. It is in the log.")


def _failed(status: int, words: str) -> Response:
    return make_response(render_template("console/error.html", status=status, words=words), status)
