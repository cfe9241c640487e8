"""Dispatch, booking and encounters: what each is answered on, and what the performer decides."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from tests.ehr_actions import Answer, EhrActions, example, order_of
from tests.fhir import ehr_server
from tests.fhir.ehr_server import EhrServer
from tests.web.test_ehr_reads import fhir  # noqa: F401  # a fixture

NUCC = "http://nucc.org/provider-taxonomy"
POS = "https://www.cms.gov/Medicare/Coding/place-of-service-codes/Place_of_Service_Code_Set"


def bundle(*resources: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": r} for r in resources]}


def dispatch(request: dict[str, Any], performer: str, *performers: dict[str, Any]) -> dict[str, Any]:
    """The same order going to a performer, its resources in prefetch."""
    order = order_of(request)
    changed = copy.deepcopy(request)
    changed["hook"] = "order-dispatch"
    key = f"{order['resourceType']}/{order['id']}"
    changed["context"] = {"patientId": "p1", "dispatchedOrders": [key], "performer": performer}
    changed["prefetch"]["serviceRequests"] = bundle(order)
    changed["prefetch"]["others"] = bundle(*performers)
    return changed


def fire(ehr: EhrActions, request: dict[str, Any]) -> Answer:
    return ehr.post(f"{request['hook']}-crd", json.dumps(request).encode())


def denosumab() -> dict[str, Any]:
    """A drug on a plan that pays it on either benefit: who supplies it decides (T11)."""
    request = example("infusion")
    order = order_of(request)
    order["medicationCodeableConcept"] = {
        "coding": [{"system": "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets", "code": "J0897"}],
        "text": "denosumab 60 mg",
    }
    order["reasonCode"] = [{"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "M81.0"}]}]
    order["dosageInstruction"][0]["route"]["coding"][0]["code"] = "34206005"
    return request


def test_the_performer_decides_what_signing_left_open(ehr: EhrActions) -> None:
    """The clinic supplies it; where it is given is only known when the order goes to somebody."""
    clinic = {
        "resourceType": "Organization",
        "id": "infusions",
        "type": [{"coding": [{"system": NUCC, "code": "261QI0500X"}]}],
    }
    site = {"resourceType": "Location", "id": "room", "type": [{"coding": [{"system": POS, "code": "11"}]}]}
    nurse = {"resourceType": "PractitionerRole", "id": "nurse", "location": [{"reference": "Location/room"}]}
    request = denosumab()
    order_of(request)["dispenseRequest"] = {"performer": {"reference": "Organization/infusions"}}
    request["prefetch"]["organizations"]["entry"].append({"resource": clinic})
    signed = ehr.sign(request).parts()
    assert (signed["covered"], signed["benefit-track"]) == (["conditional"], ["undetermined"])
    assert "location" in signed["info-needed"]
    sent = fire(ehr, dispatch(request, "PractitionerRole/nurse", nurse, site))
    assert sent.status == 200
    assert sent.parts()["benefit-track"] == ["medical"]
    (action,) = sent.json["systemActions"]
    assert {k: v for k, v in action["resource"].items() if k != "extension"} == order_of(request)


@pytest.mark.parametrize("form", ["relative", "absolute", "single order of 2.0"])
def test_dispatched_orders_are_read_by_reference(ehr: EhrActions, fhir: EhrServer, form: str) -> None:  # noqa: F811
    request = dispatch(example("mri"), "PractitionerRole/dr1")
    order = order_of(example("mri"))
    del request["prefetch"]["serviceRequests"]
    fhir.on["/ServiceRequest/sr1"] = ehr_server.answer(order)
    request["fhirServer"], request["fhirAuthorization"] = fhir.base, {"access_token": "t"}
    if form == "absolute":
        request["context"]["dispatchedOrders"] = [f"{fhir.base}/ServiceRequest/sr1"]
    elif form == "single order of 2.0":
        request["context"]["order"] = request["context"].pop("dispatchedOrders")[0]
    answer = fire(ehr, request)
    assert answer.status == 200
    assert answer.parts()["pa-needed"] == ["auth-needed"]


@pytest.mark.parametrize(
    ("change", "status", "element"),
    [
        ({"dispatchedOrders": None}, 400, "context.dispatchedOrders"),
        ({"dispatchedOrders": []}, 400, "context.dispatchedOrders"),
        ({"dispatchedOrders": ["here"]}, 400, "context.dispatchedOrders[0]"),
        ({"dispatchedOrders": ["Practitioner/dr1"]}, 400, "context.dispatchedOrders[0]"),
        ({"dispatchedOrders": ["ServiceRequest/gone"]}, 412, "context.dispatchedOrders"),
        ({"performer": None}, 400, "context.performer"),
    ],
)
def test_dispatch_refusals(ehr: EhrActions, change: dict[str, Any], status: int, element: str) -> None:
    request = dispatch(example("mri"), "PractitionerRole/dr1")
    request["context"] = {k: v for k, v in {**request["context"], **change}.items() if v is not None}
    answer = fire(ehr, request)
    assert (answer.status, answer.issue["expression"]) == (status, [element])


def booking(*appointments: dict[str, Any]) -> dict[str, Any]:
    request = example("mri")
    order = order_of(request)
    request["hook"] = "appointment-book"
    request["context"] = {"userId": "PractitionerRole/dr1", "patientId": "p1", "appointments": bundle(*appointments)}
    request["prefetch"]["serviceRequests"] = bundle(order)
    return request


def appointment(**elements: Any) -> dict[str, Any]:
    patient = {"actor": {"reference": "Patient/p1"}, "status": "accepted"}
    return {
        "resourceType": "Appointment",
        "id": "a1",
        "status": "proposed",
        "start": "2026-12-01T09:00:00-05:00",
        "participant": [patient],
        **elements,
    }


def test_a_booking_is_answered_on_the_order_behind_it(ehr: EhrActions) -> None:
    answer = fire(ehr, booking(appointment(basedOn=[{"reference": "ServiceRequest/sr1"}])))
    assert answer.status == 200
    (action,) = answer.json["systemActions"]
    assert {k: v for k, v in action["resource"].items() if k != "extension"} == order_of(example("mri"))
    assert answer.parts()["pa-needed"] == ["auth-needed"]


@pytest.mark.parametrize("based_on", [[], [{"reference": "ServiceRequest/gone"}], [{"display": "an order"}]])
def test_a_booking_without_its_order_is_answered_itself(ehr: EhrActions, based_on: list[dict[str, str]]) -> None:
    answer = fire(ehr, booking(appointment(basedOn=based_on)))
    (action,) = answer.json["systemActions"]
    assert action["resource"]["resourceType"] == "Appointment"
    assert answer.parts()["covered"] == ["conditional"]


def encounter(hook: str) -> dict[str, Any]:
    request = example("mri")
    request["hook"] = hook
    request["context"] = {"userId": "PractitionerRole/dr1", "patientId": "p1", "encounterId": "e1"}
    return request


@pytest.mark.parametrize("hook", ["encounter-start", "encounter-discharge"])
def test_an_encounter_asks_nothing_of_a_member(ehr: EhrActions, hook: str) -> None:
    answer = fire(ehr, encounter(hook))
    assert (answer.status, answer.json) == (200, {"cards": []})


@pytest.mark.parametrize("hook", ["encounter-start", "encounter-discharge"])
def test_an_encounter_is_told_of_coverage_that_ended(ehr: EhrActions, hook: str) -> None:
    request = encounter(hook)
    coverage = request["prefetch"]["coverage"]["entry"][0]["resource"]
    coverage["subscriberId"] = coverage["identifier"][0]["value"] = "M100013"
    del request["prefetch"]["patient"]["birthDate"]
    parts = fire(ehr, request).parts()
    assert parts["covered"] == ["not-covered"]
    assert parts["reason"][0]["coding"][0]["code"] == "no-active-coverage"


@pytest.mark.parametrize("encounter_id", [None, "../x"])
def test_an_encounter_hook_needs_its_encounter(ehr: EhrActions, encounter_id: str | None) -> None:
    request = encounter("encounter-start")
    request["context"]["encounterId"] = encounter_id
    answer = fire(ehr, request)
    assert (answer.status, answer.issue["expression"]) == (400, ["context.encounterId"])
