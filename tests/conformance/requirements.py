"""What CRD 2.2 asks of a server, and how this project shows that it does it.

Three files beside this one say it, each by the IG's own requirement ids (`resp-25`):

    requirements.yaml   every statement that binds the server: its level, what it says in our words, and tests of other
                        folders that show it, by node id
    unshown.yaml        statements that no test can show, with the reason; and statements that are not met, with what
                        is missing
    test_requirements_*.py   tests written for a statement; they say which with `@requirement("resp-25")`

A statement has one result. `Statement.result` is read from these files and from the tests' source, not from a run:
a run cannot differ from it, because a test that shows something must pass for the build to be green, and a test of
something not met is a strict expected failure (test_requirements_document.py checks both).

Source: davinci-crd 2.2.1, Requirements/fromNarrative.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from app.settings import ROOT

HERE = Path(__file__).parent
STATEMENTS = HERE / "requirements.yaml"
UNSHOWN = HERE / "unshown.yaml"
MANDATORY = ("SHALL", "SHALL NOT")

Result = Literal["shown", "no test can show", "not met", "not yet judged"]
Test = TypeVar("Test", bound=Callable[..., None])


def requirement(*keys: str) -> Callable[[Test], Test]:
    """Say which requirements a test shows. The mark is read from the source; see `marked_tests`."""
    unknown = set(keys) - set(_read(STATEMENTS))
    assert not unknown, f"{sorted(unknown)} are not in {STATEMENTS.name}"
    return lambda test: test


@dataclass(frozen=True, slots=True)
class Statement:
    """One conformance statement. `words` is the reason, or what is missing, or what the tests leave open."""

    key: str
    level: str
    actor: str
    says: str
    tests: tuple[str, ...]
    result: Result
    words: str

    @property
    def in_part(self) -> bool:
        """Whether the tests show it but for something that `words` names."""
        return self.result == "shown" and bool(self.words)


def statements() -> list[Statement]:
    """Every statement, in the order of requirements.yaml.

    Raises ValueError when a statement has two results, or one of unshown.yaml is not known.
    """
    stated, judged = _read(STATEMENTS), _read(UNSHOWN)
    marked = marked_tests()
    strange = [key for words in judged.values() for key in words if key not in stated]
    if strange:
        raise ValueError(f"{UNSHOWN.name} speaks of {strange}, which {STATEMENTS.name} does not have")
    return [_statement(key, entry, judged, marked.get(key, ())) for key, entry in stated.items()]


def _statement(key: str, entry: dict[str, Any], judged: dict[str, Any], marked: tuple[str, ...]) -> Statement:
    tests = (*entry.get("tests", ()), *marked)
    results: dict[Result, str] = {}
    if key in judged["no_test_can_show"]:
        results["no test can show"] = judged["no_test_can_show"][key]
    if key in judged["not_met"]:
        results["not met"] = judged["not_met"][key]
    elif tests:
        results["shown"] = entry.get("open", "")
    if len(results) > 1:
        raise ValueError(f"{key} has several results: {', '.join(results)}")
    result, words = next(iter(results.items()), ("not yet judged", ""))
    return Statement(
        key, entry["level"], entry.get("actor", "server"), entry["says"], tests, result, " ".join(words.split())
    )


def marked_tests() -> dict[str, tuple[str, ...]]:
    """Requirement id → node ids of the tests of this folder that are marked with it."""
    found: dict[str, tuple[str, ...]] = {}
    for path in sorted(HERE.glob("test_requirements_*.py")):
        for name, function in functions(path).items():
            for key in _marks(function):
                found[key] = (*found.get(key, ()), f"{path.relative_to(ROOT).as_posix()}::{name}")
    return found


def _marks(function: ast.FunctionDef) -> Iterator[str]:
    for each in function.decorator_list:
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Name) and each.func.id == "requirement":
            yield from (str(argument.value) for argument in each.args if isinstance(argument, ast.Constant))


def function_of(node: str) -> ast.FunctionDef | None:
    """The source of a test by its node id, None when there is no such test."""
    file, _, name = node.partition("::")
    path = ROOT / file
    return functions(path).get(name) if path.is_file() else None


def expected_to_fail(function: ast.FunctionDef) -> bool:
    """Whether the whole test, not one of its cases, is a strict expected failure."""
    for each in function.decorator_list:
        if isinstance(each, ast.Call) and ast.unparse(each.func) == "pytest.mark.xfail":
            return any(word.arg == "strict" and ast.unparse(word.value) == "True" for word in each.keywords)
    return False


@cache
def functions(path: Path) -> dict[str, ast.FunctionDef]:
    """The test functions of a file by name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {each.name: each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name.startswith("test")}


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found
