from __future__ import annotations

import csv
import io

import pytest

from benefit_router import COLUMNS, Column, Problem, read_table, rows

TABLE = (
    Column("id", "slug", "", "a", required=True),
    Column("day", "date", "", "2026-01-31"),
    Column("code", "code", "", "J9312"),
    Column("bin", "code", "", "610000", digits=6),
    Column("checked", "yes-no", "", "yes", words=("yes", "no")),
    Column("words", "text", "", "in words"),
)
HEADER = "id,day,code,bin,checked,words"
GOOD = {"id": "a", "day": "2026-01-31", "code": "J9312", "bin": "004336", "checked": "yes", "words": "x"}


def read(text: str) -> tuple[list[tuple[int, dict[str, str]]], list[Problem]]:
    problems: list[Problem] = []
    return list(rows(text, "t.csv", TABLE, problems)), problems


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER}\na,2026-01-31,J9312,004336,yes,x\n",
        f"\ufeff{HEADER}\na,2026-01-31,J9312,004336,yes,x\n",
        f"{HEADER}\r\na,2026-01-31,J9312,004336,yes,x\r\n",
        f"{HEADER},,\na,2026-01-31,J9312,004336,yes,x,,\n",
        f"{HEADER}\na,2026-01-31,J9312,004336,yes,x,,,\n,,,,,\n,,,,,,,,\n",
        f'# a comment,,,,\n{HEADER}\n"# another, in quotes",,,,,\na,2026-01-31,J9312,004336,yes,x\n',
    ],
    ids=["as it was", "byte order mark", "line ends", "columns at the end", "lines at the end", "comments"],
)
def test_harmless(text: str) -> None:
    found, problems = read(text)
    assert problems == []
    assert [row for _, row in found] == [GOOD]


DAMAGES = [
    ("day", "45962", "'45962' is a spreadsheet's number of a day", "Write 2025-11-01."),
    ("day", "45962.0", "number of a day", "Write 2025-11-01."),
    ("day", "1/31/2026", "a day in another spelling", "Write 2026-01-31. Format"),
    ("day", "31.01.2026", "a day in another spelling", "Write 2026-01-31. Format"),
    ("day", "31.1.26", "a day in another spelling", "Write 2026-01-31. Format"),
    ("day", "2026/1/31", "a day in another spelling", "Write 2026-01-31. Format"),
    ("day", "2026-01-31 00:00:00", "a day in another spelling", "Write 2026-01-31. Format"),
    ("day", "3/4/2026", "a day in another spelling", "Write 2026-03-04 or 2026-04-03, whichever is meant."),
    ("code", "5.78E+10", "'5.78E+10' was shortened", "Write the code in full."),
    ("code", "5,78E+10", "'5,78E+10' was shortened", "Write the code in full."),
    ("code", "TRUE", "truth value of the cell: TRUE", "Write yes."),
    ("checked", "FALSE", "truth value of the cell: FALSE", "Write no."),
    ("code", "\u201cJ9312\u201d", "curly quotation marks", "Write J9312."),
    ("words", "\u201cquoted, so split", "begins with a curly", "plain mark"),
    ("bin", "4336", "'4336' has lost its leading zeros", "Write 004336 (6 digits)."),
]


@pytest.mark.parametrize(("column", "value", "message", "remedy"), DAMAGES)
def test_damage(column: str, value: str, message: str, remedy: str) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(GOOD), lineterminator="\n")
    writer.writeheader()
    writer.writerow(GOOD)
    writer.writerow(GOOD | {column: value})
    found, (problem,) = read(text.getvalue())
    assert [row for _, row in found] == [GOOD], "the row itself is not used"
    assert (problem.file, problem.line, problem.column, problem.severity) == ("t.csv", 3, column, "error")
    assert message in problem.message
    assert remedy in problem.remedy


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("day", "2026-01-31"), ("day", "soon"), ("code", "E0431"), ("code", "TRUEX"), ("bin", "610000"),
        ("words", "the plan\u2019s \u201cown\u201d words"), ("words", "1E+5 units"), ("words", "TRUE"),
    ],
)  # fmt: skip
def test_no_damage(column: str, value: str) -> None:
    found, problems = read(f"{column},id\n{value},a\n")
    assert problems == []
    assert found[0][1][column] == value


@pytest.mark.parametrize(("mark", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_other_separators(mark: str, name: str) -> None:
    found, (problem,) = read(f"# a comment\n{HEADER.replace(',', mark)}\na{mark}\n")
    assert found == []
    assert (problem.line, name in problem.message, "comma delimited" in problem.remedy) == (2, True, True)


def test_private_cells_are_not_told() -> None:
    problems: list[Problem] = []
    assert list(rows("id,day\na,1/31/2026\n", "t.csv", TABLE, problems, private=True)) == []
    assert "31" not in problems[0].message
    assert "1/31" not in str(problems[0])


ROUTING = {column.name: "" for column in COLUMNS} | {
    "rule_id": "a", "title": "A", "status": "approved", "band": "3", "effective_from": "2026-01-01", "track": "medical",
    "match_system": "HCPCS", "match_code": "J9312", "source_url": "https://example.org", "retrieved": "2026-01-01",
    "licence_note": "x", "author": "a", "approver": "b",
}  # fmt: skip


def routing(header: list[str], row: dict[str, str], *, mark: str = ",", tail: str = "") -> list[Problem]:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=mark, lineterminator="\n")
    writer.writerows([header, [row[name] for name in header]])
    return read_table(text.getvalue().replace("\n", f"{tail}\n"), file="r.csv")[1]


@pytest.mark.parametrize(
    ("column", "value", "remedy"),
    [
        ("effective_from", "46023", "Write 2026-01-01."),
        ("retrieved", "1/2/2026", "Write 2026-01-02 or 2026-02-01"),
        ("derived_ok", "TRUE", "Write yes."),
        ("site_pos", "1", "Write 01 (2 digits)."),
        ("bin", "4336", "Write 004336"),
        ("status", "\u201capproved\u201d", "Write approved."),
        ("match_code", "5.78E+10", "write the code in full"),
    ],
)
def test_the_routing_table_says_the_same(column: str, value: str, remedy: str) -> None:
    problems = routing(list(ROUTING), ROUTING | {column: value})
    assert (problems[0].line, problems[0].column) == (2, column)
    assert remedy in problems[0].remedy


def test_the_routing_table_reads_past_what_harms_nothing() -> None:
    assert routing(list(ROUTING), ROUTING) == routing(list(ROUTING), ROUTING, tail=",,") == []


def test_the_routing_table_wants_commas() -> None:
    (problem,) = routing(list(ROUTING), ROUTING, mark=";")
    assert "semicolons" in problem.message
