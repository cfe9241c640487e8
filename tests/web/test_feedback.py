"""Feedback over HTTP: from the card that was shown to the report, and what is refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.cli import main
from app.errors import AuthenticationFailed, LedgerError
from app.ledger import Ledger
from tests.ehr_actions import EhrActions, example

COMMENT = "Zebedee has been stable for years"
AT = "2026-11-22T09:30:00Z"


@pytest.fixture
def http(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def ledger(app: Flask) -> Ledger:
    found: Ledger = app.extensions["ledger"]
    return found


def tell(http: FlaskClient, *entries: Any, service: str = "order-sign-crd") -> TestResponse:
    return http.post(f"/cds-services/{service}/feedback", json={"feedback": list(entries)})


def card_of(ehr: EhrActions) -> dict[str, Any]:
    """A card with suggestions, as an order-sign answer shows it."""
    cards = ehr.sign(example("infusion")).json["cards"]
    found: dict[str, Any] = next(card for card in cards if "suggestions" in card)
    return found


def test_the_cards_of_an_answer_are_kept(ehr: EhrActions, ledger: Ledger) -> None:
    cards = {card["uuid"]: card for card in ehr.sign(example("infusion")).json["cards"]}
    (call,) = ledger.recent(1)

    kept = ledger.cards_of(call.invocation_id)
    assert {record.card_id for record in kept} == cards.keys()
    for record in kept:
        card = cards[record.card_id]
        assert record.topic == card["source"]["topic"]["code"]
        assert record.order_refs == ("MedicationRequest/mr1",)
        assert list(record.suggestion_ids) == [(offer["uuid"], offer["label"]) for offer in card.get("suggestions", ())]
        assert (record.response == "alternate-request") == bool(record.suggestion_ids)
    assert ledger.verify() == []


def test_a_card_is_answered(ehr: EhrActions, http: FlaskClient, ledger: Ledger) -> None:
    card = card_of(ehr)
    suggestion = card["suggestions"][0]["uuid"]

    answer = tell(
        http,
        {
            "card": card["uuid"],
            "outcome": "accepted",
            "acceptedSuggestions": [{"id": suggestion}],
            "outcomeTimestamp": AT,
        },
        {"card": "of-another-service", "outcome": "overridden", "outcomeTimestamp": AT},
    )

    assert (answer.status_code, answer.data) == (200, b"")
    (kept,) = ledger.feedback_on(card["uuid"])
    assert (kept.known, kept.outcome, kept.accepted_suggestions) == (True, "accepted", (suggestion,))
    assert kept.client == "sandbox"
    assert ledger.feedback_on("of-another-service")[0].known is False
    assert ledger.verify() == []


@pytest.mark.parametrize(
    ("service", "entry", "status", "code", "element"),
    [
        ("no-such-service", {}, 404, "not-found", None),
        ("order-sign-crd", {}, 400, "required", "feedback[1].outcome"),
        (
            "order-sign-crd",
            {"card": "c", "outcome": "ignored", "outcomeTimestamp": AT},
            400,
            "value",
            "feedback[1].outcome",
        ),
        ("order-sign-crd", {"card": "c", "outcome": "accepted"}, 400, "required", "feedback[1].outcomeTimestamp"),
    ],
)
def test_refused_whole(
    http: FlaskClient,
    ledger: Ledger,
    service: str,
    entry: dict[str, Any],
    status: int,
    code: str,
    element: str | None,
) -> None:
    good = {"card": "c", "outcome": "accepted", "outcomeTimestamp": AT}

    answer = tell(http, good, entry, service=service)

    assert answer.status_code == status
    (issue,) = json.loads(answer.data)["issue"]
    assert issue["code"] == code
    assert issue.get("expression") == ([element] if element else None)
    assert ledger.feedback_on("c") == []


def test_too_large(http: FlaskClient) -> None:
    answer = http.post("/cds-services/order-sign-crd/feedback", data=b" " * 20_000_000)
    assert answer.status_code == 413
    assert json.loads(answer.data)["issue"][0]["code"] == "too-long"


def test_only_posted(http: FlaskClient) -> None:
    assert http.get("/cds-services/order-sign-crd/feedback").status_code == 405


def test_not_recorded_is_not_taken(
    http: FlaskClient, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> int:
        raise LedgerError("the feedback was not recorded: disk I/O error")

    monkeypatch.setattr(Ledger, "record_feedback", fail)
    answer = tell(http, {"card": "c", "outcome": "accepted", "outcomeTimestamp": AT})

    assert answer.status_code == 503
    (issue,) = json.loads(answer.data)["issue"]
    assert (issue["severity"], issue["code"]) == ("fatal", "transient")
    assert "disk" not in issue["diagnostics"]
    assert '"event": "ledger.failed"' in capsys.readouterr().err


def test_what_a_user_wrote_is_not_logged(http: FlaskClient, ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    override = {"reason": {"code": "stable", "display": COMMENT}, "userComment": COMMENT}
    entry = {"card": "c", "outcome": "overridden", "overrideReason": override, "outcomeTimestamp": AT}

    assert tell(http, entry).status_code == 200
    assert tell(http, {**entry, "outcome": COMMENT}).status_code == 400

    assert ledger.feedback_on("c")[0].user_comment == COMMENT
    logged = capsys.readouterr().err
    assert '"event": "feedback.stored"' in logged
    assert COMMENT not in logged


class Trust:
    """A registry of one client, whose JWT is its name and who may call order-sign only."""

    def verify(self, authorization: str | None, addresses: list[str]) -> Any:
        if authorization != "Bearer clinic":
            raise AuthenticationFailed("no-token", "The call bears no JWT.", code="login")
        return SimpleNamespace(iss="https://clinic.example.org", may_call=lambda service: service == "order-sign-crd")


@pytest.mark.parametrize(
    ("token", "service", "status"),
    [
        (None, "order-sign-crd", 401),
        (None, "no-such-service", 401),
        ("Bearer clinic", "order-select-crd", 403),
        ("Bearer clinic", "order-sign-crd", 200),
    ],
)
def test_only_registered_clients_are_heard(
    app: Flask, ledger: Ledger, token: str | None, service: str, status: int
) -> None:
    app.extensions["clients"] = Trust()
    headers = {"Authorization": token} if token else {}
    entry = {"card": "c", "outcome": "accepted", "outcomeTimestamp": AT}

    answer = app.test_client().post(f"/cds-services/{service}/feedback", json={"feedback": [entry]}, headers=headers)

    assert answer.status_code == status
    assert [found.client for found in ledger.feedback_on("c")] == (
        ["https://clinic.example.org"] if status == 200 else []
    )


def report(data_dir: Path, *arguments: str) -> str:
    told = CliRunner().invoke(main, ["feedback", "report", "--data-dir", str(data_dir), *arguments])
    assert told.exit_code == 0, told.output
    return told.output


def override(card: str, code: str, display: str | None = None) -> dict[str, Any]:
    reason = {"code": code, "display": display}
    return {"card": card, "outcome": "overridden", "overrideReason": {"reason": reason}, "outcomeTimestamp": AT}


@pytest.fixture
def told_of(ehr: EhrActions, http: FlaskClient, ledger: Ledger) -> str:
    """Three cards of one guidance, two of them overridden, and an unknown one accepted; the guidance's slug."""
    cards = [card_of(ehr)["uuid"] for _ in range(3)]
    unknown = {"card": "unknown", "outcome": "accepted", "outcomeTimestamp": AT}
    told = tell(http, override(cards[0], "stable", "=Stable"), override(cards[1], "stable"), unknown)
    assert told.status_code == 200
    kept = [card for call in ledger.recent(5) for card in ledger.cards_of(call.invocation_id)]
    return next(card.guidance for card in kept if card.card_id == cards[0])


