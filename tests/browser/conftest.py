"""A real browser (chromium, driven by playwright) and the service on a real port. Without them: skipped, with why.

apt-get install chromium; tools/lforms/fetch
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import make_server

from app import create_app
from app.crd import publishing
from app.crd.publishing import Checked
from app.ledger import Ledger
from app.rulebook.rulebook import Rulebook
from app.settings import ROOT, Settings
from tests.ehr_actions import EhrActions

CHROMIUM = Path("/usr/bin/chromium")
LFORMS = ROOT / "tools" / "lforms" / "dist"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A page of a test's own making may call the service on this machine.
    "--disable-features=LocalNetworkAccessChecks",
]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser (playwright's Browser)."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip("There is no /usr/bin/chromium: apt-get install chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=str(CHROMIUM), headless=True, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    """A page of its own; what goes wrong in it fails the test."""
    wrong: list[str] = []
    context = chromium.new_context(viewport={"width": 1100, "height": 900})
    opened = context.new_page()
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    yield opened
    context.close()
    assert wrong == []


@pytest.fixture(scope="module")
def app(sample_rulebook: Rulebook, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The service as `make run` starts it, one for the tests of a file: it answers with what is published."""
    settings = Settings(
        sandbox=True, data_dir=tmp_path_factory.mktemp("data"), rules_from="published", rules_interval=0
    )
    ledger = Ledger.open(settings.ledger_url)
    as_delivered = Checked(sample_rulebook, "as delivered")
    publishing.publish(ledger, as_delivered, author="rules folder", approver="the test", now=datetime.now(UTC))
    ledger.close()
    started = create_app(settings)
    yield started
    started.extensions["ledger"].close()
    started.extensions["state"].close()


@pytest.fixture(scope="module")
def calls(app: Flask) -> EhrActions:
    """An EHR that calls without a browser."""
    return EhrActions(app.test_client())


@pytest.fixture(scope="module")
def address(app: Flask) -> Iterator[str]:
    """Where the service listens."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


@pytest.fixture(scope="session")
def lforms() -> Path:
    """The folder of LHC-Forms' built files."""
    if not LFORMS.is_dir():
        pytest.skip("LHC-Forms is not there: tools/lforms/fetch")
    return LFORMS


@pytest.fixture
def keep(tmp_path: Path) -> Any:
    """Where a screenshot goes: into docs/images with SIGNPOST_KEEP_SCREENSHOTS=1, else with the test's files."""
    return lambda name: (ROOT / "docs" / "images" if os.environ.get("SIGNPOST_KEEP_SCREENSHOTS") else tmp_path) / name
