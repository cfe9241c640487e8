"""Guidance: cards beside the coverage answer, and when to show them, from YAML that meets its schema."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from app.rulebook.codes import parse_codes
from app.rulebook.conditions import Condition
from app.rulebook.documents import Document
from app.rulebook.scope import Names, Need, Scope, read_condition, read_needs, read_scope
from app.rulebook.spelling import nearest
from benefit_router import Code, Problem

# Hooks that office staff set off: a coverage is put right there, not while somebody treats a patient (CRD resp-70).
ADMINISTRATIVE_HOOKS = ("appointment-book", "encounter-start", "encounter-discharge")
FROM_ROSTER = "from-roster"

Response = Literal[
    "external-reference",
    "instructions",
    "alternate-request",
    "additional-orders",
    "form-completion",
    "coverage-update",
    "smart-launch",
]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What a card offers: the same order under other codes, or orders to add."""

    label: str
    change_to: tuple[Code, ...]
    display: str
    replace: bool
    orders: tuple[tuple[str, tuple[Code, ...], str], ...]


@dataclass(frozen=True, slots=True)
class FormRequest:
    """A form to fill in outside DTR. `include`: the form itself is offered to an EHR that lacks it."""

    label: str
    questionnaire: str
    description: str
    include: bool


@dataclass(frozen=True, slots=True)
class CoverageUpdate:
    """What the EHR's Coverage should say. `plan` is a plan of the payer, or `from-roster`: the member's own."""

    label: str
    period_end: date | None
    plan: str | None


@dataclass(frozen=True, slots=True)
class SmartApp:
    """A SMART application to open, with the appContext it is handed."""

    label: str
    url: str
    context: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Guidance:
    """One card and when to show it. `response` is the CRD response type."""

    scope: Scope
    hooks: frozenset[str]
    needs: tuple[Need, ...]
    condition: Condition | None
    priority: int
    response: Response
    topic: str
    indicator: str
    summary: str
    detail: str | None
    links: tuple[tuple[str, str], ...]
    suggestions: tuple[Suggestion, ...]
    form: FormRequest | None = None
    coverage: CoverageUpdate | None = None
    app: SmartApp | None = None


def build_guidance(document: Document, names: Names, problems: list[Problem]) -> Guidance:
    """Guidance from a document that meets its schema."""
    data: dict[str, Any] = document.data
    card = data["card"]
    needs = read_needs(document, names, problems)
    guidance = Guidance(
        scope=read_scope(document, data["guidance"], names, problems),
        hooks=frozenset(data.get("hooks", ())),
        needs=needs,
        condition=read_condition(document, ("when",), data.get("when"), needs, names, problems),
        priority=data.get("priority", 0),
        response=card["response"],
        topic=card["topic"],
        indicator=card["indicator"],
        summary=card["summary"],
        detail=card.get("detail"),
        links=tuple((link["label"], link["url"]) for link in card.get("links", ())),
        suggestions=tuple(_suggestion(entry) for entry in card.get("suggestions", ())),
        form=_form(card.get("form")),
        coverage=_coverage(card.get("coverage")),
        app=_app(card.get("app")),
    )
    _check_card(document, guidance, problems)
    _check_names(document, guidance, names, problems)
    return guidance


def check_forms(guidance: Iterable[Guidance], for_dtr: Container[str]) -> list[Problem]:
    """Cards for forms that an answer names: those are DTR's (CRD resp-59). `for_dtr` are the names of such forms."""
    problems = []
    for each in guidance:
        if each.form is not None and each.form.questionnaire in for_dtr:
            message = f"An answer names the form '{each.form.questionnaire}', so DTR fills it in."
            remedy = "Take another form, or leave the card out: where DTR applies, no card may ask for the form."
            file = f"guidance/{each.scope.slug}.yaml"
            problems.append(Problem(file, None, "card.form.questionnaire", message, remedy))
    return problems


def _suggestion(entry: dict[str, Any]) -> Suggestion:
    change = entry.get("change_code")
    return Suggestion(
        label=entry["label"],
        change_to=parse_codes(change["codes"]) if change else (),
        display=change["display"] if change else "",
        replace=entry.get("action", "update") == "replace",
        orders=tuple(
            (order["type"], parse_codes(order["codes"]), order["display"]) for order in entry.get("orders", ())
        ),
    )


def _form(entry: dict[str, Any] | None) -> FormRequest | None:
    if entry is None:
        return None
    return FormRequest(
        label=entry["label"],
        questionnaire=entry["questionnaire"],
        description=entry["description"],
        include=entry.get("include_form", False),
    )


def _coverage(entry: dict[str, Any] | None) -> CoverageUpdate | None:
    if entry is None:
        return None
    end = entry["set"].get("period_end")
    return CoverageUpdate(entry["label"], date.fromisoformat(end) if end else None, entry["set"].get("plan"))


def _app(entry: dict[str, Any] | None) -> SmartApp | None:
    return SmartApp(entry["label"], entry["url"], entry.get("context")) if entry is not None else None


_CONTENTS = {
    "external-reference": ("links", "links, and no suggestions"),
    "instructions": (None, "neither links nor suggestions"),
    "alternate-request": ("suggestions", "suggestions with 'change_code'"),
    "additional-orders": ("suggestions", "suggestions with 'orders'"),
    "form-completion": ("form", "a 'form', and nothing beside it"),
    "coverage-update": ("coverage", "a 'coverage', and nothing beside it"),
    "smart-launch": ("app", "an 'app', and nothing beside it"),
}


def _check_card(document: Document, guidance: Guidance, problems: list[Problem]) -> None:
    """What CRD asks of each response type beyond the schema."""
    content, words = _CONTENTS[guidance.response]
    has = [name for name in ("links", "suggestions", "form", "coverage", "app") if getattr(guidance, name)]
    offered = guidance.suggestions
    fits = has == ([content] if content else [])
    if guidance.response == "alternate-request":
        fits = fits and all(suggestion.change_to for suggestion in offered)
    if guidance.response == "additional-orders":
        fits = fits and all(suggestion.orders for suggestion in offered)
    if not fits:
        message = f"A card of type {guidance.response} has {words}."
        problems.append(document.problem(("card",), message, "Change the response type, or the card's content."))
    if guidance.response == "instructions" and not guidance.detail:
        message = "A card of type instructions says in 'detail' what to do (CRD resp-24)."
        problems.append(document.problem(("card",), message, "Add 'detail'."))
    if guidance.response == "coverage-update" and not (
        guidance.hooks and guidance.hooks.issubset(ADMINISTRATIVE_HOOKS)
    ):
        message = "A coverage is put right by office staff, not by a clinician who orders (CRD resp-70)."
        remedy = f"Say when to show it with 'hooks', of {', '.join(ADMINISTRATIVE_HOOKS)}."
        problems.append(document.problem(("hooks",), message, remedy))


def _check_names(document: Document, guidance: Guidance, names: Names, problems: list[Problem]) -> None:
    form = guidance.form.questionnaire if guidance.form else None
    if form is not None and form not in names.questionnaires:
        remedy = nearest(form, names.questionnaires)
        problems.append(document.problem(("card", "form", "questionnaire"), f"There is no form '{form}'.", remedy))
    plan = guidance.coverage.plan if guidance.coverage else None
    if plan is not None and plan != FROM_ROSTER and plan not in names.plans:
        remedy = nearest(plan, [*names.plans, FROM_ROSTER])
        problems.append(document.problem(("card", "coverage", "set", "plan"), f"There is no plan '{plan}'.", remedy))
