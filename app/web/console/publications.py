"""From a submission to live rules: what it changes, a second person's approval, now or later, and the way back."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import current_app, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.console.effect import effect
from app.crd import publishing
from app.crd.publishing import Checked, Entry
from app.crd.replay import stored_rulebook
from app.errors import InvalidRequest, NotAllowed, NotFound, ReplayError, RulebookError
from app.rulebook.rulebook import Rulebook
from app.web.console.pages import blueprint, console, ledger, live, needs, session


@blueprint.get("/publications")
@needs("rules")
def publications() -> str:
    """Every act on a rulebook, newest first."""
    return render_template(
        "console/publications.html",
        entries=publishing.history(ledger(), datetime.now(UTC)),
        label=live().label,
        from_files=console().settings.rules_from == "files",
    )


@blueprint.get("/publications/<int:number>")
@needs("rules")
def publication(number: int) -> str:
    """One act, and what the rulebook changes against what is live."""
    entry = _entry(number)
    told = None
    if entry.state in ("waiting", "scheduled"):
        told = effect(
            live(),
            _book(entry),
            ledger_url=console().settings.ledger_url,
            encryption=current_app.extensions["encryption"],
            now=datetime.now(UTC),
        )
    return render_template(
        "console/publication.html",
        entry=entry,
        told=told,
        own=entry.act.author.casefold() == session().name.casefold(),
        from_files=console().settings.rules_from == "files",
    )


@blueprint.post("/publications/<int:number>/approve")
@needs("approve")
def approve(number: int) -> Response:
    """Approve a submission: live now, or at an instant in UTC."""
    at = _instant(request.form.get("at", ""))
    try:
        made = publishing.approve(
            ledger(),
            number,
            approver=session().name,
            at=at,
            note=request.form.get("note", "").strip()[:500],
            now=datetime.now(UTC),
        )
    except RulebookError as error:
        raise InvalidRequest(str(error)) from None
    current_app.extensions["rulebook"].refresh()
    return redirect(url_for("console.publication", number=made.number), 303)


@blueprint.post("/publications/<int:number>/withdraw")
@needs("rules")
def withdraw(number: int) -> Response:
    """Take back a submission that waits, or an approval that has no effect yet."""
    if not (session().may("approve") or _entry(number).act.author == session().name):
        raise NotAllowed("Whoever submitted it, or somebody who approves, may withdraw it.")
    try:
        publishing.withdraw(
            ledger(),
            number,
            by=session().name,
            why=request.form.get("why", "").strip()[:500],
            now=datetime.now(UTC),
        )
    except RulebookError as error:
        raise InvalidRequest(str(error)) from None
    return redirect(url_for("console.publications"), 303)


@blueprint.post("/publications/<int:number>/again")
@needs("draft")
def roll_back(number: int) -> Response:
    """Ask for rules that were live before to be live again. Somebody else has to approve, as with any others."""
    why, entry = request.form.get("why", "").strip()[:500], _entry(number)
    if not why:
        raise InvalidRequest("Say why the rules are rolled back.")
    if entry.state != "past":
        raise InvalidRequest("Only rules that were live before can be rolled back to.")
    checked = Checked(_book(entry), f"live before, as number {number}")
    try:
        made = publishing.submit(
            ledger(), checked, author=session().name, note=f"Roll back to number {number}: {why}", now=datetime.now(UTC)
        )
    except RulebookError as error:
        raise InvalidRequest(str(error)) from None
    return redirect(url_for("console.publication", number=made.number), 303)


def _entry(number: int) -> Entry:
    found = next((each for each in publishing.history(ledger(), datetime.now(UTC)) if each.act.number == number), None)
    if found is None:
        raise NotFound(f"There is no publication {number}.")
    return found


def _book(entry: Entry) -> Rulebook:
    try:
        return stored_rulebook(ledger(), entry.act.rulebook_hash)
    except ReplayError as error:
        raise InvalidRequest(str(error)) from None


def _instant(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None
    except ValueError:
        raise InvalidRequest("The instant is not one. Write it as 2026-12-01T06:00, in UTC.") from None
