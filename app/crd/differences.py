"""What two rulebooks answer differently, in the terms of benefits: which drugs, members and days change road,
authorization, documents or codes.

Found by deciding under both over the orders they tell apart (`order_space`), and put together again into few sentences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from app.crd.order_space import Holds, Leaf, OrderSpace, Part, Ruled, named_rules, row_content, subjects
from app.rulebook.changes import RuleChange, case_words, rule_changes
from app.rulebook.policies import Policy
from app.rulebook.rulebook import Rulebook

# Decisions about one drug or service before it is cut short.
MOST_DECISIONS = 20_000
_ROADS = {
    "medical": "medical",
    "pharmacy": "pharmacy",
    "medical-bundled": "bundled",
    "none": "neither benefit",
    "undetermined": "undetermined",
}
_AUTHORIZATION = {
    "yes": "authorization needed",
    "no": "no authorization needed",
    "conditional": "authorization depends on what is missing",
    "performer": "authorization needed, started by the performer",
}
# The same where there is room for a word or two.
_IN_SHORT = {
    _AUTHORIZATION["yes"]: "needed",
    _AUTHORIZATION["no"]: "not needed",
    _AUTHORIZATION["conditional"]: "depends",
    _AUTHORIZATION["performer"]: "by the performer",
    "no rule says whether authorization is needed": "no rule says",
    "no policy speaks": "no policy",
}
_DIMENSIONS = {
    "route": "route",
    "dose_form": "form",
    "site_pos": "site",
    "enc_class": "encounter",
    "supply_channel": "supplied",
    "performer_type": "performer",
    "dx": "diagnosis",
    "age": "age",
    "sex": "sex",
    "phase": "phase",
    "network": "network",
    "group_id": "group",
    "state": "state",
}


@dataclass(frozen=True, slots=True)
class AnswerChange:
    """One change of answers. `since` None: from the first day looked at; `until` None: open end, else half-open.

    `lines` and `plans` are empty where all are meant; `when` holds what else must be so, by column. `rules` decide;
    where one of the rows `unless` decides, which rank higher, the answer stays as it was. `authorization` is what was
    and what is said of it, where that differs.
    """

    subjects: tuple[str, ...]
    lines: tuple[str, ...]
    plans: tuple[str, ...]
    when: Mapping[str, tuple[str, ...]]
    since: date | None
    until: date | None
    road: tuple[str, str] | None
    changes: tuple[str, ...]
    rules: tuple[str, ...]
    unless: tuple[str, ...] = ()
    authorization: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """All that differs. `silent` are changes of rules that change no answer; `others` cannot be put as answers.

    `decisions` were made under each rulebook; of the subjects `cut_short` not everything was looked at.
    """

    old: str
    new: str
    since: date
    answers: tuple[AnswerChange, ...]
    cards: tuple[RuleChange, ...]
    others: tuple[RuleChange, ...]
    silent: tuple[RuleChange, ...]
    subjects: int
    decisions: int
    cut_short: tuple[str, ...]


Rank = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class _Told:
    """What one part of the space comes to, while parts are put together."""

    subjects: tuple[str, ...]
    part: Mapping[str, Holds]
    road: tuple[str, str] | None
    changes: tuple[str, ...]
    rules: frozenset[str]
    winner: str | None
    rank: Rank | None
    authorization: tuple[str, str] | None
    unless: frozenset[str] = frozenset()

    @property
    def same(self) -> bool:
        """Whether both rulebooks answer alike."""
        return self.road is None and not self.changes

    @property
    def key(self) -> object:
        """What parts must have in common to be told as one."""
        return self.subjects, self.road, self.changes


def difference(
    old: Rulebook,
    new: Rulebook,
    *,
    since: date,
    most: int = MOST_DECISIONS,
    step: Callable[[int, int], None] | None = None,
) -> Difference:
    """What two rulebooks answer differently for services from `since` on. `step` hears how many subjects are done."""
    changed = rule_changes(old, new)
    names = {each.name for each in changed if each.what != "reworded"}
    names |= _by_lists(old, new, names)
    everywhere = any(each.kind in ("drug", "payer") for each in changed)
    about = [
        subject
        for subject in subjects(old, new)
        if everywhere or any(not names.isdisjoint(named_rules(book, subject)) for book in (old, new))
    ]
    space = OrderSpace(old, new, changed=names, since=since, most=most)
    told: list[_Told] = []
    for number, subject in enumerate(about):
        parts = [_compared(leaf, old, new) for leaf in space.leaves(subject)]
        told += _put_together(parts, widen=subject.name not in space.cut_short)
        if step is not None:
            step(number + 1, len(about))
    answers = [change for each in _grouped(told) for change in _spans(each, since)]
    credited = {rule.partition("#")[0] for change in answers for rule in change.rules}
    silent = [each for each in changed if each.kind in ("row", "policy") and each.name not in credited]
    cards = [each for each in changed if each.kind == "card"]
    others = [each for each in changed if each.kind not in ("row", "policy", "card")]
    return Difference(
        old.label, new.label, since, tuple(answers), tuple(cards), tuple(others), tuple(silent), len(about),
        space.decisions, tuple(space.cut_short),
    )  # fmt: skip


def _by_lists(old: Rulebook, new: Rulebook, names: set[str]) -> set[str]:
    """Policies whose criteria ask for a list that changed are changed too, though their own text is not."""
    lists = {name.removeprefix("list:") for name in names if name.startswith("list:")}
    return {
        f"policy:{policy.scope.slug}"
        for book in (old, new)
        for policy in book.policies
        if any(case.condition is not None and not lists.isdisjoint(case.condition.lists) for case in policy.cases)
    }


def _compared(leaf: Leaf, old: Rulebook, new: Rulebook) -> _Told:
    """How the answers of one part differ, if they do."""
    road = None
    if leaf.old.route is not None and leaf.new.route is not None and leaf.old.route.track != leaf.new.route.track:
        road = (_ROADS[leaf.old.route.track], _ROADS[leaf.new.route.track])
    changes = tuple(_changes(leaf.old, leaf.new, old, new, moved=road is not None))
    rules = frozenset(_deciding(leaf.old, old, leaf.new, new))
    ranks = [rank for each, book in ((leaf.old, old), (leaf.new, new)) if (rank := _rank(each, book)) is not None]
    winner = leaf.new.route.rule_id if leaf.new.route is not None else None
    said = (_authorization_in_short(leaf.old), _authorization_in_short(leaf.new))
    authorization = said if said[0] != said[1] else None
    rank = min(ranks, default=None)
    return _Told((leaf.subject.name,), leaf.part, road, changes, rules, winner, rank, authorization)


def _rank(ruled: Ruled, book: Rulebook) -> Rank | None:
    rule = book.table.rule(ruled.route.rule_id) if ruled.route is not None and ruled.route.rule_id else None
    return rule.rank[:4] if rule is not None else None


def _deciding(old: Ruled, before: Rulebook, new: Ruled, after: Rulebook) -> Iterator[str]:
    """The rules behind the two answers."""
    for ruled in (old, new):
        if ruled.route is not None and ruled.route.rule_id is not None:
            yield f"route:{ruled.route.rule_id}"
        if ruled.policy is not None:
            yield f"policy:{ruled.policy.scope.slug}"
    if old.route is not None and new.route is not None:
        # A row that decides nothing may still keep the benefit open.
        for one, book, other in ((old.route, before, after), (new.route, after, before)):
            for considered in one.considered:
                rule, same = book.table.rule(considered.rule_id), other.table.rule(considered.rule_id)
                if considered.verdict != "open" or rule is None:
                    continue
                if same is None or row_content(rule) != row_content(same):
                    yield f"route:{considered.rule_id}"


def _changes(old: Ruled, new: Ruled, before: Rulebook, after: Rulebook, *, moved: bool) -> Iterator[str]:
    """What differs beside the road. Of an order that moved, what it is now is told and not what it has left behind."""
    if old.policy is not None and new.policy is not None and old.policy.scope.slug == new.policy.scope.slug:
        yield from case_words(old.policy, new.policy, before, after)
    elif _authorization(old) != _authorization(new):
        yield f"{_authorization(new)} (before: {_authorization(old)})"
    if old.route is None or new.route is None:
        return
    one, two = old.route.outcome, new.route.outcome
    for words, name in _MOVED if moved else _STAYED:
        value, changed = getattr(one, name, None) or (), getattr(two, name, None) or ()
        if moved and changed:
            yield f"{words} {_listed(changed)}"
        elif not moved and value != changed and one is not None and two is not None:
            yield f"{words} {_listed(changed)} (before: {_listed(value)})"
    if not moved and old.route.confidence != new.route.confidence:
        yield f"{new.route.confidence} (before: {old.route.confidence})"


_MOVED = (
    ("form", "questionnaire"),
    ("billed as", "billing_codes"),
    ("administration billed as", "administration_codes"),
    ("handled by", "handoff"),
)
_STAYED = (
    *_MOVED,
    ("documents", "doc_purpose"),
    ("modifiers", "modifiers"),
    ("clock", "clock_profile"),
    ("still needed", "info_needed"),
)


def _listed(value: object) -> str:
    if isinstance(value, tuple):
        return " or ".join(" ".join(each) if isinstance(each, tuple) else str(each) for each in value) or "none"
    return str(value)


def _authorization(ruled: Ruled) -> str:
    """What is said of authorization, in few words."""
    if ruled.policy is not None:
        return f"policy {ruled.policy.scope.slug} decides ({_range(ruled.policy)})"
    route = ruled.route
    if route is None:
        return "no policy speaks"
    if route.track in ("medical", "medical-bundled", "pharmacy"):
        return _AUTHORIZATION.get(route.pa or "", "no rule says whether authorization is needed")
    return "not covered" if route.track == "none" else "authorization depends on what is missing"


def _authorization_in_short(ruled: Ruled) -> str:
    """The same in a word or two; which policy decides is left to the sentences."""
    if ruled.policy is not None:
        return "by policy"
    words = _authorization(ruled)
    return _IN_SHORT.get(words, words)


def _range(policy: Policy) -> str:
    """The authorizations that a policy's cases answer."""
    answers = [answer for case in policy.cases for answer in case.answers]
    return " or ".join(dict.fromkeys(answer.pa_needed or answer.covered for answer in answers))


