"""The service while it runs: rules change under it, the ledger fails under it, it says how it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app import create_app
from app.errors import LedgerError, RulebookError, SettingsError
from app.settings import ROOT, Settings
from tests.ehr_actions import EhrActions, example


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A copy of the sample rules that a test may spoil."""
    shutil.copytree(ROOT / "rules", tmp_path / "rules")
    return tmp_path / "rules"


@pytest.fixture
def settings(tmp_path: Path, rules: Path) -> Settings:
    return Settings(sandbox=True, data_dir=tmp_path / "data", rules=rules, rules_interval=0)


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def ready(app: Flask) -> dict[str, Any]:
    response = app.test_client().get("/readyz")
    assert response.status_code == 200
    found: dict[str, Any] = json.loads(response.data)
    return found


def test_a_good_edit_goes_live_and_a_bad_one_does_not(app: Flask, ehr: EhrActions, rules: Path) -> None:
    keeper = app.extensions["rulebook"]
    table = rules / "benefit_routes.csv"
    first = ehr.sign(example("self-injected")).parts()["reason"][0]["text"]
    edit(table, "Self-injected with a pen", "Injected by the patient")
    assert keeper.refresh()
    assert "Injected by the patient" in ehr.sign(example("self-injected")).parts()["reason"][0]["text"] != first
    live = ready(app)
    edit(table, "adalimumab,Adalimumab pen,approved,4", "adalimumab,Adalimumab pen,approved,ninety")
    assert not keeper.refresh()
    assert ready(app) == {**live, "rejected_edit": True}
    assert any("benefit_routes.csv" in problem and "ninety" in problem for problem in keeper.rejected)
    assert "Injected by the patient" in ehr.sign(example("self-injected")).parts()["reason"][0]["text"]


def test_every_rulebook_that_answered_is_kept(app: Flask, ehr: EhrActions, rules: Path) -> None:
    ledger, keeper = app.extensions["ledger"], app.extensions["rulebook"]
    ehr.sign(example("mri"))
    before = keeper.current
    edit(rules / "payer.yaml", "valid_days: 60", "valid_days: 30")
    assert keeper.refresh()
    ehr.sign(example("mri"))
    for rulebook in (before, keeper.current):
        assert json.loads(ledger.rulebook(rulebook.hash).files) == dict(rulebook.files)
    assert [call.rulebook_hash for call in ledger.recent(2)] == [keeper.current.hash, before.hash]


def test_an_answer_that_cannot_be_written_is_not_sent(
    app: Flask, ehr: EhrActions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(call: object) -> None:
        raise LedgerError("the disk is full")

    monkeypatch.setattr(app.extensions["ledger"], "record", fail)
    answer = ehr.sign(example("mri"))
    assert answer.status == 503
    assert "not given" in answer.issue["diagnostics"]
    assert "systemActions" not in answer.json


def test_a_ledger_that_cannot_be_read_is_no_fault_of_ours(
    app: Flask, ehr: EhrActions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise LedgerError("the server closed the connection")

    monkeypatch.setattr(app.extensions["ledger"], "latest_for_order", fail)
    answer = ehr.sign(example("mri"))
    assert (answer.status, answer.issue["code"]) == (503, "transient")
    assert app.extensions["ledger"].recent(1) == []


def test_readiness_tells_of_a_lost_ledger(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise LedgerError("gone")

    monkeypatch.setattr(app.extensions["ledger"], "healthy", fail)
    assert app.test_client().get("/readyz").status_code == 503
    assert app.test_client().get("/healthz").status_code == 200


def test_a_fault_is_answered_recorded_and_found(
    app: Flask, ehr: EhrActions, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fault(*_: object, **__: object) -> None:
        raise ValueError("Robin Sample has a secret")

    monkeypatch.setattr("app.crd.answering.choose_coverages", fault)
    answer = ehr.sign(example("mri"))
    assert answer.status == 500
    (call,) = app.extensions["ledger"].recent(1)
    assert call.invocation_id in answer.issue["diagnostics"]
    assert call.issues == ("exception ValueError",)
    logged = capfd.readouterr().err
    assert "ValueError" in logged
    assert "Robin" not in logged + json.dumps(answer.json)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sandbox": False}, "--sandbox"),
        ({"host": "0.0.0.0"}, "loopback only"),
        ({"host": "ehr.example.org"}, "loopback only"),
        ({"roster": Path("/nowhere.csv")}, "cannot be read"),
    ],
)
def test_refuses_to_start(settings: Settings, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        create_app(settings.model_copy(update=changes))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda rules: (rules / "payer.yaml").unlink(),
        lambda rules: (rules / "benefit_routes.csv").write_bytes(b"\xff\x00garbage"),
        lambda rules: shutil.rmtree(rules),
    ],
    ids=["no payer", "garbage", "no folder"],
)
def test_refuses_to_start_without_good_rules(settings: Settings, rules: Path, spoil: Callable[[Path], None]) -> None:
    spoil(rules)
    with pytest.raises(RulebookError):
        create_app(settings)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_loopback_in_every_spelling(settings: Settings, host: str) -> None:
    create_app(settings.model_copy(update={"host": host})).extensions["ledger"].close()
