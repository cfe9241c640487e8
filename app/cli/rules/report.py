"""What `signpost rules test` found: for people, for machines, and for a CI server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from app.fhir.json import encode

if TYPE_CHECKING:
    from app.crd.mutation import Mutation
    from app.crd.reach import Reached
    from app.crd.scenarios import Outcome
    from app.rulebook.scenarios import Scenario
    from benefit_router import Problem

_KINDS = {"row": "routing rows", "case": "policy cases", "card": "cards"}


@dataclass(slots=True)
class Report:
    """`reached` and `mutated` are None when nobody asked. A mutation comes with who noticed it, if anyone did."""

    rulebook: str
    problems: Sequence[Problem]
    ran: Sequence[tuple[Scenario, Outcome]]
    verbose: bool = False
    reached: Sequence[Reached] | None = field(default=None)
    mutated: Sequence[tuple[Mutation, str | None]] | None = field(default=None)

    @property
    def failed(self) -> int:
        """How many scenarios do not hold."""
        return sum(not outcome.passed for _, outcome in self.ran)

    @property
    def unnoticed(self) -> list[Mutation]:
        """Changes that no scenario noticed."""
        return [mutation for mutation, noticed in self.mutated or () if noticed is None]

    def holds(self, min_coverage: int | None, max_unnoticed: int | None) -> bool:
        """Whether all scenarios hold, and as much as was asked is covered and noticed."""
        covered = (
            min_coverage is None or _percent(_deciding(self.reached or ()), len(self.reached or ())) >= min_coverage
        )
        noticed = max_unnoticed is None or len(self.unnoticed) <= max_unnoticed
        return bool(self.ran) and not self.failed and not self.problems and covered and noticed


def text(report: Report) -> str:
    """For people."""
    lines = [str(problem) for problem in report.problems]
    for scenario, outcome in report.ran:
        if report.verbose or not outcome.passed:
            lines.append(f"{'ok  ' if outcome.passed else 'FAIL'} {scenario.id}: {scenario.title} ({scenario.place})")
        lines += [f"       {words}" for words in outcome.differences]
    lines.append(f"{len(report.ran) - report.failed} passed, {report.failed} failed")
    if report.reached is not None:
        lines += ["", *_coverage_lines(report.reached)]
    if report.mutated is not None:
        lines += ["", *_mutation_lines(report)]
    return "\n".join(lines)


def _coverage_lines(reached: Sequence[Reached]) -> Iterator[str]:
    yield "Coverage: rules that decide a scenario, are only considered, or are touched by none"
    for kind, words in _KINDS.items():
        of_kind = [each for each in reached if each.kind == kind]
        decides = _deciding(of_kind)
        untouched = sum(each.level == "untouched" for each in of_kind)
        yield (
            f"  {words:<13} {len(of_kind):>4}: {decides} decide ({_percent(decides, len(of_kind))} %), "
            f"{len(of_kind) - decides - untouched} only considered, {untouched} untouched"
        )
    for each in reached:
        if each.level != "decides":
            how = "is only considered" if each.level == "considered" else "is untouched"
            yield f"  {each.place}: {each.name} {how}"


def _mutation_lines(report: Report) -> Iterator[str]:
    tried, unnoticed = len(report.mutated or ()), report.unnoticed
    yield (
        f"Changes: {tried} tried one at a time, {tried - len(unnoticed)} noticed "
        f"({_percent(tried - len(unnoticed), tried)} %), {len(unnoticed)} unnoticed"
    )
    for rule, place, changes in _by_rule(unnoticed):
        if len(changes) == 1:
            yield f"  {place}: {rule} {changes[0]}"
        else:
            yield f"  {place}: {rule}"
            yield from (f"      {words}" for words in changes)


def as_json(report: Report) -> str:
    """For machines."""
    told: dict[str, Any] = {
        "rulebook": report.rulebook,
        "passed": len(report.ran) - report.failed,
        "failed": report.failed,
        "problems": [str(problem) for problem in report.problems],
        "scenarios": [
            {
                "id": scenario.id,
                "title": scenario.title,
                "place": scenario.place,
                "passed": outcome.passed,
                "differences": outcome.differences,
            }
            for scenario, outcome in report.ran
        ],
    }
    if report.reached is not None:
        told["coverage"] = {
            "percent": _percent(_deciding(report.reached), len(report.reached)),
            "rules": report.reached,
        }
    if report.mutated is not None:
        told["mutations"] = {
            "tried": len(report.mutated),
            "unnoticed": [
                {"rule": rule, "place": place, "changes": changes}
                for rule, place, changes in _by_rule(report.unnoticed)
            ],
        }
    return encode(told).decode()


def junit(report: Report) -> str:
    """For a CI server: one test a scenario, and one a rule that was changed."""
    root = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(root, "testsuite", name="scenarios")
    for problem in report.problems:
        case = ElementTree.SubElement(suite, "testcase", classname=problem.file, name=f"line {problem.line}")
        ElementTree.SubElement(case, "error", message=str(problem))
    for scenario, outcome in report.ran:
        case = ElementTree.SubElement(
            suite, "testcase", classname=scenario.file, name=f"{scenario.id}: {scenario.title}"
        )
        if not outcome.passed:
            ElementTree.SubElement(case, "failure", message=scenario.place).text = "\n".join(outcome.differences)
    _counted(suite)
    if report.mutated is not None:
        suite = ElementTree.SubElement(root, "testsuite", name="changes")
        unnoticed = {(rule, place): changes for rule, place, changes in _by_rule(report.unnoticed)}
        for key in dict.fromkeys((mutation.rule, mutation.place) for mutation, _ in report.mutated):
            case = ElementTree.SubElement(suite, "testcase", classname=key[1], name=key[0])
            if key in unnoticed:
                ElementTree.SubElement(case, "failure", message="unnoticed changes").text = "\n".join(unnoticed[key])
        _counted(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode")


def _counted(suite: ElementTree.Element) -> None:
    suite.set("tests", str(len(suite)))
    for kind in ("failure", "error"):
        suite.set(f"{kind}s", str(len(suite.findall(f"testcase/{kind}"))))


def _by_rule(mutations: Sequence[Mutation]) -> Iterator[tuple[str, str, list[str]]]:
    """Each rule with its place and the changes of it."""
    for (rule, place), of_rule in groupby(mutations, key=lambda each: (each.rule, each.place)):
        yield rule, place, [mutation.words for mutation in of_rule]


def _deciding(reached: Sequence[Reached]) -> int:
    return sum(each.level == "decides" for each in reached)


def _percent(part: int, whole: int) -> int:
    """Rounded down, so that 100 means all of them."""
    return 100 * part // whole if whole else 100


FORMATS: dict[str, Callable[[Report], str]] = {"text": text, "json": as_json, "junit": junit}