def _put_together(parts: list[_Told], *, widen: bool) -> list[_Told]:
    """The parts of one subject that differ, as few as can be, and without those that answer alike.

    Only of a subject that was looked at whole can be said what else it does not depend on: then `widen`.
    """
    told = _fused([part for part in parts if not part.same])
    if not widen:
        return told
    same = [part for part in parts if part.same]
    kept: list[_Told] = []
    for each in (_widened(each, told, same) for each in told):
        if not any(_within(each, other) for other in kept):
            kept = [*(other for other in kept if not _within(other, each)), each]
    return _fused(kept)


def _widened(told: _Told, every: list[_Told], same: list[_Told]) -> _Told:
    """Without the conditions that only keep clear of rows which rank higher and decide as before: those are named."""
    for dimension in sorted(told.part):
        if dimension in ("date", "lob", "plan_id"):
            continue
        wider = replace(told, part={name: holds for name, holds in told.part.items() if name != dimension})
        others = [each for each in every if each.key != told.key and _meet(wider.part, each.part)]
        alike = [each for each in same if _meet(wider.part, each.part)]
        stronger = all(_stronger(each, told) for each in alike)
        if not others and stronger:
            told = replace(wider, unless=told.unless.union(each.winner for each in alike if each.winner))
    return told


def _stronger(alike: _Told, told: _Told) -> bool:
    """Whether another row than those behind a change decides there, and ranks above them."""
    if alike.rank is None or told.rank is None or f"route:{alike.winner}" in told.rules:
        return False
    return alike.rank < told.rank


