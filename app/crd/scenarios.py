"""Running a scenario: its shorthand becomes a real hook request, and takes the way every request takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from app.crd import cards
from app.crd.chart import Resource
from app.crd.determination import Determination
from app.crd.determine import Decided
from app.crd.gather import RECORD_TYPES, Kept, Record
from app.crd.rehearsal import Rehearsal
from app.crd.respond import finished
from app.crd.shorthand import hook_request, record_entry, returned_form
from app.errors import RequestError
from app.fhir.json import encode
from app.hooks.configuration import Configuration
from app.members import Grants, Member, MemberDirectory, MemberMatch
from app.members.roster import Roster
from app.rulebook.codes import parse_code
from app.rulebook.rulebook import Rulebook
from app.rulebook.scenarios import Scenario

# The day a member without `to` loses coverage: never.
_NEVER = "9999"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a scenario came to. `differences` says in words where the answer is not the expected one.

    `shown` are the names of the cards each order gets, by the order's key.
    """

    decided: tuple[Decided, ...]
    determinations: tuple[Determination, ...]
    shown: Mapping[str, list[str]]
    differences: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every expectation held."""
        return not self.differences


@dataclass(frozen=True, slots=True)
class _Described:
    """A member source with the one member the scenario describes. `start` and `end` are days, half-open."""

    member: Member
    start: str
    end: str

    def find(self, coverage: Resource, patient: Resource | None, on: date) -> MemberMatch:
        if self.start <= on.isoformat() < self.end:
            return MemberMatch("found", self.member)
        return MemberMatch("ended", self.member, "The member has no coverage in force on the day of service.")


def run(scenario: Scenario, rulebook: Rulebook, roster: Path) -> Outcome:
    """Answer the scenario's orders and compare with what it expects."""
    try:
        rehearsal = rehearse(scenario, rulebook, roster)
    except RequestError as error:
        return Outcome((), (), {}, (f"the request is refused: {error}",))
    return judge(scenario, rehearsal, rulebook)


def rehearse(scenario: Scenario, rulebook: Rulebook, roster: Path) -> Rehearsal:
    """The scenario's call, made ready. Raises RequestError when its request would be refused."""
    return Rehearsal.of(
        scenario.request or encode(hook_request(scenario, rulebook)),
        directory=_directory(scenario, roster),
        payer=rulebook.payer,
        today=date.fromisoformat(scenario.on),
        record=_record(scenario),
        forms=[
            returned_form(slug, answers, rulebook) for slug, answers in scenario.forms.items() if slug in rulebook.forms
        ],
    )


def judge(scenario: Scenario, rehearsal: Rehearsal, rulebook: Rulebook) -> Outcome:
    """What a scenario made ready comes to under a rulebook."""
    decided = tuple(rehearsal.decide(rulebook))
    shown: dict[str, list[str]] = {order.key: [] for order in rehearsal.orders}
    for each in cards.shown(decided, Configuration()):
        for facts in each.orders:
            shown[facts.order.key].append(each.guidance.scope.slug)
    leaving = tuple(finished(each.determination, rehearsal.request.hook, rehearsal.today) for each in decided)
    expected = scenario.expect * len(leaving) if len(scenario.expect) == 1 else scenario.expect
    if len(expected) != len(leaving):
        words = f"expected answers for {len(expected)} orders, the request has {len(leaving)}"
        return Outcome(decided, leaving, shown, (words,))
    differences = [
        words
        for position, (expect, determination) in enumerate(zip(expected, leaving, strict=True))
        for words in _compare(
            expect,
            determination,
            shown[determination.order_key],
            f"order {position + 1}: " if len(leaving) > 1 else "",
        )
    ]
    return Outcome(decided, leaving, shown, tuple(differences))


def answer(
    scenario: Scenario, rulebook: Rulebook, roster: Path
) -> tuple[tuple[Determination, ...], Mapping[str, list[str]]]:
    """The determinations of a scenario as they would leave, and the guidance whose cards each order gets."""
    outcome = judge(scenario, rehearse(scenario, rulebook, roster), rulebook)
    return outcome.determinations, outcome.shown


def without_route(scenario: Scenario) -> Scenario:
    """The same scenario with no order saying its route."""
    return replace(scenario, orders=tuple({k: v for k, v in o.items() if k != "route"} for o in scenario.orders))


def at_ingredient_level(scenario: Scenario, rulebook: Rulebook) -> Scenario:
    """The same scenario with every catalogued drug named by its ingredient only."""
    return replace(scenario, orders=tuple(_ingredient_only(order, rulebook) for order in scenario.orders))


