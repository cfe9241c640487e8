"""`signpost demo`: the service with the sample payer, and three orders answered before your eyes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click
import requests

from app.cli.answer_text import answer_text
from app.cli.hook import post
from app.console import accounts
from app.errors import SettingsError
from app.fhir.json import decode
from app.settings import ROOT

SAMPLES = (
    ("order-sign-mri", "An MRI of the lumbar spine"),
    ("order-sign-infusion", "A drug infused at the clinic"),
    ("order-sign-self-injected", "A drug the patient injects at home"),
)


@click.command()
@click.option("--once", is_flag=True, help="Stop after the samples instead of staying.")
@click.option("--port", type=int, default=8080, show_default=True, help="Port to listen on.")
def demo(once: bool, port: int) -> None:
    """Start the sample payer in the sandbox, fire three sample hooks at it, and stay in the foreground."""
    url = f"http://127.0.0.1:{port}"
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise SettingsError(
                f"Something already listens on port {port}. Choose another: make run ARGS='--port 8090'."
            )
    with tempfile.TemporaryDirectory(prefix="signpost-") as scratch:
        folder = scratch if once else "data"
        with _service(port, folder) as process:
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
            try:
                sys.exit(process.wait())
            except KeyboardInterrupt:
                click.echo("")


def _samples() -> str:
    return ", ".join(f"{name} ({'; '.join(sorted(roles))})" for name, roles in accounts.SAMPLES.items())


def _at(port: int) -> str:
    return "" if port == 8080 else f" --url http://127.0.0.1:{port}"


@contextmanager
def _service(port: int, data_dir: str) -> Iterator[subprocess.Popen[bytes]]:
    """The real service as a child process, as `signpost serve` starts it."""
    command = [sys.executable, "-m", "app.cli", "serve", "--sandbox", "--port", str(port), "--data-dir", data_dir]
    quiet = {"SIGNPOST_LOG_LEVEL": "warning", **os.environ}
    process = subprocess.Popen(command, env=quiet)  # noqa: S603  # our own interpreter and arguments
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    for _ in range(150):
        if process.poll() is not None:
            raise SettingsError("The service did not start; its message stands above.")
        try:
            if requests.get(f"{url}/readyz", timeout=2).status_code == 200:
                return
        except requests.RequestException:
            time.sleep(0.1)
    raise SettingsError("The service did not become ready within 15 seconds.")


def _show(url: str, name: str, title: str) -> None:
    body = (ROOT / "docs" / "examples" / f"{name}.json").read_bytes()
    started = time.perf_counter()
    response = post(url, "order-sign-crd", body)
    elapsed = (time.perf_counter() - started) * 1000
    click.echo(f"\n--- {title} ({name}.json, answered in {elapsed:.0f} ms) ---")
    click.echo(answer_text(decode(body), decode(response.content)))
    click.echo("")