def _meet(one: Part, two: Part) -> bool:
    """Whether two parts of the space overlap."""
    return all(holds.meets(two[name]) for name, holds in one.items() if name in two)


def _within(told: _Told, other: _Told) -> bool:
    """Whether another part tells all that this one does."""
    return told.key == other.key and all(
        name in told.part and told.part[name].values <= holds.values for name, holds in other.part.items()
    )


def _fused(told: list[_Told]) -> list[_Told]:
    """Parts of the same change put together, dimension by dimension, as long as any can be."""
    while True:
        before = len(told)
        for dimension in sorted({name for each in told for name in each.part}) or [""]:
            groups: dict[object, list[_Told]] = {}
            for each in told:
                rest = tuple(sorted((name, holds) for name, holds in _plain(each.part) if name != dimension))
                whole = each.part[dimension].whole if dimension in each.part else None
                groups.setdefault((each.key, rest, whole), []).append(each)
            told = [_joined(group, dimension) for group in groups.values()]
        if len(told) == before:
            return told


def _plain(part: Mapping[str, Holds]) -> Iterator[tuple[str, tuple[tuple[str, ...], tuple[str, ...]]]]:
    """A part in a form that can be compared and sorted."""
    for name, holds in part.items():
        yield name, (tuple(sorted(holds.values)), tuple(sorted(holds.whole)))


