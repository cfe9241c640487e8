"""What-if: who would be answered differently under other rules, for which cause, and what cannot be told."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from flask import Flask

from app import create_app
from app.cli import main
from app.crd import whatif
from app.crd.whatif import WhatIf, what_if
from app.encryption import Encryption
from app.errors import RulebookError
from app.rulebook.rulebook import read_files
from app.settings import ROOT, Settings
from tests.ehr_actions import EhrActions, example, order_of
from tests.fhir.ehr_server import EhrServer
from tests.web.test_ehr_reads import fhir as fhir  # noqa: PLC0414  # a fixture
from tests.web.test_ehr_reads import live, serve_record

ROUTES = "benefit_routes.csv"
CARD = "guidance/low-back-pain-guideline.yaml"
LUMBAR = "policies/lumbar-mri.yaml"
Files = dict[str, str]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of six calls: three drugs and examinations, each for two orders."""
    folder = tmp_path_factory.mktemp("data")
    app = create_app(Settings(sandbox=True, data_dir=folder, rules_interval=0))
    ehr = EhrActions(app.test_client())
    for number in ("1", "2"):
        for name in ("infusion", "mri", "self-injected"):
            request = example(name)
            order_of(request)["id"] = number
            assert ehr.sign(request).status == 200
    ehr.post("order-sign-crd", b"{}")
    routed = app.test_client().post("/routing/v1/decisions", json={"order": {"codes": ["HCPCS J1745"]}})
    assert routed.status_code == 200  # and promises nothing that could be answered differently
    app.extensions["ledger"].close()
    return folder


@pytest.fixture
def files() -> Files:
    return read_files(ROOT / "rules", ROOT / "questionnaires")


def asked_again(folder: Path, files: Files, **how: Any) -> WhatIf:
    """What-if of the service that has its data in that folder."""
    settings = Settings(data_dir=folder)
    url = f"sqlite:///{folder / 'ledger.sqlite'}" if (folder / "ledger.sqlite").exists() else settings.ledger_url
    return what_if(url, files, encryption=Encryption.of_settings(settings), **how)


def row(files: Files, rule_id: str, change: Callable[[str], str]) -> Files:
    """The files with one routing row changed."""
    lines = files[ROUTES].splitlines(keepends=True)
    return {**files, ROUTES: "".join(change(line) if line.startswith(f"{rule_id},") else line for line in lines)}


def changes(told: WhatIf) -> set[tuple[str, str, str]]:
    return {change for group in told.groups for change in group.changes}


def test_the_same_rules_answer_the_same_without_trying(asked: Path, files: Files) -> None:
    told = asked_again(asked, files)
    assert (told.calls, told.replayed, told.decided_once) == (6, 6, 6)
    assert (told.orders, told.members, told.changed_orders, told.groups) == (6, 1, 0, ())


