"""When an answer asks for a form, what the form needs of the record is kept: no more, sealed, and never late."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app import create_app
from app.crd import snapshot
from app.crd.snapshot import Snapshot
from app.fhir import codings, security_labels
from app.rulebook.scope import Need
from app.settings import ROOT, Settings
from tests.ehr_actions import EhrActions, example, with_orders
from tests.fhir import ehr_server
from tests.fhir.ehr_server import EhrServer

TOKEN = "token-that-must-not-travel"
TODAY = datetime.now(UTC).date()
OXIMETRY = {"coding": [{"system": codings.LOINC, "code": "59408-5"}]}
ORDER = {
    "resourceType": "DeviceRequest",
    "id": "d1",
    "status": "draft",
    "intent": "original-order",
    "codeCodeableConcept": {"coding": [{"system": codings.HCPCS, "code": "E1390"}]},
    "subject": {"reference": "Patient/p1"},
    "authoredOn": str(TODAY),
}


def days_ago(days: int) -> str:
    return str(TODAY - timedelta(days=days))


def observation(number: int, days: int, **more: Any) -> dict[str, Any]:
    quantity = {"value": 92, "unit": "%", "code": "%", "system": "http://unitsofmeasure.org"}
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "code": OXIMETRY,
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": days_ago(days),
        "valueQuantity": quantity,
        **more,
    }


def encounter(number: int, days: int, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Encounter",
        "id": f"v{number}",
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": {"reference": "Patient/p1"},
        "period": {"start": days_ago(days)},
        **more,
    }


def bundle(*resources: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": each} for each in resources]}


FORM = {
    "resourceType": "Questionnaire",
    "url": "http://meadowlark.example.org/fhir/Questionnaire/home-oxygen",
    "version": "9",
    "item": [{"linkId": "1", "type": "boolean"}, {"linkId": "2", "type": "boolean"}],
}
PREFILL = """\
prefill: home-oxygen
needs:
  - {observations: list:oximetry, within_days: 90}
  - {encounters: all, within_days: 30}
items:
  "1": "%observations.exists(value <= 88 '%')"
  "2": "%encounters.exists(class.code = 'AMB')"
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    forms = Path(shutil.copytree(ROOT / "questionnaires", tmp_path / "questionnaires"))
    (forms / "home-oxygen" / "questionnaire.json").write_text(json.dumps(FORM))
    (forms / "home-oxygen" / "prefill.yaml").write_text(PREFILL)
    return Settings(
        sandbox=True,
        data_dir=tmp_path,
        questionnaires=forms,
        rules_interval=0,
        answer_within=3,
        snapshot_seconds=0.3,
        ehr_cache_seconds=0,
    )


@pytest.fixture
def fhir() -> Iterator[EhrServer]:
    """An EHR with measurements, visits and nothing else."""
    with EhrServer() as server:
        other = observation(9, 1, code={"coding": [{"system": codings.LOINC, "code": "8867-4"}]})
        label = {"meta": {"security": [{"system": security_labels.CONFIDENTIALITY, "code": "R"}]}}
        found = [observation(1, 5), observation(2, 200), other, observation(3, 2, **label)]
        server.on["/Observation"] = ehr_server.answer(bundle(*found))
        server.on["/Encounter"] = ehr_server.answer(bundle(encounter(1, 10), encounter(2, 300)))
        server.on["/Condition"] = ehr_server.answer(bundle())
        yield server


def live(fhir: EhrServer, **prefetch: Any) -> dict[str, Any]:
    request = with_orders(example("infusion"), ORDER)
    request["prefetch"] |= prefetch
    request["fhirServer"] = fhir.base
    request["fhirAuthorization"] = {
        "access_token": TOKEN,
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "patient/*.rs",
        "subject": "client",
    }
    return request


def kept(app: Flask, assertion_id: str) -> Snapshot | None:
    ledger = app.extensions["ledger"]
    record = ledger.snapshot(assertion_id, datetime.now(UTC))
    return snapshot.unseal(record, ledger.assertion(assertion_id), app.extensions["encryption"]) if record else None


