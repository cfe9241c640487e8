"""Fixtures that any test may use: the sample rulebook, the service, and an EHR that signs orders."""

from __future__ import annotations

import base64
import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from app import create_app
from app.ledger import Ledger
from app.rulebook.rulebook import Rulebook, load
from app.settings import ROOT, Settings
from tests.ehr_actions import EhrActions

EXAMPLES = ROOT / "docs" / "examples"

pytest_plugins = ["tests.servers"]

# A test that asks for one of these reads or writes the ledger or the shared state.
STORES = frozenset({"app", "settings", "ledger", "state"})
# One that asks for the ledger's file is about SQLite, as one that is marked so.
EMBEDDED = frozenset({"path"})


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--servers",
        action="store_true",
        help="Run the tests that touch the ledger or the shared state, on real PostgreSQL and Redis servers.",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--servers"):
        # Tests that leave a service to the garbage collector close a file of SQLite with it; psycopg complains instead.
        config.addinivalue_line("filterwarnings", "ignore:.*psycopg.*deleted while still open:ResourceWarning")
        config.addinivalue_line(
            "filterwarnings", "ignore:.*BaseConnection.__del__:pytest.PytestUnraisableExceptionWarning"
        )
    config.addinivalue_line("markers", "embedded: holds for SQLite or one machine alone, so not run with --servers")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        # One worker runs a file, so that what the file's tests share is made once; and one all that HL7's validator
        # judges, which takes a gigabyte and ten seconds to start.
        judged = any("judge" in name for name in getattr(item, "fixturenames", ()))
        item.add_marker(pytest.mark.xdist_group("hl7" if judged else item.path.as_posix()))
    if not config.getoption("--servers"):
        return
    chosen = [
        item
        for item in items
        if STORES & (used := set(getattr(item, "fixturenames", ())))
        and not used & EMBEDDED
        and item.get_closest_marker("embedded") is None
    ]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
    items[:] = chosen


def pytest_collection_finish(session: pytest.Session) -> None:
    # Ten thousand tests and what they import stay to the end: not to be gone through at every collection of garbage.
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _on_servers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --servers, every Settings that a test makes has an empty database, an empty Redis and a key of its own."""
    if request.config.getoption("--servers"):
        monkeypatch.setenv("SIGNPOST_DATABASE_URL", request.getfixturevalue("postgresql_url"))
        monkeypatch.setenv("SIGNPOST_ENCRYPTION_KEYS", base64.b64encode(bytes(32)).decode())
        monkeypatch.setenv("SIGNPOST_REDIS_URL", request.getfixturevalue("redis_url"))


@pytest.fixture(scope="session")
def ig() -> Path:
    """The official IG packages; they are not part of the project."""
    folder = Path(os.environ.get("SIGNPOST_IG_DIR", ROOT.parent / "shared" / "ig"))
    if not folder.is_dir():
        pytest.skip(f"the IG packages are not at {folder}; set SIGNPOST_IG_DIR")
    return folder


@pytest.fixture(scope="session")
def sample_rulebook() -> Rulebook:
    """The rules that ship with the project."""
    loaded = load(ROOT / "rules", ROOT / "questionnaires")
    assert loaded.rulebook is not None, loaded.problems
    return loaded.rulebook


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of SQLite with nothing in it: making one takes longer than most tests."""
    path = tmp_path_factory.mktemp("ledger") / "ledger.sqlite"
    Ledger.migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def settings(tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    if not request.config.getoption("--servers"):
        shutil.copyfile(request.getfixturevalue("empty_ledger"), tmp_path / "ledger.sqlite")
    return Settings(sandbox=True, data_dir=tmp_path, rules_interval=0, log_level="info")


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    app = create_app(settings)
    yield app
    app.extensions["ledger"].close()
    app.extensions["state"].close()


@pytest.fixture
def ehr(app: Flask) -> EhrActions:
    return EhrActions(app.test_client())
