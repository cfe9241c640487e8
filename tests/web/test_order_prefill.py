"""What an order and the payer's file of the member say stands in the form already; a client's CQL gets the order."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask

from app.dtr.cases import plain
from app.dtr.wire import VERSIONS
from tests.dtr.dtr_actions import DtrActions, Fetched, context, coverage, coverage_of, order
from tests.ehr_actions import EhrActions, example, order_of, with_orders

Resource = dict[str, Any]
HCPCS = "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
ICD10CM = "http://hl7.org/fhir/sid/icd-10-cm"
OXYGEN = {
    "resourceType": "DeviceRequest",
    "id": "d1",
    "status": "draft",
    "intent": "original-order",
    "codeCodeableConcept": {"coding": [{"system": HCPCS, "code": "E1390"}]},
    "subject": {"reference": "Patient/p1"},
    "authoredOn": "2026-11-20",
    "requester": {"reference": "Practitioner/dr1", "display": "Dr. Kim Rivera"},
    "performer": {"reference": "Organization/s1", "display": "Juniper Home Equipment"},
    "reasonCode": [{"coding": [{"system": ICD10CM, "code": "J44.9"}]}],
}
TACROLIMUS = {
    "resourceType": "MedicationRequest",
    "id": "m1",
    "status": "draft",
    "intent": "order",
    "medicationCodeableConcept": {"coding": [{"system": HCPCS, "code": "J7507"}]},
    "subject": {"reference": "Patient/p1"},
    "authoredOn": "2026-11-20",
    "reasonCode": [{"coding": [{"system": ICD10CM, "code": "Z94.0"}]}],
    "dispenseRequest": {
        "quantity": {"value": 60},
        "expectedSupplyDuration": {"value": 30, "code": "d", "system": "http://unitsofmeasure.org"},
    },
}


@pytest.fixture(params=VERSIONS)
def client(app: Flask, request: pytest.FixtureRequest) -> DtrActions:
    return DtrActions(app.test_client(), request.param)


def sign(ehr: EhrActions, resource: Resource, member: str, birth_date: str) -> tuple[Resource, str]:
    """The order signed for a member: the request, and the answer's id."""
    text = json.dumps(with_orders(example("mri"), resource))
    request = json.loads(text.replace("M100006", member).replace("1980-05-01", birth_date))
    return request, str(ehr.sign(request).parts()["coverage-assertion-id"][0])


def answers(fetched: Fetched) -> dict[str, list[Any]]:
    """The answers of a draft, by linkId."""
    (response,) = fetched.of_type("QuestionnaireResponse")
    items = [each for group in response.get("item", ()) for each in (group, *group.get("item", ()))]
    return {each["linkId"]: [plain(answer) for answer in each["answer"]] for each in items if "answer" in each}


def test_the_order_is_in_the_form(ehr: EhrActions, client: DtrActions) -> None:
    request, assertion = sign(ehr, OXYGEN, "M100006", "1980-05-01")
    expected = {
        "equipment": ["HCPCS E1390"],
        "ordered-on": ["2026-11-20"],
        "ordered-by": ["Dr. Kim Rivera"],
        "supplier": ["Juniper Home Equipment"],
        "reason": ["J44.9"],
    }
    kept = answers(client.package(context(assertion)))
    assert kept.items() >= expected.items(), "as it was signed, when the call brings no order"
    now = {**order_of(request), "performer": {"display": "Another supplier"}}
    found = answers(client.package(coverage(coverage_of(request)), order(now), context(assertion)))
    assert found.items() >= (expected | {"supplier": ["Another supplier"]}).items()


def test_a_client_gets_the_order_as_launch_context(ehr: EhrActions, client: DtrActions) -> None:
    _, assertion = sign(ehr, OXYGEN, "M100006", "1980-05-01")
    fetched = client.package(context(assertion))
    (form,), libraries = fetched.of_type("Questionnaire"), fetched.of_type("Library")
    declared = [each for each in form["extension"] if each["url"].endswith("launchContext")]
    named = {
        part["valueCoding"]["code"]: next(p["valueCode"] for p in each["extension"] if p["url"] == "type")
        for each in declared
        for part in each["extension"]
        if part["url"] == "name"
    }
    assert named == {"patient": "Patient", "clinical": "DeviceRequest"}
    taken = {each["name"]: each.get("parameter", []) for each in libraries}
    assert [(each["name"], each["type"]) for each in taken["HomeOxygen"]] == [("clinical", "DeviceRequest")]
    assert set(taken) == {"HomeOxygen", "MeadowlarkOrder", "MeadowlarkRecord"}


def test_the_member_file_is_in_the_form(ehr: EhrActions, client: DtrActions) -> None:
    request, assertion = sign(ehr, TACROLIMUS, "M100003", "1962-11-30")
    found = answers(client.package(coverage(coverage_of(request)), order(order_of(request)), context(assertion)))
    assert (found["part-a"], found["quantity"], found["days-supply"]) == ([True], [60], [30])
