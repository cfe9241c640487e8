"""`signpost hook`: post one request to a running service and print the answer for people."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import requests

from app.cli.answer_text import answer_text
from app.errors import InvalidRequest
from app.fhir.json import decode


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--url", default="http://127.0.0.1:8080", show_default=True, help="Base address of the service.")
@click.option("--raw", is_flag=True, help="Print the response as it came.")
def hook(file: Path, url: str, raw: bool) -> None:
    """Post FILE, a CDS Hooks request, to the service that answers its hook."""
    body = file.read_bytes()
    try:
        request = decode(body)
    except InvalidRequest as error:
        click.echo(f"{file}: {error}", err=True)
        sys.exit(2)
    name = request.get("hook") if isinstance(request, dict) else None
    try:
        response = post(url, f"{name}-crd", body)
    except requests.RequestException as error:
        click.echo(
            f"No answer from {url}: {type(error).__name__}. Is the service running? (signpost serve --sandbox)",
            err=True,
        )
        sys.exit(2)
    if raw:
        click.echo(response.content)
    else:
        click.echo(answer_text(request if isinstance(request, dict) else {}, _json(response)))
    sys.exit(0 if response.status_code == 200 else 1)


def post(url: str, service_id: str, body: bytes) -> requests.Response:
    """Call one CDS service."""
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    return requests.post(f"{url.rstrip('/')}/cds-services/{service_id}", data=body, headers=headers, timeout=15)


def _json(response: requests.Response) -> dict[str, Any]:
    try:
        decoded = decode(response.content)
    except InvalidRequest:
        decoded = None
    return decoded if isinstance(decoded, dict) else {"status": response.status_code}
