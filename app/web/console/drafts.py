"""Changing rules in the browser: drafts, and their files as text with what is wrong beside the line."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import current_app, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.console import drafts
from app.console.drafts import Open
from app.console.effect import effect
from app.crd import publishing
from app.crd.checking import linted
from app.errors import InvalidRequest, RulebookError
from app.rulebook.rulebook import Rulebook
from app.web.console.pages import blueprint, console, ledger, live, needs, session
from benefit_router import Problem


@blueprint.get("/drafts")
@needs("draft")
def all_drafts() -> str:
    """Every draft, and the form to begin one."""
    return render_template("console/drafts.html", drafts=ledger().drafts(), label=live().label)


@blueprint.post("/drafts")
@needs("draft")
def begin_draft() -> Response:
    """Begin a draft of the live rules."""
    draft = drafts.begin(
        ledger(), live(), title=request.form.get("title", ""), author=session().name, now=datetime.now(UTC)
    )
    return redirect(url_for("console.draft", draft_id=draft.draft_id), 303)


@blueprint.get("/drafts/<draft_id>")
@needs("draft")
def draft(draft_id: str) -> str:
    """One draft: what it changes, and what is wrong with it."""
    opened = drafts.open_draft(ledger(), draft_id)
    loaded = opened.loaded
    problems = [*loaded.problems, *(_linted(loaded.rulebook) if loaded.rulebook is not None else ())]
    return render_template(
        "console/draft.html",
        opened=opened,
        problems=[each for each in problems if each.severity != "note"],
        notes=sum(each.severity == "note" for each in problems),
        good=loaded.rulebook is not None,
        moved_on=opened.draft.based_on != live().hash,
        mine=opened.draft.author == session().name,
    )


@blueprint.get("/drafts/<draft_id>/file")
@needs("draft")
def draft_file(draft_id: str) -> str:
    """One file of a draft as text, with what is wrong beside its lines."""
    opened, path = drafts.open_draft(ledger(), draft_id), request.args.get("path", "")
    problems = opened.problems_of(path, opened.loaded.problems)
    return render_template(
        "console/draft_file.html",
        opened=opened,
        path=path,
        text=opened.files.get(path, ""),
        new=path not in opened.files,
        problems=problems,
        by_line={each.line or 1: [other for other in problems if (other.line or 1) == (each.line or 1)]
                 for each in problems},
    )  # fmt: skip


@blueprint.post("/drafts/<draft_id>/file")
@needs("draft")
def keep_file(draft_id: str) -> Response:
    """Keep a file's text, or take the file out."""
    opened, path = drafts.open_draft(ledger(), draft_id), request.form.get("path", "")
    gone = request.form.get("do") == "remove"
    keep(opened, path, None if gone else request.form.get("text", ""))
    if gone:
        return redirect(url_for("console.draft", draft_id=draft_id), 303)
    return redirect(url_for("console.draft_file", draft_id=draft_id, path=path), 303)


@blueprint.get("/drafts/<draft_id>/effect")
@needs("draft")
def draft_effect(draft_id: str) -> str:
    """What the draft would change, as a picture."""
    opened = drafts.open_draft(ledger(), draft_id)
    told = effect(
        live(),
        _good(opened),
        ledger_url=console().settings.ledger_url,
        encryption=current_app.extensions["encryption"],
        today=datetime.now(UTC).date(),
    )
    return render_template("console/draft_effect.html", opened=opened, told=told)


@blueprint.post("/drafts/<draft_id>/rebase")
@needs("draft")
def rebase_draft(draft_id: str) -> Response:
    """Put the draft on the rules that are live now."""
    drafts.rebased(ledger(), drafts.open_draft(ledger(), draft_id), live(), by=session().name, now=datetime.now(UTC))
    return redirect(url_for("console.draft", draft_id=draft_id), 303)


@blueprint.post("/drafts/<draft_id>/delete")
@needs("draft")
def delete_draft(draft_id: str) -> Response:
    """Throw a draft away."""
    opened = drafts.open_draft(ledger(), draft_id)
    if opened.draft.author != session().name:
        raise InvalidRequest(f"This is a draft of {opened.draft.author}.")
    ledger().delete_draft(draft_id)
    return redirect(url_for("console.all_drafts"), 303)


@blueprint.post("/drafts/<draft_id>/submit")
@needs("draft")
def submit_draft(draft_id: str) -> Response:
    """Hand it in for somebody else to approve: checked, its scenarios run."""
    opened, settings = drafts.open_draft(ledger(), draft_id), console().settings
    if opened.draft.author != session().name:
        raise InvalidRequest(f"This is a draft of {opened.draft.author}, who has to submit it.")
    if opened.draft.based_on != live().hash:
        raise InvalidRequest("The live rules have changed since this draft was begun. Put it on them first.")
    book = _good(opened)
    wrong = [str(each) for each in _linted(book) if each.severity == "error"]
    if wrong:
        raise InvalidRequest("It loads, and would not do what it says: " + " ".join(wrong[:5]))
    try:
        checked = publishing.try_out(book, settings.rules / "scenarios", settings.roster_path)
        note = f"{opened.draft.title}. {request.form.get('note', '').strip()[:500]}".strip()
        made = publishing.submit(ledger(), checked, author=session().name, note=note, now=datetime.now(UTC))
    except RulebookError as error:
        raise InvalidRequest(str(error)) from None
    ledger().delete_draft(draft_id)
    return redirect(url_for("console.publication", number=made.number), 303)


def _good(opened: Open) -> Rulebook:
    book = opened.loaded.rulebook
    if book is None:
        raise InvalidRequest("The draft does not load yet. Its page says what is wrong.")
    return book


def _linted(book: Rulebook) -> list[Problem]:
    """What can be said without running the scenarios: they run when the draft is submitted."""
    return list(linted(book, console().settings.rules / "scenarios", None, datetime.now(UTC).date()))


def keep(opened: Open, path: str, text: str | None) -> None:
    """Keep a text of a draft as the form sends it, over the version that whoever wrote it saw."""
    try:
        seen = int(request.form.get("version", ""))
    except ValueError:
        raise InvalidRequest("The form is not whole. Load the page again.") from None
    drafts.changed(ledger(), opened, path, text, seen=seen, by=session().name, now=datetime.now(UTC))
