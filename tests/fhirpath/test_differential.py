"""Generated expressions on generated patients: this engine and fhirpathpy must agree.

Where the two differ on purpose the specification decides, and the generator keeps clear of it:

- items that are equal but of unlike FHIR types (a code and a string) are not mixed in one collection: fhirpathpy
  compares by Python equality, FHIRPath by value after conversion;
- `=` and `!=` stand between single items: on collections that hold an empty side within, fhirpathpy answers false
  where "If one or both of the operands is the empty collection, this operation returns an empty collection";
- no where() before a function with a collection as its argument: fhirpathpy then evaluates the argument on the last
  item where() looked at, FHIRPath on the context of the whole expression ("$this [...] Re-set to the current item being
  processed in scoped functions", and only there);
- no quantities, no `~`, no decimals from floats, no today(): see corpus.yaml for what fhirpathpy makes of them.
"""

from __future__ import annotations

from typing import Any

import fhirpathpy
from fhirpathpy.models import models
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app import fhirpath

WORDS = ["Ada", "ada", "Beth", "x", "", "a b", "Zoë"]
words = st.sampled_from(WORDS)
literals = st.sampled_from([f"'{word}'" for word in WORDS])
numbers = st.integers(0, 4).map(str)


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


patients = st.builds(
    lambda rest: {"resourceType": "Patient", **rest},
    optional(
        active=st.booleans(),
        gender=st.sampled_from(["male", "female"]),
        birthDate=st.sampled_from(["1961", "1961-03", "1961-03-09", "2001-12-31"]),
        name=st.lists(
            optional(
                use=st.sampled_from(["official", "usual"]),
                family=words.filter(bool),
                given=st.lists(words.filter(bool), min_size=1, max_size=3),
            ).filter(bool),
            min_size=1,
            max_size=3,
        ),
        telecom=st.lists(
            optional(value=words.filter(bool), rank=st.integers(1, 4)).filter(bool), min_size=1, max_size=3
        ),
    ),
)

texts_of_patient = st.sampled_from(
    ["name.given", "name.family", "telecom.value", "Patient.name.given", "name.first().given", "contact.name.given"]
)
texts_of_name = st.sampled_from(["given", "family", "$this.given"])


whole = st.sampled_from(["name.given", "telecom.value", "name.family.tail()"])
_WITH_COLLECTION = ["combine", "exclude", "intersect", "union"]


def narrowed(collections: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """A collection, or a part of it."""
    return st.one_of(
        st.builds("{}.{}()".format, collections, st.sampled_from(["first", "last", "tail", "distinct"])),
        st.builds("{}.{}({})".format, collections, st.sampled_from(["skip", "take"]), numbers),
        st.builds("{}[{}]".format, collections, numbers),
        st.builds("{}.where({})".format, collections, criteria_on_text),
        st.builds("({} | {})".format, collections, collections),
        st.builds("{}.{}({})".format, whole, st.sampled_from(_WITH_COLLECTION), collections),
    )


criteria_on_text = st.one_of(
    st.builds("$this = {}".format, literals),
    st.builds("$this != {}".format, literals),
    st.builds("$this.{}({})".format, st.sampled_from(["startsWith", "endsWith", "contains"]), literals),
    st.builds("length() {} {}".format, st.sampled_from(["<", "<=", ">", ">=", "="]), numbers),
    st.builds("$this in ({} | {})".format, literals, literals),
    st.builds("$index {} {}".format, st.sampled_from(["<", "="]), numbers),
)
texts = st.recursive(texts_of_patient, narrowed, max_leaves=4)
criteria_on_name = st.one_of(
    st.builds("use = '{}'".format, st.sampled_from(["official", "usual", "old"])),
    st.builds("{}.exists()".format, texts_of_name),
    st.builds("{}.count() > {}".format, texts_of_name, numbers),
    st.builds("given.exists({})".format, criteria_on_text),
    st.builds("family.empty() or given.first() = {}".format, literals),
)
integers = st.one_of(
    numbers,
    st.builds("{}.count()".format, texts),
    st.builds("{}.first().length()".format, texts),
    st.builds("({}.first() & {}).length()".format, texts, literals),
    st.builds("{}.first().indexOf({})".format, texts, literals),
    st.builds("telecom.rank.first()".format),
)
sums = st.recursive(
    integers,
    lambda parts: st.builds("({} {} {})".format, parts, st.sampled_from(["+", "-", "*", "div", "mod"]), parts),
    max_leaves=3,
)
strings = st.one_of(
    literals,
    st.builds("{}.first()".format, texts),
    st.builds("{}.first().{}()".format, texts, st.sampled_from(["upper", "lower"])),
    st.builds("({}.first() & {})".format, texts, literals),
    st.builds("{}.first().substring({}, {})".format, texts, numbers, numbers),
    st.builds("{}.first().replace('a', {})".format, texts, literals),
    st.builds("iif({}.exists(), {}.first(), {})".format, texts, texts, literals),
)
dates = st.builds(
    "{} {} {} {}".format,
    st.sampled_from(["@2024-02-29", "@2026-01-31", "@1999-12-31", "@2026-03-01"]),
    st.sampled_from(["+", "-"]),
    st.integers(0, 40),
    st.sampled_from(["days", "weeks", "months", "years"]),
)
comparisons = st.one_of(
    st.builds("{} {} {}".format, sums, st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), sums),
    st.builds("{} {} {}".format, strings, st.sampled_from(["=", "!=", "<", ">"]), strings),
    st.builds("birthDate {} @{}".format, st.sampled_from(["=", "<", ">="]), st.sampled_from(["1961", "1961-03-09"])),
    st.builds("{}.{}()".format, texts, st.sampled_from(["exists", "empty"])),
    st.builds("{}.{}({})".format, texts, st.sampled_from(["exists", "all"]), criteria_on_text),
    st.builds("name.{}({})".format, st.sampled_from(["exists", "all"]), criteria_on_name),
    st.builds("{}.first() in {}".format, texts, texts),
    st.builds("{}.subsetOf({})".format, whole, texts),
    st.just("active"),
    st.just("{}"),
)
conditions = st.recursive(
    comparisons.map("({})".format),
    lambda parts: st.one_of(
        st.builds("({} {} {})".format, parts, st.sampled_from(["and", "or", "xor", "implies"]), parts),
        st.builds("{}.not()".format, parts),
    ),
    max_leaves=4,
)
expressions = st.one_of(
    texts,
    sums,
    strings,
    conditions,
    st.builds("name.where({}).given".format, criteria_on_name),
    st.builds("name.select({})".format, texts_of_name),
    st.builds("name.select(given.first() | family)".format),
    st.builds("{}.select($this & {})".format, texts, literals),
    st.builds("({}).toString()".format, dates),
    st.builds("({}) < ({})".format, dates, dates),
    st.builds("{}.select($index)".format, texts),
    st.builds("{}.where($index > 0)".format, texts),
    st.builds("{}.aggregate($total & $this, '')".format, texts),
    st.builds("name.select(iif({}, given, family))".format, criteria_on_name),
    st.builds("name.children().count() >= {}".format, numbers),
    st.builds("Patient.descendants().where($this is HumanName).count()".format),
)


