"""How two rulebooks differ as rules: which rows, policies, cards, lists and drugs are new, gone or changed.

What a change means for the answers is not said here. Wording and provenance are told apart from what decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

from app.rulebook.answer import Answer
from app.rulebook.conditions import Condition
from app.rulebook.guidance import Guidance
from app.rulebook.places import Places
from app.rulebook.policies import Case, Policy
from app.rulebook.rulebook import Rulebook
from app.rulebook.scope import Scope
from benefit_router import Code, CodeList, Rule

Kind = Literal["row", "policy", "card", "list", "drug", "form", "payer"]
What = Literal["added", "removed", "changed", "reworded"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RuleChange:
    """One rule that is not the same in both. `words` say what of it changed; `place` is where it stands, or stood."""

    kind: Kind
    name: str
    what: What
    place: str
    words: tuple[str, ...] = ()


def rule_changes(old: Rulebook, new: Rulebook) -> list[RuleChange]:
    """Every rule that differs, by kind and name."""
    before, after = Places(old.files), Places(new.files)
    found = [
        *_compared(
            "row",
            {f"route:{rule.rule_id}": rule for rule in old.table.rules},
            {f"route:{rule.rule_id}": rule for rule in new.table.rules},
            _row_words,
            before.row,
            after.row,
        ),
        *_compared(
            "policy",
            {f"policy:{policy.scope.slug}": policy for policy in old.policies},
            {f"policy:{policy.scope.slug}": policy for policy in new.policies},
            lambda one, two: policy_words(one, two, old, new),
            lambda policy: before.policy(policy.scope.slug),
            lambda policy: after.policy(policy.scope.slug),
        ),
        *_compared(
            "card",
            {f"card:{card.scope.slug}": card for card in old.guidance},
            {f"card:{card.scope.slug}": card for card in new.guidance},
            lambda one, two: _card_words(one, two, old, new),
            lambda card: before.card(card.scope.slug),
            lambda card: after.card(card.scope.slug),
        ),
        *_compared(
            "list",
            {f"list:{name}": codes for name, codes in old.lists.items()},
            {f"list:{name}": codes for name, codes in new.lists.items()},
            _list_words,
            lambda codes: f"lists/{codes.name}.csv:1",
            lambda codes: f"lists/{codes.name}.csv:1",
        ),
    ]
    names = {product.name for book in (old, new) for product in book.table.catalog.products}
    for name in sorted(names):
        one, two = (set(_products(book, name)) for book in (old, new))
        if one != two:
            what: What = "added" if not one else "removed" if not two else "changed"
            found.append(RuleChange("drug", name, what, "crosswalks/drugs.csv"))
    for name in sorted({*old.questionnaires, *new.questionnaires}):
        versions = [book.questionnaires.get(name) for book in (old, new)]
        path = f"questionnaires/{name}/questionnaire.json"
        if versions[0] != versions[1] or old.files.get(path) != new.files.get(path):
            what = "added" if versions[0] is None else "removed" if versions[1] is None else "changed"
            found.append(RuleChange("form", f"form:{name}", what, path))
    found += _payer(old, new)
    return found


def _products(book: Rulebook, name: str) -> Iterator[tuple[object, ...]]:
    for product in book.table.catalog.products:
        if product.name == name:
            yield product.identities, product.dose_form, product.routes, product.billing_codes, product.classes


def _compared(
    kind: Kind,
    old: Mapping[str, T],
    new: Mapping[str, T],
    words: Callable[[T, T], tuple[list[str], bool]],
    before: Callable[[T], str],
    after: Callable[[T], str],
) -> Iterator[RuleChange]:
    for name in sorted({*old, *new}):
        if name not in old:
            yield RuleChange(kind, name, "added", after(new[name]))
        elif name not in new:
            yield RuleChange(kind, name, "removed", before(old[name]))
        else:
            told, reworded = words(old[name], new[name])
            if told:
                yield RuleChange(kind, name, "changed", after(new[name]), tuple(told))
            elif reworded:
                yield RuleChange(kind, name, "reworded", after(new[name]))


def _row_words(old: Rule, new: Rule) -> tuple[list[str], bool]:
    told = [*_dates(old, new)]
    for words, name in _ROW:
        if getattr(old, name) != getattr(new, name):
            told.append(f"other {words}")
    for name in _OUTCOME:
        one, two = getattr(old.outcome, name), getattr(new.outcome, name)
        if one != two:
            told.append(f"{name} {_shown(two)} instead of {_shown(one)}")
    worded = [(rule.title, rule.outcome.explanation, rule.outcome.patient_text, rule.provenance) for rule in (old, new)]
    return told, worded[0] != worded[1]


_ROW = (
    ("band", "band"),
    ("priority", "priority"),
    ("codes", "codes"),
    ("drug_class", "drug_class"),
    ("conditions", "conditions"),
)
_OUTCOME = (
    "track",
    "pa",
    "billing_codes",
    "modifiers",
    "administration_codes",
    "questionnaire",
    "doc_purpose",
    "clock_profile",
    "info_needed",
    "handoff",
    "confidence",
)


def _dates(old: Rule | Scope, new: Rule | Scope) -> Iterator[str]:
    if old.effective_from != new.effective_from:
        yield f"from {new.effective_from} instead of {old.effective_from}"
    if old.effective_to != new.effective_to:
        yield f"until {new.effective_to or 'further notice'} instead of {old.effective_to or 'further notice'}"


def _scope_words(old: Scope, new: Scope) -> Iterator[str]:
    yield from _dates(old, new)
    if (old.codes.exact, old.codes.prefixes) != (new.codes.exact, new.codes.prefixes):
        yield "for other codes"
    for name in ("track", "lines", "plans"):
        one, two = getattr(old, name), getattr(new, name)
        if one != two:
            yield f"{name} {_shown(two)} instead of {_shown(one)}"


def policy_words(old: Policy, new: Policy, before: Rulebook, after: Rulebook) -> tuple[list[str], bool]:
    """What of a policy changed, and whether its wording did."""
    told = [*_scope_words(old.scope, new.scope), *case_words(old, new, before, after)]
    return told, _wording(old) != _wording(new)


def _wording(policy: Policy) -> object:
    reasons = [answer.reasons for case in policy.cases for answer in case.answers]
    return policy.scope.title, policy.scope.source_url, reasons


def case_words(old: Policy, new: Policy, before: Rulebook, after: Rulebook) -> list[str]:
    """How the cases of one policy answer otherwise: criteria, answers, cases that are new or gone."""
    slug = new.scope.slug
    mine, theirs = ({case.name: case for case in policy.cases} for policy in (old, new))
    told = [f"case {slug}#{name} is gone" for name in mine if name not in theirs]
    told += [f"case {slug}#{name} is new ({_answered(case)})" for name, case in theirs.items() if name not in mine]
    kept = [name for name in mine if name in theirs]
    if kept != [name for name in theirs if name in mine]:
        told.append(f"the cases of policy {slug} are tried in another order")
    for name in kept:
        told += [f"case {slug}#{name}: {words}" for words in _one_case(mine[name], theirs[name], before, after)]
    return told


def _one_case(old: Case, new: Case, before: Rulebook, after: Rulebook) -> Iterator[str]:
    yield from _criteria(old.condition, new.condition)
    for name in new.condition.lists if new.condition is not None else ():
        if before.lists.get(name) != after.lists.get(name):
            yield f"its criteria ask for list:{name}, which is another"
    if len(old.answers) != len(new.answers):
        yield f"{len(new.answers)} answers instead of {len(old.answers)}"
        return
    for answer, other in zip(old.answers, new.answers, strict=True):
        for words, field in _ANSWER:
            value, changed = getattr(answer, field), getattr(other, field)
            if value != changed:
                yield f"{words} {_shown(changed)} instead of {_shown(value)}"
        if answer.details != other.details:
            codes = sorted({detail.code for detail in {*answer.details} ^ {*other.details}})
            yield f"other details ({', '.join(codes)})"


def _criteria(old: Condition | None, new: Condition | None) -> Iterator[str]:
    """Which criteria are new or gone; those that stay may stand in another order."""
    mine, theirs = ((condition.criteria if condition is not None else ()) for condition in (old, new))
    for text in theirs:
        if text not in mine:
            yield f"now asks `{text}`"
    for text in mine:
        if text not in theirs:
            yield f"no longer asks `{text}`"


_ANSWER = (
    ("covered", "covered"),
    ("pa", "pa_needed"),
    ("docs", "doc_needed"),
    ("purpose", "doc_purpose"),
    ("form", "questionnaires"),
    ("info", "info_needed"),
    ("billing", "billing_codes"),
    ("contact", "contacts"),
    ("valid_days", "valid_days"),
)


def _answered(case: Case) -> str:
    return "; ".join(answer_words(answer) for answer in case.answers)


def answer_words(answer: Answer) -> str:
    """An answer of a policy in short."""
    return answer.covered + (f", pa {answer.pa_needed}" if answer.pa_needed is not None else "")


def _card_words(old: Guidance, new: Guidance, before: Rulebook, after: Rulebook) -> tuple[list[str], bool]:
    told = [*_scope_words(old.scope, new.scope)]
    if old.hooks != new.hooks:
        told.append(f"hooks {_shown(new.hooks)} instead of {_shown(old.hooks)}")
    told += _criteria(old.condition, new.condition)
    for name in new.condition.lists if new.condition is not None else ():
        if before.lists.get(name) != after.lists.get(name):
            told.append(f"its condition asks for list:{name}, which is another")
    if old.priority != new.priority:
        told.append(f"priority {new.priority} instead of {old.priority}")
    for words, field in _CARD:
        if getattr(old, field) != getattr(new, field):
            told.append(f"other {words}")
    return list(dict.fromkeys(told)), (old.scope.title, old.topic) != (new.scope.title, new.topic)


_CARD = (
    ("text", "summary"),
    ("text", "detail"),
    ("links", "links"),
    ("offers", "suggestions"),
    ("form", "form"),
    ("coverage", "coverage"),
    ("app", "app"),
    ("response", "response"),
)


def _list_words(old: CodeList, new: CodeList) -> tuple[list[str], bool]:
    mine, theirs = (
        {*codes.exact, *((system, f"{prefix}*") for system, prefix in codes.prefixes)} for codes in (old, new)
    )
    told = [f"with {_codes(theirs - mine)}"] if theirs - mine else []
    return told + ([f"without {_codes(mine - theirs)}"] if mine - theirs else []), False


def _codes(codes: Iterable[Code]) -> str:
    return ", ".join(" ".join(code) for code in sorted(codes))


def _payer(old: Rulebook, new: Rulebook) -> Iterator[RuleChange]:
    sections: tuple[Literal["lines", "plans", "pharmacy", "contacts", "clocks", "flags"], ...]
    sections = ("lines", "plans", "pharmacy", "contacts", "clocks", "flags")
    for section in sections:
        one, two = getattr(old.payer, section), getattr(new.payer, section)
        for name in sorted({*one, *two}):
            if one.get(name) != two.get(name):
                what: What = "added" if name not in one else "removed" if name not in two else "changed"
                yield RuleChange("payer", f"{section}: {name}", what, "payer.yaml")
    if old.payer.coverage_types != new.payer.coverage_types:
        yield RuleChange("payer", "coverage_types", "changed", "payer.yaml")
    if old.payer.valid_days != new.payer.valid_days:
        words = f"answers hold {new.payer.valid_days} days instead of {old.payer.valid_days}"
        yield RuleChange("payer", "assertions", "changed", "payer.yaml", (words,))


def _shown(value: object) -> str:
    if value is None or value == () or value == frozenset():
        return "none"
    if isinstance(value, tuple | frozenset | set):
        return " and ".join(" ".join(each) if isinstance(each, tuple) else str(each) for each in sorted(value))
    return str(value)
