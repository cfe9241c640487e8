"""Policies and guidance: what applies to an order, from YAML that meets its schema."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from app import fhirpath
from app.rulebook.answer import Answer, Detail, Quantity, Reason, contradictions
from app.rulebook.codes import parse_code
from app.rulebook.conditions import RECORD, Condition, compile_condition
from app.rulebook.documents import Document, Path
from benefit_router import Code, CodeList, Problem


@dataclass(frozen=True, slots=True)
class Need:
    """A kind of record to read when a rule is in play; `codes` names a list to narrow it to, or is None for all."""

    kind: str
    codes: str | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """Which orders a rule is about, and when."""

    slug: str
    title: str
    codes: CodeList
    track: str | None
    lines: frozenset[str]
    plans: frozenset[str]
    effective_from: date
    effective_to: date | None
    source_url: str

    def in_force(self, day: date) -> bool:
        """Half-open, like every date range of the rulebook."""
        return self.effective_from <= day and (self.effective_to is None or day < self.effective_to)

    @property
    def specificity(self) -> tuple[bool, bool, date]:
        """A rule for named plans beats one for named lines, which beats a general one; then the newer wins."""
        return (bool(self.plans), bool(self.lines), self.effective_from)


@dataclass(frozen=True, slots=True)
class Case:
    """One case of a policy. `condition` None: the last case, which always holds."""

    name: str
    condition: Condition | None
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """One coverage policy."""

    scope: Scope
    needs: tuple[Need, ...]
    cases: tuple[Case, ...]


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


@dataclass(frozen=True, slots=True)
class Names:
    """What a rule may refer to by name."""

    lists: Mapping[str, CodeList]
    lines: Collection[str]
    plans: Collection[str]
    contacts: Collection[str]
    questionnaires: Collection[str]


def build_policy(document: Document, names: Names, problems: list[Problem]) -> Policy:
    """A policy from a document that meets its schema."""
    data: dict[str, Any] = document.data
    scope = _scope(document, data["policy"], names, problems)
    needs = _needs(document, names, problems)
    cases = []
    for position, entry in enumerate(data["cases"]):
        path: Path = ("cases", position)
        condition = _condition(document, (*path, "when"), entry.get("when"), needs, names, problems)
        last = position == len(data["cases"]) - 1
        if last and "when" in entry:
            message = "The last case has a 'when', so some orders would get no answer."
            problems.append(document.problem(path, message, "Add a last case without 'when'."))
        if not last and "when" not in entry:
            message = "Only the last case may do without 'when'; those after it could never answer."
            problems.append(document.problem(path, message, "Add a 'when', or move the case to the end."))
        stated = entry.get("answers") or [entry["answer"]]
        key: Path = (*path, "answers") if "answers" in entry else (*path, "answer")
        answers = tuple(
            _answer(document, (*key, i) if "answers" in entry else key, answer, names, problems)
            for i, answer in enumerate(stated)
        )
        if len(answers) > 1:
            _check_disjoint(document, key, answers, problems)
        cases.append(Case(entry["case"], condition, answers))
    return Policy(scope, needs, tuple(cases))


def build_guidance(document: Document, names: Names, problems: list[Problem]) -> Guidance:
    """Guidance from a document that meets its schema."""
    data: dict[str, Any] = document.data
    card = data["card"]
    needs = _needs(document, names, problems)
    guidance = Guidance(
        scope=_scope(document, data["guidance"], names, problems),
        hooks=frozenset(data.get("hooks", ())),
        needs=needs,
        condition=_condition(document, ("when",), data.get("when"), needs, names, problems),
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


def check_overlaps(policies: Iterable[Policy], files: Mapping[str, str]) -> list[Problem]:
    """Pairs of policies that would both speak about the same order with nothing to choose between them."""
    by_code: dict[Code, list[Policy]] = {}
    for policy in policies:
        for code in policy.scope.codes.exact:
            by_code.setdefault(code, []).append(policy)
    found: dict[tuple[str, str], Problem] = {}
    for code, speaking in by_code.items():
        for position, first in enumerate(speaking):
            for second in speaking[position + 1 :]:
                if _same_ground(first.scope, second.scope):
                    file = files[second.scope.slug]
                    found[(first.scope.slug, second.scope.slug)] = Problem(
                        file,
                        None,
                        "applies_to",
                        f"'{second.scope.slug}' and '{first.scope.slug}' both speak about {' '.join(code)} "
                        "for the same members and dates.",
                        "Narrow one of them by lines, plans, track or dates.",
                    )
    return list(found.values())


def _same_ground(one: Scope, two: Scope) -> bool:
    if one.specificity != two.specificity:
        return False
    apart = (
        (one.lines and two.lines and one.lines.isdisjoint(two.lines))
        or (one.plans and two.plans and one.plans.isdisjoint(two.plans))
        or (one.track and two.track and one.track != two.track)
        or (one.effective_to is not None and one.effective_to <= two.effective_from)
        or (two.effective_to is not None and two.effective_to <= one.effective_from)
    )
    return not apart


def _scope(document: Document, slug: str, names: Names, problems: list[Problem]) -> Scope:
    data = document.data
    stem = document.file.rsplit("/", 1)[-1].removesuffix(".yaml")
    if slug != stem:
        problems.append(
            document.problem((), f"The file is named '{stem}', the rule '{slug}'.", "Give both the same name.")
        )
    for key, known in (("lines", names.lines), ("plans", names.plans)):
        for position, name in enumerate(data.get(key, ())):
            if name not in known:
                problems.append(document.problem((key, position), f"There is no '{name}'.", _near(name, known)))
    approved = data["approved"]
    if approved["author"] == approved["approver"]:
        problems.append(
            document.problem(
                ("approved", "approver"), "Author and approver are the same.", "Have someone else approve it."
            )
        )
    start = _day(document, ("effective", "from"), problems)
    end = _day(document, ("effective", "to"), problems) if "to" in data["effective"] else None
    _day(document, ("source", "retrieved"), problems)
    if end is not None and end <= start:
        problems.append(
            document.problem(("effective", "to"), "It ends before it begins.", "'to' is the first day after it.")
        )
    return Scope(
        slug=slug,
        title=data["title"],
        codes=_codes(document, data["applies_to"]["codes"], names, problems),
        track=data["applies_to"].get("track"),
        lines=frozenset(data.get("lines", ())),
        plans=frozenset(data.get("plans", ())),
        effective_from=start,
        effective_to=end,
        source_url=data["source"]["url"],
    )


def _day(document: Document, path: tuple[str, str], problems: list[Problem]) -> date:
    text = document.data[path[0]][path[1]]
    try:
        return date.fromisoformat(text)
    except ValueError:
        problems.append(document.problem(path, f"There is no day {text}.", "Write year-month-day, such as 2026-01-31."))
        return date.min


def _codes(document: Document, stated: str | list[str], names: Names, problems: list[Problem]) -> CodeList:
    path: Path = ("applies_to", "codes")
    if isinstance(stated, str):
        name = stated.removeprefix("list:")
        if name not in names.lists:
            problems.append(document.problem(path, f"There is no list '{name}'.", _near(name, names.lists)))
            return CodeList.of(name, ())
        return names.lists[name]
    return CodeList.of(", ".join(stated), [code for text in stated if (code := parse_code(text)) is not None])


def _needs(document: Document, names: Names, problems: list[Problem]) -> tuple[Need, ...]:
    found = []
    for position, entry in enumerate(document.data.get("needs", ())):
        if isinstance(entry, str):
            found.append(Need(entry))
            continue
        ((kind, text),) = entry.items()
        name = text.removeprefix("list:")
        if name not in names.lists:
            hint = _near(name, names.lists)
            problems.append(document.problem(("needs", position, kind), f"There is no list '{name}'.", hint))
        found.append(Need(kind, name))
    return tuple(found)


def _condition(
    document: Document,
    path: Path,
    text: str | None,
    needs: tuple[Need, ...],
    names: Names,
    problems: list[Problem],
) -> Condition | None:
    if text is None:
        return None
    try:
        condition = compile_condition(text)
    except fhirpath.FhirPathSyntaxError as error:
        problems.append(document.problem(path, f"{error.message}\n{error.caret()}", "Correct the FHIRPath expression."))
        return None
    for name in condition.lists:
        if name not in names.lists:
            problems.append(document.problem(path, f"There is no list '{name}'.", _near(name, names.lists)))
    kinds = {need.kind for need in needs}
    for name in sorted(condition.variables & set(RECORD)):
        if name not in kinds:
            message = f"%{name} is used but would not be read."
            problems.append(document.problem(path, message, f"Add '{name}' to 'needs'."))
    return condition


def _answer(document: Document, path: Path, data: dict[str, Any], names: Names, problems: list[Problem]) -> Answer:
    questionnaires = _many(data.get("questionnaire"))
    for slug in questionnaires:
        if slug not in names.questionnaires:
            hint = _near(slug, names.questionnaires)
            problems.append(document.problem((*path, "questionnaire"), f"There is no form '{slug}'.", hint))
    contact = data.get("contact")
    if contact is not None and contact not in names.contacts:
        problems.append(
            document.problem((*path, "contact"), f"There is no contact '{contact}'.", _near(contact, names.contacts))
        )
    reason = data.get("reason")
    answer = Answer(
        covered=data["covered"],
        pa_needed=data.get("pa"),
        doc_needed=_many(data.get("docs")),
        doc_purpose=_many(data.get("purpose")),
        info_needed=_many(data.get("info")),
        billing_codes=tuple(code for text in data.get("billing", ()) if (code := parse_code(text)) is not None),
        reasons=(Reason(reason),) if reason else (),
        details=tuple(_detail(entry) for entry in data.get("details", ())),
        questionnaires=questionnaires,
        contacts=_many(contact),
        valid_days=data.get("valid_days"),
    )
    for broken in contradictions(answer):
        problems.append(document.problem(path, f"The answer contradicts itself: {broken}.", "Correct the answer."))
    if answer.pa_needed is None and answer.covered != "not-covered":
        message = "The answer says nothing about authorization."
        problems.append(document.problem(path, message, "Add 'pa'; silence would be read as none needed."))
    return answer


def _detail(entry: dict[str, Any]) -> Detail:
    value = entry["value"]
    if isinstance(value, dict):
        value = Quantity(value["value"], value["unit"])
    return Detail(
        code=entry["code"],
        value=value,
        category=entry.get("category", "cat-other"),
        qualification=entry.get("qualification"),
        link=entry["code"] == "policy-link",
    )


def _check_disjoint(document: Document, path: Path, answers: tuple[Answer, ...], problems: list[Problem]) -> None:
    """Several answers of one case must be told apart by billing code (CRD covinfo-1)."""
    seen: set[Code] = set()
    for answer in answers:
        if not answer.billing_codes or not seen.isdisjoint(answer.billing_codes):
            message = "Several answers must each name billing codes of their own."
            problems.append(document.problem(path, message, "Add 'billing' to each, with no code twice."))
            return
        seen.update(answer.billing_codes)


def _suggestion(entry: dict[str, Any]) -> Suggestion:
    change = entry.get("change_code")
    return Suggestion(
        label=entry["label"],
        change_to=tuple(code for text in change["codes"] if (code := parse_code(text)) is not None) if change else (),
        display=change["display"] if change else "",
        replace=entry.get("action", "update") == "replace",
        orders=tuple(
            (
                order["type"],
                tuple(c for text in order["codes"] if (c := parse_code(text)) is not None),
                order["display"],
            )
            for order in entry.get("orders", ())
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


def _many(value: str | list[str] | None) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


def _near(name: str, known: Iterable[str]) -> str:
    options = sorted(known)
    close = difflib.get_close_matches(name, options, n=1)
    return f"Did you mean '{close[0]}'?" if close else f"Known: {', '.join(options) or 'none'}."
