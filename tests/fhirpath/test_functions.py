"""Functions and operators, one expression after another; most are the specification's own examples."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from app import fhirpath

NOW = dt.datetime(2026, 11, 22, 10, 30, 15, 250_000, tzinfo=dt.timezone(dt.timedelta(hours=-5)))
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "active": True,
    "birthDate": "1961-03-09",
    "name": [
        {"use": "official", "family": "Beta", "given": ["Ada", "Bo"]},
        {"use": "usual", "given": ["Al"]},
        {"use": "old", "family": "Alpha", "given": ["Cy"]},
    ],
    "multipleBirthInteger": 2,
    "modifierExtension": [{"url": "http://example.org/known"}],
}

CASES: list[tuple[str, list[Any]]] = [
    # Existence
    ("(true | false).allTrue()", [False]),
    ("(true | false).anyTrue()", [True]),
    ("(true | false).allFalse()", [False]),
    ("(true | false).anyFalse()", [True]),
    ("{}.allTrue() and {}.allFalse()", [True]),
    ("{}.anyTrue() or {}.anyFalse()", [False]),
    ("{}.all(false)", [True]),
    ("{}.not()", []),
    ("(1 | 2).subsetOf(1 | 2 | 3)", [True]),
    ("(1 | 2).supersetOf(1)", [True]),
    ("{}.subsetOf(1)", [True]),
    ("{}.isDistinct()", [True]),
    # Filtering
    ("name.select(family)", ["Beta", "Alpha"]),
    ("name.where($index = 1).given", ["Al"]),
    ("name.select(given.where($index = 0).select($index))", [0, 0, 0]),
    ("name.where(given.where($index = 1).exists() and $index = 0).use", ["official"]),
    ("name.given.select($this & $index.toString())", ["Ada0", "Bo1", "Al2", "Cy3"]),
    ("(3 | 1 | 2).sort()", [1, 2, 3]),
    ("(3 | 1 | 2).sort($this desc)", [3, 2, 1]),
    ("(3 | 1 | 2).sort(-$this)", [3, 2, 1]),
    ("('3' | '1' | '10').sort()", ["1", "10", "3"]),
    ("name.sort(family).use", ["usual", "old", "official"]),
    ("name.sort(family desc).use", ["official", "old", "usual"]),
    ("name.sort(-family).use", ["usual", "official", "old"]),
    ("name.sort(given.count() desc, use asc).use", ["official", "old", "usual"]),
    ("(@2026-02 | @2025-12-31).sort()", ["2025-12-31", "2026-02"]),
    ("(@T10 | @T09:30).sort()", ["09:30", "10"]),
    ("coalesce({}, name.where(use = 'none').family, 'unknown')", ["unknown"]),
    ("coalesce({}, {})", []),
    ("name.select(coalesce(family, given.first()))", ["Beta", "Al", "Alpha"]),
    ("'a'.repeat('b')", ["b"]),
    ("(1 | 'a' | 1.5).ofType(Integer)", [1]),
    ("(1 | 'a').ofType(System.String)", ["a"]),
    # Subsetting
    ("(1 | 2 | 3).tail()", [2, 3]),
    ("(1 | 2 | 3).skip(-1).count()", [3]),
    ("(1 | 2 | 3).take(0)", []),
    ("(1 | 2 | 3)[5]", []),
    ("(1 | 2 | 3)[{}]", []),
    ("(1 | 2 | 3).intersect(2 | 3 | 4)", [2, 3]),
    ("1.combine(1).combine(2).exclude(2)", [1, 1]),
    # Combining and aggregates
    ("(1 | 1.0 | 1 '1').count()", [1]),
    ("(1 'g' | 1000 'mg' | 1 'kg').count()", [2]),
    ("(@2026-01-01T10:00Z | @2026-01-01T05:00-05:00).count()", [1]),
    ("(true | 1).count()", [2]),
    ("1.combine(2, true)", [1, 2]),
    ("(1.0 | 2.0 | 3.0).sum()", [Decimal("6.0")]),
    ("(1.0 'mg' | 2.0 'mg').sum()", ["3.0 'mg'"]),
    ("{}.sum()", []),
    ("(2 | 4 | 8 | 6).min()", [2]),
    ("(@2012-12-31 | @2013-01-01 | @2012-01-01).max()", ["2013-01-01"]),
    ("(2 | 4).avg()", [Decimal(3)]),
    ("('a' | 'b').join('-')", ["a-b"]),
    ("{}.join(',')", [""]),
    ("(1 | 2 | 3).aggregate($this + $total, 0)", [6]),
    ("(1 | 2).aggregate($total.combine((10 | 20).aggregate($this + $total, $this)), {})", [31, 32]),
    # Conversion
    ("'T'.toBoolean() and 'yes'.toBoolean() and 1.0.toBoolean()", [True]),
    ("'nope'.toBoolean()", []),
    ("2.toBoolean()", []),
    ("'-5'.toInteger()", [-5]),
    ("'99999999999'.toInteger()", []),
    ("true.toDecimal()", [Decimal("1")]),
    ("'1.50'.toDecimal().toString()", ["1.50"]),
    ("'2026-11-22T10:00'.toDate()", ["2026-11-22"]),
    ("@2026-11.toDateTime().toString()", ["2026-11"]),
    ("'10:30'.toTime()", ["10:30"]),
    ("'25:30'.convertsToTime()", [False]),
    ("'4 days'.toQuantity()", ["4 days"]),
    ("'10 \\'mm[Hg]\\''.toQuantity()", ["10 'mm[Hg]'"]),
    ("'1 dag'.convertsToQuantity()", [False]),
    ("52 'cm'.toQuantity('m')", ["0.52 'm'"]),
    ("45.toQuantity('m')", []),
    ("1 'a'.toQuantity('d')", ["365.25 'd'"]),
    ("7 days.toQuantity('wk')", ["1 'wk'"]),
    ("182.5 days.toQuantity('a')", ["0.5 'a'"]),
    ("24 'm'.toQuantity('kg')", []),
    ("2 '[in_i]'.convertsToQuantity('cm')", [True]),
    ("10 'Cel'.toQuantity('[degF]')", ["50 '[degF]'"]),
    ("5 'm'.convertsToQuantity('kg')", [False]),
    ("{}.convertsToInteger()", []),
    ("name.toString()", "error"),
    ("name.first().toString()", []),
    ("birthDate.convertsToDate()", [True]),
    ("iif(false, 1)", []),
    ("birthDate.iif(exists(), toString(), 'unknown')", ["1961-03-09"]),
    ("iif(1, 'true', 'false')", "error"),
    ("iif(name.first().use, 'x', 'y')", ["x"]),
    # Strings
    ("'abc'.lastIndexOf('c') + 'abcabc'.lastIndexOf('b')", [6]),
    ("'abcdef'.substring(2, 0)", [""]),
    ("'abcdef'.substring(6)", []),
    ("'abc'.toChars()", ["a", "b", "c"]),
    ("'first\\nsecond'.matches('^second', 'm')", [True]),
    ("'first\\nsecond'.matches('^second')", [False]),
    ("'FHIR'.matches('^fhir$', 'i')", [True]),
    ("'x'.matches('x', 'q')", "error"),
    ("'N8000123123'.matchesFull('N[0-9]{8}')", [False]),
    ("'N8000123123'.matchesFull('N[0-9]{10}')", [True]),
    (
        "'11/30/1972'.replaceMatches('\\\\b(?P<month>\\\\d{1,2})/(?P<day>\\\\d{1,2})/(?P<year>\\\\d{2,4})\\\\b',"
        " '${day}-${month}-${year}')",
        ["30-11-1972"],
    ),
    ("'aaabaa'.replaceMatches('aa', '\"aa\"')", ['"aa"ab"aa"']),
    ("'abc'.replaceMatches('(b)', '[$1]')", ["a[b]c"]),
    ("'a b'.split(' ')", ["a", "b"]),
    ("'abc'.split('')", ["a", "b", "c"]),
    ("' a '.trim()", ["a"]),
    ("'zz'.decode('hex')", "error"),
    ("'a'.encode('rot13')", []),
    ("'é'.encode('base64').decode('base64')", ["é"]),
    ("1.startsWith('1')", "error"),
    ("name.given.startsWith('A')", "error"),
    # Math
    ("(-5.5).abs()", [Decimal("5.5")]),
    ("1.5.ceiling() + 1.5.floor() + (-1.5).truncate()", [2]),
    ("2.5 'mg'.ceiling()", ["3 'mg'"]),
    ("2.5.round() + (-2.5).round()", [Decimal("0")]),
    ("3.14159.round(3)", [Decimal("3.142")]),
    ("3.14159 'cm'.round(1)", ["3.1 'cm'"]),
    ("1.5.round(-1)", "error"),
    ("2.power(-1)", [Decimal("0.5")]),
    ("2.power(31)", []),
    ("(-8).sqrt()", []),
    ("0.ln()", []),
    ("8.log(2)", [Decimal(3)]),
    ("2147483647 + 1", []),
    ("5.5 div 0.7", [7]),
    ("5.5 mod 0.7", [Decimal("0.6")]),
    ("(-7) div 2 + (-7) mod 2", [-4]),
    ("1 + {}", []),
    ("1 + 'a'", "error"),
    ("'a' + 1", "error"),
    ("-'a'", "error"),
    ("+'a'", "error"),
    ("-name", "error"),
    ("'ABC' + {}", []),
    ("'ABC' & {} & 'DEF'", ["ABCDEF"]),
    ("1 & 'a'", "error"),
    ("(1 | 2) + 1", "error"),
    # Comparison
    ("1 < 1.5", [True]),
    ("'a' < 'B'", [False]),
    ("true < false", "error"),
    ("1 < 'a'", "error"),
    ("(1 | 2) < 3", "error"),
    ("'a b' ~ 'A\\tB'", [True]),
    ("'a  b' ~ 'a b'", [False]),
    ("1.05 ~ 1.0", [True]),
    ("1.5 ~ 2", [True]),
    ("{} ~ {}", [True]),
    ("{} !~ 1", [True]),
    ("true ~ 1", [False]),
    ("true = 1", [False]),
    ("name[0] = name[0]", [True]),
    ("name[0] = name[1]", [False]),
    ("name[0] ~ name[0]", [True]),
    ("name[0] ~ name[1]", [False]),
    ("1 in {}", [False]),
    ("{} in (1 | 2)", []),
    ("(1 | 2) in (1 | 2)", "error"),
    # Types
    ("multipleBirth is integer", [True]),
    ("multipleBirth.is(FHIR.integer) and multipleBirth.is(System.Integer).not()", [True]),
    ("(1 | 2) is Integer", "error"),
    ("{} is Integer", []),
    ("1 is System.Any", [True]),
    ("name.type().name.distinct()", ["HumanName"]),
    ("1.type()", [{"namespace": "System", "name": "Integer"}]),
    # Utility
    ("now()", ["2026-11-22T10:30:15.250-05:00"]),
    ("today()", ["2026-11-22"]),
    ("timeOfDay()", ["10:30:15.250"]),
    ("name.given.trace('given', $this.length()).count()", [4]),
    ("defineVariable('n', name.first()).select(%n.family & %n.use)", ["Betaofficial"]),
    ("name.defineVariable('n').given.select(%n.count())", [3, 3, 3, 3]),
    (
        "name.select(defineVariable('n').given.select(%n.use & $this))",
        ["officialAda", "officialBo", "usualAl", "oldCy"],
    ),
    # Boundaries
    ("1.587.lowBoundary(2)", [Decimal("1.58")]),
    ("(-1.587).highBoundary(0)", [Decimal("-1")]),
    ("@2014.lowBoundary(6)", ["2014-01"]),
    ("@2014-02.highBoundary()", ["2014-02-28"]),
    ("@2014-01-01T08.highBoundary(14)", ["2014-01-01T08:59:59-12:00"]),
    ("@T10:30.highBoundary(9)", ["10:30:59.999"]),
    ("1.587.lowBoundary(40)", []),
    ("'a'.lowBoundary()", "error"),
    ("100.precision() + 1.58700.precision()", [5]),
    ("@2014-01-05T10:30:00.000.precision()", [17]),
    ("@2014-01-05T10:30Z.precision()", [12]),
    ("1 'mg'.comparable(2 'g') and 2 '1'.comparable(3)", [True]),
    ("1 year.comparable(1 'a')", [False]),
    # FHIR
    ("active.hasValue() and name.hasValue().not()", [True]),
    ("birthDate.getValue() = @1961-03-09", [True]),
    ("conformsTo('http://hl7.org/fhir/StructureDefinition/DomainResource')", [True]),
    ("conformsTo('http://example.org/profile')", "error"),
    ("checkModifiers('http://example.org/known').active", [True]),
    ("checkModifiers('http://example.org/other').active", "error"),
    ("'a'.memberOf('list')", "error"),
]


def shown(items: list[Any]) -> list[Any]:
    return [item if type(item) in (str, bool, int, Decimal, dict) else str(item) for item in items]


@pytest.mark.parametrize(("text", "result"), CASES)
def test_evaluate(text: str, result: list[Any] | str) -> None:
    if result == "error":
        with pytest.raises(fhirpath.FhirPathError):
            fhirpath.compile(text).evaluate(PATIENT, now=NOW)
        return
    found = shown(fhirpath.compile(text).evaluate(PATIENT, now=NOW))
    assert (found, [type(item) for item in found]) == (result, [type(item) for item in result])


@pytest.mark.parametrize("text", [text for text, result in CASES if result and type(result[0]) is bool])
def test_judge_says_the_same_when_nothing_is_missing(text: str) -> None:
    compiled = fhirpath.compile(text)
    trace = compiled.trace(PATIENT, now=NOW, judging=True)
    assert trace.judgement is not None
    assert [trace.judgement.value] == compiled.evaluate(PATIENT, now=NOW)
    assert compiled.judge(PATIENT, now=NOW) == trace.judgement


@pytest.mark.parametrize("text", ["now()", "today()", "timeOfDay()"])
def test_the_clock_is_the_callers(text: str) -> None:
    with pytest.raises(fhirpath.FhirPathError, match="now"):
        fhirpath.compile(text).evaluate({})


def test_errors_name_the_expression_and_not_the_data() -> None:
    with pytest.raises(fhirpath.FhirPathError) as caught:
        fhirpath.compile("name.family < 3").evaluate({"resourceType": "Patient", "name": {"family": "Secret"}})
    assert "Secret" not in str(caught.value)
