"""Changing rules in the browser: rows in a form, files as text, with what is wrong beside the cell or line."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import current_app, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.console import drafts
from app.console.drafts import Open
from app.console.effect import effect
from app.console.grid import Grid
from app.crd import publishing
from app.crd.checking import linted
from app.errors import InvalidRequest, NotFound, RulebookError
from app.rulebook.rulebook import ROUTES_FILE, Rulebook
from app.web.console.pages import blueprint, console, ledger, live, needs, session
from benefit_router import COLUMNS, Column, Problem

# What the grid shows of a row; its page shows all.
_SHOWN = (
    "rule_id", "title", "status", "band", "lob", "plan_id", "match_code", "route", "site_pos", "track", "pa",
    "effective_from", "effective_to", "approver",
)  # fmt: skip
_GROUPS = (
    ("What it is", ("rule_id", "title", "status", "band", "priority", "effective_from", "effective_to")),
    ("For whom", ("lob", "state", "plan_id", "group_id", "bin", "pcn", "age_min", "age_max", "sex", "condition_flag")),
    ("For which drug", ("match_system", "match_code", "match_level", "drug_class", "route", "dose_form", "derived_ok")),
    (
        "Given where and how",
        ("site_pos", "enc_class", "supply_channel", "performer_type", "network", "dx", "phase", "requires_signals"),
    ),
    (
        "What it decides",
        (
            "track", "billing_codes", "modifiers", "administration_codes", "pa", "questionnaire", "doc_purpose",
            "clock_profile", "info_needed", "handoff", "explanation_text", "patient_text", "confidence",
        ),
    ),
    (
        "Where it comes from",
        (
            "source_url", "source_section", "retrieved", "licence_note", "author", "approver", "approved_at",
            "change_ticket", "test_refs",
        ),
    ),
)  # fmt: skip


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


@blueprint.get("/drafts/<draft_id>/rows")
@needs("draft")
def draft_rows(draft_id: str) -> str:
    """The routing table of a draft as a grid."""
    opened, words = drafts.open_draft(ledger(), draft_id), request.args.get("q", "").strip().casefold()
    problems = opened.problems_of(ROUTES_FILE, opened.loaded.problems)
    grid, before = Grid.read(opened.files[ROUTES_FILE]), Grid.read(opened.base[ROUTES_FILE])
    faulty = {problem.line for problem in problems}
    rows = [
        (row, (old := before.row(row.cells.get("rule_id", ""))) is None or old.cells != row.cells)
        for row in grid.rows
        if not words or words in " ".join(row.cells.values()).casefold() or row.first in faulty
    ]
    return render_template(
        "console/draft_rows.html", opened=opened, rows=rows, shown=_SHOWN, problems=problems, words=words
    )


@blueprint.get("/drafts/<draft_id>/row")
@needs("draft")
def draft_row(draft_id: str) -> str:
    """One row of a draft as a form: `rule_id`, or a new one `like` another."""
    opened = drafts.open_draft(ledger(), draft_id)
    grid, rule_id, like = Grid.read(opened.files[ROUTES_FILE]), request.args.get("rule_id"), request.args.get("like")
    row = grid.row(rule_id or like or "")
    if row is None and (rule_id or like):
        raise NotFound("There is no such row in this draft.")
    cells = dict(row.cells) if row is not None else {}
    if not rule_id:
        cells |= {"rule_id": "", "status": "draft", "approver": "", "approved_at": "", "author": session().name}
    problems = opened.problems_of(ROUTES_FILE, opened.loaded.problems) if rule_id and row is not None else []
    return render_template(
        "console/draft_row.html",
        opened=opened,
        rule_id=rule_id,
        cells=cells,
        groups=[(title, [_column(name) for name in names]) for title, names in _GROUPS],
        words=_words(),
        faults={
            each.column: each for each in problems if row is not None and each.line is not None
            and row.first <= each.line <= row.last
        },
    )  # fmt: skip


@blueprint.post("/drafts/<draft_id>/row")
@needs("draft")
def keep_row(draft_id: str) -> Response:
    """Keep a row: changed, new, or taken out."""
    opened, rule_id = drafts.open_draft(ledger(), draft_id), request.form.get("was", "")
    grid = Grid.read(opened.files[ROUTES_FILE])
    cells = {column.name: request.form[column.name] for column in COLUMNS if column.name in request.form}
    if request.form.get("do") == "remove":
        text = grid.without(rule_id)
    elif rule_id:
        text = grid.with_row(rule_id, cells)
    else:
        if not cells.get("rule_id", "").strip() or grid.row(cells["rule_id"].strip()) is not None:
            raise InvalidRequest("Give the new row a rule_id that no other row has. Go back: what you wrote is there.")
        text = grid.with_new(cells, request.form.get("after") or None)
    _keep(opened, ROUTES_FILE, text)
    back = url_for("console.draft_rows", draft_id=draft_id)
    return redirect(f"{back}#row-{cells.get('rule_id', '').strip()}", 303)


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
    _keep(opened, path, None if gone else request.form.get("text", ""))
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


def _keep(opened: Open, path: str, text: str | None) -> None:
    try:
        seen = int(request.form.get("version", ""))
    except ValueError:
        raise InvalidRequest("The form is not whole. Load the page again.") from None
    drafts.changed(ledger(), opened, path, text, seen=seen, by=session().name, now=datetime.now(UTC))


def _column(name: str) -> Column:
    return next(column for column in COLUMNS if column.name == name)


def _words() -> dict[str, list[str]]:
    """What may stand in cells that take words of the payer's."""
    book = live()
    return {
        "lob": sorted(book.payer.lines),
        "plan": sorted(book.payer.plans),
        "route": sorted(book.crosswalks.route_words),
        "dose_form": sorted(book.crosswalks.routes_of_form),
        "flag": sorted(book.payer.flags),
        "clock": sorted(book.payer.clocks),
        "handoff": sorted(book.payer.pharmacy),
        "questionnaire": sorted(book.questionnaires),
    }
