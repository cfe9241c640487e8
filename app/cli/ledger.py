"""`signpost ledger`: what was asked, which rules matched, what was answered."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from app.cli.opened import open_ledger
from app.cli.options import Since, settings_from
from app.cli.reading import note_reading
from app.cli.serve import FOLDER
from app.fhir.codings import short_name
from app.fhir.json import decode, encode
from app.ledger import Ledger, StoredAssertion, StoredInvocation

data_dir = click.option("--data-dir", type=FOLDER, help="Folder of the embedded ledger.")


@click.group()
def ledger() -> None:
    """Look into the ledger of answers given."""


@ledger.command()
@click.argument("answer_id")
@data_dir
@click.option("--request", "with_request", is_flag=True, help="Print the request too (holds patient data).")
def show(answer_id: str, data_dir: Path | None, with_request: bool) -> None:
    """Print what was asked, which rules matched and what was answered: one assertion, or a whole call by its id."""
    store = open_ledger(settings_from(data_dir=data_dir))
    told = store.told_under(answer_id)
    if not told:
        _show_call(store, answer_id, with_request=with_request)
        return
    invocation = store.invocation(told[0].invocation_id)
    if invocation is None:
        click.echo(f"The call of {answer_id} is not in the ledger.", err=True)
        sys.exit(1)
    note_reading(store, "answer", answer_id, told[0].member_id)
    for line in _told(told[0], invocation):
        click.echo(line)
    for form in store.forms_returned_for(answer_id):
        when = f"{form.received_at:%Y-%m-%d %H:%M:%S} UTC"
        click.echo(f"Form back   {form.questionnaire}, {form.status}, {when}, from {form.client}")
    for later in told[1:]:
        made_in = store.invocation(later.invocation_id)
        if made_in is not None:
            click.echo("\nA completed form changed the answer, and the client was told so under the same id:")
            click.echo("\n".join(_told(later, made_in)))
    if with_request and invocation.request is not None:
        click.echo(invocation.request)


def _show_call(store: Ledger, invocation_id: str, *, with_request: bool) -> None:
    """A call, as an error message or a log line names it."""
    call = store.invocation(invocation_id)
    if call is None:
        click.echo(f"No answer was given under {invocation_id}, and no call has that id.", err=True)
        sys.exit(1)
    note_reading(store, "call", invocation_id)
    click.echo(f"Call        {call.invocation_id}, {call.service_id}, {call.received_at:%Y-%m-%d %H:%M:%S} UTC")
    click.echo(f"Answered    HTTP {call.status} after {call.answered_in_ms:.1f} ms; EHR {call.token_use}")
    for issue in call.issues:
        click.echo(f"Issue       {issue}")
    for made in store.assertions_of(call.invocation_id):
        click.echo(f"Assertion   {made.assertion_id}  {made.order_ref}  {made.covered} {made.pa_needed or ''}")
    if with_request and call.request is not None:
        click.echo(call.request)


@ledger.command()
@data_dir
@click.option("--limit", default=20, show_default=True, help="How many calls.")
def recent(data_dir: Path | None, limit: int) -> None:
    """List the newest calls with the assertions they made."""
    store = open_ledger(settings_from(data_dir=data_dir))
    for call in store.recent(limit):
        when = f"{call.received_at:%Y-%m-%d %H:%M:%S}"
        click.echo(f"{when}  {call.status}  {call.answered_in_ms:8.1f} ms  {call.service_id}  {call.invocation_id}")
        for made in store.assertions_of(call.invocation_id):
            click.echo(
                f"    {made.assertion_id}  {made.order_ref}  {made.covered} {made.pa_needed or ''} {made.track or ''}"
            )
        for issue in call.issues:
            click.echo(f"    {issue}")


@ledger.command()
@data_dir
def verify(data_dir: Path | None) -> None:
    """Check that nothing in the ledger was changed after it was written; exit 1 when something was."""
    wrong = open_ledger(settings_from(data_dir=data_dir)).verify()
    for line in wrong:
        click.echo(line)
    click.echo(f"{len(wrong)} faults" if wrong else "The ledger is whole.")
    sys.exit(1 if wrong else 0)


@ledger.command()
@data_dir
def migrate(data_dir: Path | None) -> None:
    """Bring the ledger's tables up to this version (SIGNPOST_DATABASE_URL)."""
    Ledger.migrate(settings_from(data_dir=data_dir).ledger_url)
    click.echo("The ledger is up to date.")


