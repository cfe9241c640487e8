"""Whatever the text and the data, only `FhirPathError`s come out."""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app import fhirpath
from app.fhirpath.functions import FUNCTIONS

NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
RELAXED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

ATOMS = """1 0 -1 2.5 'a' '' '1' '2026-01' true false {} @2026 @2026-02-28 @2026-01-01T10:00Z @T10 $this $index
$total %context %resource %x %gap %gap.a %some name Patient birthDate value given family use item answer
Patient.name name.given Observation.value"""
OPERATORS = "+ - * / div mod & | = != ~ !~ < <= > >= in contains and or xor implies"
atoms = st.sampled_from([*ATOMS.split(), "4 days", "1 year", "5 'mg'", "3 'Cel'", "1 'wk'"])
operators = st.sampled_from(OPERATORS.split())
types = st.sampled_from(["Patient", "string", "Integer", "Quantity", "System.Date", "HumanName"])


def compose(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """A call of any function with any arguments, an operator, an index or a type test."""

    def call(name: str, source: str, arguments: list[str], kind: str) -> str:
        function = FUNCTIONS[name]
        filled = []
        for position in range(min(len(arguments), function.maximum)):
            wanted = function.parameter(position).kind
            filled.append({"type": kind, "literal": f"'v{len(source)}'"}.get(wanted, arguments[position]))
        return f"({source}).{name}({', '.join(filled)})"

    return st.one_of(
        st.builds(call, st.sampled_from(sorted(FUNCTIONS)), parts, st.lists(parts, min_size=3, max_size=3), types),
        st.builds("({} {} {})".format, parts, operators, parts),
        st.builds("({})[{}]".format, parts, parts),
        st.builds("(-{})".format, parts),
        st.builds("({} {} {})".format, parts, st.sampled_from(["is", "as"]), types),
        st.builds("({}).{}".format, parts, st.sampled_from(["name", "given", "value", "code", "extension", "id"])),
    )


expressions = st.recursive(atoms, compose, max_leaves=8)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-10, 10),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["a", "", "2026-01-01", "mg", "official"]),
    st.just(fhirpath.Unobtainable("gap")),
)
keys = st.sampled_from(
    [
        "name",
        "given",
        "_given",
        "use",
        "value",
        "valueQuantity",
        "unit",
        "code",
        "extension",
        "url",
        "reference",
        "birthDate",
    ]
)
data = st.recursive(
    scalars,
    lambda parts: st.one_of(st.lists(parts, max_size=3), st.dictionaries(keys, parts, max_size=4)),
    max_leaves=12,
)
resources = st.builds(
    lambda kind, rest: {**rest, "resourceType": kind},
    st.sampled_from(["Patient", "Observation", "QuestionnaireResponse", "Nonsense"]),
    st.dictionaries(keys, data, max_size=5),
)


@RELAXED
@given(
    st.one_of(
        st.text(max_size=40),
        st.lists(st.one_of(atoms, operators, st.sampled_from(list("()[]{}.,`'\"%@$/*!"))), max_size=12).map(" ".join),
    )
)
def test_any_text_is_compiled_or_refused(text: str) -> None:
    refusal: fhirpath.FhirPathSyntaxError | None = None
    try:
        fhirpath.compile(text)
    except fhirpath.FhirPathSyntaxError as error:
        refusal = error
    assert refusal is None or refusal.caret().endswith("^")


@settings(RELAXED, max_examples=400)
@given(expressions, resources)
def test_any_evaluation_ends_well(text: str, resource: dict[str, Any]) -> None:
    try:
        compiled = fhirpath.compile(text)
    except fhirpath.FhirPathSyntaxError:
        return
    options: dict[str, Any] = {
        "variables": {
            "x": resource,
            "gap": fhirpath.Unobtainable("gap"),
            "some": fhirpath.Incomplete([resource], "cut"),
        },
        "now": NOW,
        "resolve": lambda reference: None,
        "member_of": lambda value, name: None,
        "limits": fhirpath.Limits(steps=20_000, seconds=5.0),
    }
    trace = compiled.trace(resource, **options, judging=True)
    with contextlib.suppress(fhirpath.FhirPathError):
        compiled.evaluate(resource, **options)
    with contextlib.suppress(fhirpath.FhirPathError):
        judgement = compiled.judge(resource, **options)
        assert trace.judgement in (judgement, None)
