"""Fixtures that any test may use: the sample rulebook, the service, and an EHR that signs orders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from app import create_app
from app.rulebook.rulebook import Rulebook, load
from app.settings import ROOT, Settings
from tests.ehr_actions import EhrActions

EXAMPLES = ROOT / "docs" / "examples"


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


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(sandbox=True, data_dir=tmp_path, rules_interval=0, log_level="info")


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    app = create_app(settings)
    yield app
    app.extensions["ledger"].close()


@pytest.fixture
def ehr(app: Flask) -> EhrActions:
    return EhrActions(app.test_client())
