"""The sandbox behind its page: the EHR's FHIR server, draft orders, demo calls; and that production has none of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.settings import Settings
from app.web.sandbox.orders import menu
from app.web.sandbox.records import patients, records
from tests.clients.identities import entry, registry


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def setup(client: FlaskClient) -> dict[str, Any]:
    told: dict[str, Any] = client.get("/sandbox/setup").json
    return told


@pytest.fixture
def bearer(setup: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {setup['token']}"}


def test_its_page_takes_nothing_from_elsewhere(client: FlaskClient) -> None:
    page = client.get("/sandbox")
    policy = page.headers["Content-Security-Policy"]
    assert page.status_code == 200
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http://" not in page.text
    assert "https://" not in page.text


@pytest.mark.parametrize("token", [None, "Bearer wrong", "Basic x"])
@pytest.mark.parametrize("path", ["Patient/robin", "Condition?patient=robin"])
def test_records_need_the_token(client: FlaskClient, path: str, token: str | None) -> None:
    answer = client.get(f"/sandbox/fhir/{path}", headers={"Authorization": token} if token else {})
    assert answer.status_code == 401
    assert answer.json["issue"][0]["code"] == "login"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("Patient?_id=robin,alex", ["alex", "robin"]),
        ("Coverage?patient=Patient/robin&status=active", ["robin-coverage"]),
        ("Condition?patient=robin", ["robin-conditions-0"]),
        ("Condition?patient=robin&code=http://hl7.org/fhir/sid/icd-10-cm|K50.90", ["robin-conditions-0"]),
        ("Condition?patient=robin&code=http://hl7.org/fhir/sid/icd-10-cm|J44.9", []),
        ("Observation?patient=sam&date=ge2020-01-01", ["sam-observations-0"]),
        ("Observation?patient=sam&date=ge2999-01-01", []),
        ("Observation?patient=sam&date=lt2020-01-01", []),
        ("Condition?patient=sam&date=ge2020-01-01", []),
        ("MedicationRequest?patient=robin&status=active,completed", ["robin-medications-0"]),
        ("Organization?_id=pharmacy-retail&unknown=x", ["pharmacy-retail"]),
    ],
)
def test_searches(client: FlaskClient, bearer: dict[str, str], query: str, found: list[str]) -> None:
    answer = client.get(f"/sandbox/fhir/{query}", headers=bearer).json
    assert sorted(entry["resource"]["id"] for entry in answer["entry"]) == found
    assert answer["total"] == len(found)


@pytest.mark.parametrize("path", ["Patient/nobody", "nothing/1"])
def test_what_is_not_there(client: FlaskClient, bearer: dict[str, str], path: str) -> None:
    answer = client.get(f"/sandbox/fhir/{path}", headers=bearer)
    assert answer.status_code == 404
    assert answer.json["issue"][0]["code"] == "not-found"


@pytest.mark.parametrize("order", menu())
def test_every_order_can_be_drafted_and_is_answered(
    client: FlaskClient, bearer: dict[str, str], order: str, answered: Any
) -> None:
    about = menu()[order]
    said = {"order": order, "patient": "robin", "site": about.get("site", ""), "route": about.get("routes", [""])[0]}
    draft = client.post("/sandbox/drafts", json=said)
    assert draft.status_code == 200, draft.text
    answer = answered(draft.json, "robin")
    assert answer.status_code == 200, answer.text
    assert len(answer.json["systemActions"]) == 1


@pytest.fixture
def answered(client: FlaskClient, bearer: dict[str, str]) -> Any:
    def fire(order: dict[str, Any], patient: str) -> Any:
        visit = client.get(f"/sandbox/fhir/Encounter/{patient}-visit", headers=bearer).json
        call = {
            "hook": "order-sign",
            "hookInstance": "6f0a7c52-5b6e-4f4e-9d0f-5f1f1c1b0002",
            "context": {
                "userId": "PractitionerRole/dr1-role",
                "patientId": patient,
                "encounterId": visit["id"],
                "draftOrders": {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": order}]},
            },
            "prefetch": {
                "patient": client.get(f"/sandbox/fhir/Patient/{patient}", headers=bearer).json,
                "coverage": client.get(f"/sandbox/fhir/Coverage?patient={patient}", headers=bearer).json,
                "encounter": visit,
            },
        }
        return client.post("/cds-services/order-sign-crd", json=call)

    return fire


def test_whose_coverage_has_ended_is_told_so(client: FlaskClient, answered: Any) -> None:
    draft = client.post("/sandbox/drafts", json={"order": "pap", "patient": "noor"}).json
    answer = answered(draft, "noor").json
    parts = answer["systemActions"][0]["resource"]["extension"][0]["extension"]
    assert {"url": "covered", "valueCode": "not-covered"} in parts


@pytest.mark.parametrize(
    ("said", "element"),
    [
        ({"order": "nothing", "patient": "robin"}, "order"),
        ({"order": "pap", "patient": "nobody"}, "order"),
        ({"order": "infliximab", "patient": "robin", "route": "oral"}, "route"),
        ({"order": "pap", "patient": "robin", "site": "99"}, "site"),
        ({"order": "adalimumab", "patient": "robin", "pharmacy": "corner"}, "pharmacy"),
    ],
)
def test_what_is_not_offered(client: FlaskClient, said: dict[str, str], element: str) -> None:
    answer = client.post("/sandbox/drafts", json=said)
    assert answer.status_code == 400
    assert answer.json["issue"][0]["expression"] == [element]


@pytest.mark.parametrize("body", ["", "[]", "{"])
def test_bodies_that_are_none(client: FlaskClient, body: str) -> None:
    assert client.post("/sandbox/drafts", data=body).status_code == 400


def test_an_unknown_scenario(client: FlaskClient) -> None:
    assert client.get("/sandbox/scenarios/none-of-them").status_code == 404


def test_records_point_only_to_what_is_there() -> None:
    held = records(datetime.now(UTC).date())
    assert set(references(list(held.values()))) - held.keys() == set()


def references(value: Any) -> Iterator[str]:
    """Every reference anywhere in a resource."""
    if isinstance(value, list):
        for each in value:
            yield from references(each)
    elif isinstance(value, dict):
        if "reference" in value:
            yield value["reference"]
        yield from references(list(value.values()))


def test_every_patient_has_what_a_hook_needs(client: FlaskClient, bearer: dict[str, str]) -> None:
    for patient in patients():
        for path in (f"Patient/{patient}", f"Encounter/{patient}-visit", f"Coverage/{patient}-coverage"):
            assert client.get(f"/sandbox/fhir/{path}", headers=bearer).status_code == 200


def test_production_has_no_sandbox(tmp_path: Path) -> None:
    (tmp_path / "clients.yaml").write_text(registry(entry()))
    app = create_app(Settings(data_dir=tmp_path, rules_interval=0))
    client = app.test_client()
    for path in ("", "/setup", "/fhir/Patient/robin", "/scenarios/x"):
        assert client.get(f"/sandbox{path}").status_code == 404
    app.extensions["ledger"].close()
