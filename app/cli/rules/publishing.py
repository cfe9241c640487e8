"""`signpost rules publish` and its kin: rules made live in the ledger, with four eyes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.cli.options import settings_from
from app.cli.serve import FOLDER

if TYPE_CHECKING:
    from app.crd.publishing import Checked
    from app.ledger import Ledger, Publication
    from app.settings import Settings


class Instant(click.ParamType[datetime]):
    """A date and time with its offset from UTC (`2026-12-01T00:00-05:00`)."""

    name = "instant"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a date and time, such as 2026-12-01T00:00-05:00.")
        if moment.tzinfo is None:
            self.fail(f"{value!r} does not say its time zone. Add the offset from UTC, such as -05:00 or Z.")
        return moment


Command = Callable[..., Any]
_data_dir = click.option("--data-dir", type=FOLDER, help="Folder of the embedded ledger.")
_by = click.option("--by", required=True, help="Whose rules they are, or who asks.")
_approved_by = click.option("--approved-by", required=True, help="Who approves: somebody else.")
_note = click.option("--note", default="", help="Words for the record.")
_at = click.option("--at", type=Instant(), help="When they go live; left out: now.")
_number = click.argument("number", type=int)
_why = click.option("--why", required=True, help="Words for the record.")


@click.command()
@click.argument("folder", type=FOLDER)
@_by
@_approved_by
@_at
@_note
@_data_dir
def publish(folder: Path, by: str, approved_by: str, at: datetime | None, note: str, data_dir: Path | None) -> None:
    """Make the rules in FOLDER live, now or later: checked, their scenarios run, approved by somebody else.

    The service answers with them when it runs with SIGNPOST_RULES_FROM=published.
    """
    from app.crd import publishing

    settings = settings_from(data_dir=data_dir)
    checked, now = _check(folder, settings), datetime.now(UTC)
    act = publishing.publish(_ledger(settings), checked, author=by, approver=approved_by, at=at, note=note, now=now)
    _tell(act, now)


@click.command()
@click.argument("folder", type=FOLDER)
@_by
@_note
@_data_dir
def submit(folder: Path, by: str, note: str, data_dir: Path | None) -> None:
    """Hand in the rules in FOLDER for somebody else to approve: checked, and their scenarios run."""
    from app.crd import publishing

    settings = settings_from(data_dir=data_dir)
    checked, now = _check(folder, settings), datetime.now(UTC)
    act = publishing.submit(_ledger(settings), checked, author=by, note=note, now=now)
    click.echo(f"Rulebook {act.label} waits for approval as number {act.number} ({act.checks}).")


@click.command()
@_number
@click.option("--by", required=True, help="Who approves: somebody else than who submitted it.")
@_at
@_note
@_data_dir
def approve(number: int, by: str, at: datetime | None, note: str, data_dir: Path | None) -> None:
    """Approve submission NUMBER, which goes live now or later."""
    from app.crd import publishing

    now = datetime.now(UTC)
    ledger = _ledger(settings_from(data_dir=data_dir))
    _tell(publishing.approve(ledger, number, approver=by, at=at, note=note, now=now), now)


@click.command()
@click.option("--to", help="Label of the rulebook to go back to; left out: the one before.")
@_by
@_approved_by
@_why
@_data_dir
def rollback(to: str | None, by: str, approved_by: str, why: str, data_dir: Path | None) -> None:
    """Make a rulebook live again that was live before, at once."""
    from app.crd import publishing
    from app.ledger.publication import scheduled

    now = datetime.now(UTC)
    ledger = _ledger(settings_from(data_dir=data_dir))
    _tell(publishing.roll_back(ledger, author=by, approver=approved_by, why=why, to=to, now=now), now)
    for coming in scheduled(ledger.publications(), now):
        click.echo(
            f"Still scheduled: rulebook {coming.label} for {_time(coming.effective_at)}, number {coming.number}."
        )


@click.command()
@_number
@click.option("--by", required=True, help="Who withdraws it.")
@_why
@_data_dir
def withdraw(number: int, by: str, why: str, data_dir: Path | None) -> None:
    """Take back act NUMBER: a submission that waits, or an approval whose time has not come."""
    from app.crd import publishing

    ledger = _ledger(settings_from(data_dir=data_dir))
    act = publishing.withdraw(ledger, number, by=by, why=why, now=datetime.now(UTC))
    click.echo(f"Number {number}, rulebook {act.label}, is withdrawn.")


@click.command()
@_data_dir
def published(data_dir: Path | None) -> None:
    """List what was submitted, approved, rolled back and withdrawn, newest first, and what is live."""
    from app.crd import publishing

    entries = publishing.history(_ledger(settings_from(data_dir=data_dir)), datetime.now(UTC))
    for entry in entries:
        act = entry.act
        who = act.actor if act.actor == act.author else f"{act.actor} for {act.author}"
        click.echo(f"{act.number:>4}  {_time(act.at)}  {act.act:<11} {act.label}  {entry.state:<9}  {who}")
        if act.effective_at is not None and act.effective_at != act.at:
            click.echo(f"      live from {_time(act.effective_at)}")
        if act.about is not None:
            click.echo(f"      about number {act.about}")
        for words in filter(None, (act.checks, act.note)):
            click.echo(f"      {words}")
    if not entries:
        click.echo("Nothing is published.")


def _check(folder: Path, settings: Settings) -> Checked:
    from app.crd import publishing

    roster = folder / "members" / "roster.csv"
    return publishing.check(folder, settings.questionnaires, roster if roster.exists() else settings.roster_path)


def _ledger(settings: Settings) -> Ledger:
    """The ledger, made when it is not there yet: publishing comes before the first start."""
    from app.encryption import Encryption
    from app.ledger import Ledger

    ledger = Ledger.open(settings.ledger_url, Encryption.of_settings(settings), synchronous=settings.sqlite_synchronous)
    click.get_current_context().call_on_close(ledger.close)
    return ledger


def _tell(act: Publication, now: datetime) -> None:
    when = (
        "is live" if act.effective_at is None or act.effective_at <= now else f"goes live at {_time(act.effective_at)}"
    )
    checks = f" ({act.checks})" if act.checks else ""
    click.echo(f"Rulebook {act.label} {when}, number {act.number}: by {act.author}, approved by {act.actor}{checks}.")


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment is not None else "-"