@ledger.command()
@data_dir
@click.option("--since", type=Since(), help="Only since: days back (30d) or a date (2026-11-01).")
@click.option("--by", "reader", help="Only what this account, or user of the machine, read.")
@click.option("--member", "member_id", help="Only what was read of this member.")
@click.option("--limit", default=200, show_default=True, help="How many, newest first.")
def reads(data_dir: Path | None, since: datetime | None, reader: str | None, member_id: str | None, limit: int) -> None:
    """List who read what is kept of a person: in the console, and with `ledger show`, `rules explain` and `replay`."""
    store = open_ledger(settings_from(data_dir=data_dir))
    for each in store.readings(since=since, reader=reader, member_id=member_id, limit=limit):
        of = f"  member {each.member_id}" if each.member_id else ""
        when = f"{each.at:%Y-%m-%d %H:%M:%S}"
        click.echo(f"{when}  {each.reader}  {each.through}  {each.kind} {each.about}{of}")


@ledger.command(name="form-errors")
@data_dir
def form_errors(data_dir: Path | None) -> None:
    """List what DTR clients could not do with forms, newest first."""
    for each in open_ledger(settings_from(data_dir=data_dir)).form_errors():
        click.echo(f"{each.received_at:%Y-%m-%d %H:%M:%S}  {each.questionnaire}  {each.client}")
        for issue in decode(each.issues):
            where = " ".join(issue.get("expression", issue.get("location", ())))
            click.echo(f"    {issue.get('severity', '-')} {issue.get('code', '-')} {where}".rstrip())


@ledger.command()
@data_dir
def purge(data_dir: Path | None) -> None:
    """Delete what was kept of patients' records for forms and has expired."""
    gone = open_ledger(settings_from(data_dir=data_dir)).purge_snapshots(datetime.now(UTC))
    click.echo(f"{gone} snapshots deleted")


@ledger.command()
@data_dir
def reseal(data_dir: Path | None) -> None:
    """Seal under the first key what an older key sealed, or none; exit 1 when something does not open.

    The service may go on meanwhile, once it runs with the new key.
    """
    done = open_ledger(settings_from(data_dir=data_dir)).reseal()
    click.echo(f"{done.rows} rows sealed anew")
    if done.forms:
        click.echo(f"{done.forms} completed forms stay under older keys, by which the chain vouches: keep those keys.")
    if done.closed:
        click.echo(f"{done.closed} rows do not open: their key is not among the settings, or they were changed.")
    sys.exit(1 if done.closed else 0)


def _archive(data_dir: Path | None, before: datetime, folder: Path) -> None:
    done = open_ledger(settings_from(data_dir=data_dir)).archive(before, folder, datetime.now(UTC))
    for path in done.files:
        click.echo(path)
    click.echo(f"{done.calls} calls archived; {done.kept} as old are still needed and stay")


@ledger.command()
@data_dir
@click.option("--before", type=Since(), required=True, help="Calls received before: days back (400d) or a date.")
@click.option("--to", "folder", type=FOLDER, required=True, help="Folder for the files.")
def archive(data_dir: Path | None, before: datetime, folder: Path) -> None:
    """Move old calls to sealed files, but for those an answer still rests on; the chain verifies as before."""
    _archive(data_dir, before, folder)


@ledger.command()
@data_dir
@click.option("--days", type=click.IntRange(min=1), required=True, help="How long calls stay in the ledger.")
@click.option("--to", "folder", type=FOLDER, required=True, help="Folder for the files.")
def retain(data_dir: Path | None, days: int, folder: Path) -> None:
    """Archive what is older than so many days, and delete what has expired; made for a daily job."""
    now = datetime.now(UTC)
    gone = open_ledger(settings_from(data_dir=data_dir)).purge_snapshots(now)
    click.echo(f"{gone} snapshots deleted")
    _archive(data_dir, now - timedelta(days=days), folder)


