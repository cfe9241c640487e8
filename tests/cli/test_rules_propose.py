"""Draft rows from a made-up file in the layout of CMS's HCPCS quarterly file; descriptors in words of our own."""

from __future__ import annotations

import csv
import io
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli import main
from app.errors import RulebookError
from app.rulebook.hcpcs import read_hcpcs
from app.rulebook.proposals import propose
from app.rulebook.rulebook import Rulebook, build

DAY = date(2026, 11, 25)
CODES = [
    # code, record, descriptor lines, short, effective, terminated
    ("A1", "7", ["A modifier for tests"], "Modifier", "20020701", ""),
    ("A9901", "3", ["Delivery of an oral drug"], "Delivery", "20020701", ""),
    ("J0001", "3", ["Injection, samplemab, 10 mg (code may be used when given by a nurse, not for use",
                    "when drug is self administered)"], "Samplemab inj", "20260401", ""),
    ("J0002", "3", ["Injection, samplepoetin, 1 unit (for esrd on dialysis)"], "Samplepoetin esrd", "20260101", ""),
    ("J0003", "3", ["Injection, samplepoetin, 1 unit (non-esrd use)"], "Samplepoetin", "20260101", "20261231"),
    ("J0004", "3", ["Inhaled samplesol, administered through DME, 1 mg"], "Samplesol", "20260101", ""),
    ("J0005", "3", ["Oral samplitinib, 5 mg"], "Samplitinib", "20260101", ""),
    ("J0006", "3", ["Unclassified sample drugs"], "Noc sample", "20260101", ""),
    ("J0007", "3", ["Injection, retired oral drug"], "Retired", "20100101", "20260401"),
    ("J0008", "3", ["Injection, plainmab, 10 mg"], "Plainmab", "20260101", ""),
    ("J1745", "3", ["Known infusion, not for use when self administered"], "Known", "20260101", ""),
    ("D0001", "3", ["Oral something of the dentists, a drug"], "Dental", "20260101", ""),
]  # fmt: skip
NAMES = ("LONG DESCRIPTION", "SHORT DESCRIPTION", "ADD DT", "ACT EFF DT", "TERM DT", "ACTION CD")
NOTE = "A note before the records.\n\n"


def fixed(codes: list[tuple[str, str, list[str], str, str, str]]) -> str:
    lines = []
    for code, record, descriptor, short, effective, ended in codes:
        for number, words in enumerate(descriptor):
            first = number == 0
            kind = record if first else str(int(record) + 1)
            line = f"{code:>5}{(number + 1) * 100:05d}{kind}{words:<80}"
            if first:
                line = f"{line}{short:<28}".ljust(268) + f"{'20020101'}{effective}{ended:<8}N"
            lines.append(line.ljust(320))
    return NOTE + "\n".join(lines) + "\n"


def as_csv(codes: list[tuple[str, str, list[str], str, str, str]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["HCPC", "SEQNUM", "RECID", *NAMES])
    for code, record, descriptor, short, effective, ended in codes:
        for number, words in enumerate(descriptor):
            rest = [short, "20020101", effective, ended, "N"] if number == 0 else [""] * 5
            writer.writerow([code, (number + 1) * 100, record if number == 0 else int(record) + 1, words, *rest])
    return out.getvalue()


def test_both_layouts_say_the_same() -> None:
    from_text, from_csv = read_hcpcs(fixed(CODES), "a.txt"), read_hcpcs(as_csv(CODES), "a.csv")
    assert [(each.code, each.descriptor, each.short, each.effective, each.ended) for each in from_text] == [
        (each.code, each.descriptor, each.short, each.effective, each.ended) for each in from_csv
    ]
    assert [each.code for each in from_text] == [code for code, kind, *_ in CODES if kind == "3" and code != "D0001"]
    samplemab = from_text[1]
    assert samplemab.descriptor.endswith("not for use when drug is self administered)")
    assert (samplemab.line, samplemab.effective, samplemab.ended) == (5, date(2026, 4, 1), None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "There is no HCPCS record"),
        ("a,b\n1,2\n", "There is no HCPCS record"),
        ("HCPC,LONG DESCRIPTION\nJ0001,x\n", "a.txt:1: The column 'RECID' is missing."),
        (fixed(CODES).replace("20260401", "2026-4-1", 1), "a.txt:5: '2026-4-1' is not a day"),
        (fixed([CODES[2]]) + "J0001 and more\n", "a.txt:5: The line is not a record"),
        (NOTE + fixed([CODES[2]]).splitlines()[3] + "\n", "a.txt:3: The line continues J0001"),
    ],
)
def test_other_files_are_refused(text: str, message: str) -> None:
    with pytest.raises(RulebookError) as raised:
        read_hcpcs(text, "a.txt")
    assert message in str(raised.value)


