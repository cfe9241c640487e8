"""Claims beside the router: who agrees, what is left open, and rows that cannot be read."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli import main
from app.crd import claim_router, claims
from app.crd.claim_router import COLUMNS, REQUIRED, WrongRow
from app.crd.claims import Simulation, simulate
from app.rulebook.rulebook import Rulebook
from app.settings import ROOT
from bench.claims import synthetic_claims

HEADER = (
    "claim_id,paid_as,date,line,plan,system,code,ndc,route,form,pos,enc_class,supply_channel,diagnoses,age,quantity"
)


def claim(**cells: str) -> str:
    """A claim of infliximab on 837, which the router puts on the medical benefit."""
    row = {
        "claim_id": "c1",
        "paid_as": "837",
        "date": "2026-06-01",
        "line": "commercial",
        "plan": "gold-ppo",
        "system": "HCPCS",
        "code": "J1745",
        "route": "intravenous",
        "pos": "11",
        **cells,
    }
    return ",".join(row.get(name, "") for name in HEADER.split(",")) + "\n"


def run(rulebook: Rulebook, *rows: str) -> Simulation:
    return simulate([f"{HEADER}\n", *rows], rulebook, file="claims.csv")


ROUTED = [
    (claim(), "medical", 1),
    (claim(paid_as="ncpdp"), "medical", 0),
    (claim(paid_as="NCPDP", system="RxNorm", code="327361", route=""), "pharmacy", 1),
    (claim(system="RxNorm", code="327361", route=""), "pharmacy", 0),
    (claim(plan="silver-hmo"), "pharmacy", 0),
    (claim(system="NDC", code="57894-030-01"), "medical", 1),
    (claim(ndc="57894003001", code="J1745"), "medical", 1),
    (claim(pos="", enc_class="none"), "medical", 1),
    (claim(pos="21", supply_channel="buy-bill"), "medical-bundled", 1),
    (claim(pos="11", enc_class="IMP", supply_channel="buy-bill"), "medical-bundled", 1),
]


@pytest.mark.parametrize(("row", "track", "agree"), ROUTED, ids=range(len(ROUTED)))
def test_one_claim(sample_rulebook: Rulebook, row: str, track: str, agree: int) -> None:
    told = run(sample_rulebook, row)
    (line,) = told.lines
    assert [(each[1], each[2]) for each in line.counts] == [(track, 1)]
    assert told.total == (1, agree, 0)
    assert (line.disagree, bool(line.rules)) == (1 - agree, not agree)


def test_what_is_open_is_neither_agreement_nor_the_opposite(sample_rulebook: Rulebook) -> None:
    told = run(sample_rulebook, claim(code="J3590", route="", pos=""), claim())
    assert told.total == (1, 1, 1)
    assert {(each.claims, each.undetermined, each.disagree) for each in told.drugs} == {(1, 1, 0), (1, 0, 0)}


def test_the_most_disagreement_comes_first_with_its_rules(sample_rulebook: Rulebook) -> None:
    told = run(
        sample_rulebook,
        claim(),
        claim(plan="silver-hmo"),
        *[claim(system="RxNorm", code="327361", route="")] * 3,
    )
    first, second = told.drugs
    assert (first.claims, first.rules) == (3, (("adalimumab", 3),))
    assert (second.drug, second.rules) == ("infliximab (Remicade)", (("silver-infliximab-brand", 1),))
    assert second.counts == (("837", "medical", 1), ("837", "pharmacy", 1))
    assert told.lines[0].claims == 5


WRONG = [
    ("c1,837\n", "does not have 16 cells"),
    (claim(claim_id=" "), "no claim_id"),
    (claim(paid_as="835"), "neither 837 nor ncpdp"),
    (claim(date="06/01/2026"), "date is not written"),
    (claim(line="comercial"), "line is not one known here: 'comercial'. Did you mean 'commercial'?"),
    (claim(plan="gold"), "plan is not one known here"),
    (claim(route="IV"), "route is not one known here"),
    (claim(enc_class="visit"), "enc_class is not one known here"),
    (claim(supply_channel="mail"), "supply_channel is not one known here"),
    (claim(system="JCODE"), "system is not one known here"),
    (claim(code=""), "it has no code"),
    (claim(ndc="5.7894E+10"), "a spreadsheet has cut the NDC"),
    (claim(ndc="789400301"), "lost leading zero"),
    (claim(age="-1"), "age is not"),
    (claim(quantity="many"), "quantity is not a number"),
    (claim(quantity="-1"), "quantity is not a number"),
    (claim(quantity="NaN"), "quantity is not a number"),
    (claim(plan='"gold-ppo'), "quotation marks do not match"),
]


@pytest.mark.parametrize(("row", "words"), WRONG, ids=[words for _, words in WRONG])
def test_a_row_that_cannot_be_read_is_counted_with_its_line(sample_rulebook: Rulebook, row: str, words: str) -> None:
    places: list[str] = []
    lines = [f"{HEADER}\n", claim(), "\n", "# a remark\n", row, claim(), row]
    told = simulate(lines, sample_rulebook, file="claims.csv", wrong_row=places.append)
    assert (told.claims, told.wrong_rows, len(told.wrong)) == (2, 2, 1)
    assert [place.split(": ")[0] for place in places] == ["claims.csv:5", "claims.csv:7"]
    assert all(words in place for place in told.wrong_places)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("claim_id,paid_as,date,line,system\n", "'code' is missing"),
        (f"{HEADER},npi\n", "'npi' is no column"),
        (f"{HEADER},age\n", "'age' stands twice"),
        ("", "'claim_id' is missing"),
    ],
)
def test_a_header_that_is_wrong(sample_rulebook: Rulebook, header: str, words: str) -> None:
    with pytest.raises(WrongRow, match=words):
        simulate([header], sample_rulebook, file="claims.csv")


def test_what_is_remembered_is_what_would_be_decided(
    sample_rulebook: Rulebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = "claim_id,paid_as,date,line,plan,system,code,ndc,route,pos,diagnoses,age,quantity\n"
    rows = [names, *synthetic_claims(sample_rulebook, 1500)]
    remembered = simulate(rows, sample_rulebook, file="claims.csv")
    monkeypatch.setattr(claim_router, "_KNOWN", 0)
    assert simulate(rows, sample_rulebook, file="claims.csv") == remembered
    assert remembered.claims == 1500


def test_how_many_processes_share_the_work_changes_nothing(
    sample_rulebook: Rulebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = "claim_id,paid_as,date,line,plan,system,code,ndc,route,pos,diagnoses,age,quantity\n"
    rows = [names, *synthetic_claims(sample_rulebook, 300)]
    rows[5:5] = ["# a remark\n", "c1,837\n"]
    rows[250:250] = ["\n", *[rows[6]] * 30, rows[9].replace(",837,", ",835,")]
    alone: list[str] = []
    shared: list[str] = []
    serial = simulate(rows, sample_rulebook, file="claims.csv", wrong_row=alone.append)
    monkeypatch.setattr(claims, "_FEW", 20)
    monkeypatch.setattr(claims, "_SHARE", 7)
    assert simulate(rows, sample_rulebook, file="claims.csv", processes=2, wrong_row=shared.append) == serial
    assert shared == alone
    assert alone[-1].startswith("claims.csv:2")


def test_every_column_is_on_the_page() -> None:
    page = (ROOT / "docs" / "rules" / "simulate.md").read_text(encoding="utf-8")
    for name, meaning in COLUMNS.items():
        assert f"| `{name}` | {'yes' if name in REQUIRED else ''} | {meaning} |" in page


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "claims.csv"
    path.write_text("\ufeff" + f"{HEADER}\n" + claim() + claim(paid_as="ncpdp", system="HCPCS", code="=1+1"), "utf-8")
    return path


def test_the_command_as_text(file: Path, tmp_path: Path) -> None:
    with file.open("a") as more:
        more.write(claim(plan="silver-hmo") + claim(line="nowhere"))
    wrong = tmp_path / "wrong.txt"
    result = CliRunner().invoke(main, ["rules", "simulate", "--claims", str(file), "--wrong-rows", str(wrong)])
    assert result.exit_code == 1
    assert "for 1 of 2 claims (50.0%); for 1 the router leaves the road open" in result.output
    assert "disagreement by silver-infliximab-brand (1)" in result.output
    assert wrong.read_text().startswith("claims.csv:5: line is not one known here")


def test_the_command_for_programs(file: Path) -> None:
    told = json.loads(CliRunner().invoke(main, ["rules", "simulate", "--claims", str(file), "--format", "json"]).stdout)
    assert (told["claims"], told["wrong_rows"]) == (2, 0)
    printed = CliRunner().invoke(main, ["rules", "simulate", "--claims", str(file), "--format", "csv"]).stdout
    drugs = [row["drug"] for row in csv.DictReader(io.StringIO(printed))]
    assert "infliximab (Remicade)" in drugs
    assert not any(drug[:1] in "=+-@" for drug in drugs), "a spreadsheet must not run it"


def test_the_command_says_what_is_wrong_with_the_header(tmp_path: Path) -> None:
    path = tmp_path / "claims.csv"
    path.write_text("claim_id\n")
    result = CliRunner().invoke(main, ["rules", "simulate", "--claims", str(path)])
    assert (result.exit_code, "claims.csv:1: the column 'paid_as' is missing" in result.output) == (2, True)
