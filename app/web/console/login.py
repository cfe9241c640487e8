"""Logging in, with an account of this machine or with an identity provider, and out again."""

from __future__ import annotations

import secrets

import structlog
from flask import current_app, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.console.accounts import SAMPLE_PASSWORD, SAMPLES
from app.console.provider import LOGIN_S, Provider
from app.console.roles import MEANINGS
from app.console.sessions import WINDOW_S
from app.errors import NotAllowed, NotFound, TooManyCalls
from app.web.console.pages import blueprint, console, keep_cookie, logged_in

log = structlog.get_logger("signpost.console")

_UNDER_WAY = "signpost-console-login"


@blueprint.get("/login")
def login() -> str:
    """The form to log in with."""
    return _form()


@blueprint.post("/login")
def log_in() -> Response:
    """Log in with an account of this machine."""
    name, password = request.form.get("name", "").strip(), request.form.get("password", "")
    if not console().sessions.may_try(name, request.remote_addr or ""):
        log.warning("console.throttled")
        raise TooManyCalls("Too many tries. Wait five minutes, then try again.", retry_after=WINDOW_S)
    account = console().accounts.check(name, password[:1000])
    if account is None:
        log.warning("console.refused")
        return make_response(_form("The name or the password is wrong."), 403)
    return logged_in(account, embedded=True)


@blueprint.post("/logout")
def log_out() -> Response:
    """Log out."""
    console().sessions.end(request.cookies.get(console().cookie, ""))
    response = redirect(url_for("console.login"), 303)
    response.delete_cookie(console().cookie, path="/console")
    return response


@blueprint.get("/oidc/start")
def oidc_start() -> Response:
    """Send the browser to the identity provider. What comes back must come to the same browser."""
    url, state, kept = _provider().start(_redirect_uri())
    browser = secrets.token_urlsafe(32)
    console().sessions.remember(f"{browser} {state}", kept, LOGIN_S)
    response = redirect(url, 303)
    keep_cookie(response, _UNDER_WAY, browser, seconds=LOGIN_S)
    return response


@blueprint.get("/oidc/finish")
def oidc_finish() -> Response:
    """Back from the identity provider."""
    browser, state = request.cookies.get(_UNDER_WAY, ""), request.args.get("state", "")
    kept = console().sessions.recall(f"{browser} {state}") if browser and state else None
    if kept is None:
        raise NotAllowed("This login was not begun in this browser, or too long ago. Please begin again.")
    if "error" in request.args or "code" not in request.args:
        raise NotAllowed("The identity provider did not let you in.")
    return logged_in(_provider().finish(request.args["code"], kept), embedded=False)


def _provider() -> Provider:
    found = console().provider
    if found is None:
        raise NotFound("No identity provider is set up.", code="not-found")
    return found


def _redirect_uri() -> str:
    base = current_app.config["BASE_URL"]
    return f"{base}{url_for('console.oidc_finish')}" if base else url_for("console.oidc_finish", _external=True)


def _form(wrong: str = "") -> str:
    samples = [(name, next(iter(roles))) for name, roles in SAMPLES.items()] if console().settings.sandbox else []
    return render_template(
        "console/login.html",
        wrong=wrong,
        provider=console().provider is not None,
        samples=[(name, role, MEANINGS[role]) for name, role in samples],
        sample_password=SAMPLE_PASSWORD,
    )