def test_drafts(sample_rulebook: Rulebook) -> None:
    table = sample_rulebook.files["benefit_routes.csv"]
    found = propose(read_hcpcs(fixed(CODES), "a"), table, sample_rulebook.lists, release="July 2026", retrieved=DAY)
    drafts = {row["rule_id"]: row for row in found.rows}
    assert {name: (row["track"], row.get("pa", "")) for name, row in drafts.items()} == {
        "hcpcs-j0001-given": ("medical", ""),
        "hcpcs-j0001-unstated": ("undetermined", "conditional"),
        "hcpcs-j0002-esrd": ("medical-bundled", ""),
        "hcpcs-j0003-not-esrd": ("medical", ""),
        "hcpcs-j0004-dme": ("medical", ""),
        "hcpcs-j0005-oral": ("undetermined", "conditional"),
        "hcpcs-j0006-unclassified": ("undetermined", "conditional"),
        "hcpcs-j1745-given": ("medical", ""),
        "hcpcs-j1745-unstated": ("undetermined", "conditional"),
    }
    assert {row["status"] for row in drafts.values()} == {"draft"}
    assert drafts["hcpcs-j0001-given"]["source_section"] == "CMS HCPCS quarterly file, July 2026, line 5"
    assert drafts["hcpcs-j0003-not-esrd"]["effective_to"] == "2027-01-01"
    assert (drafts["hcpcs-j0002-esrd"]["condition_flag"], drafts["hcpcs-j0003-not-esrd"]["condition_flag"]) == (
        "esrd",
        "!esrd",
    )
    assert found.ruled == ("J1745",)
    assert "already ruled by" in drafts["hcpcs-j1745-given"]["title"]
    assert "already ruled by" not in drafts["hcpcs-j0001-given"]["title"]


def test_drafts_load_beside_the_rows_there_are_and_change_nothing(sample_rulebook: Rulebook) -> None:
    codes, table = read_hcpcs(fixed(CODES), "a"), sample_rulebook.files["benefit_routes.csv"]
    found = propose(codes, table, sample_rulebook.lists, release="July 2026", retrieved=DAY)
    header = next(csv.reader([table.splitlines()[0]]))
    more = io.StringIO()
    csv.DictWriter(more, header, lineterminator="\n", extrasaction="ignore", restval="").writerows(found.rows)
    loaded = build(dict(sample_rulebook.files) | {"benefit_routes.csv": table + more.getvalue()})
    assert loaded.errors == ()
    assert loaded.rulebook is not None
    assert len(loaded.rulebook.table.rules) == len(sample_rulebook.table.rules)
    again = propose(codes, table + more.getvalue(), sample_rulebook.lists, release="July 2026", retrieved=DAY)
    assert again.rows == ()
    assert len(again.passed_over) == len(found.rows)


def test_the_whole_text_is_a_routing_table(sample_rulebook: Rulebook) -> None:
    codes, table = read_hcpcs(fixed(CODES), "a"), sample_rulebook.files["benefit_routes.csv"]
    found = propose(codes, table, sample_rulebook.lists, release="July 2026", retrieved=DAY)
    loaded = build(dict(sample_rulebook.files) | {"benefit_routes.csv": found.text()})
    assert [problem for problem in loaded.errors if problem.file == "benefit_routes.csv"] == []


def test_command(tmp_path: Path) -> None:
    source, out = tmp_path / "HCPC2026_JUL_ANWEB.txt", tmp_path / "drafts.csv"
    source.write_bytes(fixed(CODES).replace("A note", "CMS\u2019 note").encode("cp1252"))
    arguments = ["rules", "propose", "--hcpcs", str(source), "--on", "2026-11-25"]
    printed = CliRunner().invoke(main, arguments)
    assert printed.exit_code == 0, printed.output
    assert "9 drafts from 10 codes." in printed.stderr
    written = CliRunner().invoke(main, [*arguments, "--out", str(out)])
    assert written.exit_code == 0
    assert out.read_text() == printed.stdout
    assert "HCPC2026_JUL_ANWEB.txt, line 5" in printed.stdout
    again = CliRunner().invoke(main, [*arguments, "--out", str(out)])
    assert again.exit_code == 2
    assert "exists already" in again.output
