"""Searching the rules, and the rules as tables that people can read, with where they come from and their history."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

from flask import render_template, request

from app.console.past_texts import file_versions, row_versions
from app.console.speaking import codes_in_words, conditions_in_words, lines_of, rows_of, speaking_of
from app.errors import InvalidRequest, NotFound
from app.ledger.publication import live_at
from app.rulebook.documents import read_document
from app.web.console.pages import blueprint, ledger, live, needs

_KINDS = {"policies": ".yaml", "guidance": ".yaml", "lists": ".csv"}


@blueprint.app_context_processor
def _words() -> dict[str, object]:
    """How templates tell of rows and of changes."""
    return {
        "codes_in_words": codes_in_words,
        "conditions_in_words": conditions_in_words,
        "lines_of": lines_of,
        "differences": differences,
    }


@blueprint.get("/")
@needs("rules")
def search() -> str:
    """What the rules say about a drug, a code or a policy."""
    book, (line, on) = live(), _narrowed()
    asked = request.args.get("q", "").strip()[:100]
    return render_template(
        "console/search.html",
        asked=asked,
        line=line,
        on=on,
        every_line=book.payer.lines,
        found=speaking_of(asked, book, line=line, on=on) if asked else None,
        label=book.label,
        live_act=_live_act(),
        counts={"rows": len(book.table), "policies": len(book.policies), "cards": len(book.guidance)},
    )


@blueprint.get("/rows")
@needs("rules")
def routing_rows() -> str:
    """The routing table."""
    book, (line, on) = live(), _narrowed()
    rows = rows_of(book, line=line, on=on)
    return render_template("console/routing.html", rows=rows, line=line, on=on, every_line=book.payer.lines)


@blueprint.get("/rows/<rule_id>")
@needs("rules")
def routing_row(rule_id: str) -> str:
    """One routing row."""
    rule = live().table.rule(rule_id)
    if rule is None:
        raise NotFound(f"There is no row {rule_id} in the rules that are live.")
    said, told = rule.outcome, rule.provenance
    decides = (
        ("Benefit", said.track),
        ("Authorization", said.pa or "the policy decides"),
        ("Billed as", ", ".join(" ".join(code) for code in said.billing_codes)),
        ("Administration billed as", ", ".join(" ".join(code) for code in said.administration_codes)),
        ("Form", said.questionnaire),
        ("Documents", said.doc_purpose),
        ("Still needed", ", ".join(said.info_needed)),
        ("Handled by", said.handoff),
        ("Confidence", said.confidence),
    )
    provenance = (
        ("source", told.source_url),
        ("section", told.source_section),
        ("read on", told.retrieved),
        ("licence", told.licence_note),
        ("author", told.author),
        ("approver", told.approver),
        ("approved on", told.approved_at),
        ("change", told.change_ticket),
        ("scenarios", ", ".join(told.test_refs)),
    )
    versions = row_versions(ledger(), rule_id)
    return render_template(
        "console/row.html", rule=rule, decides=decides, provenance=provenance, versions=versions
    )  # fmt: skip


@blueprint.get("/policies")
@needs("rules")
def policies() -> str:
    """Policies and cards."""
    book = live()

    def by_title(rules: Any) -> Any:
        return sorted((each.scope for each in rules), key=lambda scope: scope.title)

    return render_template("console/policies.html", policies=by_title(book.policies), cards=by_title(book.guidance))


@blueprint.get("/files/<kind>/<slug>")
@needs("rules")
def rule_file(kind: str, slug: str) -> str:
    """One policy, card or list."""
    book, path = live(), f"{kind}/{slug}{_KINDS.get(kind, '')}"
    if kind not in _KINDS or path not in book.files:
        raise NotFound(f"There is no {path} in the rules that are live.")
    policy = next((each for each in book.policies if kind == "policies" and each.scope.slug == slug), None)
    card = next((each for each in book.guidance if kind == "guidance" and each.scope.slug == slug), None)
    scope = policy.scope if policy is not None else card.scope if card is not None else None
    document = read_document(book.files[path], path)[0] if scope is not None else None
    return render_template(
        "console/file.html",
        title=scope.title if scope is not None else slug,
        path=path,
        text=book.files[path],
        scope=scope,
        policy=policy,
        approved=document.data["approved"] if document is not None else {},
        versions=file_versions(ledger(), path),
    )


def differences(before: str, after: str) -> Iterator[tuple[str, str]]:
    """Lines that differ, with two around each: `same`, `added` or `removed`, and the line."""
    for text in difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2):
        if text.startswith(("---", "+++")):
            continue
        yield {"+": "added", "-": "removed"}.get(text[0], "same"), text


def _narrowed() -> tuple[str | None, date | None]:
    """The line of business and day that a page is about."""
    line, on = request.args.get("line") or None, request.args.get("on") or None
    try:
        return line, date.fromisoformat(on) if on else None
    except ValueError:
        raise InvalidRequest("The day is not one. Write it as 2026-11-25.") from None


def _live_act() -> object:
    return live_at(ledger().publications(), datetime.now(UTC))
