"""Rulebooks by where they are kept: a folder, a git revision, or the ledger."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

from app.cli.opened import open_ledger
from app.cli.rules.live import live
from app.crd.replay import stored_rulebook
from app.errors import RulebookError
from app.rulebook.rulebook import Rulebook
from app.settings import Settings


def rulebook_of(named: str, settings: Settings) -> Rulebook:
    """The rulebook a person names. RulebookError or ReplayError when there is none, or it does not load."""
    if Path(named).is_dir():
        return _of_folder(Path(named), settings)
    revision, colon, folder = named.partition(":")
    if colon:
        with tempfile.TemporaryDirectory() as copy:
            _check_out(revision, folder, Path(copy))
            return _of_folder(Path(copy) / folder, settings)
    return stored_rulebook(open_ledger(settings), named)


def _of_folder(folder: Path, settings: Settings) -> Rulebook:
    """Rules with the forms beside them, or else the forms of the settings."""
    forms = folder.parent / "questionnaires"
    return live(folder, forms if forms.is_dir() else settings.questionnaires)


def _check_out(revision: str, folder: str, copy: Path) -> None:
    """Put the rules and forms of a git revision into a folder."""
    forms = PurePosixPath(folder).parent / "questionnaires"
    paths = [folder, str(forms)] if _git("ls-tree", "--full-tree", revision, str(forms)) else [folder]
    packed = _git("archive", "--format=tar", revision, "--", *paths)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(copy, filter="data")


def _git(*arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=True)  # noqa: S603, S607  # no shell
    except (OSError, subprocess.CalledProcessError) as error:
        said = (
            error.stderr.decode(errors="replace").strip() if isinstance(error, subprocess.CalledProcessError) else error
        )
        raise RulebookError(f"git could not give the rule files: {said}") from None
    return done.stdout
