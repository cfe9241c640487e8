"""The routing table of a draft: a cell changed where it stands, or a row in a form; what is wrong beside the cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.console.grid import Grid, GridRow
from app.errors import InvalidRequest, NotFound
from app.rulebook.rulebook import ROUTES_FILE
from app.web.console.drafts import keep, opened_draft
from app.web.console.pages import blueprint, live, needs, session
from benefit_router import COLUMNS, Column, Problem

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
# What the table shows when nobody asks for one of the groups, by its name in the address.
_VIEWS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "": (
        "What matters most",
        (
            "title", "status", "band", "lob", "plan_id", "match_code", "route", "site_pos", "track", "pa",
            "effective_from", "effective_to",
        ),
    ),
    **{title.lower().replace(" ", "-"): (title, names) for title, names in _GROUPS},
    "all": ("All columns", tuple(column.name for column in COLUMNS)),
}  # fmt: skip
_NAME = "rule_id"


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell as the table shows it. `was` is its text in the rules the draft is of, None where it is the same."""

    name: str
    text: str
    was: str | None
    faults: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row as the table shows it. `faults` are those of no cell that is shown."""

    name: str
    new: bool
    cells: tuple[Cell, ...]
    faults: tuple[Problem, ...]


@blueprint.get("/drafts/<draft_id>/rows")
@needs("draft")
def draft_rows(draft_id: str) -> str:
    """The routing table of a draft, a group of columns at a time; `with` is a row to show whatever the words are."""
    opened, asked = opened_draft(draft_id), request.args.get("q", "").strip()
    view = request.args.get("columns", "")
    _, names = _VIEWS.get(view, _VIEWS[""])
    problems = opened.problems_of(ROUTES_FILE, opened.loaded.problems)
    grid, before = Grid.read(opened.files[ROUTES_FILE]), Grid.read(opened.base[ROUTES_FILE])
    shown = tuple(name for name in names if name != _NAME)
    rows = [
        _row(row, before, shown, problems)
        for row in grid.rows
        if _sought(row, asked.casefold())
        or row.cells.get(_NAME) == request.args.get("with")
        or any(_in(row, problem) for problem in problems)
    ]
    return render_template(
        "console/draft_rows.html",
        opened=opened,
        mine=opened.draft.author == session().name,
        rows=rows,
        columns=[_column(name) for name in shown],
        views=[(key, title) for key, (title, _) in _VIEWS.items()],
        view=view,
        problems=problems,
        q=asked,
        words=_words(),
    )


def _row(row: GridRow, before: Grid, shown: tuple[str, ...], problems: list[Problem]) -> TableRow:
    old = before.row(row.cells.get(_NAME, ""))
    faults = [problem for problem in problems if _in(row, problem)]
    cells = []
    for name in shown:
        text, was = row.cells.get(name, ""), old.cells.get(name, "") if old is not None else None
        own = tuple(each for each in faults if each.column == name)
        cells.append(Cell(name, text, was if was != text else None, own))
    elsewhere = tuple(each for each in faults if each.column not in shown)
    return TableRow(row.cells.get(_NAME, ""), old is None, tuple(cells), elsewhere)


def _sought(row: GridRow, words: str) -> bool:
    return not words or words in " ".join(row.cells.values()).casefold()


def _in(row: GridRow, problem: Problem) -> bool:
    return problem.line is not None and row.first <= problem.line <= row.last


@blueprint.get("/drafts/<draft_id>/row")
@needs("draft")
def draft_row(draft_id: str) -> str:
    """One row of a draft as a form: `rule_id`, or a new one `like` another."""
    opened = opened_draft(draft_id)
    grid, rule_id, like = Grid.read(opened.files[ROUTES_FILE]), request.args.get(_NAME), request.args.get("like")
    row = grid.row(rule_id or like or "")
    if row is None and (rule_id or like):
        raise NotFound("There is no such row in this draft.")
    cells = dict(row.cells) if row is not None else {}
    if not rule_id:
        cells |= {_NAME: "", "status": "draft", "approver": "", "approved_at": "", "author": session().name}
    problems = opened.problems_of(ROUTES_FILE, opened.loaded.problems) if rule_id and row is not None else []
    return render_template(
        "console/draft_row.html",
        opened=opened,
        rule_id=rule_id,
        cells=cells,
        groups=[(title, [_column(name) for name in names]) for title, names in _GROUPS],
        words=_words(),
        faults={each.column: each for each in problems if row is not None and _in(row, each)},
    )


@blueprint.post("/drafts/<draft_id>/row")
@needs("draft")
def keep_row(draft_id: str) -> Response:
    """Keep a row: changed, in one cell or in all, new, or taken out."""
    opened, rule_id = opened_draft(draft_id), request.form.get("was", "")
    grid = Grid.read(opened.files[ROUTES_FILE])
    cells = {column.name: request.form[column.name] for column in COLUMNS if column.name in request.form}
    if request.form.get("do") == "remove":
        text = grid.without(rule_id)
    elif rule_id:
        text = grid.with_row(rule_id, cells)
    else:
        if not cells.get(_NAME, "").strip() or grid.row(cells[_NAME].strip()) is not None:
            raise InvalidRequest("Give the new row a rule_id that no other row has. Go back: what you wrote is there.")
        text = grid.with_new(cells, request.form.get("after") or None)
    keep(opened, ROUTES_FILE, text)
    name = cells.get(_NAME, rule_id).strip()
    view = {key: value for key in ("q", "columns") if (value := request.form.get(key))}
    if "q" in view:
        view["with"] = name  # whatever was written, the row stays in sight
    back = url_for("console.draft_rows", draft_id=draft_id)
    return redirect(f"{back}{'?' if view else ''}{urlencode(view)}#row-{name}", 303)


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
