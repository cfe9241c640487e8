"""The metrics that the CRD guide suggests (davinci-crd 2.2.1, "Metrics", 1 to 6), over the calls of the ledger.

The guide counts calls: one counts for a metric when any answer in it does. Metric 7, the reduction in submissions,
needs figures that a ledger does not have: how many there were before CRD, and how many reach the payer by other roads.
8 and 9 are these same metrics by client or orderer and by hook.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from app.ledger import MeasuredAssertion, MeasuredCall
from app.metrics.budget import TARGET_PERCENT, budget_s

ALL = "all"
"""Name of the group of every call."""

DIMENSIONS: dict[str, Callable[[MeasuredCall], Iterable[str]]] = {
    "hook": lambda call: (call.hook,),
    "client": lambda call: (call.client or "not known",),
    "orderer": lambda call: {_orderer(each) for each in call.assertions} or ("no answer",),
    "line": lambda call: {each.line_of_business or "not known" for each in call.assertions} or ("no answer",),
    "version": lambda call: (call.protocol_version or "not known",),
    "month": lambda call: (f"{call.received_at:%Y-%m}",),
    "day": lambda call: (f"{call.received_at:%Y-%m-%d}",),
}
"""What calls may be grouped by. A call with answers for two orderers (NPI) or lines of business counts in both."""


@dataclass(frozen=True, slots=True)
class Metric:
    """`volume` calls `of` so many. `number` is the guide's, or the requirement that asks for it, or "" for our own."""

    number: str
    name: str
    volume: int
    of: int

    @property
    def percent(self) -> float | None:
        """To one decimal place; None of nothing."""
        return round(100 * self.volume / self.of, 1) if self.of else None


@dataclass(frozen=True, slots=True)
class AnswerCount:
    """How many answers said so. An answer is one determination of one order, given anew or honoured."""

    track: str
    covered: str
    pa_needed: str
    count: int


@dataclass(frozen=True, slots=True)
class Group:
    """The figures of one group of calls. `seconds` are percentiles of the calls answered with 200, by name."""

    name: str
    calls: int
    metrics: tuple[Metric, ...]
    seconds: dict[str, float]
    answers: tuple[AnswerCount, ...]
    statuses: dict[int, int]


class CrdMetrics:
    """Counts calls, in groups of one dimension and all together."""

    def __init__(self, by: str = "hook") -> None:
        self._keys = DIMENSIONS[by]
        self._groups: defaultdict[str, _Tally] = defaultdict(_Tally)

    def add(self, call: MeasuredCall) -> None:
        """Count a call."""
        said = [_said(each) for each in call.assertions]
        for name in (ALL, *self._keys(call)):
            self._groups[name].add(call, said)

    def groups(self) -> list[Group]:
        """All calls together, then each group by name; [] before any call."""
        names = sorted(self._groups, key=lambda name: (name != ALL, name))
        return [self._groups[name].group(name) for name in names]


class _Facts(msgspec.Struct):
    """Why something is missing stands in the place of its value."""

    requester_npi: Any = None


_read_facts = msgspec.json.Decoder(_Facts)


def _orderer(assertion: MeasuredAssertion) -> str:
    npi = _read_facts.decode(assertion.facts).requester_npi
    return npi if isinstance(npi, str) else "not known"


class _Line(msgspec.Struct):
    """One answer of a determination, as far as metrics look at it."""

    covered: str
    pa_needed: str | None = None
    doc_needed: tuple[str, ...] = ()
    questionnaires: tuple[str, ...] = ()


class _Determination(msgspec.Struct):
    answers: tuple[_Line, ...]


class _Answer(msgspec.Struct):
    determination: _Determination


_read = msgspec.json.Decoder(_Answer)


@dataclass(frozen=True, slots=True)
class _Said:
    """An assertion with every coverage-information it became."""

    assertion: MeasuredAssertion
    lines: tuple[_Line, ...]


