"""Checks of what the service keeps its data in: database, shared state, disk, and the clocks of each."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app.cli.doctor.finding import Finding, ok, warning, wrong
from app.encryption import Encryption
from app.errors import LedgerError, SettingsError, StateError
from app.ledger import Ledger
from app.ledger.examination import examine
from app.settings import ROOT, Settings
from app.state import open_state

LITTLE, TOO_LITTLE = 2 * 1024**3, 200 * 1024**2
"""Bytes left on the disk of the data folder: below the first is said, below the second is wrong."""

_TIME = "%Y-%m-%d %H:%M:%S"

SKEW_S = 2.0
"""Seconds by which the clocks of two machines may differ before it is said. JWTs live for minutes, rules for days."""


def ledger(settings: Settings) -> Iterator[Finding]:
    """Whether the ledger is there, of this version, and can be written; and what its clock says."""
    file = _sqlite_file(settings)
    if file is not None and not file.exists():
        yield ok("database", f"{file} is not there yet; the first start makes it")
        return
    try:
        found = examine(settings.ledger_url)
    except LedgerError as error:
        yield wrong("database", f"it cannot be reached: {error}", _reach(file))
        return
    if found.schema != found.needed:
        was = f"its tables are of version {found.schema or 'none'}, and {found.needed} is needed"
        newer = (found.schema or "") > found.needed
        if file is not None and not newer:
            yield ok("database", f"{was}: the next start migrates it")
        else:
            yield wrong("database", was, "Upgrade Signpost." if newer else "Run `signpost ledger migrate`.")
        return
    keys, readable = None, False
    with suppress(SettingsError):  # told of with the keys
        keys = _keys(settings)
        readable = True
    try:
        with closing(Ledger.open(settings.ledger_url, keys, synchronous=settings.sqlite_synchronous)) as opened:
            opened.healthy()
            unread = _unread(opened) if readable else None
    except LedgerError as error:
        yield wrong("database", f"it cannot be written: {error}", _reach(file))
        return
    where = str(file) if file is not None else "PostgreSQL"
    yield ok("database", f"{where} is of version {found.schema} and can be written")
    if unread is not None:
        said = f"the newest call of the ledger cannot be read: {unread}"
        yield wrong(
            "encryption", said, "Put the key that was used behind the new one; what it sealed opens with no other."
        )
    if found.clock is not None:
        yield _compared("database clock", found.clock.timestamp())
    now = datetime.now(UTC)
    if found.newest is not None and found.newest > now + timedelta(seconds=SKEW_S):
        said = f"the ledger's newest entry is of {found.newest:{_TIME}} UTC, and here it is {now:{_TIME}}"
        yield wrong("clock", said, "Set this machine's clock (NTP): days of coverage and of rules are judged by it.")


def _keys(settings: Settings) -> Encryption | None:
    """The keys there are, None without any; makes no key file. SettingsError where they are none."""
    stated = [key.get_secret_value() for key in settings.encryption_keys]
    return Encryption.of(stated, settings.key_path) if stated or settings.key_path.exists() else None


def _unread(ledger: Ledger) -> str | None:
    """Why the newest call does not open, None where it does or there is none."""
    try:
        ledger.recent(1)
    except LedgerError as error:
        return str(error)
    return None


def _sqlite_file(settings: Settings) -> Path | None:
    scheme, _, path = settings.ledger_url.partition(":///")
    return Path(path) if scheme.startswith("sqlite") and not path.startswith("file:") else None


def _reach(file: Path | None) -> str:
    if file is not None:
        return f"See that the service's user may write {file} and its folder, and that it is a ledger."
    return "See that SIGNPOST_DATABASE_URL is right, the server runs, and its user may use the database."


def shared_state(settings: Settings) -> Iterator[Finding]:
    """Whether what workers share can be written; Redis also for its clock and for what it does when it is full."""
    name = "Redis" if settings.redis_url else "shared state"
    url = settings.shared_state_url
    if url.startswith("sqlite") and not Path(url.partition(":///")[2]).exists():
        yield ok(name, "its file is not there yet; the first use makes it")
        return
    try:
        with closing(open_state(url)) as state:
            state.ping()
            yield ok(name, "it can be written")
            if settings.redis_url:
                yield from _redis(state)
    except SettingsError as error:
        yield wrong(name, str(error), "Correct the setting.")
    except StateError as error:
        remedy = "See that SIGNPOST_REDIS_URL is right, with its password, and that the server runs and is no replica."
        yield wrong(
            name, str(error), remedy if settings.redis_url else "See that the service's user may write the file."
        )


def _redis(state: object) -> Iterator[Finding]:
    from app.state.redis import RedisState

    assert isinstance(state, RedisState)  # a redis:// URL opens no other
    yield _compared("Redis clock", state.clock())
    if state.may_forget():
        said = "when it is full it drops entries before their time, among them which JWTs were used"
        yield warning("Redis", said, "Set maxmemory-policy to noeviction on a Redis of Signpost's own.")


def _compared(check: str, theirs: float) -> Finding:
    apart = theirs - time.time()
    if abs(apart) <= SKEW_S:
        return ok(check, f"{abs(apart):.1f} s from this machine's")
    said = f"{abs(apart):.1f} s {'ahead of' if apart > 0 else 'behind'} this machine's"
    return warning(check, said, "Keep both machines on the same time (NTP).")


def clock() -> Iterator[Finding]:
    """Whether this machine's clock can be right: not before the code was put here."""
    installed = datetime.fromtimestamp((ROOT / "app" / "__init__.py").stat().st_mtime, UTC)
    now = datetime.now(UTC)
    if now < installed:
        said = f"it is {now:%Y-%m-%d %H:%M} UTC here, before Signpost was installed ({installed:%Y-%m-%d %H:%M})"
        yield wrong("clock", said, "Set this machine's clock (NTP).")
    else:
        yield ok("clock", f"{now:{_TIME}} UTC")


def disk(settings: Settings) -> Iterator[Finding]:
    """How much is left where the data folder is, or will be."""
    folder = settings.data_dir.resolve()
    there = next(each for each in (folder, *folder.parents) if each.exists())
    free = shutil.disk_usage(there).free
    said = f"{free / 1024**3:.1f} GB left at {folder}"
    remedy = "Make room: an answer that cannot be written is not given."
    if free < TOO_LITTLE:
        yield wrong("disk", said, remedy)
    elif free < LITTLE:
        yield warning("disk", said, remedy)
    else:
        yield ok("disk", said)
