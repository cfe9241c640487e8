"""The schemas that `signpost rules schema` writes are those of the files: the samples meet them, wrong ones do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from click.testing import CliRunner

from app.cli import main
from app.cli.rules.schema import TABLES, YAML_FILES
from app.rulebook.documents import read_document
from app.settings import ROOT
from benefit_router import Problem, Table, rows


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("schemas")
    result = CliRunner().invoke(main, ["rules", "schema", "--out", str(folder)])
    assert result.exit_code == 0, result.output
    return {path.stem: json.loads(path.read_text()) for path in folder.iterdir()}


def read(path: Path) -> Any:
    document, problems = read_document(path.read_text(), path.name)
    assert problems == []
    assert document is not None
    return document.data


@pytest.mark.parametrize(("kind", "pattern"), YAML_FILES.items())
def test_sample_files_meet_their_schema(schemas: dict[str, Any], kind: str, pattern: str) -> None:
    folder, pattern = (ROOT, pattern.removeprefix("../")) if pattern.startswith("../") else (ROOT / "rules", pattern)
    files = sorted(folder.glob(pattern))
    assert files
    validator = jsonschema_rs.Draft202012Validator(schemas[kind], validate_formats=True)
    for file in files:
        validator.validate(read(file))


def sample(table: Table) -> list[dict[str, str]]:
    problems: list[Problem] = []
    found: list[dict[str, str]] = []
    for path in sorted((ROOT / "rules").glob(table.file)):
        found += [row for _, row in rows(path.read_text(), path.name, table.columns, problems)]
    assert problems == []
    return found


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_sample_tables_meet_their_schema(schemas: dict[str, Any], table: Table) -> None:
    found = sample(table)
    assert found
    jsonschema_rs.Draft202012Validator(schemas[table.name]).validate(found)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_examples_of_columns_meet_the_schema(schemas: dict[str, Any], table: Table) -> None:
    validator = jsonschema_rs.Draft202012Validator(schemas[table.name])
    row = {column.name: column.example for column in table.columns}
    assert validator.is_valid([row])
    for column in table.columns:
        if column.required:
            assert not validator.is_valid([{name: cell for name, cell in row.items() if name != column.name}])
            assert validator.is_valid([row | {column.name: ""}]) is column.blank_ok
        if column.kind == "date":
            assert not validator.is_valid([row | {column.name: "1/31/2026"}])
    assert validator.is_valid([row | {"remark": "x"}]) is not table.closed


def test_a_typing_mistake_is_told(schemas: dict[str, Any]) -> None:
    document = read(ROOT / "rules" / "policies" / "home-oxygen.yaml")
    assert not jsonschema_rs.Draft202012Validator(schemas["policy"]).is_valid(document | {"polcy": "x"})


def test_one_kind_is_printed() -> None:
    result = CliRunner().invoke(main, ["rules", "schema", "roster"])
    assert json.loads(result.output)["title"] == "members/roster.csv"


@pytest.mark.parametrize("arguments", [[], ["rooster"]])
def test_wrong_use(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, ["rules", "schema", *arguments])
    assert result.exit_code == 2
    assert "roster" in result.output


def test_a_spreadsheet_does_not_change_the_hash(tmp_path: Path) -> None:
    from app.rulebook.rulebook import content_hash, read_files

    hashes = set()
    for name, before, line_end in (("plain", "", "\n"), ("saved", "\ufeff", "\r\n")):
        folder = tmp_path / name
        (folder / "lists").mkdir(parents=True)
        text = before + "system,code\nHCPCS,J9312\n".replace("\n", line_end)
        (folder / "lists" / "a.csv").write_bytes(text.encode())
        hashes.add(content_hash(read_files(folder, tmp_path / "none")))
    assert len(hashes) == 1
