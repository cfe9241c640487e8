"""Policies: what a payer asks for an order, case by case, from YAML that meets its schema."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from app.rulebook.answer import Answer, Detail, Quantity, Reason, contradictions
from app.rulebook.codes import parse_codes
from app.rulebook.conditions import Condition
from app.rulebook.documents import Document, Path
from app.rulebook.scope import Names, Need, Scope, read_condition, read_needs, read_scope
from app.rulebook.spelling import nearest
from benefit_router import Code, CodeList, Problem


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


def build_policy(document: Document, names: Names, problems: list[Problem]) -> Policy:
    """A policy from a document that meets its schema."""
    data: dict[str, Any] = document.data
    scope = read_scope(document, data["policy"], names, problems)
    needs = read_needs(document, names, problems)
    cases: list[Case] = []
    for position, entry in enumerate(data["cases"]):
        path: Path = ("cases", position)
        condition = read_condition(document, (*path, "when"), entry.get("when"), needs, names, problems)
        last = position == len(data["cases"]) - 1
        if last and "when" in entry:
            message = "The last case has a 'when', so some orders would get no answer."
            problems.append(document.problem(path, message, "Add a last case without 'when'."))
        if not last and "when" not in entry:
            message = "Only the last case may do without 'when'; those after it could never answer."
            problems.append(document.problem(path, message, "Add a 'when', or move the case to the end."))
        if any(case.name == entry["case"] for case in cases):
            message = f"There are two cases '{entry['case']}', so no answer could say which it came from."
            problems.append(document.problem((*path, "case"), message, "Give each case its own name."))
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


def check_overlaps(policies: Iterable[Policy]) -> list[Problem]:
    """Pairs of policies that would both speak about the same order with nothing to choose between them."""
    problems = []
    for one, two in combinations((policy.scope for policy in policies), 2):
        if _same_ground(one, two) and (shared := _shared(one.codes, two.codes)) is not None:
            message = (
                f"'{two.slug}' and '{one.slug}' both speak about {' '.join(shared)} for the same members and dates."
            )
            remedy = "Narrow one of them by lines, plans, track or dates."
            problems.append(Problem(f"policies/{two.slug}.yaml", None, "applies_to", message, remedy))
    return problems


def _shared(one: CodeList, two: CodeList) -> Code | None:
    """The first code, or prefix, in both lists."""
    found = {code for code in one.exact if code in two} | {code for code in two.exact if code in one}
    for system, prefix in one.prefixes:
        for other, beside in two.prefixes:
            if system == other and (prefix.startswith(beside) or beside.startswith(prefix)):
                found.add((system, f"{max(prefix, beside, key=len)}*"))
    return min(found, default=None)


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


def _answer(document: Document, path: Path, data: dict[str, Any], names: Names, problems: list[Problem]) -> Answer:
    questionnaires = _many(data.get("questionnaire"))
    for slug in questionnaires:
        if slug not in names.questionnaires:
            hint = nearest(slug, names.questionnaires)
            problems.append(document.problem((*path, "questionnaire"), f"There is no form '{slug}'.", hint))
    contact = data.get("contact")
    if contact is not None and contact not in names.contacts:
        problems.append(
            document.problem((*path, "contact"), f"There is no contact '{contact}'.", nearest(contact, names.contacts))
        )
    reason = data.get("reason")
    answer = Answer(
        covered=data["covered"],
        pa_needed=data.get("pa"),
        doc_needed=_many(data.get("docs")),
        doc_purpose=_many(data.get("purpose")),
        info_needed=_many(data.get("info")),
        billing_codes=parse_codes(data.get("billing", ())),
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


def _many(value: str | list[str] | None) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)
