"""Rulebooks by where they are kept: a folder, a git revision, or the ledger."""

from __future__ import annotations

import subprocess
from pathlib import Path, PurePosixPath

from app.cli.rules.live import live
from app.errors import RulebookError
from app.fhir.json import decode
from app.ledger import Ledger
from app.rulebook.rulebook import Rulebook, build
from app.settings import Settings

_READ = ("policies", "guidance", "lists", "crosswalks")


def rulebook_of(named: str, settings: Settings) -> Rulebook:
    """The rulebook a person names. RulebookError when there is none, or when it could not go live."""
    if Path(named).is_dir():
        forms = Path(named).parent / "questionnaires"
        return live(Path(named), forms if forms.is_dir() else settings.questionnaires)
    revision, colon, folder = named.partition(":")
    if colon:
        return _built(_of_revision(revision, folder), named)
    return _built(_of_ledger(named, settings), named)


def _built(files: dict[str, str], named: str) -> Rulebook:
    loaded = build(files)
    if loaded.rulebook is None:
        problems = "\n".join(str(problem) for problem in loaded.errors)
        raise RulebookError(f"{named} cannot be loaded by this version of Signpost:\n{problems}")
    return loaded.rulebook


def _of_revision(revision: str, folder: str) -> dict[str, str]:
    """The rule files of a folder at a git revision, and the forms beside it."""
    rules = PurePosixPath(folder)
    forms = rules.parent / "questionnaires"
    files: dict[str, str] = {}
    listed = _git("ls-tree", "-r", "--name-only", "--full-tree", revision, "--", f"{rules}/", f"{forms}/")
    for path in map(PurePosixPath, listed.splitlines()):
        if path.is_relative_to(forms) and path.name == "questionnaire.json":
            files[f"questionnaires/{path.parent.name}/{path.name}"] = _git("show", f"{revision}:{path}")
        elif path.is_relative_to(rules):
            inside = path.relative_to(rules)
            if inside.parts[0] in (*_READ, "payer.yaml", "benefit_routes.csv") and path.suffix in (".csv", ".yaml"):
                files[inside.as_posix()] = _git("show", f"{revision}:{path}")
    return files


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=True)  # noqa: S603, S607  # fixed words
    except (OSError, subprocess.CalledProcessError) as error:
        said = error.stderr.decode(errors="replace").strip() if isinstance(error, subprocess.CalledProcessError) else error
        raise RulebookError(f"git could not give the rule files: {said}") from None
    return done.stdout.decode("utf-8", errors="replace")


def _of_ledger(named: str, settings: Settings) -> dict[str, str]:
    """The files of a rulebook that answered once, by its label or hash."""
    file = settings.data_dir / "ledger.sqlite"
    if settings.database_url is None and not file.exists():
        raise RulebookError(f"{named} is no folder, and there is no ledger at {file}. Name its folder with --data-dir.")
    ledger = Ledger.open(settings.ledger_url, synchronous=settings.sqlite_synchronous)
    record = ledger.rulebook(named)
    if record is None:
        raise RulebookError(f"{named} is no folder, and the ledger keeps no rulebook of that hash.")
    files: dict[str, str] = decode(record.files)
    return files
