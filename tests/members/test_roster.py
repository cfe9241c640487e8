from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from app.errors import SettingsError
from app.members.member import Member
from app.members.roster import Roster, member_ids
from app.members.tables import ROSTER as ROSTER_TABLE
from app.settings import ROOT

DAY = date(2026, 6, 1)
ROSTER = """\
# Invented members.
member_id,birth_date,line,plan,group,state,from,to,flags,pharmacy

M1,1980-05-01,commercial,gold,OAK-1,CA,2024-01-01,,esrd=no; transplant=yes,rx
# Changed plans in the middle of the year.
M2,1951-07-02,ma,classic,,OH,2024-01-01,2026-07-01,,
M2,1951-07-02,ma,plus,,OH,2026-07-01,2027-01-01,,
M3,,medicaid,,,,2024-01-01,2025-01-01,,
# In two lines at once from April to June, and written twice after.
M4,,medicaid,,,,2024-01-01,2024-07-01,,
M4,,commercial,gold,,,2024-04-01,,,
M4,,commercial,gold,,,2024-08-01,,,
S1,1975-02-28,commercial,gold,,,2024-01-01,,,
S101,2015-03-31,commercial,gold,,,2024-01-01,,,
"""


def read(tmp_path: Path, text: str | bytes = ROSTER) -> Roster:
    path = tmp_path / "roster.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return Roster.read(path)


def coverage(*values: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Coverage", "identifier": [{"value": value} for value in values], **more}


def test_a_member_in_full(tmp_path: Path) -> None:
    match = read(tmp_path).find(coverage("M1"), None, DAY)
    assert match.outcome == "found"
    assert match.member == Member(
        member_id="M1",
        source="roster",
        line="commercial",
        plan="gold",
        group="OAK-1",
        state="CA",
        pharmacy="rx",
        birth_date="1980-05-01",
        flags={"esrd": False, "transplant": True},
    )


def test_what_the_roster_leaves_blank_is_none(tmp_path: Path) -> None:
    member = read(tmp_path).find(coverage("M3"), None, date(2024, 6, 1)).member
    assert member == Member("M3", "roster", line="medicaid")


@pytest.mark.parametrize(
    ("text", "member"),
    [
        ("member_id,birth_date,line,from\nM1,1980-05-01,ma,2024-01-01\n", Member("M1", "roster", "ma")),
        ("from,line,birth_date,member_id\n2024-01-01,ma,1980-05-01,M1\n", Member("M1", "roster", "ma")),
        ("\ufeffmember_id,birth_date,line,from\nM1,1980-05-01,ma,2024-01-01\n", Member("M1", "roster", "ma")),
        ("member_id , birth_date,line,from\r\n M1 ,1980-05-01, ma ,2024-01-01\r\n", Member("M1", "roster", "ma")),
        ("# x\n  # y\n\nmember_id,birth_date,line,from\n\nM1,1980-05-01,ma,2024-01-01", Member("M1", "roster", "ma")),
        ('member_id,birth_date,line,from,plan\nM1,1980-05-01,ma,2024-01-01,"a,b"', Member("M1", "roster", "ma", "a,b")),
        (
            "member_id,birth_date,line,from,bin,pcn,note\nM1,1980-05-01,ma,2024-01-01,999999,PCN,ignored\n",
            Member("M1", "roster", "ma", bin="999999", pcn="PCN"),
        ),
        ("member_id,birth_date,line,from,flags\nM1,1980-05-01,ma,2024-01-01,;;\n", Member("M1", "roster", "ma")),
        (
            "member_id,birth_date,line,from,flags\nM1,1980-05-01,ma,2024-01-01, a = yes ;b=no\n",
            Member("M1", "roster", "ma", flags={"a": True, "b": False}),
        ),
    ],
)  # fmt: skip
def test_reading(tmp_path: Path, text: str, member: Member) -> None:
    found = read(tmp_path, text).find(coverage("M1"), None, DAY).member
    assert found == replace(member, birth_date="1980-05-01")


HEADER = "# Invented members.\nmember_id,birth_date,line,from,to,flags\n\n"
GOOD = "M1,1980-05-01,ma,2024-01-01,,\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "header line: member_id"),
        ("# nothing\n", "header line: member_id"),
        ("member_id,line,from\n", "[birth_date]: error: The column is missing"),
        ("member_id,birth_date,from\n", "[line]: error: The column is missing"),
        ("member_id,birth_date,line\n", "[from]: error: The column is missing"),
        (f"{HEADER}{GOOD},1980-05-01,ma,2024-01-01,,\n", "roster.csv:5 [member_id]: error: The cell is empty"),
        (f"{HEADER}{GOOD}M2,1980-05-01,ma,,,\n", "roster.csv:5 [from]: error: The cell is empty"),
        (f"{HEADER}M2,1980-5-1,ma,2024-01-01,,\n", "line 4: birth_date is not a date"),
        (
            f"{HEADER}M2,1/5/1980,ma,2024-01-01,,\n",
            "roster.csv:4 [birth_date]: error: A spreadsheet has changed the cell.",
        ),
        (f"{HEADER}M2,1980-05-01,ma,45962,,\n", "roster.csv:4 [from]: error: A spreadsheet has changed the cell."),
        (f"{HEADER}M2,1980,ma,2024-01-01,,\n", "line 4: birth_date is not a date"),
        (f"{HEADER}M2,1980-05-01,ma,2024-01,,\n", "line 4: from is not a date"),
        (f"{HEADER}# why\n{GOOD}# why\nM2,1980-05-01,ma,2024-01-01,2025-02-29,\n", "line 7: to is not a date"),
        (f"{HEADER}M2,1980-05-01,ma,2024-01-01,,esrd\n", "line 4: flag 'esrd' is not written name=yes"),
        (f"{HEADER}M2,1980-05-01,ma,2024-01-01,,esrd=maybe\n", "line 4: flag 'esrd=maybe' is not written"),
        (
            f"{HEADER}M2,1980-05-01,ma,2024-01-01,,a=yes,b=no\n",
            "The line has 7 cells, the header 6",
        ),
        (f"{HEADER}M2,1980-05-01,ma,2024-01-01\n", "roster.csv:4: error: The line has 4 cells, the header 6"),
        (f'{HEADER}"M2,1980-05-01,ma,2024-01-01,,\n', "roster.csv:4: error: The line is not CSV"),
    ],
)
def test_mistakes_name_the_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        read(tmp_path, text)
    assert message in str(raised.value)
    assert "1/5/1980" not in str(raised.value)
    assert "M2" not in str(raised.value), "member numbers stay out of logs"


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        Roster.read(tmp_path / "roster.csv")


