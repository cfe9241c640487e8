from __future__ import annotations

import pytest

from app.rulebook.payer import Clock, Contact, Pharmacy, Plan
from tests.rulebook.small import FILES, built, edited, wrong


def test_payer() -> None:
    payer = built(FILES).payer
    assert payer.name == "Sample Health"
    assert payer.identifiers == {("urn:oid:1.2", "99999")}
    assert payer.lines == {"ma": "Medicare Advantage", "commercial": "Commercial"}
    assert payer.plans == {"gold": Plan("gold", "Gold", "commercial", "rx")}
    rx = Pharmacy("rx", "Sample Rx", "1-555-010-0100", "NCPDP SCRIPT", ("2017071",), "other")
    assert payer.pharmacy == {"rx": rx}
    assert payer.contacts == {"desk": Contact("Desk", "1-555-010-0101")}
    assert payer.clocks == {"items": Clock("7 d", "72 h", "42 CFR 422.568", "in-force")}
    assert payer.flags == {"esrd": "on dialysis"}
    assert not payer.medicare
    assert not payer.medicare_flags
    assert payer.valid_days == 60


def test_lines_and_flags_say_whether_they_are_medicares() -> None:
    text = FILES["payer.yaml"].replace("name: Medicare Advantage", "name: Advantage, medicare: true")
    text = text.replace("esrd: on dialysis", "esrd: {meaning: on dialysis, medicare: true}, home: {meaning: at home}")
    payer = built(FILES | {"payer.yaml": text}).payer
    assert payer.medicare == {"ma"}
    assert payer.flags == {"esrd": "on dialysis", "home": "at home"}
    assert payer.medicare_flags == {"esrd"}


def test_the_least_a_payer_says() -> None:
    least = (
        "payer: X\nidentifiers: [{system: urn:x, value: '1'}]\nlines: {commercial: {name: C}}\n"
        "assertions: {valid_days: 1}\n"
    )
    files = {"payer.yaml": least, "benefit_routes.csv": FILES["benefit_routes.csv"]}
    payer = built(files).payer
    for part in (payer.plans, payer.pharmacy, payer.contacts, payer.clocks, payer.flags, payer.coverage_types):
        assert not part
    assert payer.line_of_type("PPO") is None


@pytest.mark.parametrize(
    ("types", "code", "line"),
    [
        ("{code: PPO, line: commercial}", "PPO", "commercial"),
        ("{code: PPO, line: commercial}", "PPOX", None),
        ('{code: "1*", line: ma}', "1", "ma"),
        ('{code: "1*", line: ma}', "119", "ma"),
        ('{code: "1*", line: ma}', "21", None),
        # The longest match wins, in either order; the code itself before a prefix as long.
        ('{code: "1*", line: ma}, {code: "11*", line: commercial}', "119", "commercial"),
        ('{code: "11*", line: commercial}, {code: "1*", line: ma}', "119", "commercial"),
        ('{code: "11*", line: commercial}, {code: "11", line: ma}', "11", "ma"),
        ('{code: "*", line: ma}', "anything", "ma"),
    ],
)
def test_line_of_a_coverage_type(types: str, code: str, line: str | None) -> None:
    files = edited("payer.yaml", '  - {code: PPO, line: commercial}\n  - {code: "1*", line: ma}\n', f"  [{types}]\n")
    assert built(files).payer.line_of_type(code) == line


@pytest.mark.parametrize(
    ("old", "new", "line", "column", "message"),
    [
        ("line: commercial, pharmacy", "line: comercial, pharmacy", 5, "plans.gold.line", "'comercial' is not defined"),
        ("pharmacy: rx}", "pharmacy: xr}", 5, "plans.gold.pharmacy", "'xr' is not defined"),
        ("PPO, line: commercial", "PPO, line: hmo", 7, "coverage_types.0.line", "'hmo' is not defined"),
        ('"1*", line: ma', '"1*", line: mb', 8, "coverage_types.1.line", "'mb' is not defined"),
    ],
)
def test_names_that_point_nowhere(old: str, new: str, line: int, column: str, message: str) -> None:
    problem = wrong(edited("payer.yaml", old, new))[0]
    assert (problem.file, problem.line, problem.column) == ("payer.yaml", line, column)
    assert message in problem.message
    assert problem.remedy.startswith("Add it under")