def test_the_report(tmp_path: Path, told_of: str) -> None:
    rows = [line.split(maxsplit=5) for line in report(tmp_path).splitlines()]
    assert [told_of, "3", "0", "2", "1", "=Stable (2)"] in rows
    assert report(tmp_path).splitlines()[-1].split() == ["(not", "in", "this", "ledger)", "1", "0"]


def test_the_report_for_a_spreadsheet(tmp_path: Path, told_of: str) -> None:
    rows = list(csv.DictReader(report(tmp_path, "--csv").splitlines()))
    (row,) = [row for row in rows if row["card"] == told_of]
    assert row == {
        "card": told_of,
        "shown": "3",
        "accepted": "0",
        "overridden": "2",
        "no answer": "1",
        "reasons": "'=Stable (2)",
    }
    assert rows[-1]["card"] == "(not in this ledger)"


@pytest.mark.parametrize(("since", "shown"), [("1d", True), ("2020-01-01", True), ("2999-01-01", False), ("0d", False)])
def test_the_report_since(tmp_path: Path, told_of: str, since: str, shown: bool) -> None:
    output = report(tmp_path, "--since", since)
    assert (told_of in output) == shown
    assert (output == "No cards were shown.\n") == (not shown)


@pytest.mark.parametrize("since", ["month", "30", "2026-13-01", "99999d1", "-1d"])
def test_a_since_that_is_no_time(tmp_path: Path, since: str) -> None:
    told = CliRunner().invoke(main, ["feedback", "report", "--data-dir", str(tmp_path), "--since", since])
    assert told.exit_code == 2
    assert "neither a number of days" in told.output
