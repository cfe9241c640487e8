"""What CRD 2.2 and DTR 2.2 ask of a server, and how this project shows that it does it.

Three files beside this one say it for each guide, by the guide's own requirement ids (`resp-25`); those of DTR are
named `dtr_…`, and their tests `test_dtr_requirements…` with `@dtr_requirement`:

    requirements.yaml   every statement that binds the server: its level, what it says in our words, and tests of other
                        folders that show it, by node id
    unshown.yaml        statements that no test can show, with the reason; and statements that are not met, with what
                        is missing
    test_requirements_*.py   tests written for a statement; they say which with `@requirement("resp-25")`

A statement has one result. `Statement.result` is read from these files and from the tests' source, not from a run:
a run cannot differ from it, because a test that shows something must pass for the build to be green, and a test of
something not met is a strict expected failure (test_requirements_document.py checks both).

Source: davinci-crd 2.2.1 and davinci-dtr 2.2.0, Requirements/fromNarrative.
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
MANDATORY = ("SHALL", "SHALL NOT")

Result = Literal["shown", "no test can show", "not met", "not yet judged"]
Test = TypeVar("Test", bound=Callable[..., None])


@dataclass(frozen=True, slots=True)
class Guide:
    """One implementation guide's files: its statements, what is not shown of them, its tests and their mark."""

    statements: Path
    unshown: Path
    tests: str
    mark: str


CRD = Guide(HERE / "requirements.yaml", HERE / "unshown.yaml", "test_requirements_*.py", "requirement")
DTR = Guide(HERE / "dtr_requirements.yaml", HERE / "dtr_unshown.yaml", "test_dtr_requirements*.py", "dtr_requirement")


def requirement(*keys: str) -> Callable[[Test], Test]:
    """Say which requirements of CRD a test shows. The mark is read from the source; see `marked_tests`."""
    return _mark(CRD, keys)


def dtr_requirement(*keys: str) -> Callable[[Test], Test]:
    """Say which requirements of DTR a test shows."""
    return _mark(DTR, keys)


def _mark(guide: Guide, keys: tuple[str, ...]) -> Callable[[Test], Test]:
    unknown = set(keys) - set(_read(guide.statements))
    assert not unknown, f"{sorted(unknown)} are not in {guide.statements.name}"
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


def statements(guide: Guide = CRD) -> list[Statement]:
    """Every statement, in the order of the guide's file.

    Raises ValueError when a statement has two results, or one that is judged is not known.
    """
    stated, judged = _read(guide.statements), _read(guide.unshown)
    marked = marked_tests(guide)
    strange = [key for words in judged.values() for key in words if key not in stated]
    if strange:
        raise ValueError(f"{guide.unshown.name} speaks of {strange}, which {guide.statements.name} does not have")
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


def marked_tests(guide: Guide = CRD) -> dict[str, tuple[str, ...]]:
    """Requirement id → node ids of the tests of this folder that are marked with it."""
    found: dict[str, tuple[str, ...]] = {}
    for path in sorted(HERE.glob(guide.tests)):
        for name, function in functions(path).items():
            for key in _marks(function, guide.mark):
                found[key] = (*found.get(key, ()), f"{path.relative_to(ROOT).as_posix()}::{name}")
    return found


def _marks(function: ast.FunctionDef, mark: str) -> Iterator[str]:
    for each in function.decorator_list:
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Name) and each.func.id == mark:
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
