"""Changing rules in the browser: drafts, and their files as text with what is wrong beside the line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import lru_cache

from flask import current_app, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.console import drafts
from app.console.drafts import Open, ScenariosOf
from app.console.effect import effect
from app.console.grid import Grid, changes
from app.console.held import held
from app.crd import publishing
from app.crd.checking import linted
from app.errors import InvalidRequest, RulebookError
from app.rulebook.rulebook import ROUTES_FILE, Rulebook
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
    opened = opened_draft(draft_id)
    loaded = opened.loaded
    book = loaded.rulebook
    problems = [*loaded.problems, *(_linted(book, opened) if book is not None else ())]
    return render_template(
        "console/draft.html",
        opened=opened,
        problems=[each for each in problems if each.severity != "note"],
        notes=sum(each.severity == "note" for each in problems),
        good=book is not None,
        rows=changes(Grid.read(opened.base[ROUTES_FILE]), Grid.read(opened.files[ROUTES_FILE])),
        held=held(book, opened.scenarios, console().settings.roster_path) if book is not None else (),
        moved_on=opened.draft.based_on != live().hash,
        mine=opened.draft.author == session().name,
    )


@blueprint.get("/drafts/<draft_id>/file")
@needs("draft")
def draft_file(draft_id: str) -> str:
    """One file of a draft as text, with what is wrong beside its lines."""
    opened, path = opened_draft(draft_id), request.args.get("path", "")
    loaded = opened.loaded
    problems = opened.problems_of(path, loaded.problems)
    if path in opened.scenarios and loaded.rulebook is not None:
        problems += _scenario_problems(loaded.rulebook, opened, path)
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
    opened, path = opened_draft(draft_id), request.form.get("path", "")
    gone = request.form.get("do") == "remove"
    keep(opened, path, None if gone else request.form.get("text", ""))
    if gone:
        return redirect(url_for("console.draft", draft_id=draft_id), 303)
    return redirect(url_for("console.draft_file", draft_id=draft_id, path=path), 303)


@blueprint.get("/drafts/<draft_id>/effect")
@needs("draft")
def draft_effect(draft_id: str) -> str:
    """What the draft would change, as a picture."""
    opened = opened_draft(draft_id)
    told = effect(
        live(),
        _good(opened),
        ledger_url=console().settings.ledger_url,
        encryption=current_app.extensions["encryption"],
        now=datetime.now(UTC),
    )
    return render_template("console/draft_effect.html", opened=opened, told=told)


@blueprint.post("/drafts/<draft_id>/rebase")
@needs("draft")
def rebase_draft(draft_id: str) -> Response:
    """Put the draft on the rules that are live now."""
    drafts.rebased(ledger(), opened_draft(draft_id), live(), _scenarios(), by=session().name, now=datetime.now(UTC))
    return redirect(url_for("console.draft", draft_id=draft_id), 303)


@blueprint.post("/drafts/<draft_id>/delete")
@needs("draft")
def delete_draft(draft_id: str) -> Response:
    """Throw a draft away."""
    opened = opened_draft(draft_id)
    if opened.draft.author != session().name:
        raise InvalidRequest(f"This is a draft of {opened.draft.author}.")
    ledger().delete_draft(draft_id)
    return redirect(url_for("console.all_drafts"), 303)


@blueprint.post("/drafts/<draft_id>/submit")
@needs("draft")
def submit_draft(draft_id: str) -> Response:
    """Hand it in for somebody else to approve: checked, its scenarios run."""
    opened, settings = opened_draft(draft_id), console().settings
    if opened.draft.author != session().name:
        raise InvalidRequest(f"This is a draft of {opened.draft.author}, who has to submit it.")
    if opened.draft.based_on != live().hash:
        raise InvalidRequest("The live rules have changed since this draft was begun. Put it on them first.")
    book = _good(opened)
    if all(path.startswith("scenarios/") for path in opened.changed):
        raise InvalidRequest("No rule is changed, only scenarios. They go with the rules that they are about.")
    wrong = [str(each) for each in _linted(book, opened) if each.severity == "error"]
    if wrong:
        raise InvalidRequest("It loads, and would not do what it says: " + " ".join(wrong[:5]))
    try:
        checked = publishing.try_out(book, opened.scenarios, settings.roster_path)
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


def opened_draft(draft_id: str) -> Open:
    """A draft with its texts. NotFound where there is none."""
    return drafts.open_draft(ledger(), draft_id, _scenarios())


def _scenarios() -> ScenariosOf:
    found: ScenariosOf = current_app.extensions["scenarios"]
    return found


def _linted(book: Rulebook, opened: Open) -> Sequence[Problem]:
    """What the lints say; what no scenario reaches is left to the command."""
    return _lints(book, tuple(sorted(opened.scenarios.items())), datetime.now(UTC).date())


@lru_cache(maxsize=4)
def _lints(book: Rulebook, scenarios: tuple[tuple[str, str], ...], today: date) -> Sequence[Problem]:
    return tuple(linted(book, dict(scenarios), None, today))


def _scenario_problems(book: Rulebook, opened: Open, path: str) -> list[Problem]:
    """What is wrong with a file of scenarios, and which of them do not hold."""
    found = [each for each in _linted(book, opened) if each.file == path]
    for each in held(book, opened.scenarios, console().settings.roster_path):
        if each.scenario.file == path and each.differences:
            words = f"{each.scenario.id} does not hold: {'; '.join(each.differences)}."
            found.append(Problem(path, each.scenario.line, None, words, "Change the rules or what is expected."))
    return found


def keep(opened: Open, path: str, text: str | None) -> None:
    """Keep a text of a draft as the form sends it, over the version that whoever wrote it saw."""
    try:
        seen = int(request.form.get("version", ""))
    except ValueError:
        raise InvalidRequest("The form is not whole. Load the page again.") from None
    drafts.changed(ledger(), opened, path, text, seen=seen, by=session().name, now=datetime.now(UTC))
