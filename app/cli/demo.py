"""`signpost demo`: the service with the sample payer, and three orders answered before your eyes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click
import requests

from app.cli.answer_text import answer_text
from app.cli.hook import post
from app.cli.options import settings_from
from app.console import accounts
from app.errors import SettingsError
from app.fhir.json import decode
from app.settings import ROOT

SAMPLES = (
    ("order-sign-mri", "An MRI of the lumbar spine"),
    ("order-sign-infusion", "A drug infused at the clinic"),
    ("order-sign-self-injected", "A drug the patient injects at home"),
)
TELL_AFTER_S = 10
"""Between words about a service that is not ready; one that ends is noticed at once."""
NAME = "signpost demo"
"""Who makes the sample rules live, as the history of publications has it."""


@click.command()
@click.option("--once", is_flag=True, help="Stop after the samples instead of staying.")
@click.option("--port", type=int, default=8080, show_default=True, help="Port to listen on.")
def demo(once: bool, port: int) -> None:
    """Start the sample payer in the sandbox, fire three sample hooks at it, and stay in the foreground."""
    url = f"http://127.0.0.1:{port}"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the service ends with it
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise SettingsError(
                f"Something already listens on port {port}. Choose another: make run ARGS='--port 8090'."
            )
    with tempfile.TemporaryDirectory(prefix="signpost-") as scratch:
        folder = scratch if once else "data"
        rules = "files" if os.environ.get("SIGNPOST_RULES_FROM") == "files" else "published"
        own = rules == "files" or publish_samples(Path(folder))
        with _service(port, folder, rules) as process:
            _wait(process, url)
            for name, title in SAMPLES:
                _show(url, name, title)
            if once:
                return
            click.echo(f"Serving at {url}. Leave with Ctrl-C. In a browser:")
            click.echo(f"  {url}/sandbox   an EHR: order something and see what the payer says")
            click.echo("In another terminal:")
            click.echo(f"  .venv/bin/signpost hook docs/examples/order-sign-infusion.json{_at(port)}")
            click.echo("  .venv/bin/signpost ledger recent")
            click.echo("  .venv/bin/signpost ledger show <assertion>")
            click.echo(f"  curl {url}/cds-services")
            click.echo(f"Look after the rules in a browser at {url}/console. Sample accounts of this sandbox, all with")
            click.echo(f"the password {accounts.SAMPLE_PASSWORD}: {_samples()}.")
            if not own:
                click.echo(f"It answers with the rules published there, kept in {folder}/; `make clean` forgets them.")
            try:
                sys.exit(process.wait())
            except KeyboardInterrupt:
                click.echo("")


def publish_samples(folder: Path) -> bool:
    """Make the rules folder live in the ledger, so that the console's publications take effect.

    False when somebody else published rules there: those stay. RulebookError when the folder's rules are wrong.
    """
    from app.crd import publishing
    from app.encryption import Encryption
    from app.ledger import Ledger
    from app.ledger.publication import live_at

    settings, now = settings_from(data_dir=folder, sandbox=True), datetime.now(UTC)
    encryption = Encryption.of_settings(settings)
    with closing(Ledger.open(settings.ledger_url, encryption, synchronous=settings.sqlite_synchronous)) as ledger:
        live = live_at(ledger.publications(), now)
        if live is not None and live.actor != NAME:
            return False
        checked = publishing.check(settings.rules, settings.questionnaires, settings.roster_path)
        if live is None or live.rulebook_hash != checked.rulebook.hash:
            note = "The rules folder, as it was when the demo started"
            publishing.publish(ledger, checked, author="rules folder", approver=NAME, note=note, now=now)
    return True


def _samples() -> str:
    return ", ".join(f"{name} ({'; '.join(sorted(roles))})" for name, roles in accounts.SAMPLES.items())


def _at(port: int) -> str:
    return "" if port == 8080 else f" --url http://127.0.0.1:{port}"


@contextmanager
def _service(port: int, data_dir: str, rules: str) -> Iterator[subprocess.Popen[bytes]]:
    """The real service as a child process, as `signpost serve` starts it."""
    command = [sys.executable, "-m", "app.cli", "serve", "--sandbox", "--port", str(port), "--data-dir", data_dir]
    quiet = {"SIGNPOST_LOG_LEVEL": "warning", **os.environ, "SIGNPOST_RULES_FROM": rules}
    process = subprocess.Popen(command, env=quiet)  # noqa: S603  # our own interpreter and arguments
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait(process: subprocess.Popen[bytes], url: str, *, tell_after: float = TELL_AFTER_S) -> None:
    """Until it answers. A service that runs is given its time on a slow machine, and what is missing is told."""
    started = told = time.monotonic()
    while process.poll() is None:
        missing = _missing(url)
        if missing is None:
            return
        if time.monotonic() - told >= tell_after:
            told = time.monotonic()
            click.echo(f"Still waiting for the service, {told - started:.0f} s now: {missing} Ctrl-C gives up.")
        time.sleep(0.1)
    raise SettingsError("The service did not start; its message stands above.")


def _missing(url: str) -> str | None:
    """What a service lacks to answer, None when it is ready."""
    try:
        answer = requests.get(f"{url}/readyz", timeout=2)
    except requests.Timeout:
        return "it listens, and does not answer within 2 s."
    except requests.RequestException:
        return "it does not listen yet."
    if answer.status_code == 200:
        return None
    return f"it says {answer.status_code} {answer.text}."


def _show(url: str, name: str, title: str) -> None:
    body = (ROOT / "docs" / "examples" / f"{name}.json").read_bytes()
    started = time.perf_counter()
    response = post(url, "order-sign-crd", body)
    elapsed = (time.perf_counter() - started) * 1000
    click.echo(f"\n--- {title} ({name}.json, answered in {elapsed:.0f} ms) ---")
    click.echo(answer_text(decode(body), decode(response.content)))
    click.echo("")
