"""Guidance: cards beside the coverage answer, and when to show them, from YAML that meets its schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from app.rulebook.codes import parse_codes
from app.rulebook.conditions import Condition
from app.rulebook.documents import Document
from app.rulebook.scope import Names, Need, Scope, read_condition, read_needs, read_scope
from benefit_router import Code, Problem


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What a card offers: the same order under other codes, or orders to add."""

    label: str
    change_to: tuple[Code, ...]
    display: str
    replace: bool
    orders: tuple[tuple[str, tuple[Code, ...], str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Guidance:
    """One card and when to show it. `response` is the CRD response type."""

    scope: Scope
    hooks: frozenset[str]
    needs: tuple[Need, ...]
    condition: Condition | None
    priority: int
    response: Literal["external-reference", "instructions", "alternate-request", "additional-orders"]
    topic: str
    indicator: str
    summary: str
    detail: str | None
    links: tuple[tuple[str, str], ...]
    suggestions: tuple[Suggestion, ...]


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
    )
    _check_card(document, guidance, problems)
    return guidance


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


def _check_card(document: Document, guidance: Guidance, problems: list[Problem]) -> None:
    """What CRD asks of each response type beyond the schema."""
    wants = {
        "external-reference": (True, False, "links, and no suggestions"),
        "instructions": (False, False, "neither links nor suggestions"),
        "alternate-request": (False, True, "suggestions with 'change_code'"),
        "additional-orders": (False, True, "suggestions with 'orders'"),
    }
    links, suggestions, words = wants[guidance.response]
    offered = guidance.suggestions
    fits = bool(guidance.links) == links and bool(offered) == suggestions
    if guidance.response == "alternate-request":
        fits = fits and all(suggestion.change_to for suggestion in offered)
    if guidance.response == "additional-orders":
        fits = fits and all(suggestion.orders for suggestion in offered)
    if not fits:
        message = f"A card of type {guidance.response} has {words}."
        problems.append(document.problem(("card",), message, "Change the response type, or the card's content."))
