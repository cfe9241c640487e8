"""What would change an answer: the smallest changes of facts that lead to each other answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from app.crd.decide import decide
from app.crd.determination import Determination
from app.crd.determine import Decided
from app.crd.evidence import Evidence
from app.crd.in_play import InPlay, rules_in_play
from app.crd.supposition import Situation, Supposition, suppositions
from app.rulebook.answer import Answer
from app.rulebook.rulebook import Rulebook

# More cases than a person would wait for; what lies beyond is said to be untried.
MOST_TRIED = 5_000
# One answer is often reached in many ways that differ in a word; a few of them show the point.
_WAYS = 4


@dataclass(frozen=True, slots=True)
class Changed:
    """One fact, as it is and as it would be; with several values in `after`, each of them does."""

    fact: str
    before: str
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Way:
    """A smallest set of changes, and the rules that would decide."""

    changes: tuple[Changed, ...]
    decided_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OtherAnswer:
    """Another answer that the rules hold ready, and some of the ways that lead to it, all of the smallest size."""

    track: str | None
    answers: tuple[Answer, ...]
    ways: tuple[Way, ...]


@dataclass(frozen=True, slots=True)
class WouldChange:
    """Other answers, those that need fewest changes first. `complete` False: not every pair (or more) was tried."""

    others: tuple[OtherAnswer, ...]
    tried: int
    complete: bool


def what_would_change(
    decided: Decided, rulebook: Rulebook, *, most_changes: int = 2, most_tried: int = MOST_TRIED
) -> WouldChange:
    """Try single changes first, then pairs, up to `most_changes` at once; pure, and the same every time.

    An answer already reached by fewer changes is not looked for by more. Reasons and details do not count as change.
    """
    play, evidence = decided.play, decided.evidence
    if play is None or evidence is None:
        return WouldChange((), 0, complete=True)
    situation = Situation(play.facts, evidence.record)
    every = suppositions(situation, rulebook)
    own = _substance(decided.determination)
    reached: dict[object, tuple[Determination, list[Way]]] = {}
    tried = 0
    for size in range(1, most_changes + 1):
        before = set(reached)
        for chosen in _chosen(every, size):
            if tried == most_tried:
                return WouldChange(_others(reached), tried, complete=False)
            tried += 1
            determination = _suppose(situation, chosen, evidence, rulebook)[2]
            key = _substance(determination)
            if key == own or key in before:
                continue
            changes = tuple(Changed(each.fact, each.before, (each.after,)) for each in chosen)
            reached.setdefault(key, (determination, []))[1].append(Way(changes, determination.rule_ids))
    return WouldChange(_others(reached), tried, complete=True)


def _chosen(every: list[Supposition], size: int) -> Iterator[tuple[Supposition, ...]]:
    """Sets of changes, no fact twice."""
    for chosen in combinations(every, size):
        if len({each.fact for each in chosen}) == size:
            yield chosen


def supposed(decided: Decided, chosen: Sequence[Supposition], rulebook: Rulebook) -> Decided:
    """The order decided again, with these facts changed. As it is where its facts could not be made out."""
    if decided.play is None or decided.evidence is None:
        return decided
    situation = Situation(decided.play.facts, decided.evidence.record)
    play, evidence, determination = _suppose(situation, chosen, decided.evidence, rulebook)
    return Decided(decided.order, determination, play, evidence)


def _suppose(
    situation: Situation, chosen: Sequence[Supposition], evidence: Evidence, rulebook: Rulebook
) -> tuple[InPlay, Evidence, Determination]:
    for supposition in chosen:
        situation = supposition.apply(situation)
    play = rules_in_play(situation.facts, "order-sign", rulebook)  # the hook only chooses cards
    seen = Evidence(situation.facts, situation.record, evidence.chart, rulebook, evidence.today, evidence.forms)
    return play, seen, decide(play, seen, rulebook=rulebook, today=evidence.today)


def _substance(determination: Determination) -> object:
    """What an answer promises and asks, without its words."""
    route = determination.route
    return (
        route.track if route is not None else None,
        determination.handoff,
        tuple(
            (
                answer.covered,
                answer.pa_needed,
                answer.doc_needed,
                answer.doc_purpose,
                answer.questionnaires,
            )
            for answer in determination.answers
        ),
    )


def _others(reached: dict[object, tuple[Determination, list[Way]]]) -> tuple[OtherAnswer, ...]:
    return tuple(
        OtherAnswer(
            determination.route.track if determination.route is not None else None,
            determination.answers,
            tuple(_together(ways)[:_WAYS]),
        )
        for determination, ways in reached.values()
    )


def _together(ways: list[Way]) -> list[Way]:
    """Ways told in one where they differ in the value of a single fact and the same rules decide."""
    for position in range(len(ways[0].changes)):
        groups: dict[object, list[Way]] = {}
        for way in ways:
            others = way.changes[:position] + way.changes[position + 1 :]
            groups.setdefault((way.changes[position].fact, others, way.decided_by), []).append(way)
        ways = [_joined(group, position) for group in groups.values()]
    return ways


def _joined(group: list[Way], position: int) -> Way:
    first = group[0]
    values = dict.fromkeys(value for way in group for value in way.changes[position].after)
    changed = replace(first.changes[position], after=tuple(values))
    return replace(first, changes=(*first.changes[:position], changed, *first.changes[position + 1 :]))
