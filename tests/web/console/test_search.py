"""Searching the rules, and reading them."""

from __future__ import annotations

import pytest

from app.console.grid import Grid, RowChange, changes
from app.console.speaking import speaking_of
from app.rulebook.rulebook import Rulebook
from tests.web.console.conftest import LogIn


@pytest.mark.parametrize(
    ("asked", "row", "policy", "in_list"),
    [
        ("infliximab", "infliximab", "infliximab", "infliximab"),
        ("J1745", "infliximab", "infliximab", "infliximab"),
        ("HCPCS J1745", "infliximab", "infliximab", "infliximab"),
        ("lumbar-mri", None, "lumbar-mri", "lumbar-mri"),
        ("72148", None, "lumbar-mri", "lumbar-mri"),
    ],
)
def test_what_speaks_about_it(
    sample_rulebook: Rulebook, asked: str, row: str | None, policy: str, in_list: str
) -> None:
    found = speaking_of(asked, sample_rulebook)
    assert (row is None) or row in {each.rule.rule_id for each in found.rows if each.names_it}
    assert policy in {scope.slug for scope in found.policies}
    assert in_list in {each.name for each in found.lists}
    assert row is not None or not found.rows, "a service that is no drug asks no row"


def test_line_and_day_leave_out_what_does_not_speak(sample_rulebook: Rulebook) -> None:
    every = speaking_of("infliximab", sample_rulebook)
    medicaid = speaking_of("infliximab", sample_rulebook, line="medicaid")
    assert {each.rule.rule_id for each in medicaid.rows} < {each.rule.rule_id for each in every.rows}
    assert speaking_of("no such thing", sample_rulebook).empty
    assert speaking_of("", sample_rulebook).empty


def test_pages_of_rules(log_in: LogIn, sample_rulebook: Rulebook) -> None:
    vera = log_in("vera")
    assert "infliximab-biosimilar-first" in vera.get("/", q="infliximab").text
    assert "No rule speaks about" in vera.get("/", q="zzz").text
    assert vera.get("/rows").text.count('<th scope="row">') == len(sample_rulebook.table)
    row = vera.get("/rows/infliximab").text
    assert "pharmacy.director" in row
    assert "https://example.org/meadowlark/benefit-booklet" in row
    policy = vera.get("/files/policies/infliximab").text
    assert "medical.director" in policy
    assert "A biosimilar has to be tried before brand infliximab" in policy
    for path in ("/rows/nobody", "/files/policies/nobody", "/files/payer/..%2Fpayer", "/files/members/roster", "/zzz"):
        assert vera.get(path).status_code == 404, path
    assert vera.get("/rows", on="tomorrow").status_code == 400


def test_every_rule_has_its_page(log_in: LogIn, sample_rulebook: Rulebook) -> None:
    vera = log_in("vera")
    paths = [f"/rows/{rule.rule_id}" for rule in sample_rulebook.table.rules]
    paths += [f"/files/policies/{each.scope.slug}" for each in sample_rulebook.policies]
    paths += [f"/files/guidance/{each.scope.slug}" for each in sample_rulebook.guidance]
    paths += [f"/files/lists/{name}" for name in sample_rulebook.lists]
    assert [path for path in paths if vera.get(path).status_code != 200] == []


def test_a_row_changes_and_the_others_stay_byte_for_byte(sample_rulebook: Rulebook) -> None:
    text = sample_rulebook.files["benefit_routes.csv"]
    grid = Grid.read(text)
    assert {row.cells["rule_id"] for row in grid.rows} == {rule.rule_id for rule in sample_rulebook.table.rules}
    assert {row.first for row in grid.rows} == {rule.line for rule in sample_rulebook.table.rules}
    for row in grid.rows:
        name = row.cells["rule_id"]
        assert grid.with_row(name, {}) == text, name
        assert Grid.read(grid.with_new({"rule_id": "new", "title": 'a, "b"'}, after=name)).without("new") == text
    changed = Grid.read(grid.with_row("infliximab", {"title": "Two\nlines"})).row("infliximab")
    assert changed is not None
    assert changed.cells["title"] == "Two lines"


def test_a_column_that_the_table_left_out_is_added() -> None:
    grid = Grid.read('# kept\nrule_id,title\na,"one\n# two"\nb,three')
    assert grid.with_row("a", {"age_min": "65", "sex": ""}) == "# kept\nrule_id,title,age_min\na,one # two,65\nb,three,"
    assert grid.with_new({"rule_id": "c", "age_min": "3"}, after="a") == (
        '# kept\nrule_id,title,age_min\na,"one\n# two",\nc,,3\nb,three,'
    )
    assert grid.with_row("b", {"title": "four", "age_min": " "}).endswith("b,four\n")


def test_what_became_of_the_rows() -> None:
    before, after = (
        Grid.read("rule_id,title\na,one\nb,two\nc,three\n"),
        Grid.read("rule_id,title,pa\na,one,\nb,2,no\nd,,\n"),
    )
    assert changes(before, after) == [
        RowChange("b", "changed", (("title", "two", "2"), ("pa", "", "no"))),
        RowChange("d", "new", (("rule_id", "", "d"),)),
        RowChange("c", "gone", ()),
    ]
