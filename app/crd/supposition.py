"""What if one fact were another: the changes of an order's facts that the rules in play could notice.

The vocabulary is that of the rules which name what is ordered: their routes, sites, plans, ages, dates, lists.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from app import fhirpath
from app.crd.chart import Resource
from app.crd.explanation import plain
from app.crd.facts import SIGNALS, OrderFacts, with_signals
from app.crd.gather import Kept
from app.crd.shorthand import record_entry
from app.rulebook.codes import as_coding
from app.rulebook.conditions import RECORD, Condition
from app.rulebook.policies import Policy
from app.rulebook.rulebook import Rulebook
from benefit_router import Code, CodeList, Rule, Signal, derived_signals
from benefit_router.rule import AgeRange, Flag, Indication, OneOf

_DAY = timedelta(days=1)
_FACT_OF = {signal: fact for fact, signal in SIGNALS.items()}
# What is supposed of the whole member, not of one signal.
_OF_MEMBER = frozenset({"lob", "plan_id", "bin", "pcn"})
_NUMERIC = ("age", "quantity", "days_supply")
_COMPARED = re.compile(r"%facts\.(?P<fact>[a-z_]+)\s*(?:=|!=|<=|>=|<|>|~)\s*(?:'(?P<text>[^']*)'|(?P<number>\d+))")
# A list is asked of the variable that stands before it: `%conditions.exists(code.memberOf('list:x'))`.
_ASKED = re.compile(r"%(?P<name>[a-z]+(?:\.[a-z_]+)?)|memberOf\('list:(?P<list>[^']+)'\)")
_COUNTED = re.compile(r"count\(\)\s*>=?\s*(\d+)")
_NUMBER = re.compile(r"(?<![\w.'])(\d+)(?![\w.'])\s*(?:'(?P<unit>[^']*)')?(?!\s*(?:day|week|month|year))")


@dataclass(frozen=True, slots=True)
class Situation:
    """All that an answer rests on: an order's facts, and the patient's record."""

    facts: OrderFacts
    record: Mapping[str, Kept]


@dataclass(frozen=True, slots=True)
class Supposition:
    """One fact changed. Of suppositions about the same `fact` only one can be made at a time."""

    fact: str
    before: str
    after: str
    apply: Callable[[Situation], Situation]


def suppositions(situation: Situation, rulebook: Rulebook) -> list[Supposition]:
    """Every change of one fact that the rules about this order could notice, each once."""
    facts = situation.facts
    codes = facts.codes.union(facts.options, facts.signals.codes, *facts.products)
    rules = list(_rows(facts, rulebook))
    policies = rulebook.policies_about(codes)
    conditions = [case.condition for policy in policies for case in policy.cases if case.condition is not None]
    found = [
        *_of_products(facts, rulebook),
        *_of_signals(facts, rules, conditions, rulebook),
        *_of_member(facts, rulebook),
        *_of_flags(facts, rules),
        *_of_numbers(facts, rules, conditions, rulebook),
        *_of_days(facts, rules, policies, rulebook),
        *_of_diagnoses(facts, rules, conditions, rulebook),
        *_of_record(situation, conditions, rulebook),
    ]
    return list({(each.fact, each.after): each for each in found if each.before != each.after}.values())


def _rows(facts: OrderFacts, rulebook: Rulebook) -> Iterator[Rule]:
    """Rows that name what is ordered, in force or not."""
    if facts.is_drug:
        meant = rulebook.table.catalog.candidates(facts.signals.codes)
        known = meant.known or rulebook.table.speaks_of(facts.signals.codes)
        yield from (each.rule for each in rulebook.table.candidates(facts.signals.codes, meant, known=known))


def _changed(situation: Situation, rulebook: Rulebook, **signals: Any) -> Situation:
    facts = situation.facts
    return replace(situation, facts=with_signals(facts, replace(facts.signals, **signals), rulebook))


def _seen(facts: OrderFacts, fact: str) -> str:
    value = facts.view.get(fact)
    return "not known" if value is None or isinstance(value, fhirpath.Unobtainable) else plain(value)


def _of_products(facts: OrderFacts, rulebook: Rulebook) -> Iterator[Supposition]:
    """The exact product, where several may be meant or the same ingredient comes as others."""
    catalog = rulebook.table.catalog
    meant = catalog.candidates(facts.signals.codes).products if facts.is_drug else ()
    ingredients = {product.ingredient for product in meant} - {None}
    alike = [product for product in catalog.products if product.ingredient in ingredients]
    before = " or ".join(sorted({product.name for product in meant if product in alike}))
    for product in alike:
        codes = frozenset(code for code in product.identities if code[0] != "class")
        yield Supposition("product", before, product.name, _ordering(codes, rulebook))


def _ordering(codes: frozenset[Code], rulebook: Rulebook) -> Callable[[Situation], Situation]:
    def apply(situation: Situation) -> Situation:
        plainly = replace(situation.facts, codes=codes, options=frozenset())
        return _changed(replace(situation, facts=plainly), rulebook, codes=codes)

    return apply


def _of_signals(
    facts: OrderFacts, rules: list[Rule], conditions: list[Condition], rulebook: Rulebook
) -> Iterator[Supposition]:
    """Single-valued signals, with the words that rows and conditions use."""
    words: dict[str, set[str]] = {}
    for rule in rules:
        for asked in rule.conditions:
            if isinstance(asked, OneOf):
                words.setdefault(asked.signal, set()).update(asked.allowed)
    for condition in conditions:
        for compared in _COMPARED.finditer(condition.text):
            if compared["fact"] in SIGNALS and compared["text"] is not None:
                words.setdefault(SIGNALS[compared["fact"]], set()).add(compared["text"])
    singles = derived_signals(rulebook.table, facts.signals)
    for signal, values in words.items():
        if signal in _OF_MEMBER or signal not in _FACT_OF:
            continue
        found = singles.get(signal)
        before = str(found) if found is not None and found.status != "missing" else "not known"
        for value in sorted(values):
            yield Supposition(_FACT_OF[signal], before, value, _setting(signal, value, rulebook))


def _setting(signal: str, value: str, rulebook: Rulebook) -> Callable[[Situation], Situation]:
    def apply(situation: Situation) -> Situation:
        single = {**situation.facts.signals.single, signal: Signal.known(value)}
        changed = _changed(situation, rulebook, single=single)
        if signal == "sex" and changed.facts.patient is not None:
            return _patient(changed, {**changed.facts.patient, "gender": value})
        return changed

    return apply


def _patient(situation: Situation, patient: Resource) -> Situation:
    return replace(situation, facts=replace(situation.facts, patient=patient))


def _of_member(facts: OrderFacts, rulebook: Rulebook) -> Iterator[Supposition]:
    """Every plan, which says the line too; and lines that have no plan."""
    if facts.match.outcome != "found" or facts.match.member is None:
        return
    before = f"{facts.plan or 'not known'} ({facts.line or 'line not known'})"
    for plan in rulebook.payer.plans.values():
        after = f"{plan.plan_id} ({plan.line})"
        yield Supposition("plan", before, after, _enrolling(plan.line, plan.plan_id, rulebook))
    for line in set(rulebook.payer.lines) - {plan.line for plan in rulebook.payer.plans.values()}:
        yield Supposition("plan", before, f"no plan ({line})", _enrolling(line, None, rulebook))


def _enrolling(line: str, plan: str | None, rulebook: Rulebook) -> Callable[[Situation], Situation]:
    pharmacy = rulebook.payer.pharmacy.get(rulebook.payer.plans[plan].pharmacy or "") if plan is not None else None
    named = {"lob": line, "plan_id": plan or "-", "group_id": "-"}
    card = {"bin": pharmacy.bin if pharmacy else None, "pcn": pharmacy.pcn if pharmacy else None}

    def apply(situation: Situation) -> Situation:
        facts = situation.facts
        assert facts.match.member is not None  # suppositions about a plan are made of members only
        member = replace(facts.match.member, line=line, plan=plan, group=None, pharmacy=None)
        enrolled = replace(facts, match=replace(facts.match, member=member))
        single = {name: value for name, value in facts.signals.single.items() if name not in card}
        single |= {name: Signal.known(value) for name, value in (named | card).items() if value is not None}
        return _changed(replace(situation, facts=enrolled), rulebook, single=single)

    return apply


def _of_flags(facts: OrderFacts, rules: list[Rule]) -> Iterator[Supposition]:
    for name in sorted({asked.name for rule in rules for asked in rule.conditions if isinstance(asked, Flag)}):
        flag = facts.signals.flags.get(name)
        before = "not known" if flag is None else str(flag).lower()
        for value in (True, False):
            yield Supposition(f"flag {name}", before, str(value).lower(), _flagging(name, value))


def _flagging(name: str, value: bool) -> Callable[[Situation], Situation]:
    def apply(situation: Situation) -> Situation:
        facts = situation.facts
        flags = {**facts.signals.flags, name: value}
        signals = replace(facts.signals, flags=flags)
        return replace(situation, facts=replace(facts, signals=signals, view={**facts.view, "flags": flags}))

    return apply


def _of_numbers(
    facts: OrderFacts, rules: list[Rule], conditions: list[Condition], rulebook: Rulebook
) -> Iterator[Supposition]:
    """Each side of every threshold."""
    limits: dict[str, set[int]] = {name: set() for name in _NUMERIC}
    for rule in rules:
        for asked in rule.conditions:
            if isinstance(asked, AgeRange):
                limits["age"].update({asked.minimum, (asked.maximum or -2) + 1} - {None, -1})  # type: ignore[arg-type]
    for condition in conditions:
        for compared in _COMPARED.finditer(condition.text):
            if compared["fact"] in limits and compared["number"] is not None:
                limits[compared["fact"]].add(int(compared["number"]))
    for fact, thresholds in limits.items():
        values = {value for limit in thresholds for value in (limit - 1, limit, limit + 1) if value >= 0}
        for value in sorted(values):
            yield Supposition(fact, _seen(facts, fact), str(value), _counting(fact, value, rulebook))


def _counting(fact: str, value: int, rulebook: Rulebook) -> Callable[[Situation], Situation]:
    def apply(situation: Situation) -> Situation:
        if fact != "age":
            facts = situation.facts
            return replace(situation, facts=replace(facts, view={**facts.view, fact: value}))
        changed = _changed(situation, rulebook, age=value)
        patient, on = changed.facts.patient, changed.facts.on
        if patient is None:
            return changed
        return _patient(changed, {**patient, "birthDate": f"{on.year - value:04}-01-01"})

    return apply


def _of_days(facts: OrderFacts, rules: list[Rule], policies: list[Policy], rulebook: Rulebook) -> Iterator[Supposition]:
    """The day a rule begins or ends, or the day before: whichever lies on the other side of the day of service."""
    spans = [(rule.effective_from, rule.effective_to) for rule in rules]
    spans += [(policy.scope.effective_from, policy.scope.effective_to) for policy in policies]
    for span in spans:
        for day in span:
            if day is not None and day > date.min:
                other = day if facts.on < day else day - _DAY
                yield Supposition("service_date", facts.on.isoformat(), other.isoformat(), _serving(other, rulebook))


def _serving(day: date, rulebook: Rulebook) -> Callable[[Situation], Situation]:
    return lambda situation: _changed(situation, rulebook, on=day)


def _of_diagnoses(
    facts: OrderFacts, rules: list[Rule], conditions: list[Condition], rulebook: Rulebook
) -> Iterator[Supposition]:
    """A diagnosis of each list, or none of it."""
    lists = {
        asked.codes.name: asked.codes for rule in rules for asked in rule.conditions if isinstance(asked, Indication)
    }
    for condition in conditions:
        lists |= {
            name: rulebook.lists[name] for name in _lists_asked(condition, "facts.diagnoses") & set(rulebook.lists)
        }
    stated = facts.signals.diagnoses or frozenset()
    before = plain([as_coding(code) for code in sorted(stated)]) if stated else "not stated"
    for name, codes in lists.items():
        if any(code in codes for code in stated):
            rest = frozenset(code for code in stated if code not in codes)
            yield Supposition("diagnoses", before, f"none of list:{name}", _diagnosing(rest or None, rulebook))
        elif (code := _example(codes, ("ICD-10-CM",))) is not None:
            after = f"also {' '.join(code)} of list:{name}"
            yield Supposition("diagnoses", before, after, _diagnosing(stated | {code}, rulebook))


def _diagnosing(diagnoses: frozenset[Code] | None, rulebook: Rulebook) -> Callable[[Situation], Situation]:
    return lambda situation: _changed(situation, rulebook, diagnoses=diagnoses, reasons=frozenset())


def _lists_asked(condition: Condition, variable: str) -> set[str]:
    """The lists that a condition asks about what stands under a variable."""
    found: set[str] = set()
    asked = ""
    for match in _ASKED.finditer(condition.text):
        if match["name"] is not None:
            asked = match["name"]
        elif asked == variable or asked.partition(".")[0] == variable:
            found.add(match["list"])
    return found


def _of_record(situation: Situation, conditions: list[Condition], rulebook: Rulebook) -> Iterator[Supposition]:
    """An entry of each list in the record, or none, or a record that can be read at all."""
    for condition, kind in ((condition, kind) for condition in conditions for kind in RECORD):
        if kind not in condition.variables:
            continue
        kept = situation.record.get(kind, Kept((), "not read"))
        if kept.problem is not None:
            yield Supposition(f"record: {kind}", "not read", "read, and empty", _recording(kind, ()))
        for name in sorted(_lists_asked(condition, kind) & set(rulebook.lists)):
            rest = tuple(each for each in kept.resources if not rulebook.member_of(_concept(each), f"list:{name}"))
            if len(rest) < len(kept.resources):
                yield Supposition(f"record: {kind} of list:{name}", "there", "none", _recording(kind, rest))
            before = "none" if kept.problem is None else "not read"
            for entries, words in _entries(kind, rulebook.lists[name], condition, situation.facts.on):
                yield Supposition(f"record: {kind} of list:{name}", before, words, _adding(kind, entries))


def _concept(resource: Resource) -> Any:
    return resource.get("code") or resource.get("medicationCodeableConcept")


def _entries(kind: str, codes: CodeList, condition: Condition, on: date) -> Iterator[tuple[tuple[Resource, ...], str]]:
    """Entries of a list on the day before: one, as many as are counted, or one with each value told apart."""
    code = _example(codes, ())
    if code is None:
        return
    named = " ".join(code) + ("*" if code not in codes.exact else "")
    day = (on - _DAY).isoformat()
    entry: dict[str, Any] = {"code": " ".join(code), "date": day}
    yield (record_entry(kind, entry, _NEW),), f"{named} on {day}"
    for counted in _COUNTED.finditer(condition.text):
        many = tuple(record_entry(kind, entry, _NEW + position) for position in range(min(int(counted[1]) + 1, _MOST)))
        yield many, f"{len(many)} times {named} on {day}"
    if kind == "observations":
        for found in _NUMBER.finditer(condition.text):
            for value in (int(found[1]) - 1, int(found[1]), int(found[1]) + 1):
                unit = found["unit"] or "1"
                measured = entry | {"value": value, "unit": unit}
                yield (record_entry(kind, measured, _NEW),), f"{named} of {value} {unit} on {day}"


# Numbers in the ids of supposed entries, far from those of a scenario; and the most of them at once.
_NEW, _MOST = 900, 50


def _recording(kind: str, resources: tuple[Resource, ...]) -> Callable[[Situation], Situation]:
    return lambda situation: replace(situation, record={**situation.record, kind: Kept(resources)})


def _adding(kind: str, entries: tuple[Resource, ...]) -> Callable[[Situation], Situation]:
    """The record with more entries; one that could not be read holds these alone."""

    def apply(situation: Situation) -> Situation:
        before = situation.record.get(kind)
        there = before.resources if before is not None and before.problem is None else ()
        return replace(situation, record={**situation.record, kind: Kept((*there, *entries))})

    return apply


def _example(codes: CodeList, systems: Iterable[str]) -> Code | None:
    """A code of a list, of one of these systems where any is named; of a prefix its shortest code."""
    wanted = tuple(systems)
    every = [*codes.exact, *codes.prefixes]
    return min((code for code in every if not wanted or code[0] in wanted), default=None)
