"""Scenario files: orders in shorthand and the answers they must get. Benefit staff hold the machine to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.rulebook import schema
from app.rulebook.documents import check_encoding, read_document
from app.rulebook.rulebook import Rulebook
from benefit_router import Problem


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario. `orders`, `record` and `expect` are as the file writes them; `expect` has one entry an order."""

    id: str
    title: str
    hook: str
    on: str
    member: str | Mapping[str, Any]
    orders: tuple[Mapping[str, Any], ...]
    record: Mapping[str, Any]
    expect: tuple[Mapping[str, Any], ...]
    file: str
    line: int

    @property
    def place(self) -> str:
        """Where it is written."""
        return f"{self.file}:{self.line}"


def read_scenarios(folder: Path, rulebook: Rulebook) -> tuple[list[Scenario], list[Problem]]:
    """Every scenario of a folder, and what is wrong with the files."""
    scenarios: list[Scenario] = []
    problems: list[Problem] = []
    seen: dict[str, str] = {}
    for path in sorted(folder.glob("*.yaml")):
        file = f"scenarios/{path.name}"
        text = path.read_text(encoding="utf-8", errors="replace")
        document, found = read_document(text, file)
        found += check_encoding(text, file)
        if document is not None:
            found += schema.check(document, "scenarios")
        problems += found
        if document is None or found:
            continue
        for position, data in enumerate(document.data["scenarios"]):
            line = document.line(("scenarios", position, "id"))
            scenario = _scenario(data, file, line)
            wrong = list(_check(scenario, rulebook))
            if scenario.id in seen:
                message = f"'{scenario.id}' is also at {seen[scenario.id]}."
                wrong.append(Problem(file, line, "id", message, "Give it its own id."))
            seen[scenario.id] = scenario.place
            problems += wrong
            if not wrong:
                scenarios.append(scenario)
    return scenarios, problems


def _scenario(data: dict[str, Any], file: str, line: int) -> Scenario:
    orders = data.get("orders") or [data["order"]]
    expect = data["expect"]
    return Scenario(
        id=data["id"],
        title=data["title"],
        hook=data.get("hook", "order-sign"),
        on=data["on"],
        member=data["member"],
        orders=tuple(orders),
        record=data.get("record", {}),
        expect=tuple(expect if isinstance(expect, list) else [expect] * len(orders)),
        file=file,
        line=line,
    )


def _check(scenario: Scenario, rulebook: Rulebook) -> Iterator[Problem]:
    """What the schema cannot see: as many answers as orders, and words the crosswalks know."""
    if len(scenario.expect) != len(scenario.orders):
        message = f"{len(scenario.orders)} orders, but {len(scenario.expect)} expected answers."
        yield Problem(scenario.file, scenario.line, "expect", message, "Give one answer an order, in their order.")
    walks = rulebook.crosswalks
    for order in scenario.orders:
        for key, words in (("route", frozenset(walks.routes.values())), ("form", frozenset(walks.dose_forms.values()))):
            if key in order and order[key] not in words:
                message = f"'{order[key]}' has no code in the crosswalks, so no order can say it."
                remedy = f"Add it to crosswalks/{key if key == 'route' else 'dose_form'}s.csv, or leave it out."
                yield Problem(scenario.file, scenario.line, key, message, remedy)