def ids(taken: Snapshot, kind: str) -> list[str]:
    return [each["id"] for each in taken.record[kind].resources]


def asked_form(answer: Any) -> str:
    parts = answer.parts()
    assert parts["questionnaire"], "the order asks for a form"
    found: str = parts["coverage-assertion-id"][0]
    return found


def test_what_the_form_needs_is_kept_and_no_more(app: Flask, ehr: EhrActions, fhir: EhrServer) -> None:
    assertion = asked_form(ehr.sign(live(fhir)))
    taken = kept(app, assertion)
    assert taken is not None
    assert taken.forms == ("home-oxygen",)
    assert ids(taken, "observations") == ["o1"], "neither old, nor another code, nor restricted"
    assert ids(taken, "encounters") == ["v1"]
    assert set(taken.record) == {"observations", "encounters"}
    assert (taken.patient, taken.coverage, taken.related) == (None, None, ()), "no expression looks at them"
    visits = next(path for path in fhir.asked if path.startswith("/Encounter?"))
    assert f"date=ge{days_ago(30)}" in visits
    assert sum(path.startswith("/Observation?") for path in fhir.asked) == 1, "the rules had read them already"


def test_it_is_sealed_and_holds_no_token(app: Flask, ehr: EhrActions, fhir: EhrServer, settings: Settings) -> None:
    assertion = asked_form(ehr.sign(live(fhir)))
    record = app.extensions["ledger"].snapshot(assertion, datetime.now(UTC))
    for told in (b"Encounter", b"o1", TOKEN.encode()):
        assert told not in record.content
    binding = snapshot._binding(app.extensions["ledger"].assertion(assertion))
    assert TOKEN.encode() not in app.extensions["encryption"].unseal(record.content, binding)
    fetched = app.extensions["ledger"].recent(1)[0].fetched
    assert b'"v1"' not in fetched, "what is read for the form stands nowhere in the clear"
    assert record.expires_at - record.taken_at == timedelta(hours=settings.snapshot_hours)


def test_it_opens_for_its_own_assertion_only(app: Flask, ehr: EhrActions, fhir: EhrServer) -> None:
    assertion = asked_form(ehr.sign(live(fhir)))
    ledger = app.extensions["ledger"]
    record, own = ledger.snapshot(assertion, datetime.now(UTC)), ledger.assertion(assertion)
    for other in ({"member_id": "M9"}, {"order_ref": "DeviceRequest/d2"}, {"assertion_id": "another"}):
        assert snapshot.unseal(record, replace(own, **other), app.extensions["encryption"]) is None


def test_a_slow_ehr_makes_the_answer_no_later(app: Flask, ehr: EhrActions, fhir: EhrServer, settings: Settings) -> None:
    fhir.on["/Encounter"] = ehr_server.hang
    started = time.monotonic()
    assertion = asked_form(ehr.sign(live(fhir)))
    assert time.monotonic() - started < settings.answer_within
    taken = kept(app, assertion)
    assert taken is not None
    assert ids(taken, "observations") == ["o1"]
    assert taken.record["encounters"].problem is not None, "partial is said"
    assert app.extensions["ledger"].recent(1)[0].timings["snapshot"] < 1000


def test_a_record_of_another_patient_is_not_kept(app: Flask, ehr: EhrActions, fhir: EhrServer) -> None:
    fhir.on["/Encounter"] = ehr_server.answer(bundle(encounter(1, 10, subject={"reference": "Patient/p2"})))
    taken = kept(app, asked_form(ehr.sign(live(fhir))))
    assert taken is not None
    assert taken.record["encounters"].resources == ()
    assert "another patient" in str(taken.record["encounters"].problem)


