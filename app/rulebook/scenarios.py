"""Scenario files: orders in shorthand and the answers they must get. Benefit staff hold the machine to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from app.fhir.json import encode
from app.rulebook import schema
from app.rulebook.documents import Path as Place
from app.rulebook.documents import check_encoding, read_document
from app.rulebook.prefill import walk
from app.rulebook.rulebook import Rulebook
from app.rulebook.spelling import nearest
from benefit_router import Problem

FOLDER = "scenarios"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario. `orders`, `record` and `expect` are as the file writes them.

    `expect` has one entry an order. Instead of orders it may have a `request`, a hook call as an EHR sends it; then
    `member` may be None, and the request's Coverage says who it is. `forms` came back before, each by its name.
    """

    id: str
    title: str
    hook: str
    on: str
    member: str | Mapping[str, Any] | None
    orders: tuple[Mapping[str, Any], ...]
    record: Mapping[str, Any]
    expect: tuple[Mapping[str, Any], ...]
    file: str
    line: int
    request: bytes | None = None
    forms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Where it is written."""
        return f"{self.file}:{self.line}"


def scenario_files(folder: Path) -> dict[str, str]:
    """The texts of a folder of scenarios: its YAML files, and requests in JSON beside them, as `scenarios/name`."""
    paths = sorted([*folder.glob("*.yaml"), *folder.glob("*.json")])
    return {f"{FOLDER}/{path.name}": path.read_text(encoding="utf-8", errors="replace") for path in paths}


def read_scenarios(folder: Path, rulebook: Rulebook) -> tuple[list[Scenario], list[Problem]]:
    """Every scenario of a folder, and what is wrong with the files."""
    return build_scenarios(scenario_files(folder), rulebook)


def build_scenarios(files: Mapping[str, str], rulebook: Rulebook) -> tuple[list[Scenario], list[Problem]]:
    """Every scenario of some texts, as `scenario_files` has them, and what is wrong with them."""
    scenarios, problems = _built(tuple(sorted(files.items())), rulebook)
    return list(scenarios), list(problems)


@lru_cache(maxsize=4)
def _built(texts: tuple[tuple[str, str], ...], rulebook: Rulebook) -> tuple[tuple[Scenario, ...], tuple[Problem, ...]]:
    """Reading YAML takes most of the time of a check, and the same texts are asked for by several."""
    files = dict(texts)
    scenarios: list[Scenario] = []
    problems: list[Problem] = []
    seen: dict[str, str] = {}
    for file, text in texts:
        if not file.endswith(".yaml"):
            continue
        document, found = read_document(text, file)
        found += check_encoding(text, file)
        if document is not None:
            found += schema.check(document, "scenarios")
        problems += found
        if document is None or found:
            continue
        for position, data in enumerate(document.data["scenarios"]):
            for path_to_id, case in _cases(data, ("scenarios", position)):
                line = document.line(path_to_id)
                wrong = list(_lacking(case, file, line))
                if not wrong:
                    scenario, wrong = _scenario(case, files, file, line)
                    wrong += _check(scenario, rulebook)
                if case["id"] in seen:
                    message = f"'{case['id']}' is also at {seen[case['id']]}."
                    wrong.append(Problem(file, line, "id", message, "Give it its own id."))
                seen[case["id"]] = f"{file}:{line}"
                problems += wrong
                if not wrong:
                    scenarios.append(scenario)
    return tuple(scenarios), tuple(problems)


def _cases(data: dict[str, Any], path: Place) -> Iterator[tuple[Place, dict[str, Any]]]:
    """The scenario as it stands, or one for each row of its table, with the place of its name."""
    if "table" not in data:
        yield (*path, "id"), data
        return
    for position, row in enumerate(data["table"]):
        yield (*path, "table", position, "row"), _changed(data, row)


def _changed(base: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    """The base of a table with what a row changes. Objects are changed key by key, all else is replaced."""
    case = {name: value for name, value in base.items() if name != "table"}
    case["id"] = f"{base['id']}-{row['row']}"
    case["title"] = row.get("title", f"{base['title']}: {row['row']}")
    for name in ("on", "member", "order", "record", "expect"):
        if name in row:
            before = case.get(name)
            both = isinstance(before, dict) and isinstance(row[name], dict)
            case[name] = {**before, **row[name]} if both and before else row[name]
    for name in row.get("without", ()):
        case["order"] = {key: value for key, value in case.get("order", {}).items() if key != name}
    return case


def _lacking(case: dict[str, Any], file: str, line: int) -> Iterator[Problem]:
    """What the schema leaves to here: it cannot say which keys go together in words that help."""
    if "expect" not in case:
        yield Problem(file, line, "expect", "'expect' is missing.", "Say what the answer must be.")
    if "request" not in case and "member" not in case:
        yield Problem(file, line, "member", "'member' is missing.", "Describe the member, or name one of the roster.")
    if "request" in case and isinstance(case.get("member"), str):
        message = "The Coverage of the request says who the member is."
        yield Problem(file, line, "member", message, "Leave 'member' out, or describe a member to put in its place.")


def _scenario(data: dict[str, Any], files: Mapping[str, str], file: str, line: int) -> tuple[Scenario, list[Problem]]:
    orders = data.get("orders") or ([data["order"]] if "order" in data else [])
    expect = data["expect"]
    request, problems = _request(data.get("request"), files, file, line)
    expected = tuple(expect) if isinstance(expect, list) else (expect,) * max(len(orders), 1)
    scenario = Scenario(
        id=data["id"],
        title=data["title"],
        hook=data.get("hook", "order-sign"),
        on=data["on"],
        member=data.get("member"),
        orders=tuple(orders),
        record=data.get("record", {}),
        expect=expected,
        file=file,
        line=line,
        request=request,
        forms=data.get("forms", {}),
    )
    return scenario, problems


def _request(
    stated: str | dict[str, Any] | None, files: Mapping[str, str], file: str, line: int
) -> tuple[bytes | None, list[Problem]]:
    """The body of a request that is written out, or that stands in a file beside the scenarios."""
    if stated is None or isinstance(stated, dict):
        return (encode(stated) if stated is not None else None), []
    text = files.get(f"{FOLDER}/{stated}")
    if text is None:
        message = f"There is no file '{stated}' here."
        return None, [Problem(file, line, "request", message, "Put the JSON file beside this one.")]
    return text.encode(), []


def _check(scenario: Scenario, rulebook: Rulebook) -> Iterator[Problem]:
    """What the schema cannot see: as many answers as orders, words the crosswalks know, and forms with their items."""
    if scenario.request is None and len(scenario.expect) != len(scenario.orders):
        message = f"{len(scenario.orders)} orders, but {len(scenario.expect)} expected answers."
        yield Problem(scenario.file, scenario.line, "expect", message, "Give one answer an order, in their order.")
    for slug, answers in scenario.forms.items():
        known = dict(walk(rulebook.forms[slug].get("item"))) if slug in rulebook.forms else {}
        for name, among in ((slug, rulebook.forms), *((link_id, known) for link_id in answers if known)):
            if name not in among:
                message = f"There is no {'form' if name == slug else 'item'} '{name}'."
                yield Problem(scenario.file, scenario.line, "forms", message, nearest(name, among))
    walks = rulebook.crosswalks
    for order in scenario.orders:
        for key, words in (("route", frozenset(walks.routes.values())), ("form", frozenset(walks.dose_forms.values()))):
            if key in order and order[key] not in words:
                message = f"'{order[key]}' has no code in the crosswalks, so no order can say it."
                remedy = f"Add it to crosswalks/{key if key == 'route' else 'dose_form'}s.csv, or leave it out."
                yield Problem(scenario.file, scenario.line, key, message, remedy)
