"""What was granted beforehand."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from app.errors import SettingsError
from app.members import Grants

DAY = date(2026, 6, 1)
MRI = ("CPT", "72148")


@pytest.fixture
def grants(tmp_path: Path) -> Grants:
    (tmp_path / "authorizations.csv").write_text(
        "# numbers are invented\nnumber,member_id,system,code,from,to\n"
        "A1,M1,CPT,72148,2026-01-01,2026-07-01\nA2,M1,HCPCS,e0601,2026-01-01,\n"
    )
    (tmp_path / "gold_cards.csv").write_text(
        "npi,system,code,from,to\n1,CPT,72148,2026-01-01,\n2,,*,2026-01-01,2026-02-01\n"
    )
    (tmp_path / "networks.csv").write_text("npi,plan,from,to\n1,gold,2026-01-01,\n2,,2026-01-01,\n")
    return Grants.read(tmp_path)


@pytest.mark.parametrize(
    ("member", "code", "on", "number"),
    [
        ("M1", MRI, DAY, "A1"),
        ("M1", MRI, date(2026, 7, 1), None),
        ("M1", MRI, date(2025, 12, 31), None),
        ("M1", ("HCPCS", "E0601"), date(2030, 1, 1), "A2"),
        ("M1", ("CPT", "99999"), DAY, None),
        ("M2", MRI, DAY, None),
    ],
)
def test_authorization(grants: Grants, member: str, code: tuple[str, str], on: date, number: str | None) -> None:
    assert grants.authorization(member, [code], on) == number


@pytest.mark.parametrize(
    ("npi", "code", "on", "carded"),
    [
        ("1", MRI, DAY, True),
        ("1", ("CPT", "1"), DAY, False),
        ("2", ("CPT", "1"), date(2026, 1, 15), True),
        ("2", MRI, DAY, False),
        (None, MRI, DAY, False),
    ],
)
def test_gold_card(grants: Grants, npi: str | None, code: tuple[str, str], on: date, carded: bool) -> None:
    assert grants.gold_carded(npi, [code], on) is carded


@pytest.mark.parametrize(
    ("npi", "plan", "inside"),
    [
        ("1", "gold", True),
        ("1", "silver", False),
        ("1", None, False),
        ("2", "silver", True),
        ("3", "gold", False),
        (None, "gold", None),
    ],
)
def test_network(grants: Grants, npi: str | None, plan: str | None, inside: bool | None) -> None:
    assert grants.in_network(npi, plan, DAY) is inside


def test_no_files_grant_nothing_and_know_no_network(tmp_path: Path) -> None:
    grants = Grants.read(tmp_path)
    assert grants.authorization("M1", [MRI], DAY) is None
    assert not grants.gold_carded("1", [MRI], DAY)
    assert grants.in_network("1", "gold", DAY) is None


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("authorizations.csv", "number,member_id,system,from\n", "\\[code\\]: error: The column is missing"),
        (
            "authorizations.csv",
            "number,member_id,system,code,from,to\nA,M1,CPT,1,soon,\n",
            ":2: 'from' and 'to' are days",
        ),
        (
            "authorizations.csv",
            "number,member_id,system,code,from,to\nA,M1,XYZ,1,2026-01-01,\n",
            "is not a code with its system",
        ),
        ("gold_cards.csv", "npi,system,code,from,to\n,CPT,1,2026-01-01,\n", ":2 \\[npi\\]: error: The cell is empty"),
        ("networks.csv", "npi,plan,from,to\n1,gold,2026-01-01,later\n", ":2:"),
    ],
)
def test_mistakes_name_their_line(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SettingsError, match=words):
        Grants.read(tmp_path)
