"""`signpost rules export` and `import`: the tables as a workbook for a spreadsheet, and back."""

from __future__ import annotations

import os
from pathlib import Path

import click

from app.cli.options import settings_from
from app.cli.rules.schema import TABLES
from app.cli.serve import FOLDER
from app.errors import RulebookError

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--xlsx", required=True, type=_FILE, help="Workbook to write.")
@click.option("--rules", type=FOLDER, help="Folder of the rule files.")
def export(xlsx: Path, rules: Path | None) -> None:
    """Write every table of the rules, members' too, to a workbook: one sheet a table, explained and typed."""
    from app.rulebook import workbook

    folder = settings_from(rules=rules).rules
    files: dict[str, str] = {}
    for table in TABLES:
        for path in sorted(folder.glob(table.file)):
            try:
                files[path.relative_to(folder).as_posix()] = path.read_bytes().decode("utf-8")
            except UnicodeDecodeError:
                raise RulebookError(f"{path}: The file is not UTF-8 text. Save it as UTF-8.") from None
    content = workbook.export(files, TABLES)
    xlsx.write_bytes(content)
    click.echo(f"{len(files)} tables written to {xlsx}.")


@click.command("import")
@click.argument("xlsx", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--into", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder of rule files.")
def import_(xlsx: Path, into: Path) -> None:
    """Write the tables of the workbook XLSX to CSV files; all of them, or none when a cell cannot be read."""
    from app.rulebook import workbook

    if xlsx.stat().st_size > workbook.MOST_BYTES:
        raise RulebookError(f"{xlsx}: The file is larger than {workbook.MOST_BYTES // 1024**2} MB.")
    found = workbook.read(xlsx.read_bytes(), str(xlsx), TABLES)
    changed: list[tuple[Path, Path]] = []
    try:
        for file, text in found.items():
            target, content = into / file, text.encode("utf-8")
            if target.is_file() and target.read_bytes() == content:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            fresh = target.with_name(f".{target.name}.new")
            changed.append((fresh, target))
            fresh.write_bytes(content)
        for fresh, target in changed:
            os.replace(fresh, target)
    finally:
        for fresh, _ in changed:
            fresh.unlink(missing_ok=True)
    click.echo(f"{len(changed)} of {len(found)} tables changed in {into}. Now: signpost rules check")
