"""The orders that two rulebooks tell apart, and what each rulebook's benefit and policy for them is.

The space is walked as far as the rules themselves divide it: a signal is asked for only where a row still hangs on it
and the two rulebooks may differ. So a change of one row visits a handful of orders, not every combination.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from app.crd.in_play import governing
from app.rulebook.policies import Policy
from app.rulebook.rulebook import Rulebook
from app.rulebook.tables import LISTS
from benefit_router import Code, CodeList, OrderSignals, RouteDecision, Rule, Signal, decide, derived_signals, rows
from benefit_router.rule import AgeRange, Flag, Indication, OneOf

# Values that no rule names stand for all other ones.
OTHER = "any other"
_OTHER_DIAGNOSIS: Code = ("ICD-10-CM", "other")
# Diagnoses that are named one by one; more are named by their list.
_FEW = 3


@dataclass(frozen=True, slots=True)
class Subject:
    """Something that may be ordered: a product of the catalog, or a code that a rule names."""

    name: str
    codes: frozenset[Code]
    is_drug: bool


@dataclass(frozen=True, slots=True)
class Holds:
    """The values of one dimension in a part of the space, out of all it has there."""

    values: frozenset[str]
    whole: frozenset[str]

    def meets(self, other: Holds) -> bool:
        """Whether some value could be in both. `OTHER` stands for whatever the dimension does not name there."""
        if not self.values.isdisjoint(other.values):
            return True
        return any(OTHER in one.values and not two.values <= one.whole for one, two in ((self, other), (other, self)))


# A part of the space, by dimension: `date`, `lob`, `plan_id`, and columns of the routing table.
Part = Mapping[str, Holds]


@dataclass(frozen=True, slots=True)
class Ruled:
    """What a rulebook makes of a part: the benefit of a drug, and the policy, if one is asked."""

    route: RouteDecision | None
    policy: Policy | None


@dataclass(frozen=True, slots=True)
class Leaf:
    """A part of the space within which both rulebooks say one thing each, or the same."""

    subject: Subject
    part: Part
    old: Ruled
    new: Ruled


@dataclass(frozen=True, slots=True)
class _Choice:
    """One class of values that no row tells apart, and what it makes of the signals."""

    values: tuple[str, ...]
    single: Mapping[str, Signal]
    diagnoses: frozenset[Code] | None = None
    flags: Mapping[str, bool] | None = None
    age: int | None = None

    def put(self, signals: OrderSignals) -> OrderSignals:
        return replace(
            signals,
            single={**signals.single, **self.single},
            diagnoses=self.diagnoses if self.diagnoses is not None else signals.diagnoses,
            flags={**signals.flags, **(self.flags or {})},
            age=self.age if self.age is not None else signals.age,
        )


def subjects(old: Rulebook, new: Rulebook) -> list[Subject]:
    """Everything either rulebook knows by name or code, each once, by name."""
    displays = {**_displays(old), **_displays(new)}
    found: dict[frozenset[Code], Subject] = {}
    for book in (new, old):
        for product in book.table.catalog.products:
            codes = frozenset(code for code in product.identities if code[0] != "class")
            found.setdefault(codes, Subject(product.name, codes, is_drug=True))
    catalogs = (old.table.catalog, new.table.catalog)
    for code in sorted(_named(old) | _named(new)):
        if code[0] != "class" and not any(code in catalog for catalog in catalogs):
            words = " ".join(code)
            name = f"{displays[code]} ({words})" if displays.get(code) else words
            drug = any(book.table.routes((code,)) for book in (old, new))
            found.setdefault(frozenset((code,)), Subject(name, frozenset((code,)), drug))
    return sorted(found.values(), key=lambda each: (each.name, sorted(each.codes)))


def _named(book: Rulebook) -> set[Code]:
    """Codes that rows and policies name; of a prefix the shortest."""
    lists = [rule.codes for rule in book.table.rules] + [policy.scope.codes for policy in book.policies]
    codes = [codes for codes in lists if isinstance(codes, CodeList)]
    return {code for each in codes for code in (*each.exact, *each.prefixes)}


def _displays(book: Rulebook) -> dict[Code, str]:
    found: dict[Code, str] = {}
    for path, text in book.files.items():
        if path.startswith("lists/"):
            for _, row in rows(text, path, LISTS.columns, []):
                found[(row["system"], row["code"])] = row.get("display", "")
    return found


class OrderSpace:
    """The orders of one subject after another, under two rulebooks of which the rules named `changed` differ.

    `since` is the first day looked at, `most` the most decisions about one subject. `decisions` counts those made.
    """

    def __init__(self, old: Rulebook, new: Rulebook, *, changed: Collection[str], since: date, most: int) -> None:
        self._books = (old, new)
        self._changed = changed
        self._since = since
        self._most = most
        self.decisions = 0
        self.cut_short: list[str] = []

    def leaves(self, subject: Subject) -> Iterator[Leaf]:
        """The parts of the space about a subject. Where it would take too many decisions, the subject is cut short."""
        start = self.decisions
        days = self._days(subject)
        whole = frozenset(day.isoformat() for day in days)
        for day in days:
            part: Part = {"date": Holds(frozenset((day.isoformat(),)), whole)}
            signals = OrderSignals(subject.codes, day)
            for line_part, line_signals in self._members(subject, part, signals):
                yield from self._divide(subject, line_part, line_signals, start)

    def _days(self, subject: Subject) -> list[date]:
        """The days on which something may change for a subject, the first one looked at included."""
        edges = {self._since}
        for book in self._books:
            spans = [(rule.effective_from, rule.effective_to) for rule in _candidates(book, subject)]
            scopes = [policy.scope for policy in book.policies_about(subject.codes)]
            spans += [(scope.effective_from, scope.effective_to) for scope in scopes]
            edges |= {day for span in spans for day in span if day is not None and day > self._since}
        return sorted(edges)

    def _members(self, subject: Subject, part: Part, signals: OrderSignals) -> Iterator[tuple[Part, OrderSignals]]:
        """Every line, and in it the plans that a rule about the subject names."""
        lines = {name for book in self._books for name in book.payer.lines}
        named = {plan for book in self._books for plan in _plans(book, subject)}
        for line in sorted(lines):
            held = {**part, "lob": Holds(frozenset((line,)), frozenset(lines))}
            plans = {
                name
                for book in self._books
                for name, plan in book.payer.plans.items()
                if plan.line == line and name in named
            }
            whole = frozenset({*plans, OTHER})
            for plan in sorted(whole):
                single = {"lob": Signal.known(line), "plan_id": Signal.known(plan)}
                within = {**held, "plan_id": Holds(frozenset((plan,)), whole)} if plans else held
                yield within, replace(signals, single={**signals.single, **single})

    def _divide(self, subject: Subject, part: Part, signals: OrderSignals, start: int) -> Iterator[Leaf]:
        if self.decisions - start >= self._most:
            if subject.name not in self.cut_short:
                self.cut_short.append(subject.name)
            return
        self.decisions += 1
        old, new = (ruled(book, subject, signals) for book in self._books)
        # Where the same rows stand in the same way, both will say the same of the benefit whatever else is asked.
        same = _walk(old, self._books[0]) == _walk(new, self._books[1])
        if same and not any(name in self._changed for name in self._policies(subject)):
            yield Leaf(subject, part, old, new)
            return
        column, flag = self._open(old, new, part)
        if column is None:
            yield Leaf(subject, part, old, new)
            return
        choices = self._choices(column, flag, old, new, signals)
        dimension = f"flag {flag}" if flag is not None else column
        whole = frozenset(value for choice in choices for value in choice.values)
        for choice in choices:
            within = {**part, dimension: Holds(frozenset(choice.values), whole)}
            yield from self._divide(subject, within, choice.put(signals), start)

    def _policies(self, subject: Subject) -> Iterator[str]:
        for book in self._books:
            yield from (f"policy:{policy.scope.slug}" for policy in book.policies_about(subject.codes))

    def _open(self, old: Ruled, new: Ruled, part: Part) -> tuple[str | None, str | None]:
        """The first column that a row hangs on which could still decide, and the flag if it is one."""
        for ruled_, book in ((new, self._books[1]), (old, self._books[0])):
            for rule, columns in _hanging(ruled_, book):
                for column in columns:
                    if column == "condition_flag":
                        for condition in rule.conditions:
                            if isinstance(condition, Flag) and f"flag {condition.name}" not in part:
                                return column, condition.name
                    elif column != "code" and column not in part:
                        return column, None
        return None, None

    def _choices(self, column: str, flag: str | None, old: Ruled, new: Ruled, signals: OrderSignals) -> list[_Choice]:
        """The classes of values that the rows still standing tell apart."""
        if flag is not None:
            return [_Choice((words,), {}, flags={flag: value}) for words, value in (("yes", True), ("no", False))]
        standing = [
            rule for each, book in ((old, self._books[0]), (new, self._books[1])) for rule in _standing(each, book)
        ]
        conditions = [each for rule in standing for each in rule.conditions if each.signal == column]
        if column == "dx":
            return _diagnoses([each for each in conditions if isinstance(each, Indication)])
        if column == "age":
            return _ages([each for each in conditions if isinstance(each, AgeRange)])
        asked = [each.allowed for each in conditions if isinstance(each, OneOf)]
        possible: set[str] = set()
        for book in self._books:
            found = derived_signals(book.table, signals).get(column)
            possible |= found.values if found is not None and found.status == "derived" else set()
        values = possible or {*(value for allowed in asked for value in allowed), OTHER}
        classes: dict[tuple[bool, ...], list[str]] = {}
        for value in sorted(values):
            classes.setdefault(tuple(value in allowed for allowed in asked), []).append(value)
        return [_Choice(tuple(alike), {column: Signal.known(alike[0])}) for alike in classes.values()]


def ruled(book: Rulebook, subject: Subject, signals: OrderSignals) -> Ruled:
    """What a rulebook says of an order, as far as the signals go."""
    route = decide(book.table, signals) if subject.is_drug else None
    track = route.track if route is not None else None
    if track not in (None, "medical"):
        return Ruled(route, None)
    return Ruled(route, governing(signals, subject.codes, track, book)[-1])


def _candidates(book: Rulebook, subject: Subject) -> Iterator[Rule]:
    """Rows that may speak of a subject, in force or not."""
    if subject.is_drug:
        meant = book.table.catalog.candidates(subject.codes)
        known = meant.known or book.table.speaks_of(subject.codes)
        yield from (each.rule for each in book.table.candidates(subject.codes, meant, known=known))


def named_rules(book: Rulebook, subject: Subject) -> set[str]:
    """Names of the rows and policies that may speak of a subject."""
    found = {f"route:{rule.rule_id}" for rule in _candidates(book, subject)}
    return found | {f"policy:{policy.scope.slug}" for policy in book.policies_about(subject.codes)}


def _plans(book: Rulebook, subject: Subject) -> Iterator[str]:
    for rule in _candidates(book, subject):
        for condition in rule.conditions:
            if isinstance(condition, OneOf) and condition.signal == "plan_id":
                yield from condition.allowed
    for policy in book.policies_about(subject.codes):
        yield from policy.scope.plans


def row_content(rule: Rule) -> tuple[Any, ...]:
    """What of a row decides and answers: all but its place, its words and its provenance."""
    outcome = replace(rule.outcome, explanation="", patient_text="")
    return (
        rule.rule_id, rule.band, rule.priority, rule.effective_from, rule.effective_to, rule.codes, rule.drug_class,
        rule.conditions, outcome,
    )  # fmt: skip


def _walk(ruled_: Ruled, book: Rulebook) -> object:
    """The rows looked at down to the one that decides, with how each stands."""
    route = ruled_.route
    if route is None:
        return None
    winner = book.table.rule(route.rule_id) if route.rule_id is not None else None
    standing = [(row_content(rule), columns) for rule, columns in _hanging(ruled_, book)]
    return standing, row_content(winner) if winner is not None else None, route.track, route.products


def _hanging(ruled_: Ruled, book: Rulebook) -> Iterator[tuple[Rule, tuple[str, ...]]]:
    """Rows that hang on something and rank as high as the one that decides, or higher."""
    route = ruled_.route
    if route is None:
        return
    winner = book.table.rule(route.rule_id) if route.rule_id is not None else None
    for considered in route.considered:
        rule = book.table.rule(considered.rule_id)
        stands = rule is not None and (winner is None or rule.rank[:4] <= winner.rank[:4])
        if considered.verdict == "open" and stands and rule is not None:
            yield rule, considered.columns


def _standing(ruled_: Ruled, book: Rulebook) -> Iterator[Rule]:
    """Rows that are not refuted."""
    route = ruled_.route
    if route is None:
        return
    names = [each.rule_id for each in route.considered if each.verdict != "refuted"]
    for name in (*names, route.rule_id):
        rule = book.table.rule(name) if name is not None else None
        if rule is not None:
            yield rule


def _diagnoses(asked: list[Indication]) -> list[_Choice]:
    """Diagnoses, told apart where the lists differ on them, and one of no list."""
    classes: dict[tuple[bool, ...], list[Code]] = {}
    for code in sorted({code for each in asked for code in (*each.codes.exact, *each.codes.prefixes)}):
        held = tuple(code in each.codes for each in asked)
        classes.setdefault(held, []).append(code)
    classes[tuple(False for _ in asked)] = [_OTHER_DIAGNOSIS]
    return [
        _Choice((_named_diagnoses(codes, held, asked),), {}, diagnoses=frozenset(codes[:1]))
        for held, codes in classes.items()
    ]


def _named_diagnoses(codes: list[Code], held: tuple[bool, ...], asked: list[Indication]) -> str:
    """A class of diagnoses: a few by themselves, more by the lists that hold them all."""
    if codes == [_OTHER_DIAGNOSIS]:
        return OTHER
    if len(codes) <= _FEW:
        return " or ".join(" ".join(code) for code in codes)
    names = dict.fromkeys(each.codes.name for each, inside in zip(asked, held, strict=True) if inside)
    return f"of {' and '.join(names)}"


def _ages(asked: list[AgeRange]) -> list[_Choice]:
    """Spans of years between the ages that rows name."""
    starts = {0}
    for each in asked:
        starts |= {each.minimum} if each.minimum is not None else set()
        starts |= {each.maximum + 1} if each.maximum is not None else set()
    edges: list[int | None] = [*sorted(starts)]
    return [
        _Choice((_span(first, after),), {}, age=first)
        for first, after in zip(edges, (*edges[1:], None), strict=True)
        if first is not None
    ]


def _span(first: int, after: int | None) -> str:
    if after is None:
        return f"{first} or older"
    return f"{first} to {after - 1}" if first else f"under {after}"
