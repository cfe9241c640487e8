"""Why an answer came out so: found, explained, supposed otherwise; and every look is recorded first."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from flask import Flask

from app.ledger import Ledger
from app.settings import Settings
from tests.ehr_actions import EhrActions, example
from tests.web.console.conftest import LogIn


@pytest.fixture
def assertion(ehr: EhrActions) -> str:
    """An answer about brand infliximab."""
    found: str = ehr.sign(example("infusion")).parts()["coverage-assertion-id"][0]
    return found


def reads(app: Flask) -> list[tuple[str, str, str, str | None]]:
    """Who read what, oldest first."""
    ledger: Ledger = app.extensions["ledger"]
    return [(each.reader, each.kind, each.about, each.member_id) for each in reversed(ledger.readings())]


def test_an_answer_is_found_explained_and_the_look_recorded(app: Flask, log_in: LogIn, assertion: str) -> None:
    ed = log_in("ed")
    found = ed.post("/why", order="MedicationRequest/mr1")
    assert f"/console/why/{assertion}" in found.text
    by_id = ed.post("/why", id=assertion)
    for words in (
        "What was answered",
        "the same, byte for byte",
        "Infused by a professional",
        "brand-first",
        "A biosimilar has to be tried before brand infliximab",
    ):
        assert words in by_id.text, words
    invocation = app.extensions["ledger"].assertion(assertion).invocation_id
    assert f"/console/why/{assertion}" in ed.post("/why", id=invocation).text
    assert reads(app) == [
        ("ed", "search", "order MedicationRequest/mr1", None),
        ("ed", "answer", assertion, "M100006"),
        ("ed", "call", invocation, None),
    ]
    assert app.extensions["ledger"].verify() == []


def test_facts_changed_change_the_answer(log_in: LogIn, assertion: str) -> None:
    ed = log_in("ed")
    page = ed.post(f"/why/{assertion}", **{"fact:plan": "silver-hmo (commercial)"})
    assert "plan were silver-hmo (commercial)" in page.text
    other = page.text.partition("plan were silver-hmo")[2].partition("</section>")[0]
    assert "track-pharmacy" in other
    assert "silver-infliximab-brand" in other


def test_search_by_member_and_day(log_in: LogIn, assertion: str) -> None:
    ed = log_in("ed")
    assert assertion in ed.post("/why", member="M100006").text
    assert assertion not in ed.post("/why", member="M999999").text
    assert assertion in ed.post("/why", since="2026-01-01").text
    assert assertion not in ed.post("/why", until="2026-01-01").text
    assert ed.post("/why").status_code == 400
    assert ed.post("/why", since="soon").status_code == 400
    assert ed.post("/why", id="nobody").status_code == 404
    assert ed.get("/why/nobody").status_code == 404


def test_who_may_look(app: Flask, log_in: LogIn, assertion: str) -> None:
    for path in ("/why", f"/why/{assertion}", "/reads"):
        assert log_in("vera").get(path).status_code == 403, path
    assert log_in("vera").post("/why", member="M100006").status_code == 403
    assert reads(app) == [], "nobody read anything"
    assert log_in("ed").get("/reads").status_code == 403
    log_in("ann").get(f"/why/{assertion}")
    otto = log_in("otto")
    assert "ann" in otto.get("/reads").text
    assert "ann" not in otto.get("/reads", reader="ed").text.partition("<main")[2].partition("<form")[0]
    assert f"ann,console,answer,{assertion},M100006" in otto.get("/reads.csv").text


@pytest.mark.embedded
def test_nothing_is_shown_when_the_look_cannot_be_recorded(log_in: LogIn, settings: Settings, assertion: str) -> None:
    ed = log_in("ed")
    with closing(sqlite3.connect(settings.data_dir / "ledger.sqlite")) as connection:
        connection.execute(
            "CREATE TRIGGER no BEFORE INSERT ON reading BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
        )
        connection.commit()
    page = ed.get(f"/why/{assertion}")
    assert (page.status_code, "infliximab" in page.text) == (503, False)
