"""Checks of what the service answers from: settings, rulebook, members."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing

from app import check_exposure
from app.cli.doctor.finding import Finding, ok, warning, wrong
from app.crd.published import PublishedKeeper
from app.errors import LedgerError, RulebookError, SettingsError
from app.ledger import Ledger
from app.ledger.examination import examine
from app.members import Grants
from app.members.roster import Roster
from app.rulebook.rulebook import load
from app.settings import Settings


def settings(settings: Settings) -> Iterator[Finding]:
    """Whether the service would start with these settings, and some that are seldom meant."""
    try:
        check_exposure(settings)
    except SettingsError as error:
        yield wrong("settings", *_split(str(error)))
    else:
        yield ok("settings", f"answers at {settings.base_url or f'http://{settings.host}:{settings.port}'}")
    if settings.sandbox:
        remedy = "Start without --sandbox where others can reach it."
        yield warning("settings", "the sandbox answers anyone, with any payer's coverage", remedy)
    cores = os.process_cpu_count() if hasattr(os, "process_cpu_count") else os.cpu_count()
    if cores and settings.workers > 2 * cores:
        said = f"{settings.workers} workers on {cores} cores wait for each other"
        yield warning("settings", said, "Set SIGNPOST_WORKERS to about the number of cores.")


def rulebook(settings: Settings) -> Iterator[Finding]:
    """Whether there is a rulebook that may go live."""
    if settings.rules_from == "published":
        yield from _published(settings)
        return
    loaded = load(settings.rules, settings.questionnaires)
    if loaded.rulebook is None:
        first, *others = loaded.errors
        said = f"{first.file}:{first.line or 1}: {first.message}" + (f" And {len(others)} more." if others else "")
        yield wrong("rulebook", said, f"{first.remedy} `signpost rules check` tells all that is wrong.")
    else:
        yield ok("rulebook", f"{loaded.rulebook.label} from {settings.rules}")


def _published(settings: Settings) -> Iterator[Finding]:
    try:
        found = examine(settings.ledger_url)
        if found.schema != found.needed:
            yield wrong("rulebook", "it is published in a ledger that is not migrated", "See the database above.")
            return
        with closing(Ledger.open(settings.ledger_url, synchronous=settings.sqlite_synchronous)) as ledger:
            yield ok("rulebook", f"{PublishedKeeper(ledger, interval=0).current.label}, published")
    except RulebookError as error:
        yield wrong("rulebook", *_split(str(error)))
    except LedgerError as error:
        yield wrong("rulebook", f"it is published in the ledger, which cannot be read: {error}", "See the database.")


def members(settings: Settings) -> Iterator[Finding]:
    """Whether the payer's own data can be read."""
    try:
        if "roster" in settings.member_sources or settings.sandbox:
            Roster.read(settings.roster_path)
        Grants.read(settings.roster_path.parent)
    except SettingsError as error:
        yield wrong("members", str(error), "Correct the file; the service does not start without it.")
    else:
        yield ok("members", f"{', '.join(settings.member_sources)}; files in {settings.roster_path.parent}")


def _split(message: str) -> tuple[str, str]:
    """What is wrong, and its last sentence, which says what to do."""
    told, _, remedy = message.strip().rpartition(". ")
    return (told + ".", remedy) if told else (message, "")