def test_not_utf8(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is not UTF-8"):
        read(tmp_path, ROSTER.replace("gold", "d\u00f6re").encode("latin-1"))


def test_the_sample_roster_has_the_columns_in_order() -> None:
    lines = (ROOT / "rules" / "members" / "roster.csv").read_text().splitlines()
    header = next(line for line in lines if not line.startswith("#"))
    assert header.split(",") == [column.name for column in ROSTER_TABLE.columns if column.name not in ("bin", "pcn")]


@pytest.mark.parametrize(
    ("member_id", "day", "outcome", "plan"),
    [
        ("M1", "2023-12-31", "ended", "gold"),
        ("M1", "2024-01-01", "found", "gold"),
        ("M1", "2100-01-01", "found", "gold"),
        ("M2", "2026-06-30", "found", "classic"),
        ("M2", "2026-07-01", "found", "plus"),
        ("M2", "2026-12-31", "found", "plus"),
        ("M2", "2027-01-01", "ended", "plus"),
        ("M3", "2025-01-01", "ended", None),
        ("M4", "2024-03-31", "found", None),
        ("M4", "2024-04-01", "unclear", None),
        ("M4", "2024-07-01", "found", "gold"),
        ("M4", "2024-08-01", "found", "gold"),
        ("M9", "2026-06-01", "not-found", None),
    ],
)
def test_spans(tmp_path: Path, member_id: str, day: str, outcome: str, plan: str | None) -> None:
    match = read(tmp_path).find(coverage(member_id), None, date.fromisoformat(day))
    assert match.outcome == outcome
    assert (match.member.plan if match.member else None) == plan
    assert bool(match.words) == (outcome != "found")


@pytest.mark.parametrize(
    ("member_id", "patient", "outcome"),
    [
        ("M1", None, "found"),
        ("M1", {}, "found"),
        ("M1", {"birthDate": "1980-05-01"}, "found"),
        ("M1", {"birthDate": "1980-05-02"}, "mismatch"),
        ("M1", {"birthDate": "1980-05"}, "found"),
        ("M1", {"birthDate": "1980-06"}, "mismatch"),
        ("M1", {"birthDate": "1980"}, "found"),
        ("M1", {"birthDate": "1981"}, "mismatch"),
        # What is no date is no contradiction.
        ("M1", {"birthDate": "May 1980"}, "found"),
        ("M1", {"birthDate": 1980}, "found"),
        # Nothing on file to compare with.
        ("M3", {"birthDate": "1990-01-01"}, "ended"),
        ("M9", {"birthDate": "1980-05-01"}, "not-found"),
    ],
)
def test_birth_date(tmp_path: Path, member_id: str, patient: dict[str, Any] | None, outcome: str) -> None:
    assert read(tmp_path).find(coverage(member_id), patient, DAY).outcome == outcome


def typed(value: str, code: str) -> dict[str, Any]:
    return {
        "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": code}]},
        "value": value,
    }