def _ingredient_only(order: Mapping[str, Any], rulebook: Rulebook) -> Mapping[str, Any]:
    catalog = rulebook.crosswalks.catalog
    codes = [code for text in order.get("codes", ()) if (code := parse_code(text)) is not None]
    meant = catalog.candidates(codes)
    ingredients = {product.ingredient for product in meant.products}
    if not meant.known or len(ingredients) != 1 or None in ingredients:
        return order
    system, name = next(ingredient for ingredient in ingredients if ingredient is not None)
    return {**{k: v for k, v in order.items() if k != "billing_options"}, "codes": [f"{system} {name}"]}


def _directory(scenario: Scenario, roster: Path) -> MemberDirectory:
    described = scenario.member
    if described is None or isinstance(described, str):
        return MemberDirectory([Roster.read(roster)], Grants.read(roster.parent))
    member = Member(
        member_id="described",
        source="roster",
        line=described.get("line"),
        plan=described.get("plan"),
        group=described.get("group"),
        state=described.get("state"),
        pharmacy=described.get("pharmacy"),
        birth_date=described.get("birth_date"),
        flags=described.get("flags", {}),
    )
    return MemberDirectory([_Described(member, described.get("from", ""), described.get("to", _NEVER))])


def _record(scenario: Scenario) -> Record:
    """What the EHR holds. A request brings its own record, but for the kinds that the scenario names."""
    kinds = RECORD_TYPES if scenario.request is None else scenario.record
    return {kind: _kept(kind, scenario.record.get(kind, [])) for kind in kinds}


def _kept(kind: str, entries: str | list[Any]) -> Kept:
    if isinstance(entries, str):
        return Kept((), f"the patient's {kind} could not be read: the EHR did not answer")
    return Kept(tuple(record_entry(kind, entry, position) for position, entry in enumerate(entries)))


def _compare(expect: Mapping[str, Any], determination: Determination, shown: list[str], place: str) -> Iterator[str]:
    """Where the determination is not what was expected, in words."""
    expected_answers = expect.get("answers", ())
    if expected_answers and len(expected_answers) != len(determination.answers):
        yield f"{place}expected {len(expected_answers)} answers, got {len(determination.answers)}"
        return
    # What stands beside `answers` is about the first.
    wanted = [(0, expect), *enumerate(expected_answers)]
    for position, part in wanted:
        actual = _told(determination, position, shown)
        for key, value in part.items():
            if key == "answers":
                continue
            if key in _PART and value:
                if str(value).lower() not in str(actual[key]).lower():
                    yield f"{place}{key}: expected to hold {value!r}, got {actual[key]!r}"
            elif _plain(key, value) != actual[key]:
                yield f"{place}{key}: expected {_plain(key, value)!r}, got {actual[key]!r} ({actual['reason']})"


def _told(determination: Determination, position: int, shown: list[str]) -> dict[str, Any]:
    """A determination in the words scenarios use."""
    answer, route = determination.answers[position], determination.route
    details = {detail.code: detail.value for detail in answer.details}
    return {
        "track": details.get("benefit-track") or (route.track if route is not None else None),
        "confidence": route.confidence if route is not None else None,
        "rule": route.rule_id if route is not None else None,
        "covered": answer.covered,
        "pa": answer.pa_needed,
        "docs": sorted(answer.doc_needed),
        "purpose": sorted(answer.doc_purpose),
        "questionnaire": sorted(answer.questionnaires),
        "info": sorted(answer.info_needed),
        "billing": sorted(" ".join(code) for code in answer.billing_codes),
        "reason": " ".join(reason.text for reason in answer.reasons),
        "code": next((reason.code for reason in answer.reasons if reason.code), None),
        "policy": determination.policy,
        "case": determination.case,
        "handoff": determination.handoff,
        "modifiers": sorted(str(details.get("billing-modifiers", "")).replace(",", " ").split()),
        "decision_time": details.get("decision-time", ""),
        "patient_text": details.get("patient-note", ""),
        "cards": sorted(shown),
    }


_LISTS = frozenset({"docs", "purpose", "questionnaire", "info", "billing", "modifiers", "cards"})
_PART = frozenset({"reason", "patient_text"})  # a part of the text is enough


def _plain(key: str, value: Any) -> Any:
    """An expectation in the shape `_told` gives: lists in order, a single word as a list of one."""
    if key not in _LISTS:
        return value
    listed = sorted(value if isinstance(value, list) else [value])
    if key != "billing":
        return listed
    return sorted(" ".join(code) for text in listed if (code := parse_code(text)) is not None)
