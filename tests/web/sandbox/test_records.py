"""The sandbox's FHIR server, its drafts, and that it is not there in production."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app import create_app
from app.fhir.json import decode, encode
from app.settings import Settings
from app.web.sandbox.orders import menu
from app.web.sandbox.records import patients, records
from tests.clients.identities import entry, registry


def read(app: Flask, path: str, token: str | None = None) -> Any:
    given = app.config["SANDBOX_TOKEN"] if token is None else token
    return app.test_client().get(f"/sandbox/fhir/{path}", headers={"Authorization": f"Bearer {given}"})


@pytest.mark.parametrize("path", ["Patient/robin", "Condition?patient=robin"])
def test_only_the_token_opens_a_record(app: Flask, path: str) -> None:
    assert read(app, path).status_code == 200
    refused = read(app, path, token="another")  # noqa: S106  # no secret
    assert refused.status_code == 401
    assert decode(refused.data)["resourceType"] == "OperationOutcome"
    assert app.test_client().get(f"/sandbox/fhir/{path}").status_code == 401


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("Procedure?patient=kim", 4),
        ("Procedure?patient=Patient/kim&code=http://www.ama-assn.org/go/cpt|97110", 4),
        ("Procedure?patient=kim&code=http://www.ama-assn.org/go/cpt|97112", 0),
        ("Observation?subject=Patient/sam", 1),
        ("Coverage?beneficiary=lee&status=active", 1),
        ("Coverage?patient=lee&status=cancelled", 0),
        ("Patient?_id=robin,alex", 2),
        ("Medication?patient=robin", 0),
    ],
)
def test_a_search_finds(app: Flask, query: str, found: int) -> None:
    bundle = decode(read(app, query).data)
    assert (bundle["type"], bundle["total"], len(bundle.get("entry", []))) == ("searchset", found, found)


def test_dates_are_counted_back_from_today(app: Flask) -> None:
    today = datetime.now(UTC).date()
    for days, found in ((6, 0), (8, 1)):
        since = today - timedelta(days=days)
        assert decode(read(app, f"Observation?patient=sam&date=ge{since}").data)["total"] == found


@pytest.mark.parametrize("path", ["Patient/nobody", "Nonsense/1"])
def test_what_is_not_there_is_said(app: Flask, path: str) -> None:
    assert read(app, path).status_code == 404


def test_records_point_only_to_what_is_there() -> None:
    held = records(datetime.now(UTC).date())

    def references(value: Any) -> list[str]:
        if isinstance(value, list):
            return [found for each in value for found in references(each)]
        if not isinstance(value, dict):
            return []
        own = [value["reference"]] if isinstance(value.get("reference"), str) else []
        return own + [found for each in value.values() for found in references(each)]

    missing = {found for resource in held.values() for found in references(resource)} - held.keys()
    assert missing == set()
    assert len(patients()) >= 10


def draft(app: Flask, **asked: str) -> Any:
    return app.test_client().post("/sandbox/drafts", data=encode(asked))


@pytest.mark.parametrize("name", sorted(menu()))
def test_each_order_of_the_menu_can_be_drafted(app: Flask, name: str) -> None:
    order = menu()[name]
    choices = {key: order.get(key, "") for key in ("site", "pharmacy")} | {"route": (order.get("routes") or [""])[0]}
    made = draft(app, order=name, patient="robin", **choices)
    assert made.status_code == 200, made.text
    resource = decode(made.data)
    assert (resource["resourceType"], resource["status"]) == (order["type"], "draft")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"order": "none"}, "Name an order and a patient"),
        ({"patient": "nobody"}, "Name an order and a patient"),
        ({"route": "by mouth"}, "route is not offered"),
        ({"site": "99"}, "site is not offered"),
        ({"pharmacy": "corner shop"}, "pharmacy is not offered"),
    ],
)
def test_what_is_not_offered_is_refused(app: Flask, change: dict[str, str], words: str) -> None:
    response = draft(app, **({"order": "infliximab", "patient": "robin"} | change))
    assert response.status_code == 400
    assert words in response.text


def test_the_page_runs_only_its_own_scripts(app: Flask) -> None:
    policy = app.test_client().get("/sandbox").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_it_is_not_there_in_production(tmp_path: Path) -> None:
    (tmp_path / "clients.yaml").write_text(registry(entry()))
    app = create_app(Settings(data_dir=tmp_path, rules_interval=0))
    try:
        http = app.test_client()
        for path in ("", "/setup", "/fhir/Patient/robin", "/scenarios/T01", "/static/ehr.js"):
            assert http.get(f"/sandbox{path}").status_code == 404
    finally:
        app.extensions["ledger"].close()
        app.extensions["state"].close()
