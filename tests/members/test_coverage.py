from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from app.members.coverage import CoverageSource
from app.members.member import Member
from tests.rulebook.small import FILES, built

DAY = date(2026, 6, 1)
SOURCE = CoverageSource(built(FILES).payer.line_of_type)  # PPO → commercial, 1* → ma


def coverage(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Coverage", "status": "active", "identifier": [{"value": "X1"}], **more}


def found(stated: dict[str, Any], patient: dict[str, Any] | None = None) -> Member:
    match = SOURCE.find(stated, patient, DAY)
    assert match.outcome == "found"
    assert match.member is not None
    return match.member


def kind(*codes: Any) -> dict[str, Any]:
    return {"coding": [{"code": code} for code in codes]}


def classes(**values: Any) -> list[dict[str, Any]]:
    return [{"type": kind(name), "value": value} for name, value in values.items()]


def test_everything_a_coverage_says() -> None:
    stated = coverage(type=kind("PPO"), **{"class": classes(plan="gold", group="OAK", rxbin="999999", rxpcn="PCN")})
    patient = {"birthDate": "1980-05-01", "address": [{"state": "CA"}]}
    assert found(stated, patient) == Member(
        member_id="X1",
        source="coverage",
        line="commercial",
        plan="gold",
        group="OAK",
        state="CA",
        bin="999999",
        pcn="PCN",
        birth_date="1980-05-01",
    )


def test_a_coverage_that_says_nothing() -> None:
    assert found({}) == Member(member_id="", source="coverage")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("active", "found"),
        (None, "found"),
        ("cancelled", "ended"),
        ("draft", "ended"),
        ("entered-in-error", "ended"),
        (5, "ended"),
        (["active"], "ended"),
    ],
)
def test_status(status: Any, outcome: str) -> None:
    match = SOURCE.find(coverage(status=status), None, DAY)
    assert match.outcome == outcome
    assert match.member is not None
    assert bool(match.words) == (outcome != "found")


@pytest.mark.parametrize(
    ("period", "outcome"),
    [
        ({"start": "2026-01-01", "end": "2026-12-31"}, "found"),
        ({"start": "2026-01-01"}, "found"),
        ({"end": "2026-12-31"}, "found"),
        ({"start": "2026-06-01", "end": "2026-06-01"}, "found"),
        ({"start": "2026", "end": "2026"}, "found"),
        ({"start": "2025-01-01", "end": "2026-05-31"}, "ended"),
        ({"start": "2026-06-02"}, "ended"),
        ({}, "unclear"),
        ({"start": "soon"}, "unclear"),
        ({"start": "2026-12-31", "end": "2026-01-01"}, "unclear"),
        (None, "unclear"),
        ("2026", "unclear"),
    ],
)
def test_period(period: Any, outcome: str) -> None:
    match = SOURCE.find(coverage(period=period), None, DAY)
    assert match.outcome == outcome
    assert bool(match.words) == (outcome != "found")


def test_an_inactive_coverage_has_ended_whatever_its_period() -> None:
    assert SOURCE.find(coverage(status="cancelled", period={}), None, DAY).outcome == "ended"


@pytest.mark.parametrize(
    ("stated", "line"),
    [
        (kind("PPO"), "commercial"),
        (kind("119"), "ma"),
        (kind("1"), "ma"),
        (kind("HMO"), None),
        (kind("HMO", "PPO"), "commercial"),
        (kind("11", "119"), "ma"),
        # Two lines: nobody's guess.
        (kind("PPO", "11"), None),
        (kind(5, None), None),
        ({"coding": {"code": "PPO"}}, None),
        ({"coding": ["PPO", None]}, None),
        ({"text": "PPO"}, None),
        ("PPO", None),
        (None, None),
    ],
)
def test_line_of_business(stated: Any, line: str | None) -> None:
    assert found(coverage(type=stated)).line == line


@pytest.mark.parametrize(
    ("stated", "plan"),
    [
        (classes(plan="gold"), "gold"),
        (classes(group="OAK", plan="gold"), "gold"),
        ([*classes(plan="first"), *classes(plan="second")], "first"),
        ([{"type": kind("plan"), "value": 5}, *classes(plan="gold")], "gold"),
        (classes(subplan="gold"), None),
        ([{"type": {"coding": [None, "plan", {"code": "plan"}]}, "value": "gold"}], "gold"),
        ([{"type": kind("plan")}], None),
        ([{"type": "plan", "value": "gold"}], None),
        ([{"type": {"coding": "plan"}, "value": "gold"}], None),
        ([{"value": "gold"}, None, "gold"], None),
        ({"type": kind("plan"), "value": "gold"}, None),
        ([], None),
    ],
)
def test_plan(stated: Any, plan: str | None) -> None:
    assert found(coverage(**{"class": stated})).plan == plan


@pytest.mark.parametrize(
    ("patient", "state"),
    [
        (None, None),
        ({}, None),
        ({"address": [{"state": "CA"}]}, "CA"),
        ({"address": [{"state": "CA"}, {"state": "CA", "use": "billing"}]}, "CA"),
        ({"address": [{"state": "OH", "use": "old"}, {"state": "CA", "use": "home"}]}, "CA"),
        ({"address": [{"state": "OH", "use": "old"}]}, None),
        # Two homes: nobody's guess.
        ({"address": [{"state": "OH"}, {"state": "CA"}]}, None),
        ({"address": [{"city": "X"}, {"state": 5}, None, "CA"]}, None),
        ({"address": {"state": "CA"}}, None),
    ],
)
def test_state(patient: dict[str, Any] | None, state: str | None) -> None:
    assert found(coverage(), patient).state == state
