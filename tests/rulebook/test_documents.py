from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from app.rulebook import documents
from app.rulebook.documents import MAX_DEPTH, check_encoding, read_document
from app.settings import ROOT


def read(text: str) -> Any:
    document, problems = read_document(text, "f.yaml")
    assert problems == []
    assert document is not None
    return document.data


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True),
        ("false", False),
        ("True", "True"),
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("null", None),
        ("~", None),
        ("", None),
        ("Null", "Null"),
        ("0", 0),
        ("-7", -7),
        ("42", 42),
        ("+1", "+1"),
        ("0123", "0123"),
        ("004336", "004336"),
        ("999999999999999999", 999999999999999999),
        ("1234567890123456789", "1234567890123456789"),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        ("1e5", "1e5"),
        ("1.10", Decimal("1.10")),
        ("-0.5", Decimal("-0.5")),
        ("07.50", "07.50"),
        (".5", ".5"),
        ("1.2.3", "1.2.3"),
        (".inf", ".inf"),
        ("2026-11-01", "2026-11-01"),
        ("12:30", "12:30"),
        ("list:drug", "list:drug"),
        ("'no'", "no"),
        ('"0123"', "0123"),
        ("'42'", "42"),
        ("[1, no]", [1, "no"]),
        ("{a: on}", {"a": "on"}),
    ],
)
def test_values(written: str, value: Any) -> None:
    found = read(f"key: {written}")["key"]
    assert found == value
    assert type(found) is type(value)
    # Two decimals are equal whatever their digits; here every digit counts.
    assert str(found) == str(value)


def test_keys_are_words_whatever_they_look_like() -> None:
    assert read("{no: 1, 11: 2, 1.5: 3, true: 4}") == {"no": 1, "11": 2, "1.5": 3, "true": 4}


def test_a_byte_order_mark_is_not_part_of_the_first_key() -> None:
    assert read("\ufeffa: 1") == {"a": 1}


TEXT = """\
# comment
policy: drug
source:
  url: "https://example.org"
list:
  - one
  -
    nested: yes

flow: {a: 1,
  b: [x,
    y]}
folded: >-
  text
  more
nothing:
last: 1.5
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 2),
        (("policy",), 2),
        (("source",), 3),
        (("source", "url"), 4),
        (("list",), 5),
        (("list", 0), 6),
        (("list", 1), 8),
        (("list", 1, "nested"), 8),
        (("flow",), 10),
        (("flow", "a"), 10),
        (("flow", "b"), 11),
        (("flow", "b", 1), 12),
        (("folded",), 13),
        (("nothing",), 16),
        (("last",), 17),
        # What is not there has the line of what would hold it.
        (("source", "section"), 3),
        (("list", 7, "deeper"), 5),
        (("unheard-of",), 2),
    ],
)
def test_lines(path: tuple[str | int, ...], line: int) -> None:
    document, _ = read_document(TEXT, "f.yaml")
    assert document is not None
    assert document.line(path) == line
    problem = document.problem(path, "Wrong.", "Right it.")
    assert (problem.line, problem.column) == (line, ".".join(map(str, path)) or None)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "empty"),
        ("# nothing but this\n", 1, "empty"),
        ("a: b: c", 1, "mapping values are not allowed"),
        ("a: 1\nb: [1, 2", 2, "flow sequence"),
        ("a: 'x\nb: 1", 2, "end of stream"),
        ("a:\n\t- b", 2, "'\\t'"),
        ("a: 1\n b: 2", 2, "not YAML"),
        ("a: @x", 1, "'@'"),
        ("a: 1\n---\nb: 2", 2, "single document"),
        ("%YAML 9.9\n---\na: 1", 1, "incompatible"),
        ("a: \x00", 1, "character"),
        ("a: 1\nb: \x07", 2, "character"),
        ("a: 1\nb: &anchor 2", 2, "alias"),
        ("a: 1\nb: *anchor", 2, "alias"),
        ("a: 1\nb: !!int 2", 2, "tag"),
        ("!own\na: 1", 1, "tag"),
        ("a: !!python/object/apply:os.system [ls]", 1, "tag"),
        ("a:\n" + "[" * (MAX_DEPTH + 1), 2, "nested"),
        ("[" * 50_000, 1, "nested"),
    ],
)
def test_cannot_be_read(text: str, line: int, words: str) -> None:
    document, problems = read_document(text, "f.yaml")
    assert document is None
    (problem,) = problems
    assert (problem.file, problem.line) == ("f.yaml", line)
    assert words in problem.message
    assert problem.remedy


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("a: 1\nb: 2\na: 3", 3, "a", "'a' stands twice"),
        ("x: {a: 1, a: 2}", 1, "a", "'a' stands twice"),
        ("x: 1\n[a, b]: 2", 2, None, "not a word"),
    ],
)
def test_wrong_keys(text: str, line: int, column: str | None, words: str) -> None:
    document, (problem,) = read_document(text, "f.yaml")
    assert document is not None
    assert (problem.line, problem.column) == (line, column)
    assert words in problem.message


def test_aliases_that_would_stand_for_gigabytes_are_refused() -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60))
    document, problems = read_document(bomb, "f.yaml")
    assert document is None
    assert len(problems) == 1


def test_as_deep_as_any_rule_file_needs() -> None:
    deep = MAX_DEPTH - 1
    assert read("[" * deep + "]" * deep) is not None


@pytest.mark.parametrize(
    ("raw", "line"), [(b"a: 1", None), ("a: \u00e9".encode(), None), (b"a: 1\nb: caf\xe9\n", 2), (b"\xff\xfea\x00", 1)]
)
def test_encoding(raw: bytes, line: int | None) -> None:
    found = check_encoding(raw.decode("utf-8", errors="replace"), "f.yaml")
    assert [problem.line for problem in found] == ([] if line is None else [line])


RULE_FILES = [*sorted((ROOT / "rules").rglob("*.yaml")), *sorted((ROOT / "questionnaires").rglob("*.yaml"))]
HARD = [
    "a: b\tc\n",
    "\ta: 1\n",
    "a: [1, 2\n",
    "a: 'é😀'\nb: {c: d, e: [f, ~]}\n",
    "? a\n: b\n",
    "a: |\n  one\n\n  two\nb: >-\n  three\n  four\n",
    "a: \x07\n",
    "a: \ud800\n",
    "a: &b c\n",
    "a: !!int 1\n",
    "a: b: c\n",
    "a: 1\na: 2\n",
    "%YAML 1.1\n---\na: 1\n---\nb: 2\n",
    "",
]


@pytest.mark.parametrize("text", [*(path.read_text() for path in RULE_FILES), *HARD], ids=lambda text: repr(text[:24]))
def test_with_and_without_libyaml(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data, places and messages are the same."""
    assert documents.yaml.__with_libyaml__
    fast = read_document(text, "f.yaml")
    monkeypatch.setattr(documents.yaml, "__with_libyaml__", False)
    assert read_document(text, "f.yaml") == fast
