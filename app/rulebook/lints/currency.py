"""Codes in time: those outside their days of validity, and lists that have moved away from their ValueSet."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from app.rulebook import tables
from app.rulebook.codes import parse_code
from app.rulebook.expansions import ORIGINS_FILE, digest, drift
from app.rulebook.lints.lint import Found, Subject
from app.rulebook.rulebook import ROUTES_FILE
from app.rulebook.validity import Validity
from benefit_router import Code, CodeList, rows
from benefit_router.rule import Indication

_NAMED = 6  # codes told one by one


@dataclass(frozen=True, slots=True)
class _Use:
    """Codes a rule names in one place, on its days (None: today). `each`: all are carried; else any one will do."""

    owner: str
    place: str
    column: str
    codes: Collection[Code]
    start: date | None = None
    end: date | None = None
    each: bool = False


def expired_codes(subject: Subject) -> Iterator[Found]:
    """A code that is not valid when the rule next speaks, with no other in its place."""
    for use, code, validity, day in _invalid(subject):
        if use.each or not any(_valid(subject, other, day) for other in use.codes):
            message = f"{use.owner} names {' '.join(code)}, not valid on {day}; it is valid {validity.words}."
            yield Found(use.place, use.column, message, "Write the code that replaced it, or end the rule that day.")


def codes_not_all_days(subject: Subject) -> Iterator[Found]:
    """A code that is not valid on all days of the rule, or no longer is while others in its place are."""
    for use, code, validity, then in _invalid(subject):
        if not use.each and any(_valid(subject, other, then) for other in use.codes):
            message = f"{use.owner} still names {' '.join(code)}, which is valid {validity.words}."
            yield Found(use.place, use.column, message, "Keep it for orders of those days, or remove it.")
    for use in _uses(subject):
        day = _next_day(use, subject.on)
        for code in sorted(use.codes) if use.each else ():
            days = _of(subject, code)
            if days is None or day is None or not days.holds(day):
                continue
            early = days.start is not None and use.start is not None and use.start < days.start
            late = days.end is not None and (use.end is None or days.end < use.end)
            if early or late:
                when = "before" if early else "after"
                message = f"{use.owner} names {' '.join(code)} on days {when} it is valid: {days.words}."
                yield Found(use.place, use.column, message, "Have a version of the rule for those days.")


def _invalid(subject: Subject) -> Iterator[tuple[_Use, Code, Validity, date]]:
    """Codes that are not valid on the next day their rule speaks; rules that are over are told by `expired`."""
    for use in _uses(subject):
        day = _next_day(use, subject.on)
        for code in sorted(use.codes) if day is not None else ():
            validity = _of(subject, code)
            if validity is not None and day is not None and not validity.holds(day):
                yield use, code, validity, day


def _next_day(use: _Use, today: date) -> date | None:
    if use.end is not None and use.end <= today:
        return None
    return max(use.start or today, today)


def _of(subject: Subject, code: Code) -> Validity | None:
    """The days of a code; a package has those of its product where it has none of its own."""
    found = subject.validity.get(code)
    if found is None and code[0] == "NDC":
        found = subject.validity.get(("NDC", code[1][:9]))
    return found


def _valid(subject: Subject, code: Code, day: date) -> bool:
    validity = _of(subject, code)
    return validity is None or validity.holds(day)


def _uses(subject: Subject) -> Iterator[_Use]:
    yield from _in_rows(subject)
    yield from _in_policies(subject)
    for name, codes in sorted(subject.book.lists.items()):
        for code in sorted(codes.exact):
            if _of(subject, code) is not None:
                yield _Use(
                    f"the list '{name}'", subject.places.entry(name, code), "code", (code, *codes.exact - {code})
                )
    yield from _in_crosswalks(subject)


def _in_rows(subject: Subject) -> Iterator[_Use]:
    for rule in subject.rows():
        cells: list[tuple[str, Collection[Code], bool]] = [
            ("billing_codes", rule.outcome.billing_codes, True),
            ("administration_codes", rule.outcome.administration_codes, True),
        ]
        if isinstance(rule.codes, CodeList) and rule.codes.name not in subject.book.lists:
            cells.append(("match_code", rule.codes.exact, False))
        for condition in rule.conditions:
            if isinstance(condition, Indication) and condition.codes.name not in subject.book.lists:
                cells.append(("dx", condition.codes.exact, False))
        for column, codes, each in cells:
            place = f"{ROUTES_FILE}:{rule.line}"
            yield _Use(f"'{rule.rule_id}'", place, column, codes, rule.effective_from, rule.effective_to, each)


def _in_policies(subject: Subject) -> Iterator[_Use]:
    for policy in subject.book.policies:
        scope = policy.scope
        days = (scope.effective_from, scope.effective_to)
        if scope.codes.name not in subject.book.lists:
            place = subject.places.policy(scope.slug)
            yield _Use(f"'{scope.slug}'", place, "applies_to", scope.codes.exact, *days)
        for position, case in enumerate(policy.cases):
            billed = {code for answer in case.answers for code in answer.billing_codes}
            yield _Use(
                f"'{scope.slug}'", subject.places.case(scope.slug, position), "billing", billed, *days, each=True
            )


def _in_crosswalks(subject: Subject) -> Iterator[_Use]:
    """What drugs and services are billed by."""
    for table, owner, columns in (
        (tables.DRUGS, "name", {"hcpcs": "HCPCS", "cpt": "CPT", "ndc": "NDC"}),
        (tables.BILLING, "code", {"billing_code": None}),
    ):
        text = subject.book.files.get(table.file, "")
        for line, row in rows(text, table.file, table.columns, []) if text else ():
            for column, system in columns.items():
                texts = (f"{system or row['billing_system']} {code}" for code in row.get(column, "").split(";"))
                codes = {code for each in texts if (code := parse_code(each)) is not None}
                yield _Use(row[owner], f"{table.file}:{line}", column, codes)


def changed_lists(subject: Subject) -> Iterator[Found]:
    """A list whose codes are not those that were taken from its ValueSet."""
    for name, origin in sorted(subject.book.origins.items()):
        now = digest(subject.book.lists[name])
        if now != origin.hash:
            message = f"the list '{name}' was changed after it was taken from {origin.value_set} on {origin.expanded}."
            remedy = f"Take it anew, or record the change: write {now} here."
            yield Found(f"{ORIGINS_FILE}:{origin.line}", "hash", message, remedy)


def drifted_lists(subject: Subject) -> Iterator[Found]:
    """A list that lacks codes of its ValueSet's expansion, or has others."""
    for name, origin in sorted(subject.book.origins.items()):
        url = origin.value_set.partition("|")[0]
        for expansion in subject.expansions:
            if expansion.value_set != url:
                continue
            added, gone = drift(subject.book.lists[name], expansion)
            told = [f"{what} {_words(codes)}" for what, codes in (("lacks", added), ("has beyond it", gone)) if codes]
            if told:
                message = f"beside {expansion.file}, the list '{name}' of {origin.expanded} {' and '.join(told)}."
                remedy = f"Correct the list, then write the day and the new hash in {ORIGINS_FILE}."
                yield Found(f"lists/{name}.csv:1", "code", message, remedy)


def _words(codes: Iterable[Code]) -> str:
    named = [" ".join(code) for code in codes]
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return f"{', '.join(named[:_NAMED])}{more}"