@ledger.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("answer_id", required=False)
@data_dir
def archived(file: Path, answer_id: str | None, data_dir: Path | None) -> None:
    """Check an archive FILE against the ledger, or print as JSON the call of an id in it (holds patient data)."""
    store = open_ledger(settings_from(data_dir=data_dir))
    if answer_id is None:
        wrong = store.check_archive(file)
        for line in wrong:
            click.echo(line)
        click.echo(f"{len(wrong)} faults" if wrong else "The archive is whole.")
        sys.exit(1 if wrong else 0)
    for call in store.read_archive(file):
        if answer_id in (call.invocation["invocation_id"], *(made["assertion_id"] for made in call.assertions)):
            click.echo(encode(call.told()))
            return
    click.echo(f"{answer_id} is not in {file}.", err=True)
    sys.exit(1)


def _told(found: StoredAssertion, invocation: StoredInvocation) -> list[str]:
    facts, answer = decode(found.facts), decode(found.answer)["determination"]
    lines = [
        f"Assertion   {found.assertion_id}",
        *([f"Told as     {found.told_as}"] if found.told_as else []),
        f"Asked       {invocation.received_at:%Y-%m-%d %H:%M:%S} UTC, {invocation.hook}",
        f"Call        {invocation.invocation_id}, HTTP {invocation.status} after {invocation.answered_in_ms:.1f} ms",
        f"Order       {found.order_ref}, {facts.get('words', '')}",
        f"Member      {found.member_id or 'not found'}, line {found.line_of_business or 'unknown'}",
        f"Rulebook    {invocation.rulebook_hash}",
        f"Decided by  {', '.join(found.rule_ids) or 'no rule'}",
    ]
    lines += _facts(facts)
    route = answer.get("route")
    if route:
        lines.append(f"Benefit     {route['track']} ({route['confidence']}): {route['reason']}")
        for considered in route["considered"]:
            columns = f" by {', '.join(considered['columns'])}" if considered["columns"] else ""
            lines.append(f"  {considered['verdict']:<10} {considered['rule_id']} -> {considered['track']}{columns}")
    for tried in answer.get("tried", []):
        held = {True: "held", False: "did not hold", None: "unknown"}[tried["held"]]
        why = f": {'; '.join(tried['lacking'])}" if tried["lacking"] else ""
        lines.append(f"Case        {tried['policy']}#{tried['case']} {held}{why}")
    for given in answer["answers"]:
        lines += _answer(given)
    if answer["handoff"]:
        lines.append(f"Handoff     {answer['handoff']}")
    lines.append(f"Holds to    {found.expires_on}")
    return lines


def _facts(facts: dict[str, Any]) -> list[str]:
    known = {
        k: v for k, v in facts.items() if not (isinstance(v, dict) and "missing" in v) and k not in ("words", "member")
    }
    lines = [f"  known     {name}: {_plain(value)}" for name, value in known.items()]
    lines += [f"  missing   {v['missing']}" for v in facts.values() if isinstance(v, dict) and "missing" in v]
    return ["Facts", *lines] if lines else []


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_code(item) if isinstance(item, dict) and "code" in item else str(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{name}={item}" for name, item in value.items()) or "none"
    return str(value)


def _code(coding: dict[str, Any]) -> str:
    return f"{short_name(str(coding.get('system', '')))} {coding['code']}".strip()


def _answer(given: dict[str, Any]) -> list[str]:
    names = ("covered", "pa_needed", "doc_needed", "doc_purpose", "info_needed", "questionnaires", "satisfied_pa_id")
    lines = ["Answer"]
    for name in names:
        value = given[name]
        if value:
            lines.append(f"  {name:<15} {', '.join(value) if isinstance(value, list) else value}")
    if given["billing_codes"]:
        lines.append(f"  billing         {', '.join(' '.join(code) for code in given['billing_codes'])}")
    for detail in given["details"]:
        lines.append(f"  detail          {detail['code']}: {_plain(detail['value'])}")
    if given["contacts"]:
        lines.append(f"  contacts        {', '.join(given['contacts'])}")
    for reason in given["reasons"]:
        lines.append(f"  reason          {' '.join(filter(None, (reason['code'], reason['text'])))}")
    return lines