def test_prefetch_counts_as_well_as_queries(app: Flask, ehr: EhrActions, fhir: EhrServer) -> None:
    request = live(fhir, observations=bundle(observation(7, 3)), conditions=bundle())
    del request["fhirServer"], request["fhirAuthorization"]
    taken = kept(app, asked_form(ehr.sign(request)))
    assert taken is not None
    assert (ids(taken, "observations"), taken.record["observations"].problem) == (["o7"], None)
    assert "no access to the EHR" in str(taken.record["encounters"].problem)
    assert fhir.asked == []


def test_a_fault_leaves_the_answer(
    app: Flask, ehr: EhrActions, fhir: EhrServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(snapshot._Plan, "snapshot", lambda *_: 1 / 0)
    assertion = asked_form(ehr.sign(live(fhir)))
    assert kept(app, assertion) is None
    assert '"event": "snapshot.fault"' in capsys.readouterr().err


def test_an_answer_without_a_form_reads_nothing_more(app: Flask, ehr: EhrActions, fhir: EhrServer) -> None:
    lung_disease = {
        "resourceType": "Condition",
        "id": "c1",
        "clinicalStatus": {"coding": [{"code": "active"}]},
        "code": {"coding": [{"system": codings.ICD10CM, "code": "J44.9"}]},
        "subject": {"reference": "Patient/p1"},
    }
    low = observation(1, 5)
    low["valueQuantity"]["value"] = 85
    fhir.on["/Observation"] = ehr_server.answer(bundle(low))
    answer = ehr.sign(live(fhir, conditions=bundle(lung_disease)))
    assert "questionnaire" not in answer.parts()
    assert kept(app, answer.parts()["coverage-assertion-id"][0]) is None
    assert not any(path.startswith("/Encounter?") for path in fhir.asked)
    assert "snapshot" not in app.extensions["ledger"].recent(1)[0].timings


def test_an_answer_given_again_is_kept_the_record_as_it_is_now(app: Flask, ehr: EhrActions, fhir: EhrServer) -> None:
    assertion = asked_form(ehr.sign(live(fhir)))
    fhir.on["/Encounter"] = ehr_server.answer(bundle(encounter(1, 10), encounter(3, 1)))
    assert asked_form(ehr.sign(live(fhir))) == assertion
    taken = kept(app, assertion)
    assert taken is not None
    assert ids(taken, "encounters") == ["v1", "v3"]
    # Less than before does not take the place of what there is.
    fhir.on["/Encounter"] = ehr_server.status(500)
    assert asked_form(ehr.sign(live(fhir))) == assertion
    assert kept(app, assertion) == taken
    assert app.extensions["ledger"].verify() == []


@pytest.mark.embedded
def test_the_key_is_made_beside_the_ledger(app: Flask, settings: Settings) -> None:
    assert settings.key_path.exists()


def test_no_reading_when_there_is_no_time_for_it(settings: Settings, fhir: EhrServer) -> None:
    app = create_app(settings.model_copy(update={"snapshot_seconds": 0}))
    taken = kept(app, asked_form(EhrActions(app.test_client()).sign(live(fhir))))
    assert taken is not None
    assert ids(taken, "observations") == ["o1"]
    assert taken.record["encounters"].problem is not None
    app.extensions["ledger"].close()


@pytest.mark.parametrize(
    ("kind", "resource", "wanted"),
    [
        ("observations", {"effectivePeriod": {"start": days_ago(400), "end": days_ago(5)}}, True),
        ("observations", {"issued": f"{days_ago(200)}T10:00:00Z"}, False),
        ("observations", {}, True),
        ("procedures", {"performedDateTime": days_ago(91)}, False),
        ("procedures", {"performedDateTime": days_ago(90)}, True),
        ("encounters", {"period": {"start": days_ago(200)}}, False),
        ("conditions", {"recordedDate": days_ago(900)}, True),
    ],
)
def test_days(kind: str, resource: dict[str, Any], wanted: bool) -> None:
    assert snapshot.wanted(resource, Need(kind, None, 90), TODAY, [], lambda *_: None) is wanted