CHANGES: list[tuple[str, Callable[[Files], Files], set[tuple[str, str, str]], int]] = [
    (
        "another road",
        lambda files: row(files, "adalimumab", lambda line: line.replace(",pharmacy,,,,yes,", ",medical,,,,yes,")),
        {("road", "pharmacy", "medical")},
        4,
    ),
    (
        "no authorization",
        lambda files: {**files, LUMBAR: files[LUMBAR].replace("purpose: withpa", "purpose: withclaim").replace(
            "pa: auth-needed", "pa: no-auth")},
        {("authorization", "auth-needed", "no-auth")},
        4,
    ),
    (
        "other words",
        lambda files: {**files, LUMBAR: files[LUMBAR].replace("The record shows neither", "Nothing shows")},
        {("words", "as before", "otherwise")},
        4,
    ),
    (
        "no card",
        lambda files: {path: text for path, text in files.items() if path != "guidance/low-back-pain-guideline.yaml"},
        {("cards", "low-back-pain-guideline", "none")},
        4,
    ),
    (
        "another card",
        lambda files: {
            **files,
            CARD: files[CARD].replace('summary: "', 'summary: "Please! '),
        },
        {("cards", "low-back-pain-guideline", "the same, saying something else")},
        4,
    ),
    (
        "a list, which may matter to any call",
        lambda files: {**files, "lists/cancer.csv": files["lists/cancer.csv"] + "ICD-10-CM,Z99.99,invented\n"},
        set(),
        0,
    ),
    (
        "a row for any order, which may matter to any call",
        lambda files: row(
            files, "inpatient-hospital-supply", lambda line: line.replace("benefit.analyst", "benefit.lead")
        ),
        set(),
        0,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("change", "expected", "once"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_what_would_change(
    asked: Path, files: Files, change: Callable[[Files], Files], expected: set[tuple[str, str, str]], once: int
) -> None:
    candidate = change(files)
    assert candidate != files
    told = asked_again(asked, candidate)
    assert changes(told) == expected or expected <= changes(told)
    assert told.decided_once == once
    assert told.changed_orders == (2 if expected else 0)
    assert all(len(group.examples) == group.orders and group.members == 1 for group in told.groups)
    assert told.not_replayed == ()
    assert msgspec.json.decode(msgspec.json.encode(told), type=WhatIf) == told


def test_processes_share_the_work(asked: Path, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whatif, "_FEW", 0)
    monkeypatch.setattr(whatif, "_CHUNK", 2)
    candidate = row(files, "adalimumab", lambda line: line.replace(",pharmacy,,,,yes,", ",medical,,,,yes,"))
    steps: list[tuple[int, int]] = []
    told = asked_again(asked, candidate, processes=2, progress=lambda done, of: steps.append((done, of)))
    assert steps == [(2, 6), (4, 6), (6, 6)]
    assert told == asked_again(asked, candidate)


def test_when_and_how_many(asked: Path, files: Files) -> None:
    now = datetime.now(UTC)
    assert asked_again(asked, files, since=now - timedelta(days=1), until=now + timedelta(days=1)).calls == 6
    assert asked_again(asked, files, since=now + timedelta(days=1)).calls == 0
    assert asked_again(asked, files, until=now - timedelta(days=1)).calls == 0
    assert asked_again(asked, files, sample=2).calls == 2
    assert asked_again(asked, files, sample=99).calls == 6


def test_rules_that_could_not_go_live_are_not_tried(asked: Path, files: Files) -> None:
    with pytest.raises(RulebookError, match=r"benefit_routes.csv"):
        asked_again(asked, {**files, ROUTES: "rule_id\n"})


def test_what_was_not_read_at_the_time_is_not_guessed(
    app: Flask,
    ehr: EhrActions,
    settings: Settings,
    files: Files,
    fhir: EhrServer,  # noqa: F811
) -> None:
    serve_record(fhir, example("mri"))
    ehr.sign(live(fhir, "mri"))
    candidate = {
        **files,
        LUMBAR: files[LUMBAR]
        .replace("needs: [conditions,", "needs: [conditions, allergies,")
        .replace(
            "      %conditions.exists(code.memberOf", "      %allergies.exists() or %conditions.exists(code.memberOf", 1
        ),
    }
    told = asked_again(settings.data_dir, candidate)
    assert told.replayed == 0
    assert told.not_replayed == (
        ("The rules ask for more than was known: the EHR was not asked for AllergyIntolerance at the time.", 1),
    )


@pytest.mark.embedded  # it looks into a file of its own
def test_a_rulebook_that_is_gone_is_counted(app: Flask, ehr: EhrActions, settings: Settings, files: Files) -> None:
    ehr.sign(example("mri"))
    with closing(sqlite3.connect(settings.data_dir / "ledger.sqlite")) as connection, connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.execute("DELETE FROM rulebook")
    told = asked_again(settings.data_dir, files)
    ((reason, count),) = told.not_replayed
    assert "is not in the ledger" in reason
    assert (told.calls, told.replayed, count) == (1, 0, 1)


@pytest.mark.parametrize("form", ["text", "markdown", "json"])
def test_the_command(asked: Path, files: Files, tmp_path: Path, form: str) -> None:
    changed = row(files, "adalimumab", lambda line: line.replace(",pharmacy,,,,yes,", ",medical,,,,yes,"))
    for path, text in changed.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    arguments = ["rules", "whatif", str(tmp_path), "--data-dir", str(asked), "--since", "30d", "--format", form]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    if form == "json":
        told = json.loads(result.output)
        assert (told["changed_orders"], told["groups"][0]["before"]) == (2, "route:adalimumab")
        return
    assert "2 of 6 orders and 1 of 1 member would have been answered differently" in result.output
    assert "route:adalimumab" in result.output
    assert "M1000" not in result.output, "ids of answers are printed, nothing else of a patient"
