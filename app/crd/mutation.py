"""Rules changed one at a time: a change that no scenario notices shows what the scenarios leave open.

Each mutation is made on the rule itself, as loaded; nothing is read again. A changed row keeps its rank.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TypeVar

from app.rulebook.answer import Answer
from app.rulebook.conditions import Condition, compile_condition
from app.rulebook.guidance import Guidance
from app.rulebook.payer import Clock
from app.rulebook.places import Places
from app.rulebook.policies import Case, Policy
from app.rulebook.rulebook import Rulebook
from app.rulebook.scope import Scope
from benefit_router import Code, CodeList, Rule, Track
from benefit_router.rule import AgeRange, Authorization, Flag, Indication, OneOf

DAY = timedelta(days=1)
_OTHER_TRACK: dict[Track, Track] = {
    "medical": "pharmacy",
    "pharmacy": "medical",
    "medical-bundled": "medical",
    "none": "medical",
    "undetermined": "medical",
}
_OTHER_AUTHORIZATION: dict[Authorization, Authorization] = {
    "yes": "no",
    "no": "yes",
    "conditional": "no",
    "performer": "no",
}

Ruled = TypeVar("Ruled", Rule, Policy, Guidance)


@dataclass(frozen=True, slots=True)
class Mutation:
    """One change. `rule` is the rule changed, by name; `touches` all rules whose working it changes."""

    rule: str
    place: str
    words: str
    touches: frozenset[str]
    apply: Callable[[Rulebook], Rulebook]


def mutations(rulebook: Rulebook) -> list[Mutation]:
    """Every mutation of a rulebook, always in the same order."""
    places = Places(rulebook.files)
    return [
        *_of_rows(rulebook, places),
        *_of_policies(rulebook, places),
        *_of_cards(rulebook, places),
        *_of_lists(rulebook, places),
    ]


def _of_rows(rulebook: Rulebook, places: Places) -> Iterator[Mutation]:
    for rule in sorted(rulebook.table.rules, key=lambda rule: rule.line):
        name = f"route:{rule.rule_id}"
        for words, changed in _rows(rule, rulebook):
            yield Mutation(name, places.row(rule), words, frozenset((name,)), _row_changer(rule, changed))


def _row_changer(rule: Rule, changed: Rule | None) -> Callable[[Rulebook], Rulebook]:
    return lambda book: book.altered(rules=_with(book.table.rules, rule, changed))


def _with(rules: Sequence[Ruled], rule: Ruled, changed: Ruled | None) -> list[Ruled]:
    """The rules with one of them changed, or without it."""
    return [one if one is not rule else changed for one in rules if one is not rule or changed is not None]  # type: ignore[misc]


def _rows(rule: Rule, rulebook: Rulebook) -> Iterator[tuple[str, Rule | None]]:
    outcome = rule.outcome
    yield "left out", None
    track = _OTHER_TRACK[outcome.track]
    yield f"track {track} instead of {outcome.track}", replace(rule, outcome=replace(outcome, track=track))
    if outcome.pa is not None:
        pa = _OTHER_AUTHORIZATION[outcome.pa]
        yield f"pa {pa} instead of {outcome.pa}", replace(rule, outcome=replace(outcome, pa=pa))
    if outcome.billing_codes:
        yield "billing_codes left out", replace(rule, outcome=replace(outcome, billing_codes=()))
    if outcome.modifiers:
        yield "modifiers left out", replace(rule, outcome=replace(outcome, modifiers=()))
    if outcome.patient_text:
        yield "patient_text left out", replace(rule, outcome=replace(outcome, patient_text=""))
    if (clock := _other_clock(outcome.clock_profile, rulebook.payer.clocks)) is not None:
        words = f"clock_profile {clock} instead of {outcome.clock_profile}"
        yield words, replace(rule, outcome=replace(outcome, clock_profile=clock))
    for words, start, end in _dates(rule.effective_from, rule.effective_to):
        yield words, replace(rule, effective_from=start, effective_to=end)
    if isinstance(rule.codes, CodeList) and _own(rule.codes, rulebook):
        for code in _entries(rule.codes):
            yield f"match_code without {' '.join(code)}", replace(rule, codes=without(rule.codes, code))
    for condition in rule.conditions:
        others = tuple(each for each in rule.conditions if each is not condition)
        yield f"{condition.signal} ({condition.wanted()}) left out", replace(rule, conditions=others)
        if isinstance(condition, OneOf) and len(condition.allowed) > 1:
            for value in sorted(condition.allowed):
                less = replace(condition, allowed=condition.allowed - {value})
                yield f"{condition.signal} without {value}", replace(rule, conditions=(*others, less))
        elif isinstance(condition, Flag):
            flipped = replace(condition, expected=not condition.expected)
            yield f"condition_flag {flipped.wanted()}", replace(rule, conditions=(*others, flipped))
        elif isinstance(condition, AgeRange):
            for moved in _ages(condition):
                yield f"age {moved.wanted()}", replace(rule, conditions=(*others, moved))


def _other_clock(name: str | None, clocks: Mapping[str, Clock]) -> str | None:
    """The first clock in force with other times than the one named."""
    named = clocks.get(name or "")
    if named is None:
        return None
    others = (other for other, clock in clocks.items() if clock.status == "in-force" and clock.words != named.words)
    return next(others, None)


def _ages(condition: AgeRange) -> Iterator[AgeRange]:
    """One year off, at each end."""
    if condition.minimum is not None:
        yield replace(condition, minimum=condition.minimum + 1)
    if condition.maximum is not None:
        yield replace(condition, maximum=condition.maximum - 1)


def _dates(start: date, end: date | None) -> Iterator[tuple[str, date, date | None]]:
    """One day each side of every date."""
    yield "starts a day later", start + DAY, end
    yield "starts a day earlier", start - DAY, end
    if end is not None:
        yield "ends a day later", start, end + DAY
        if end - DAY > start:
            yield "ends a day earlier", start, end - DAY


def _of_policies(rulebook: Rulebook, places: Places) -> Iterator[Mutation]:
    for policy in rulebook.policies:
        slug = policy.scope.slug
        touched = frozenset((f"policy:{slug}",))
        yield Mutation(f"policy:{slug}", places.policy(slug), "left out", touched, _policy_changer(policy, None))
        for words, scope in _scopes(policy.scope, rulebook):
            changer = _policy_changer(policy, replace(policy, scope=scope))
            yield Mutation(f"policy:{slug}", places.policy(slug), words, touched, changer)
        for position, case in enumerate(policy.cases):
            name, place = f"policy:{slug}#{case.name}", places.case(slug, position)
            for words, cases in _cases(policy.cases, position):
                changer = _cases_changer(policy, cases)
                yield Mutation(name, place, words, touched, changer)


def _policy_changer(policy: Policy, changed: Policy | None) -> Callable[[Rulebook], Rulebook]:
    return lambda book: book.altered(policies=_with(book.policies, policy, changed))


def _cases_changer(policy: Policy, cases: Callable[[], Sequence[Case]]) -> Callable[[Rulebook], Rulebook]:
    return lambda book: book.altered(policies=_with(book.policies, policy, replace(policy, cases=tuple(cases()))))


def _scopes(scope: Scope, rulebook: Rulebook) -> Iterator[tuple[str, Scope]]:
    for words, start, end in _dates(scope.effective_from, scope.effective_to):
        yield words, replace(scope, effective_from=start, effective_to=end)
    if scope.lines:
        yield "lines left out", replace(scope, lines=frozenset())
    if scope.plans:
        yield "plans left out", replace(scope, plans=frozenset())
    for line in sorted(scope.lines) if len(scope.lines) > 1 else ():
        yield f"lines without {line}", replace(scope, lines=scope.lines - {line})
    for plan in sorted(scope.plans) if len(scope.plans) > 1 else ():
        yield f"plans without {plan}", replace(scope, plans=scope.plans - {plan})
    if _own(scope.codes, rulebook):
        for code in _entries(scope.codes):
            yield f"codes without {' '.join(code)}", replace(scope, codes=without(scope.codes, code))


def _cases(cases: tuple[Case, ...], position: int) -> Iterator[tuple[str, Callable[[], Sequence[Case]]]]:
    """Changes of one case. Conditions are compiled only when a change is made."""
    case, before, after = cases[position], cases[:position], cases[position + 1 :]
    condition = case.condition
    if condition is not None:
        yield "left out", lambda: (*before, *after)
        yield "when negated", lambda: (*before, replace(case, condition=negated(condition)), *after)
    for words, change in (
        ("pa", _other_authorization),
        ("covered", _other_coverage),
        ("docs left out", _without_documents),
    ):
        answers = tuple(change(answer) for answer in case.answers)
        if answers != case.answers:
            told = words
            if words == "pa":
                told = f"pa {answers[0].pa_needed} instead of {case.answers[0].pa_needed}"
            elif words == "covered":
                told = f"{answers[0].covered} instead of {case.answers[0].covered}"
            yield told, _replacing(cases, position, replace(case, answers=answers))


def _replacing(cases: tuple[Case, ...], position: int, case: Case) -> Callable[[], Sequence[Case]]:
    return lambda: (*cases[:position], case, *cases[position + 1 :])


def negated(condition: Condition) -> Condition:
    """Its opposite: what was unknown stays unknown."""
    return compile_condition(f"({condition.text}).not()")


def _other_authorization(answer: Answer) -> Answer:
    if answer.pa_needed is None:
        return answer
    if answer.pa_needed == "no-auth":
        return replace(answer, pa_needed="auth-needed")
    asked = answer.covered == "conditional" or "conditional" in answer.doc_needed
    kept = tuple(purpose for purpose in answer.doc_purpose if purpose != "withpa")
    freed = replace(answer, pa_needed="no-auth", doc_purpose=kept, info_needed=answer.info_needed if asked else ())
    return freed if kept or not answer.doc_purpose else _without_documents(freed)


def _other_coverage(answer: Answer) -> Answer:
    if answer.covered == "not-covered":
        return replace(answer, covered="covered", pa_needed="no-auth")
    bare = _without_documents(answer)
    return replace(bare, covered="not-covered", pa_needed=None, info_needed=())


def _without_documents(answer: Answer) -> Answer:
    asked = "conditional" in (answer.covered, answer.pa_needed)
    return replace(
        answer, doc_needed=(), doc_purpose=(), questionnaires=(), info_needed=answer.info_needed if asked else ()
    )


def _of_cards(rulebook: Rulebook, places: Places) -> Iterator[Mutation]:
    for guidance in rulebook.guidance:
        name, place = f"card:{guidance.scope.slug}", places.card(guidance.scope.slug)
        touched = frozenset((name,))
        yield Mutation(name, place, "left out", touched, _card_changer(guidance, lambda _: None))
        condition = guidance.condition
        if condition is not None:
            for words, change in (("when left out", lambda _: None), ("when negated", negated)):
                yield Mutation(name, place, words, touched, _condition_changer(guidance, condition, change))
        for words, scope in _scopes(guidance.scope, rulebook):
            yield Mutation(name, place, words, touched, _scope_changer(guidance, scope))


def _card_changer(guidance: Guidance, change: Callable[[Guidance], Guidance | None]) -> Callable[[Rulebook], Rulebook]:
    return lambda book: book.altered(guidance=_with(book.guidance, guidance, change(guidance)))


def _condition_changer(
    guidance: Guidance, condition: Condition, change: Callable[[Condition], Condition | None]
) -> Callable[[Rulebook], Rulebook]:
    return _card_changer(guidance, lambda card: replace(card, condition=change(condition)))


def _scope_changer(guidance: Guidance, scope: Scope) -> Callable[[Rulebook], Rulebook]:
    return _card_changer(guidance, lambda card: replace(card, scope=scope))


def _of_lists(rulebook: Rulebook, places: Places) -> Iterator[Mutation]:
    for name, codes in rulebook.lists.items():
        touched = frozenset(_users(rulebook, codes))
        for code in _entries(codes):
            words = f"without {' '.join(code)}"
            yield Mutation(f"list:{name}", places.entry(name, code), words, touched, _list_changer(name, codes, code))


def _users(rulebook: Rulebook, codes: CodeList) -> Iterator[str]:
    """The rules that a list speaks in."""
    for rule in rulebook.table.rules:
        lists = [rule.codes, *(each.codes for each in rule.conditions if isinstance(each, Indication))]
        if any(each is codes for each in lists):
            yield f"route:{rule.rule_id}"
    for policy in rulebook.policies:
        asked = (case.condition for case in policy.cases)
        if policy.scope.codes is codes or any(each and codes.name in each.lists for each in asked):
            yield f"policy:{policy.scope.slug}"
    for guidance in rulebook.guidance:
        if guidance.scope.codes is codes or (guidance.condition and codes.name in guidance.condition.lists):
            yield f"card:{guidance.scope.slug}"


def _list_changer(name: str, codes: CodeList, code: Code) -> Callable[[Rulebook], Rulebook]:
    def change(book: Rulebook) -> Rulebook:
        less = without(codes, code)

        def row(rule: Rule) -> Rule:
            conditions = tuple(
                replace(each, codes=less) if isinstance(each, Indication) and each.codes is codes else each
                for each in rule.conditions
            )
            return replace(rule, codes=less if rule.codes is codes else rule.codes, conditions=conditions)

        return book.altered(
            rules=[row(rule) for rule in book.table.rules],
            policies=[_scoped(policy, codes, less) for policy in book.policies],
            guidance=[_scoped(guidance, codes, less) for guidance in book.guidance],
            lists={**book.lists, name: less},
        )

    return change


Scoped = TypeVar("Scoped", Policy, Guidance)


def _scoped(rule: Scoped, codes: CodeList, less: CodeList) -> Scoped:
    return replace(rule, scope=replace(rule.scope, codes=less)) if rule.scope.codes is codes else rule


def _own(codes: CodeList, rulebook: Rulebook) -> bool:
    """Whether several codes stand in the rule itself; a named list is changed as a list."""
    named = any(codes is each for each in rulebook.lists.values())
    return not named and len(codes.exact) + len(codes.prefixes) > 1


def _entries(codes: CodeList) -> list[Code]:
    return sorted([*codes.exact, *((system, f"{prefix}*") for system, prefix in codes.prefixes)])


def without(codes: CodeList, code: Code) -> CodeList:
    """A list less one entry; a prefix is written with its `*`."""
    return CodeList.of(codes.name, (each for each in _entries(codes) if each != code))
