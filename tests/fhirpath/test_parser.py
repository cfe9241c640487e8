"""The grammar: what is refused, where and with what advice; how operators bind."""

from __future__ import annotations

from typing import Any

import pytest

from app import fhirpath

REFUSED = [
    # text, line, column, part of the message, part of what was expected
    ("", 1, 1, "Empty", "a path"),
    ("   ", 1, 4, "Empty", "a path"),
    ("Patient.name.", 1, 14, "end of expression", "an element or function name"),
    ("Patient.name blah", 1, 14, "'blah'", "an operator"),
    ("Patient.name.where(use=='official')", 1, 24, "'='", "a path"),
    ("Patient.name.where(use = 'official'", 1, 36, "end of expression", "')'"),
    ("name.given[0", 1, 13, "end of expression", "']'"),
    ("(1 + 2", 1, 7, "end of expression", "')'"),
    ("1 +", 1, 4, "end of expression", "a path"),
    ("1 2", 1, 3, "'2'", "an operator"),
    ("and true", 1, 1, "'and'", "backticks"),
    ("a.div", 1, 3, "'div'", "`div`"),
    ("name..given", 1, 6, "'.'", "an element"),
    (".name", 1, 1, "'.'", "a path"),
    ("{ 1 }", 1, 3, "'1'", "'}'"),
    ("where(a = 1,)", 1, 13, "')'", "a path"),
    ("'open", 1, 1, "closing quote", "'"),
    ('"text"', 1, 1, "Double quotes", "single quotes"),
    ("`open", 1, 1, "backtick", "`"),
    ("'bad \\q'", 1, 6, "escape", "\\n"),
    ("@2026-02-30", 1, 1, "no valid date", "exists"),
    ("@2026-13", 1, 1, "no valid date", "exists"),
    ("@2026-01-01T25:00", 1, 1, "no valid datetime", "exists"),
    ("@T24:00", 1, 1, "no valid time", "exists"),
    ("@T10:00Z", 1, 8, "'Z'", "operator"),
    ("@next", 1, 1, "Not a date", "@YYYY"),
    ("$that", 1, 1, "$", "$this"),
    ("a.$this", 1, 3, "$this", "element"),
    ("%", 1, 1, "%", "name"),
    ("a ! b", 1, 3, "'!'", ".not()"),
    ("a && b", 1, 4, "'&'", "a path"),
    ("a || b", 1, 4, "'|'", "a path"),
    ("a == b", 1, 4, "'='", "a path"),
    ("a ; b", 1, 3, "';'", None),
    ("2147483648", 1, 1, "2147483647", "quotes"),
    ("10mg", 1, 3, "'mg'", "operator"),
    ("a is", 1, 5, "end of expression", "a type name"),
    ("a is 'Patient'", 1, 6, "Patient", "a type name"),
    ("a /* b", 1, 3, "Comment", "*/"),
    ("a\n  and\n  b c", 3, 5, "'c'", "an operator"),
    ("name.where(\n  use =\n)", 3, 1, "')'", "a path"),
]


@pytest.mark.parametrize(("text", "line", "column", "message", "expected"), REFUSED)
def test_refused_with_its_place(text: str, line: int, column: int, message: str, expected: str | None) -> None:
    with pytest.raises(fhirpath.FhirPathSyntaxError) as caught:
        fhirpath.compile(text)
    error = caught.value
    assert (error.line, error.column) == (line, column)
    assert message in error.message
    assert expected in error.expected if expected is not None and error.expected else error.expected is expected


def test_the_caret_stands_under_the_place() -> None:
    with pytest.raises(fhirpath.FhirPathSyntaxError) as caught:
        fhirpath.compile("name.where(\n\tuse == 'x')")
    assert caught.value.caret() == " use == 'x')\n      ^"
    assert str(caught.value).endswith(caught.value.caret())


BINDING = [
    ("1 + 2 * 3", [7]),
    ("(1 + 2) * 3", [9]),
    ("2 * 3 - 4 / 2", [4]),
    ("-2 + 3", [1]),
    ("- (2 + 3)", [-5]),
    ("7 - 2 - 1", [4]),
    ("8 / 4 / 2", [1]),
    ("1 | 2 | 1", [1, 2]),
    ("1 + 1 | 3", [2, 3]),
    ("1 < 2 and 2 < 3", [True]),
    ("1 = 1 = true", [True]),
    ("true or false and false", [True]),
    ("false implies false or false", [True]),
    ("true xor true or true", [True]),
    ("1 is Integer and 'a' is String", [True]),
    ("(1 | 2) contains 1 and 3 in (1 | 2)", [False]),
    ("'a' & 'b' = 'ab'", [True]),
    ("5 mod 3 + 5 div 3", [3]),
    ("-1 'mg' = -1.0 'mg'", [True]),
    ("{}", []),
    ("1 // the rest is a comment", [1]),
    ("1 /* two \n lines */ + 1", [2]),
    ("'it\\'s \\u0041'", ["it's A"]),
    ("`true`.`and`", []),
    ("is.as.contains.in", []),
    ("4 days", ["4 days"]),
    ("1.5 'mg/dL'", ["1.5 'mg/dL'"]),
    ("%`vs-a b` = %'vs-a b' and %`vs-a b` = %\"vs-a b\"", [True]),
]


@pytest.mark.parametrize(("text", "result"), BINDING)
def test_binding(text: str, result: list[Any]) -> None:
    found = fhirpath.compile(text).evaluate({})
    assert [value if isinstance(value, bool | int | str) else str(value) for value in found] == [
        value if isinstance(value, bool | int | str) else str(value) for value in result
    ] or found == result


def test_a_hundred_nested_functions_compile_and_run() -> None:
    text = "iif(true, " * 100 + "'deep'" + ", 'no')" * 100
    assert fhirpath.compile(text).evaluate({}) == ["deep"]
    assert fhirpath.compile(text + " = 'deep'").judge({}).value is True


@pytest.mark.parametrize(
    "text", ["(" * 1000 + "1" + ")" * 1000, "-" * 1000 + "1", "a" + ".a" * 1000, "1" + "+1" * 1000]
)
def test_deeper_than_the_bound_is_refused(text: str) -> None:
    with pytest.raises(fhirpath.FhirPathSyntaxError, match="deep"):
        fhirpath.compile(text)


def test_longer_than_the_bound_is_refused() -> None:
    with pytest.raises(fhirpath.FhirPathSyntaxError, match="Longer"):
        fhirpath.compile("'" + "a" * 20_000 + "'")
