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
        ("{covered: covered}", "{covered: covered}\n    forms: {none: {a: b}}", 2, "forms", "no form 'none'"),
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


TABLE = """\
  - id: T02
    title: a drug
    on: 2026-06-01
    member: {line: commercial, plan: gold}
    order: {type: MedicationRequest, codes: [HCPCS J1745], route: oral}
    record: {conditions: [ICD-10-CM K50.90]}
    expect: {covered: covered, pa: no-auth}
    table:
      - {row: home, order: {site: "12"}, without: [route], expect: {pa: conditional}}
      - row: ma
        title: Medicare
        on: 2026-07-01
        member: {line: ma}
        record: {allergies: unavailable}
      - {row: stranger, member: unknown, expect: {covered: not-covered}}
"""


def test_that_nothing_is_asked_may_be_expected(tmp_path: Path) -> None:
    nothing = "{covered: covered, docs: [], purpose: [], questionnaire: [], info: [], billing: [], cards: []}"
    _, problems = read(tmp_path, drug=ONE.replace("{covered: covered}", nothing))
    assert problems == []


def test_a_table_is_one_scenario_a_row(tmp_path: Path) -> None:
    (home, ma, stranger), problems = read(tmp_path, table=TABLE)
    assert problems == []
    drug = {"type": "MedicationRequest", "codes": ["HCPCS J1745"]}
    assert (home.id, home.title, home.on, home.line) == ("T02-home", "a drug: home", "2026-06-01", 10)
    assert home.orders == (drug | {"site": "12"},)
    assert home.expect == ({"covered": "covered", "pa": "conditional"},)
    assert (ma.title, ma.on, ma.member) == ("Medicare", "2026-07-01", {"line": "ma", "plan": "gold"})
    assert ma.orders == (drug | {"route": "oral"},)
    assert ma.record == {"conditions": ["ICD-10-CM K50.90"], "allergies": "unavailable"}
    assert ma.expect == ({"covered": "covered", "pa": "no-auth"},)
    assert (stranger.member, stranger.expect) == ("unknown", ({"covered": "not-covered", "pa": "no-auth"},))


@pytest.mark.parametrize(
    ("old", "new", "line", "column", "message"),
    [
        ("without: [route]", "without: [rout]", 10, "scenarios.0.table.0.without.0", "'rout' is not one of"),
        ("site:", "cite:", 10, "scenarios.0.table.0.order.cite", "not a key"),
        ("row: ma", "row: home", 11, "id", "'T02-home' is also at scenarios/table.yaml:10"),
        ("    expect: {covered: covered, pa: no-auth}\n", "", 10, "expect", "'expect' is missing"),
        ("    member: {line: commercial, plan: gold}\n", "", 9, "member", "'member' is missing"),
        ("row: stranger", "row: stranger, order: {route: nowhere}", 16, "route", "has no code in the crosswalks"),
    ],
)
def test_mistakes_in_a_table(tmp_path: Path, old: str, new: str, line: int, column: str, message: str) -> None:
    assert old in TABLE
    _, problems = read(tmp_path, table=TABLE.replace(old, new, 1))
    assert [(p.line, p.column) for p in problems if message in p.message] == [(line, column)], problems


REQUEST = """\
  - id: T03
    title: a whole request
    on: 2026-06-01
    request: call.json
    expect: {covered: covered}
"""


def test_a_request_beside_the_scenario_or_written_out(tmp_path: Path) -> None:
    (tmp_path / "call.json").write_bytes(b'{"hook": "order-sign"}')
    (scenario,), problems = read(tmp_path, request=REQUEST)
    assert (problems, scenario.request, scenario.orders, scenario.member) == ([], b'{"hook": "order-sign"}', (), None)
    (scenario,), problems = read(tmp_path, request=REQUEST.replace("call.json", "{hook: order-select, n: 1.10}"))
    assert (problems, scenario.request) == ([], b'{"hook":"order-select","n":1.10}')


@pytest.mark.parametrize(
    ("old", "new", "column", "message"),
    [
        ("call.json", "gone.json", "request", "no file 'gone.json'"),
        ("call.json", "../call.json", "scenarios.0.request", "not written as it must be"),
        ("request: call.json", "request: call.json\n    member: M1", "member", "says who the member is"),
        ("request: call.json", "order: {type: ServiceRequest}", "member", "'member' is missing"),
    ],
)
def test_mistakes_about_a_request(tmp_path: Path, old: str, new: str, column: str, message: str) -> None:
    (tmp_path / "call.json").write_bytes(b"{}")
    _, problems = read(tmp_path, request=REQUEST.replace(old, new))
    assert [p.column for p in problems if message in p.message] == [column], problems