@pytest.mark.parametrize(
    ("stated", "outcome", "member_id"),
    [
        (coverage("other", "M1"), "found", "M1"),
        (coverage("M1", "M1"), "found", "M1"),
        (coverage("M1", "M2"), "unclear", None),
        ({"subscriberId": "S1"}, "found", "S1"),
        ({"subscriberId": "S1", "dependent": "01"}, "found", "S101"),
        (coverage("S1", subscriberId="S1", dependent="01"), "found", "S101"),
        ({"subscriberId": "S1", "dependent": "02"}, "found", "S1"),
        ({"subscriberId": "S1", "dependent": 1}, "found", "S1"),
        (coverage("M1", subscriberId="S1"), "unclear", None),
        (coverage("other"), "not-found", None),
        (coverage(), "not-found", None),
        ({}, "not-found", None),
    ],
)
def test_identifiers(tmp_path: Path, stated: dict[str, Any], outcome: str, member_id: str | None) -> None:
    match = read(tmp_path).find(stated, None, DAY)
    assert match.outcome == outcome
    assert (match.member.member_id if match.member else None) == member_id


@pytest.mark.parametrize(
    ("stated", "ids"),
    [
        ({"identifier": [typed("a", "XX"), typed("b", "MB")]}, ["b", "a"]),
        ({"identifier": [typed("a", "MI"), {"value": "b"}]}, ["a", "b"]),
        ({"identifier": [{"value": "a"}], "subscriberId": "s"}, ["a", "s"]),
        ({"subscriberId": "s", "dependent": "01"}, ["s01", "s"]),
        ({"subscriberId": "s", "identifier": [{"value": "s"}]}, ["s"]),
        ({"dependent": "01"}, []),
        ({"subscriberId": 5}, []),
        ({"identifier": {"value": "a"}}, []),
        ({"identifier": [None, 5, "a", {}, {"value": 5}]}, []),
        ({"identifier": [{"value": "a", "type": None}, {"value": "b", "type": {"coding": None}}]}, ["a", "b"]),
        ({"identifier": [{"value": "a", "type": "MB"}, {"value": "b", "type": {"coding": ["MB", {}]}}]}, ["a", "b"]),
    ],
)
def test_member_ids(stated: dict[str, Any], ids: list[str]) -> None:
    assert member_ids(stated) == ids


@pytest.mark.parametrize(
    ("line", "plan", "flags", "on", "member_id"),
    [
        ("commercial", "gold", {"transplant": True}, DAY, "M1"),
        ("commercial", "gold", {"transplant": True, "esrd": False}, DAY, "M1"),
        ("commercial", "gold", {"transplant": False}, DAY, None),
        ("commercial", "gold", {"other": False}, DAY, None),
        ("commercial", "silver", {"transplant": True}, DAY, None),
        ("commercial", "gold", {"transplant": True}, date(2023, 6, 1), None),
        ("ma", "plus", {}, DAY, None),
        ("ma", "plus", {}, date(2026, 7, 1), "M2"),
        ("ma", "plus", {}, date(2027, 1, 1), None),
    ],
)
def test_a_member_alike(
    tmp_path: Path, line: str, plan: str, flags: dict[str, bool], on: date, member_id: str | None
) -> None:
    found = read(tmp_path).alike(line, plan, flags, on)
    assert (found.member_id if found else None) == member_id
