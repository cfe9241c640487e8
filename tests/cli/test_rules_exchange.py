"""The tables through a workbook and back: byte for byte when nobody touched them, refused by cell when harmed."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from openpyxl import Workbook, load_workbook

from app.cli import main
from app.cli.rules.schema import TABLES
from app.errors import RulebookError
from app.rulebook.workbook import export, read
from app.settings import ROOT

LIST = "lists/a.csv"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["rules", *(str(each) for each in arguments)])


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    xlsx = tmp_path_factory.mktemp("book") / "rules.xlsx"
    result = run("export", "--xlsx", xlsx, "--rules", ROOT / "rules")
    assert result.exit_code == 0, result.output
    return xlsx


def tables(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.csv")}


def test_untouched_tables_come_back_byte_for_byte(exported: Path, tmp_path: Path) -> None:
    result = run("import", exported, "--into", tmp_path)
    assert result.exit_code == 0, result.output
    assert tables(tmp_path) == tables(ROOT / "rules")
    assert run("import", exported, "--into", tmp_path).output.startswith("0 of ")


def test_the_workbook_explains_itself(exported: Path) -> None:
    sheet = load_workbook(exported)["benefit_routes"]
    columns = {cell.value: cell for cell in sheet[1]}
    assert "Never reuse one" in columns["rule_id"].comment.text
    assert columns["rule_id"].font.bold
    assert sheet.freeze_panes == "A2"
    assert sheet.column_dimensions["A"].number_format == "@"
    choices = {str(each.sqref).split(":")[0]: each.formula1 for each in sheet.data_validations.dataValidation}
    assert choices[f"{columns['status'].column_letter}2"] == '"draft,review,approved,retired"'
    days = [row[columns["effective_from"].column - 1].value for row in sheet.iter_rows(min_row=2)]
    assert date(2026, 1, 1) in {day.date() for day in days if isinstance(day, datetime)}


@pytest.mark.parametrize(
    "text",
    [
        "system,code,display\nHCPCS,J9312,x\n",
        "system,code,display\nHCPCS,J9312,x",
        "system,code,display\r\nHCPCS,J9312,x\r\n",
        "\ufeffsystem,code,display\nHCPCS,J9312,x\n",
        '# "a\n\n# b, c\n"system",code,display\n\n# d\nHCPCS,"J9312",x\n\n\n',
        'system,code,display\nHCPCS,J9312,"two\nlines, quoted ""so"""\n',
        "system,code,display,day\nNDC,00004336001,=1+1,2026-01-31\nNDC,1,+1,\nNDC,1,-1,\nNDC,1,@SUM(A1),\n",
        "system,code,display\nHCPCS, J9312 ,2026-02-30\n",
    ],
)
def test_round_trip(text: str) -> None:
    assert read(export({LIST: text}, TABLES), "x.xlsx", TABLES) == {LIST: text}


def test_nothing_becomes_a_formula() -> None:
    content = export({LIST: "system,code,display\nNDC,=1+1,=HYPERLINK(1)\n"}, TABLES)
    sheet = load_workbook(io.BytesIO(content))["a"]
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} == {"s"}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert b"<f>" not in b"".join(archive.read(name) for name in archive.namelist() if "sheet" in name)


def edited(text: str, change: Callable[[Any], object]) -> bytes:
    book = load_workbook(io.BytesIO(export({LIST: text}, TABLES)))
    change(book)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def put(place: str, value: object) -> Callable[[Any], object]:
    def change(book: Any) -> None:
        book["a"][place].value = value

    return change