def _said(assertion: MeasuredAssertion) -> _Said:
    return _Said(assertion, _read.decode(assertion.answer).determination.answers)


def _asks_for_documents(line: _Line) -> bool:
    """The guide counts clinical and administrative ones, not what is still conditional."""
    return "clinical" in line.doc_needed or "admin" in line.doc_needed


# The guide's own order: number, name, what counts, what it is a share of (None: calls answered with 200).
_Test = Callable[[_Line], Any]
_COUNTED: tuple[tuple[str, str, _Test, _Test | None], ...] = (
    ("1", "with coverage information", lambda line: True, None),
    *(
        ("2", f"answered {word}", lambda line, word=word: line.covered == word, None)
        for word in ("covered", "not-covered", "conditional", "indeterminate")
    ),
    (
        "3",
        "authorization needed, with a form",
        lambda line: line.pa_needed == "auth-needed" and line.questionnaires,
        lambda line: line.pa_needed == "auth-needed",
    ),
    (
        "4",
        "documents needed, with a form",
        lambda line: _asks_for_documents(line) and line.questionnaires,
        _asks_for_documents,
    ),
    ("5", "authorization satisfied", lambda line: line.pa_needed == "satisfied", None),
)


@dataclass(slots=True)
class _Tally:
    calls: int = 0
    within_5_s: int = 0
    within_budget: int = 0
    ehr_read: int = 0
    ms: array[float] = field(default_factory=lambda: array("d"))
    statuses: Counter[int] = field(default_factory=Counter)
    counted: Counter[str] = field(default_factory=Counter)
    bases: Counter[str] = field(default_factory=Counter)
    answers: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def add(self, call: MeasuredCall, said: list[_Said]) -> None:
        self.calls += 1
        self.statuses[call.status] += 1
        self.ehr_read += call.token_use == "used"  # noqa: S105  # a word of the metric model
        if call.status == 200:
            self.ms.append(call.answered_in_ms)
            self.within_5_s += call.answered_in_ms < 5000
            self.within_budget += call.answered_in_ms < 1000 * budget_s(call.hook)
        lines = [line for each in said for line in each.lines]
        for _, name, counts, base in _COUNTED:
            self.counted[name] += any(map(counts, lines))
            self.bases[name] += base is not None and any(map(base, lines))
        for each in said:
            stated = each.assertion
            self.answers[(stated.track or "-", stated.covered, stated.pa_needed or "-")] += 1

    def group(self, name: str) -> Group:
        answered = len(self.ms)
        failed = sum(count for status, count in self.statuses.items() if status >= 500)
        metrics = [Metric("", "answered (HTTP 200)", answered, self.calls)]
        metrics += [
            Metric(number, words, self.counted[words], answered if base is None else self.bases[words])
            for number, words, _, base in _COUNTED
        ]
        metrics += [
            Metric("6", "in under 5 seconds", self.within_5_s, answered),
            # A call that failed by our fault was not answered in time either.
            Metric("found-2", f"within budget (at least {TARGET_PERCENT} %)", self.within_budget, answered + failed),
            Metric("", "EHR read with the call's token", self.ehr_read, self.calls),
        ]
        return Group(
            name=name,
            calls=self.calls,
            metrics=tuple(metrics),
            seconds=_percentiles(self.ms),
            answers=tuple(
                AnswerCount(*key, count) for key, count in sorted(self.answers.items(), key=lambda at: (-at[1], at[0]))
            ),
            statuses=dict(sorted(self.statuses.items())),
        )


def _percentiles(ms: array[float]) -> dict[str, float]:
    """Seconds that so many percent of the calls did not exceed (nearest rank)."""
    if not ms:
        return {}
    ranked = sorted(ms)
    last = len(ranked) - 1
    at = {f"p{share}": ranked[-(-len(ranked) * share // 100) - 1] for share in (50, 90, 95, 99)} | {"max": ranked[last]}
    return {name: round(value / 1000, 4) for name, value in at.items()}
