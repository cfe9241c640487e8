from __future__ import annotations

from pathlib import Path

import pytest

from app.rulebook.scenarios import Scenario, read_scenarios
from benefit_router import Problem
from tests.rulebook.small import FILES, built

BOOK = built(FILES)
ONE = """\
  - id: T01
    title: a drug
    on: 2026-06-01
    member: {line: commercial}
    order: {type: MedicationRequest, codes: [HCPCS J1745], route: oral, form: tablet}
    expect: {covered: covered}
"""


def read(folder: Path, **texts: str) -> tuple[list[Scenario], list[Problem]]:
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(f"scenarios:\n{text}", encoding="utf-8")
    return read_scenarios(folder, BOOK)


def test_one_order(tmp_path: Path) -> None:
    (scenario,), problems = read(tmp_path, drug=ONE)
    assert problems == []
    assert scenario == Scenario(
        id="T01",
        title="a drug",
        hook="order-sign",
        on="2026-06-01",
        member={"line": "commercial"},
        orders=({"type": "MedicationRequest", "codes": ["HCPCS J1745"], "route": "oral", "form": "tablet"},),
        record={},
        expect=({"covered": "covered"},),
        file="scenarios/drug.yaml",
        line=2,
    )
    assert scenario.place == "scenarios/drug.yaml:2"


ORDERS = "orders: [{type: ServiceRequest, codes: [CPT 77065]}, {type: DeviceRequest}]"


@pytest.mark.parametrize(
    ("expect", "answers"),
    [
        ("[{covered: covered}, {covered: not-covered}]", ({"covered": "covered"}, {"covered": "not-covered"})),
        ("{covered: covered}", ({"covered": "covered"}, {"covered": "covered"})),
        ("{}", ({}, {})),
    ],
)
def test_several_orders(tmp_path: Path, expect: str, answers: tuple[object, ...]) -> None:
    order = ONE.splitlines()[4].strip()
    text = ONE.replace(order, ORDERS).replace("{covered: covered}", expect)
    text += "    hook: order-select\n    record: {conditions: unavailable}\n"
    (scenario,), problems = read(tmp_path, several=text.replace("member: {line: commercial}", "member: M1001"))
    assert problems == []
    assert len(scenario.orders) == 2
    assert scenario.expect == answers
    assert (scenario.hook, scenario.member, scenario.record) == ("order-select", "M1001", {"conditions": "unavailable"})


@pytest.mark.parametrize(
    ("old", "new", "line", "column", "message"),
    [
        ("expect: {covered: covered}", "expect: [{}, {}]", 2, "expect", "1 orders, but 2 expected answers"),
        ("expect: {covered: covered}", "expect: []", 2, "expect", "1 orders, but 0 expected answers"),
        ("route: oral", "route: by mouth", 2, "route", "'by mouth' has no code"),
        ("form: tablet", "form: vial", 2, "form", "'vial' has no code"),
        ("covered: covered", "coverd: covered", 7, "scenarios.0.expect.coverd", "not a key"),
        ("title: a drug\n", "title: a drug\n    title: a drug\n", 4, "title", "stands twice"),
        ("title: a drug", "title: [", 5, None, "not YAML"),
        ("on: 2026-06-01", "on: 2026-06-31", 4, "scenarios.0.on", "not written as it must be"),
    ],
)
def test_mistakes(tmp_path: Path, old: str, new: str, line: int, column: str | None, message: str) -> None:
    scenarios, (problem,) = read(tmp_path, drug=ONE.replace(old, new))
    assert scenarios == []
    assert (problem.file, problem.line, problem.column) == ("scenarios/drug.yaml", line, column)
    assert message in problem.message


def test_an_id_stands_once_in_all_files(tmp_path: Path) -> None:
    second = ONE.replace("T01", "T02") + ONE
    scenarios, (problem,) = read(tmp_path, a=ONE, b=second)
    assert [(scenario.id, scenario.file) for scenario in scenarios] == [
        ("T01", "scenarios/a.yaml"),
        ("T02", "scenarios/b.yaml"),
    ]
    assert (problem.file, problem.line, problem.column) == ("scenarios/b.yaml", 8, "id")
    assert "scenarios/a.yaml:2" in problem.message


def test_one_wrong_file_does_not_hide_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes("scenarios: caf\u00e9".encode("latin-1"))
    scenarios, problems = read(tmp_path, b=ONE)
    assert [scenario.id for scenario in scenarios] == ["T01"]
    assert {problem.file for problem in problems} == {"scenarios/a.yaml"}
    assert "The file is not UTF-8 text." in {problem.message for problem in problems}


def test_no_folder(tmp_path: Path) -> None:
    assert read_scenarios(tmp_path / "scenarios", BOOK) == ([], [])