def _joined(group: list[_Told], dimension: str) -> _Told:
    first = _united(group)
    if dimension not in first.part:
        return first
    values = frozenset[str]().union(*(each.part[dimension].values for each in group))
    whole = first.part[dimension].whole
    rest = {name: holds for name, holds in first.part.items() if name != dimension}
    return replace(first, part=rest if values == whole else {**rest, dimension: Holds(values, whole)})


def _united(group: list[_Told]) -> _Told:
    """The first of several, for the subjects and with the rules of all."""
    return replace(
        group[0],
        subjects=tuple(sorted({name for each in group for name in each.subjects})),
        rules=frozenset[str]().union(*(each.rules for each in group)),
        unless=frozenset[str]().union(*(each.unless for each in group)),
        rank=min((each.rank for each in group if each.rank is not None), default=None),
    )


def _grouped(told: Iterable[_Told]) -> list[_Told]:
    """The same change of several subjects told once."""
    groups: dict[object, list[_Told]] = {}
    for each in told:
        groups.setdefault((each.road, each.changes, each.unless, tuple(sorted(_plain(each.part)))), []).append(each)
    return [_united(group) for group in groups.values()]


def _spans(told: _Told, since: date) -> Iterator[AnswerChange]:
    """One change for each run of days without a gap."""
    holds = told.part.get("date")
    for first, after in _runs(holds, since):
        yield AnswerChange(
            subjects=told.subjects,
            lines=_values(told, "lob"),
            plans=_values(told, "plan_id"),
            when={
                name: tuple(sorted(each.values))
                for name, each in sorted(told.part.items())
                if name not in ("date", "lob", "plan_id")
            },
            since=first,
            until=after,
            road=told.road,
            changes=told.changes,
            rules=tuple(sorted(told.rules)),
            unless=tuple(sorted(told.unless)),
            authorization=told.authorization,
        )


def _values(told: _Told, dimension: str) -> tuple[str, ...]:
    return tuple(sorted(told.part[dimension].values)) if dimension in told.part else ()


def _runs(holds: Holds | None, since: date) -> Iterator[tuple[date | None, date | None]]:
    if holds is None:
        yield None, None
        return
    edges = sorted(holds.whole)
    start: str | None = None
    for day in edges:
        if day in holds.values and start is None:
            start = day
        elif day not in holds.values and start is not None:
            yield _day(start, since), date.fromisoformat(day)
            start = None
    if start is not None:
        yield _day(start, since), None


def _day(text: str, since: date) -> date | None:
    day = date.fromisoformat(text)
    return day if day > since else None


def sentence(change: AnswerChange, most_subjects: int = 6) -> str:
    """A change in one sentence. Of many subjects the first few are named."""
    when = ""
    if change.since is not None and change.until is not None:
        when = f"From {change.since} until {change.until}, "
    elif change.since is not None:
        when = f"From {change.since}, "
    elif change.until is not None:
        when = f"Until {change.until}, "
    shown = list(change.subjects)
    if len(shown) > most_subjects:
        shown = [*shown[: most_subjects - 1], f"{len(shown) - most_subjects + 1} others"]
    told = f"{when}{_together(shown)}"
    if change.lines:
        told += f" for {_together(change.lines)}"
    if change.plans:
        told += f" ({'plan' if len(change.plans) == 1 else 'plans'} {_together(change.plans)})"
    if change.when:
        told += f", {_together([_condition(name, values) for name, values in change.when.items()])},"
    if change.road is not None:
        told += f" {'moves' if len(change.subjects) == 1 else 'move'} from {change.road[0]} to {change.road[1]}"
        told += "".join(f"; {words}" for words in change.changes)
    else:
        told += f": {'; '.join(change.changes)}"
    if change.unless:
        told += f", except where {_together(change.unless)} {'decides' if len(change.unless) == 1 else 'decide'}"
    return told.replace(",:", ":") + "."


def _condition(name: str, values: Sequence[str]) -> str:
    if name.startswith("flag "):
        return f"{name.removeprefix('flag ')} {values[0]}"
    return f"{_DIMENSIONS.get(name, name)} {' or '.join(values)}"


def _together(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def rule_sentence(change: RuleChange) -> str:
    """A change of a rule in one line, with its place."""
    words = f" ({'; '.join(change.words)})" if change.words else ""
    return f"{change.name} {change.what}{words}: {change.place}"
