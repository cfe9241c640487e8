"""`signpost rules check`: say everything that is wrong with the rule files."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from app.cli.options import settings_from
from app.cli.serve import FOLDER
from app.rulebook.rulebook import Rulebook, load
from app.rulebook.scenarios import scenario_files
from app.settings import Settings
from benefit_router import Problem

_GITHUB = {"error": "error", "warning": "warning", "note": "notice"}


@click.command()
@click.option("--rules", type=FOLDER, help="Folder of the rule files.")
@click.option(
    "--hcpcs",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A release of CMS's HCPCS file: finds codes that it ended.",
)
@click.option(
    "--expansions",
    type=FOLDER,
    help="Folder of ValueSet expansions (JSON): says how lists taken from them have drifted.",
)
@click.option("--notes", is_flag=True, help="Show notes too: what may well be meant so.")
@click.option("--strict", is_flag=True, help="Exit 1 on warnings too.")
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "github", "json"]),
    default="text",
    show_default=True,
    help="Output: text, annotations of a GitHub workflow, or JSON.",
)
def check(
    rules: Path | None, hcpcs: Path | None, expansions: Path | None, notes: bool, strict: bool, style: str
) -> None:
    """Say everything that is wrong with the rule files; exit 1 when something is an error."""
    settings = settings_from(rules=rules)
    loaded = load(settings.rules, settings.questionnaires)
    problems = list(loaded.problems)
    if loaded.rulebook is not None:
        problems += _linted(loaded.rulebook, settings, hcpcs, expansions)
    shown = [problem for problem in problems if notes or problem.severity != "note"]
    if style == "json":
        click.echo(json.dumps([asdict(problem) for problem in shown], indent=2))
    for problem in shown if style != "json" else ():
        click.echo(str(problem) if style == "text" else _annotation(problem, settings.rules))
    counts = {severity: sum(each.severity == severity for each in problems) for severity in _GITHUB}
    if loaded.rulebook is None:
        click.echo(f"{counts['error']} errors: these rules cannot go live.", err=True)
    elif counts["error"]:
        click.echo(f"{counts['error']} errors: these rules load, and would not do what they say.", err=True)
    elif style != "json":
        click.echo(_summary(loaded.rulebook, counts))
    sys.exit(1 if counts["error"] or (strict and counts["warning"]) else 0)


def _linted(book: Rulebook, settings: Settings, hcpcs: Path | None, expansions: Path | None) -> Sequence[Problem]:
    from app.crd.checking import linted
    from app.rulebook.expansions import read_expansions
    from app.rulebook.hcpcs import read_hcpcs, text_of
    from app.rulebook.validity import of_release

    expanded, unreadable = read_expansions(expansions) if expansions is not None else ([], [])
    release = of_release(read_hcpcs(text_of(hcpcs.read_bytes()), hcpcs.name), hcpcs.name) if hcpcs else {}
    today = datetime.now(UTC).date()
    found = linted(
        book,
        scenario_files(settings.rules / "scenarios"),
        settings.roster_path,
        today,
        expansions=expanded,
        release=release,
    )
    return [*unreadable, *found]


def _summary(book: Rulebook, counts: dict[str, int]) -> str:
    told = (
        f"Rulebook {book.label} is good: {len(book.table)} routing rows, {len(book.policies)} policies, "
        f"{len(book.guidance)} cards, {len(book.lists)} lists, {len(book.questionnaires)} forms."
    )
    if counts["warning"] or counts["note"]:
        told += f"\n{counts['warning']} warnings, {counts['note']} notes (--notes shows them)."
    return told


def _annotation(problem: Problem, rules: Path) -> str:
    """A workflow command of GitHub Actions. Its text may hold no line breaks, and its properties no commas."""
    file = problem.file if problem.file.startswith("questionnaires/") else (rules / problem.file).as_posix()
    place = [f"file={_escaped(file)}", f"line={problem.line or 1}"]
    if title := " ".join(filter(None, (problem.lint, problem.column))):
        place.append(f"title={_escaped(title)}")
    text = f"{problem.message} {problem.remedy}".strip()
    return f"::{_GITHUB[problem.severity]} {','.join(place)}::{_escaped(text, property=False)}"


def _escaped(text: str, *, property: bool = True) -> str:
    for character in "%\r\n" + (":," if property else ""):
        text = text.replace(character, f"%{ord(character):02X}")
    return text