def theirs(expression: str, resource: dict[str, Any]) -> Any:
    try:
        return fhirpathpy.evaluate(resource, expression, {}, models["r4"])
    except Exception as error:  # noqa: BLE001 - whatever it raises is its answer
        return error


def ours(expression: str, resource: dict[str, Any]) -> Any:
    try:
        found = fhirpath.compile(expression).evaluate(resource)
    except fhirpath.FhirPathError as error:
        return error
    return [value if isinstance(value, str | bool | int | dict) else str(value) for value in found]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(expressions, patients)
@example("name.given.first() & 'x'", {"resourceType": "Patient"})
def test_both_engines_agree(expression: str, patient: dict[str, Any]) -> None:
    mine, other = ours(expression, patient), theirs(expression, patient)
    if isinstance(mine, Exception) and isinstance(other, Exception):
        return
    assert mine == other, expression


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(conditions, patients)
def test_judge_is_evaluate_when_nothing_is_missing(expression: str, patient: dict[str, Any]) -> None:
    compiled = fhirpath.compile(expression)
    try:
        evaluated = compiled.evaluate(patient)
    except fhirpath.FhirPathError:
        return
    judgement = compiled.judge(patient)
    assert [judgement.value] == (evaluated or [None])
    assert bool(judgement.because) == (judgement.value is None)
    # judge() takes the plain way where it can; the trace always takes the three-valued one.
    assert compiled.trace(patient, judging=True).judgement == judgement


def with_gap(value: Any, path: list[int]) -> Any:
    """A copy with a gap somewhere inside: a value that is unobtainable, or a list cut short."""
    gap = fhirpath.Unobtainable("not fetched")
    turn = path[0] if path else 0
    if isinstance(value, dict) and path:
        key = sorted(value)[turn % len(value)]
        return value if key == "resourceType" else {**value, key: with_gap(value[key], path[1:])}
    if isinstance(value, list):
        if turn == 0:
            return fhirpath.Incomplete(value[: len(value) // 2], "first page only")
        position = turn % len(value)
        return [*value[:position], with_gap(value[position], path[1:]), *value[position + 1 :]]
    return gap


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(conditions, patients, st.lists(st.integers(0, 4), min_size=1, max_size=4))
def test_a_judgement_holds_whatever_the_gap_turns_out_to_be(
    expression: str, patient: dict[str, Any], path: list[int]
) -> None:
    """True or False in spite of a gap means: true or false with the very data the gap hides."""
    compiled = fhirpath.compile(expression)
    try:
        judgement = compiled.judge(with_gap(patient, path))
        assert compiled.trace(with_gap(patient, path), judging=True).judgement == judgement
        evaluated = compiled.evaluate(patient)
    except fhirpath.FhirPathError:
        return
    if judgement.value is not None:
        assert evaluated == [judgement.value]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(conditions, patients, st.sampled_from(["name", "telecom", "birthDate", "active"]), patients)
def test_a_judgement_holds_for_anything_in_the_place_of_the_gap(
    expression: str, patient: dict[str, Any], gap: str, other: dict[str, Any]
) -> None:
    compiled = fhirpath.compile(expression)
    try:
        judgement = compiled.judge({**patient, gap: fhirpath.Unobtainable("not fetched")})
        filled = {**patient, gap: other[gap]} if gap in other else {k: v for k, v in patient.items() if k != gap}
        evaluated = compiled.evaluate(filled)
    except fhirpath.FhirPathError:
        return
    if judgement.value is not None:
        assert evaluated == [judgement.value]
