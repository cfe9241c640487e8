"""The routing API over HTTP: the hook's own decision, for anyone who asks, in the shapes it publishes."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema_rs
import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.errors import LedgerError
from app.fhir.json import encode
from app.web.routing_openapi import MOST_QUESTIONS, document
from tests.ehr_actions import example

ADALIMUMAB = {"codes": ["RxNorm 327361"], "route": "subcutaneous", "dispense": "specialty", "encounter": "none"}
COMMERCIAL = {"line": "commercial", "plan": "gold-ppo"}


@pytest.fixture
def http(app: Flask) -> FlaskClient:
    return app.test_client()


def ask(http: FlaskClient, question: Any, path: str = "decisions", status: int = 200) -> Any:
    """Ask, and hold the answer to the published document."""
    sent = question if isinstance(question, bytes) else json.dumps(question).encode()
    response = http.post(f"/routing/v1/{path}", data=sent)
    assert response.status_code == status, response.text
    answered = json.loads(response.data)
    name = ("Decision" if path == "decisions" else None) if status == 200 else "OperationOutcome"
    if name is not None:
        schema = {"components": document()["components"], "$ref": f"#/components/schemas/{name}"}
        jsonschema_rs.Draft202012Validator(schema).validate(answered)
    return answered


def fhir_question(name: str) -> dict[str, Any]:
    """The order of a sample call with its Coverage and all else it brings."""
    call = example(name)
    sent: list[dict[str, Any]] = []
    for value in call["prefetch"].values():
        if value and value["resourceType"] == "Bundle":
            sent += [entry["resource"] for entry in value.get("entry", ())]
        elif value:
            sent.append(value)
    coverage = next(each for each in sent if each["resourceType"] == "Coverage")
    order = call["context"]["draftOrders"]["entry"][0]["resource"]
    return {"order": order, "coverage": coverage, "resources": [each for each in sent if each is not coverage]}


@pytest.mark.parametrize(
    ("name", "track", "road", "code"),
    [("infusion", "medical", "fhir", "J1745"), ("self-injected", "pharmacy", "ncpdp", "327361")],
)
def test_a_fhir_order(http: FlaskClient, name: str, track: str, road: str, code: str) -> None:
    told = ask(http, fhir_question(name))
    assert (told["track"], told["next"]["road"]) == (track, road)
    assert code in [each["code"] for each in told["billing_codes"]]
    assert told["rule"]["source"].startswith("https://")
    assert (told["next"]["contact"] is not None) is (road == "ncpdp")


def test_what_is_no_drug_has_no_track(http: FlaskClient) -> None:
    told = ask(http, fhir_question("mri"))
    assert (told["drug"], told["track"], told["next"]["road"]) == (False, None, "fhir")


def test_shorthand(http: FlaskClient) -> None:
    told = ask(http, {"order": ADALIMUMAB, "member": COMMERCIAL})
    assert told["track"] == "pharmacy"
    assert told["next"]["contact"]["bin"] == "999999"
    assert {"NCPDP SCRIPT ePA"} == {each["standard"] for each in told["next"]["standards"]}
    assert "asserts no coverage" in told["notice"]


@pytest.mark.parametrize(
    ("order", "member", "modifiers", "profile", "text"),
    [
        ({"codes": ["HCPCS J3358"], "route": "intravenous", "site": "11"}, "M100006", ["JA"], "commercial", None),
        ({"codes": ["RxNorm 327361"], "route": "subcutaneous"}, "M100006", [], "commercial", "Your pharmacy plan"),
        ({"codes": ["HCPCS J3590"]}, "M100006", [], None, None),
    ],
)
def test_modifiers_clock_and_words_for_the_patient(
    http: FlaskClient, order: dict[str, Any], member: str, modifiers: list[str], profile: str | None, text: str | None
) -> None:
    answer = ask(http, {"order": {"encounter": "none", **order}, "member": member})
    assert answer["modifiers"] == modifiers
    assert (answer["clock"] or {}).get("profile") == profile
    assert (answer["patient_text"] or "").startswith(text or "")
    assert (answer["patient_text"] is None) is (text is None)


def test_what_nobody_said_is_missing_and_not_guessed(http: FlaskClient) -> None:
    told = ask(http, {"order": {"codes": ["RxNorm 327361"]}})
    assert told["track"] == "undetermined"
    assert "lob" in [each["signal"] for each in told["missing"]]
    assert {each["status"] for each in told["facts"]} == {"missing"}, "not even an encounter was denied"
    assert told["billing_codes"] == []


def test_a_day_of_its_own(http: FlaskClient) -> None:
    assert ask(http, {"order": ADALIMUMAB, "member": COMMERCIAL, "on": "2026-12-24"})["on"] == "2026-12-24"


@pytest.mark.parametrize(
    ("question", "element", "words"),
    [
        (b"{", None, "not JSON"),
        (b"[]", None, "object"),
        ({}, None, "order"),
        ({"order": {}, "extra": 1}, None, "extra"),
        ({"order": {"codes": ["nothing known"]}}, "order.codes[0]", "match"),
        ({"order": {**ADALIMUMAB, "route": "by mouth"}}, "order.route", "Use one of"),
        ({"order": {**ADALIMUMAB, "form": "tablets"}}, "order.form", "Did you mean 'tablet'?"),
        ({"order": ADALIMUMAB, "member": {"line": "comercial"}}, "member.line", "Did you mean 'commercial'?"),
        ({"order": ADALIMUMAB, "member": {"plan": "gold"}}, "member.plan", "gold-ppo"),
        ({"order": ADALIMUMAB, "on": "tomorrow"}, "on", "date"),
        ({"order": {**ADALIMUMAB, "resourceType": "Patient"}, "coverage": {}}, "order.resourceType", "not one of"),
        ({"order": {"resourceType": "MedicationRequest"}}, None, "coverage"),
        (
            {"order": {"resourceType": "MedicationRequest"}, "coverage": {"resourceType": "Patient"}},
            "coverage.resourceType",
            "Coverage",
        ),
        (
            {
                "order": {"resourceType": "MedicationRequest", "authoredOn": "never"},
                "coverage": {"resourceType": "Coverage", "status": "active", "payor": [{"display": "us"}]},
            },
            "order.authoredOn",
            "not a FHIR date",
        ),
        (
            {"order": {"resourceType": "MedicationRequest"}, "coverage": {"resourceType": "Coverage"}},
            "coverage.payor",
            "names no payer",
        ),
        (
            {
                "order": {"resourceType": "MedicationRequest", "subject": {"reference": "Patient/a"}},
                "coverage": {"resourceType": "Coverage", "beneficiary": {"reference": "Patient/b"}},
            },
            "coverage.beneficiary",
            "another patient's",
        ),
    ],
)
def test_a_bad_question_is_told_where(http: FlaskClient, question: Any, element: str | None, words: str) -> None:
    (issue,) = ask(http, question, status=400)["issue"]
    assert issue.get("expression") == ([element] if element else None)
    assert words in issue["diagnostics"]


def test_a_batch_answers_each(http: FlaskClient) -> None:
    bad = {"order": {**ADALIMUMAB, "route": "by mouth"}}
    good = {"order": ADALIMUMAB, "member": COMMERCIAL}
    shapeless = [{"order": {"codes": "HCPCS J1745"}}, {"order": ADALIMUMAB, "on": "never"}, 1, None]
    told = ask(http, {"questions": [good, bad, *shapeless, fhir_question("infusion"), good]}, "batch")["decisions"]
    assert [each.get("track", each.get("resourceType")) for each in told] == [
        "pharmacy",
        *["OperationOutcome"] * 5,
        "medical",
        "pharmacy",
    ]
    assert told[-1] == told[0]
    assert [each["issue"][0].get("expression") for each in told[1:6]] == [
        ["order.route"],
        ["order.codes"],
        ["on"],
        None,
        None,
    ]


@pytest.mark.parametrize("count", [0, MOST_QUESTIONS + 1])
def test_a_batch_has_its_bounds(http: FlaskClient, count: int) -> None:
    ask(http, {"questions": [{"order": ADALIMUMAB}] * count}, "batch", status=400)


def test_each_call_is_kept_and_promises_nothing(app: Flask, http: FlaskClient) -> None:
    ask(http, {"order": ADALIMUMAB, "member": COMMERCIAL})
    ask(http, b"{", status=400)
    bad, good = app.extensions["ledger"].recent(5)
    assert (good.service_id, good.status, bad.status) == ("routing-decisions", 200, 400)
    assert json.loads(good.response)["track"] == "pharmacy"
    assert app.extensions["ledger"].assertions_of(good.invocation_id) == []
    assert app.extensions["ledger"].verify() == []


def test_what_cannot_be_kept_is_not_answered(app: Flask, http: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise LedgerError("disk full")

    monkeypatch.setattr(app.extensions["ledger"], "record", fail)
    assert ask(http, {"order": ADALIMUMAB}, status=503)["issue"][0]["code"] == "transient"


def test_a_fault_of_ours_is_no_traceback(app: Flask, http: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.crd.routing_service.route", lambda *_, **__: 1 / 0)
    told = ask(http, {"order": ADALIMUMAB}, status=500)
    assert told["issue"][0]["code"] == "exception"
    assert "Zero" not in json.dumps(told)


@pytest.mark.parametrize(
    ("query", "standard", "binding"),
    [
        ("transaction=prior-authorization&line=ma&drug_category=pharmacy-drug&on=2027-06-01", "2017071", True),
        ("transaction=prior-authorization&line=ma&drug_category=pharmacy-drug&on=2028-06-01", "2023011", True),
        ("transaction=prior-authorization&line=medicaid&drug_category=items-and-services", "005010X217", True),
        ("transaction=coverage-discovery&line=ma&drug_category=items-and-services", "2.0.1", False),
        ("transaction=formulary&line=ma&on=2027-02-01", "60", True),
        ("transaction=formulary&line=ma&on=2026-12-01", "3.0", True),
    ],
)
def test_standards(http: FlaskClient, query: str, standard: str, binding: bool) -> None:
    told = json.loads(http.get(f"/routing/v1/standards?{query}").data)
    first = told["standards"][0]
    assert (first["version"], first["binding"]) == (standard, binding)


def test_a_proposal_is_never_binding(http: FlaskClient) -> None:
    told = json.loads(http.get("/routing/v1/standards?on=2035-01-01").data)["standards"]
    proposed = [each for each in told if each["status"] == "proposed"]
    assert proposed
    assert not any(each["binding"] for each in proposed)


@pytest.mark.parametrize(
    ("query", "element"),
    [
        ("line=mars", "line"),
        ("transaction=x", "transaction"),
        ("on=2026-13-01", "on"),
        ("on=20260131", "on"),
        ("on=2026-W05-6", "on"),
        ("on=2026-01", "on"),
        ("drug-category=medical-drug", "drug-category"),
    ],
)
def test_a_bad_query_is_told(http: FlaskClient, query: str, element: str) -> None:
    response = http.get(f"/routing/v1/standards?{query}")
    assert response.status_code == 400
    assert json.loads(response.data)["issue"][0]["expression"] == [element]


def test_the_document_is_the_addresses_there_are(app: Flask, http: FlaskClient) -> None:
    published = json.loads(http.get("/routing/v1/openapi.json").data)
    served = {
        (rule.rule, method.lower())
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/routing/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert {(path, method) for path, methods in published["paths"].items() for method in methods} == served
    assert published["openapi"] == "3.1.0"
    named = set(re.findall("#/components/schemas/([A-Za-z]+)", json.dumps(published)))
    assert set(published["components"]["schemas"]) == named
    schema = {"components": published["components"], "$ref": "#/components/schemas/Question"}
    jsonschema_rs.Draft202012Validator(schema).validate(json.loads(encode(fhir_question("infusion"))))