TEXT = '# about\nsystem,code,display\n# x\nHCPCS,"J9312",x\nHCPCS,J1745,y\n'


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (put("C3", "new, words"), TEXT.replace('HCPCS,"J9312",x', 'HCPCS,J9312,"new, words"')),
        (put("A2", "# other"), TEXT.replace("# x", "# other")),
        (put("C1", "words"), TEXT.replace("display", "words")),
        (lambda book: book["a"].append(["HCPCS", "J0001", "z"]), TEXT + "HCPCS,J0001,z\n"),
        (lambda book: book["a"].delete_rows(3), TEXT.replace('HCPCS,"J9312",x\n', "")),
    ],
)
def test_edits_arrive_and_the_rest_stays(change: Callable[[Any], object], expected: str) -> None:
    assert read(edited(TEXT, change), "x.xlsx", TABLES) == {LIST: expected}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("B3", "=1+1"), "a!B3: The cell holds a formula."),
        (put("B3", 57894003001), "a!B3: The cell holds a number"),
        (put("B3", 5.78e10), "a!B3: The cell holds a number"),
        (put("C3", date(2026, 1, 31)), "a!C3: The cell holds a day"),
        (put("C3", True), "a!C3: The cell holds a truth value, True."),
        (lambda book: book.remove(book["a"]), "names the sheet 'a'"),
        (lambda book: book.remove(book["Contents"]), "The sheet 'Contents' is missing"),
        (lambda book: book["Contents"].append(["a", "../../x.csv"]), "'../../x.csv' is no table"),
        (lambda book: book["Contents"].append(["a", "lists/../x.csv"]), "'lists/../x.csv' is no table"),
        (lambda book: book["Contents"].append(["a", "/x.csv"]), "'/x.csv' is no table"),
        (lambda book: book["Contents"].append(["a", LIST]), "once"),
        (lambda book: book["a"].cell(1, 200, "x"), "columns"),
        (lambda book: book["a"].cell(1_000_000, 1, "x"), "rows"),
    ],
)
def test_harm_is_refused_by_cell(change: Callable[[Any], object], message: str) -> None:
    with pytest.raises(RulebookError) as raised:
        read(edited(TEXT, change), "x.xlsx", TABLES)
    assert message in str(raised.value)


def with_part(name: str, part: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(export({LIST: TEXT}, TABLES))) as old, zipfile.ZipFile(out, "w", 8) as new:
        for each in old.namelist():
            if each != name:
                new.writestr(each, old.read(each))
        new.writestr(name, part)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: b"not a zip", "not a workbook (.xlsx)"),
        (lambda: b"PK\x03\x04", "not a workbook (.xlsx)"),
        (lambda: b"x" * (33 * 1024 * 1024), "larger than 32 MB"),
        (lambda: with_part("bomb", bytes(300 * 1024 * 1024)), "unpacks to more"),
        (lambda: with_part("xl/vbaProject.bin", b"x"), "macros"),
        (lambda: with_part("xl/externalLinks/1.xml", b"<x/>"), "links to other files"),
        (
            lambda: with_part("xl/workbook.xml", b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'),
            "XML",
        ),
        (lambda: with_part("xl/workbook.xml", "<!DOCTYPE x>".encode("utf-16")), "XML"),
        (lambda: with_part("xl/workbook.xml", b"<broken"), "not a workbook that can be read"),
        (lambda: with_part("xl/worksheets/sheet2.xml", b"<broken"), "not a workbook that can be read"),
    ],
)
def test_hostile_workbooks(content: Callable[[], bytes], message: str) -> None:
    with pytest.raises(RulebookError) as raised:
        read(content(), "x.xlsx", TABLES)
    assert message in str(raised.value)


def test_another_workbook_is_refused() -> None:
    out = io.BytesIO()
    Workbook().save(out)
    with pytest.raises(RulebookError, match="Start from `signpost rules export`"):
        read(out.getvalue(), "x.xlsx", TABLES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no header line"),
        ("system,code\nHCPCS\n", "lists/a.csv:2: The line has 1 cells"),
        ('system,code\nHCPCS,"x\n', "lists/a.csv:2: The line is not CSV"),
        ("system,code\rHCPCS,x\n", "mixes line ends"),
        (f"system,code\nHCPCS,{'x' * 40_000}\n", "longer than a cell"),
        ("system,code\nHCPCS,\x01\n", "lists/a.csv:2: The line has a character"),
    ],
)
def test_what_no_workbook_can_hold(text: str, message: str) -> None:
    with pytest.raises(RulebookError) as raised:
        export({LIST: text}, TABLES)
    assert message in str(raised.value)


def test_a_refused_import_writes_nothing(tmp_path: Path) -> None:
    rules = Path(shutil.copytree(ROOT / "rules", tmp_path / "rules"))
    before, xlsx = tables(rules), tmp_path / "x.xlsx"
    assert run("export", "--xlsx", xlsx, "--rules", rules).exit_code == 0
    book = load_workbook(xlsx)
    book["drugs"]["B2"].value = "changed"
    book["roster"]["A2"].value = 5
    book.save(xlsx)
    result = run("import", xlsx, "--into", rules)
    assert result.exit_code != 0
    assert "roster!A2" in result.output
    assert tables(rules) == before
    assert not list(rules.rglob("*.new"))
