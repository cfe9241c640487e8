"""How the service does, for whoever owns it: volumes, benefits, answers, the share in time, feedback, slow rules."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from app.console import charts
from app.console.charts import Chart
from app.ledger import FeedbackLine, MeasuredCall
from app.metrics.budget import TARGET_PERCENT, budget_s

_SLOWEST = 10
_FEWEST = 3
"""Calls that a rule must have been in before anything is said of its time."""


@dataclass(slots=True)
class _Day:
    calls: int = 0
    judged: int = 0
    in_time: int = 0


@dataclass(slots=True)
class Figures:
    """Counts calls as the ledger hands them over (`add`), then draws them."""

    days: defaultdict[date, _Day] = field(default_factory=lambda: defaultdict(_Day))
    tracks: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    times: defaultdict[str, array[float]] = field(default_factory=lambda: defaultdict(lambda: array("d")))
    calls: int = 0
    orders: int = 0

    def add(self, call: MeasuredCall) -> None:
        """Count a call. One that failed by our fault was not in time; one that was refused is not judged."""
        self.calls += 1
        day = self.days[call.received_at.date()]
        day.calls += 1
        if call.status == 200 or call.status >= 500:
            day.judged += 1
            day.in_time += call.status == 200 and call.answered_in_ms < 1000 * budget_s(call.hook)
        for each in call.assertions:
            self.orders += 1
            self.tracks[each.track or "no drug"] += 1
            self.answers[f"{each.covered}, {each.pa_needed}" if each.pa_needed else each.covered] += 1
        for rule in {rule for each in call.assertions for rule in each.rule_ids}:
            self.times[rule].append(call.answered_in_ms)

    @property
    def in_time(self) -> float | None:
        """Percent answered within budget; None of no calls."""
        judged = sum(day.judged for day in self.days.values())
        return round(100 * sum(day.in_time for day in self.days.values()) / judged, 1) if judged else None

    def charts(self, since: date, until: date, feedback: Sequence[FeedbackLine]) -> dict[str, Chart]:
        """Every picture by its name. `until` is the last day shown."""
        span = list(_days(since, until))
        return {
            "volumes": charts.columns("Calls a day", ("day", "calls"), [(f"{d}", self.days[d].calls) for d in span]),
            "in-time": charts.line(
                "Answered within budget, percent",
                ("day", "percent in time"),
                [(f"{d}", _percent(self.days[d])) for d in span],
                mark=TARGET_PERCENT,
                top=100,
            ),
            "benefits": charts.bars(
                "Orders by benefit", ("benefit", "orders"), [(n, c, _look(n)) for n, c in self.tracks.most_common()]
            ),
            "answers": charts.bars(
                "Orders by answer", ("answer", "orders"), [(n, c, _look(n)) for n, c in self.answers.most_common(12)]
            ),
            "feedback": _feedback(feedback),
            "slowest-rules": self._slowest(),
        }

    def _slowest(self) -> Chart:
        """Rules by the time of the calls they decided in: what else was in those calls counts with it."""
        told = [
            (rule, sorted(times), len(times)) for rule, times in self.times.items() if len(times) >= _FEWEST
        ]  # fmt: skip
        ranked = sorted(told, key=lambda each: -_at(each[1], 95))[:_SLOWEST]
        return charts.bars(
            "Rules in the slowest calls, 95th percentile in ms",
            ("rule", "p95 ms", "median ms", "calls"),
            [(rule, round(_at(times, 95), 1), "accent") for rule, times, _ in ranked],
            unit=" ms",
            more=[(f"{_at(times, 50):.1f}", count) for _, times, count in ranked],
        )


def _feedback(lines: Sequence[FeedbackLine]) -> Chart:
    shown = [line for line in lines if line.guidance is not None and line.shown]
    return charts.bars(
        "Cards accepted, percent of those shown",
        ("card", "percent accepted", "shown", "accepted", "overridden", "no answer"),
        [(str(line.guidance), round(100 * line.accepted / line.shown, 1), "good") for line in shown],
        unit=" %",
        more=[(line.shown, line.accepted, line.overridden, line.ignored) for line in shown],
    )


def _days(since: date, until: date) -> Iterator[date]:
    for number in range((until - since).days + 1):
        yield since + timedelta(days=number)


def _percent(day: _Day) -> float | None:
    return round(100 * day.in_time / day.judged, 1) if day.judged else None


def _at(ranked: Sequence[float], share: int) -> float:
    """The percentile by nearest rank."""
    return ranked[-(-len(ranked) * share // 100) - 1]


def _look(words: str) -> str:
    """The colour of a benefit or an answer."""
    for word, look in (
        ("no-auth", "good"),
        ("satisfied", "good"),
        ("auth-needed", "accent"),
        ("conditional", "open"),
        ("indeterminate", "open"),
        ("not-covered", "bad"),
    ):
        if word in words:
            return look
    return words if words in ("medical", "pharmacy", "medical-bundled", "undetermined", "none") else "plain"
