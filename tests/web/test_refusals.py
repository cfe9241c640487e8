"""Bad input: the status of CRD's table, an OperationOutcome that names the element, and a row in the ledger."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from tests.ehr_actions import EhrActions, example, order_of, with_orders

Change = Callable[[dict[str, Any]], None]


def coverages(request: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = request["prefetch"]["coverage"]["entry"]
    return found


def _set(path: str, value: Any) -> Change:
    def change(request: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        holder: Any = request
        for step in parents:
            holder = holder[int(step) if step.isdigit() else step]
        if value is None:
            del holder[last]
        else:
            holder[int(last) if last.isdigit() else last] = value

    return change


def _second_coverage(request: dict[str, Any]) -> None:
    first = coverages(request)[0]["resource"]
    coverages(request).append({"resource": {**first, "id": "c2"}})


def _no_coverage_and_no_way_to_ask(request: dict[str, Any]) -> None:
    del request["prefetch"]["coverage"]


def _failed_coverage(request: dict[str, Any]) -> None:
    request["prefetch"]["coverage"] = {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": "x"}],
    }


def _many(request: dict[str, Any]) -> None:
    entry = request["context"]["draftOrders"]["entry"][0]
    entries = [{"resource": {**entry["resource"], "id": f"o{n}"}} for n in range(1000)]
    request["context"]["draftOrders"]["entry"] = entries


ORDER = "context.draftOrders.entry.0.resource"
REFUSALS: dict[str, tuple[Change, int, str]] = {
    "wrong hook": (_set("hook", "order-select"), 400, "hook"),
    "no hookInstance": (_set("hookInstance", None), 400, "hookInstance"),
    "no context": (_set("context", None), 400, "context"),
    "context is text": (_set("context", "x"), 400, "context"),
    "no patient": (_set("context.patientId", None), 400, "context.patientId"),
    "patient id is a path": (_set("context.patientId", "../etc"), 400, "context.patientId"),
    "no drafts": (_set("context.draftOrders", None), 400, "context.draftOrders"),
    "drafts are no Bundle": (_set("context.draftOrders.resourceType", "List"), 400, "context.draftOrders"),
    "an order is text": (_set(ORDER, "x"), 400, "context.draftOrders.entry[0].resource"),
    "an order has no type": (_set(f"{ORDER}.resourceType", None), 400, "context.draftOrders.entry[0].resource"),
    "an order has no id": (_set(f"{ORDER}.id", None), 400, "context.draftOrders.entry[0].resource.id"),
    "a date is none": (_set(f"{ORDER}.authoredOn", "soon"), 400, "context.draftOrders.entry[0].resource.authoredOn"),
    "another patient's order": (
        _set(f"{ORDER}.subject", {"reference": "Patient/other"}),
        422,
        "context.draftOrders.entry[0].resource.subject",
    ),
    "a thousand entries": (_many, 422, "context.draftOrders.entry"),
    "prefetch is a list": (_set("prefetch", []), 400, "prefetch"),
    "a prefetched number": (_set("prefetch.patient", 7), 400, "prefetch.patient"),
    "another patient prefetched": (_set("prefetch.patient.id", "p2"), 400, "prefetch.patient.id"),
    "coverage without payer": (_set("prefetch.coverage.entry.0.resource.payor", None), 400, "Coverage.payor"),
    "coverage dates are none": (
        _set("prefetch.coverage.entry.0.resource.period", {"start": "long ago"}),
        400,
        "Coverage.period.start",
    ),
    "two coverages": (_second_coverage, 400, "Coverage"),
    "coverage looked for, not there": (_set("prefetch.coverage", {"resourceType": "Bundle"}), 400, "prefetch.coverage"),
    "no coverage, no way to ask": (_no_coverage_and_no_way_to_ask, 412, "prefetch.coverage"),
    "coverage could not be run, no way to ask": (_failed_coverage, 412, "prefetch.coverage"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refused_with_the_element(app: Flask, ehr: EhrActions, name: str) -> None:
    change, status, element = REFUSALS[name]
    request = example("mri")
    change(request)
    answer = ehr.sign(request)
    assert answer.status == status, answer.json
    assert answer.issue["expression"] == [element]
    assert answer.issue["diagnostics"]
    (call,) = app.extensions["ledger"].recent(5)
    assert call.status == status
    assert json.loads(call.request) == request
    assert app.extensions["ledger"].assertions_of(call.invocation_id) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"hook":"order-sign"',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"1e999999999",
    ],
    ids=["empty", "cut", "list", "null", "not UTF-8", "cut later", "deep list", "deep object", "huge number"],
)
def test_not_json(app: Flask, ehr: EhrActions, body: bytes) -> None:
    answer = ehr.post("order-sign-crd", body)
    assert answer.status == 400
    assert answer.issue["severity"] in ("error", "fatal")
    assert app.extensions["ledger"].recent(1)[0].request == body


def test_unknown_service(app: Flask, ehr: EhrActions) -> None:
    answer = ehr.post("no-such-service", b"{}")
    assert (answer.status, answer.issue["code"]) == (404, "not-found")
    assert app.extensions["ledger"].recent(1)[0].hook == "unknown"


def test_a_body_over_the_limit(app: Flask, ehr: EhrActions) -> None:
    answer = ehr.post("order-sign-crd", b" " * 20_000_000)
    assert (answer.status, answer.issue["code"]) == (413, "too-long")
    call = app.extensions["ledger"].recent(1)[0]
    assert (call.status, call.request) == (413, None)


@pytest.mark.parametrize(("path", "method", "status"), [("/nowhere", "get", 404), ("/cds-services", "post", 405)])
def test_other_addresses(app: Flask, path: str, method: str, status: int) -> None:
    response = getattr(app.test_client(), method)(path)
    assert response.status_code == status
    assert json.loads(response.data)["resourceType"] == "OperationOutcome"


def test_odd_but_allowed(ehr: EhrActions) -> None:
    """Cyclic references, a contained resource that is not there, null entries, unknown members: all answered."""
    request = example("infusion")
    request["unknown"] = {"anything": [1]}
    request["context"]["other"] = True
    drug = order_of(request)
    del drug["medicationCodeableConcept"]
    drug["medicationReference"] = {"reference": "#gone"}
    drug["basedOn"] = [{"reference": "MedicationRequest/mr1"}]
    drug["priorPrescription"] = {"reference": "MedicationRequest/mr1"}
    role = request["prefetch"]["practitionerRoles"]["entry"][0]["resource"]
    role["organization"] = {"reference": "PractitionerRole/dr1"}
    request["prefetch"]["organizations"]["entry"].append(None)
    request["prefetch"]["devices"] = {"resourceType": "OperationOutcome", "issue": []}
    answer = ehr.sign(request)
    assert answer.status == 200
    parts = answer.parts()
    assert (parts["covered"], parts["pa-needed"]) == (["conditional"], ["conditional"])
    assert parts["info-needed"] == ["detail-code"]


def test_a_payer_this_endpoint_does_not_serve_is_set_aside(ehr: EhrActions) -> None:
    request = example("mri")
    other = {
        **coverages(request)[0]["resource"],
        "id": "c0",
        "payor": [{"identifier": {"system": "urn:x", "value": "1"}}],
    }
    coverages(request).insert(0, {"resource": other})
    answer = ehr.sign(request)
    assert answer.status == 200
    assert answer.parts()["coverage"] == [{"reference": "Coverage/c1"}]


def test_no_orders_no_actions(ehr: EhrActions) -> None:
    answer = ehr.sign(with_orders(example("mri")))
    assert (answer.status, answer.json) == (200, {"cards": []})
