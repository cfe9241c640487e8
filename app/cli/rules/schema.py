"""`signpost rules schema`: the JSON Schema of every rule file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from app.members.tables import MEMBER_TABLES
from app.rulebook import schema as yaml_schema
from app.rulebook.tables import RULE_TABLES, table_schema

TABLES = (*RULE_TABLES, *MEMBER_TABLES)
# Where the YAML files of each kind are, beside or under rules/.
YAML_FILES = {
    "payer": "payer.yaml",
    "policy": "policies/*.yaml",
    "guidance": "guidance/*.yaml",
    "scenarios": "scenarios/*.yaml",
    "prefill": "../questionnaires/*/prefill.yaml",
    "cases": "../questionnaires/*/cases/*.yaml",
}
_KINDS = (*yaml_schema.KINDS, *(table.name for table in TABLES))


@click.command()
@click.argument("kind", type=click.Choice(_KINDS), metavar="[KIND]", required=False)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder to write KIND.json files to.")
def schema(kind: str | None, out: Path | None) -> None:
    """Print the JSON Schema of one KIND of rule file, or write all of them to a folder.

    Of a table it describes the list of its rows, each cell a text.
    """
    if kind is None and out is None:
        raise click.UsageError(f"Name a KIND ({', '.join(_KINDS)}), or a folder with --out.")
    wanted = _KINDS if kind is None else (kind,)
    if out is None:
        click.echo(_text(wanted[0]), nl=False)
        return
    out.mkdir(parents=True, exist_ok=True)
    for name in wanted:
        (out / f"{name}.json").write_text(_text(name), encoding="utf-8")
    click.echo(f"{len(wanted)} schemas written to {out}.")


def _text(kind: str) -> str:
    return json.dumps(_schema(kind), indent=2, ensure_ascii=False) + "\n"


def _schema(kind: str) -> dict[str, Any]:
    for table in TABLES:
        if table.name == kind:
            return table_schema(table)
    return yaml_schema.schema(kind)
