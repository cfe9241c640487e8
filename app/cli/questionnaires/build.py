"""`signpost questionnaires build`: compile the forms' CQL into the Libraries that clients get."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from app.cli.options import settings_from
from app.cli.rules.live import live
from app.cli.serve import FOLDER
from app.settings import ROOT

TOOLS = ROOT / "tools" / "cql"


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 when a file is not as it would be written.")
@click.option("--rules", type=FOLDER, help="Folder of the rule files.")
@click.option("--questionnaires", type=FOLDER, help="Folder of the forms.")
def build(check: bool, rules: Path | None, questionnaires: Path | None) -> None:
    """Compile each form's library.cql into library.json, with the record it reads from prefill.yaml.

    Compiling needs Node.js, which nothing else does. `--check` without it compares all but the compiled part.
    """
    from app.dtr.cql.building import build as built

    settings = settings_from(rules=rules, questionnaires=questionnaires)
    lacking = missing()
    if lacking is not None and not check:
        raise click.ClickException(lacking)
    made = built(
        settings.questionnaires,
        live(settings.rules, settings.questionnaires),
        None if lacking is not None else compile_cql,
    )
    for problem in made.problems:
        click.echo(str(problem))
    if made.problems:
        sys.exit(1)
    stale = made.stale()
    for path in stale:
        if not check:
            path.write_text(made.files[path], encoding="utf-8")
        click.echo(f"{'stale' if check else 'written'}: {path.relative_to(settings.questionnaires).as_posix()}")
    click.echo(f"{len(made.files)} files: {len(stale)} {'are out of date' if check else 'written'}")
    if check and stale:
        click.echo("Run `signpost questionnaires build`.", err=True)
        sys.exit(1)


def missing() -> str | None:
    """What has to be installed before CQL can be compiled; None when all of it is there."""
    if shutil.which("node") is None:
        return "Compiling CQL needs Node.js 20 or newer. On Debian and Ubuntu: apt-get install nodejs npm"
    if not (TOOLS / "node_modules").is_dir():
        return f"The CQL compiler is not installed. Run: npm ci --prefix {TOOLS.relative_to(ROOT)}"
    return None


def compile_cql(texts: Mapping[str, str]) -> Mapping[str, Any]:
    """ELM of CQL libraries, by name (tools/cql/compile.mjs)."""
    found: Mapping[str, Any] = json.loads(run_node("compile.mjs", json.dumps(texts)))
    return found


def run_node(script: str, given: str) -> str:
    """What a script of tools/cql makes of its input: the last line that it prints."""
    node = shutil.which("node") or "node"
    done = subprocess.run([node, str(TOOLS / script)], input=given, capture_output=True, text=True, timeout=300)  # noqa: S603  # our own script
    if done.returncode != 0:
        raise click.ClickException(f"{script} failed: {done.stderr.strip()[-2000:]}")
    return done.stdout.rpartition("\n")[2]
