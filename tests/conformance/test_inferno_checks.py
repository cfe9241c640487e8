"""Inferno's assertions can fail: what they build on, discovery, and requests, each with one thing wrong."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.conformance import inferno_requests
from tests.conformance.hl7 import CRD, US_CORE, profile_of
from tests.conformance.inferno import (
    Json,
    NothingToJudge,
    discovery_endpoint,
    discovery_services,
    field,
    is_reference,
    is_resource,
    is_url,
    service_ids,
)
from tests.conformance.inferno_bodies import bodies

LEFT_OUT = object()
CRD_PROFILED = (
    "CommunicationRequest",
    "Coverage",
    "Device",
    "DeviceRequest",
    "Encounter",
    "Location",
    "MedicationRequest",
    "NutritionOrder",
    "Organization",
    "Patient",
    "Practitioner",
    "ServiceRequest",
    "VisionPrescription",
)
Path = tuple[str | int, ...]


def changed(base: Json, path: Path, value: Any) -> Json:
    """The same with another value at a place, or nothing there."""
    made = copy.deepcopy(base)
    at: Any = made
    for step in path[:-1]:
        at = at[step]
    if value is LEFT_OUT:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return made


def valid(_: Json) -> list[str]:
    return []


def invalid(resource: Json) -> list[str]:
    return [f"{resource['resourceType']} is not valid"]


# H1 to H5.


@pytest.mark.parametrize(
    ("kind", "value", "fine"),
    [
        ("String", "x", True),
        ("String", " ", False),
        ("String", "", False),
        ("String", 1, False),
        ("String", None, False),
        ("String", LEFT_OUT, False),
        ("Array", [1], True),
        ("Array", [], False),
        ("Array", {}, False),
        ("Object", {"a": 1}, True),
        ("Object", {}, False),
        ("Object", [1], False),
        ("Integer", 0, True),
        ("Integer", True, False),
        ("Integer", False, False),
        ("Integer", 1.5, False),
    ],
)
def test_h1_field(kind: str, value: Any, fine: bool) -> None:
    container = {} if value is LEFT_OUT else {"name": value}
    assert (field(container, "name", kind) == []) is fine
    assert (field(container, "name", kind, optional=True) == []) is (fine or value is LEFT_OUT)


@pytest.mark.parametrize(
    ("value", "fine"),
    [
        ("https://payer.example.org/page?x=1", True),
        ("http://localhost:8080", True),
        ("ftp://payer.example.org", False),
        ("https://", False),
        ("//payer.example.org/page", False),
        ("/page", False),
        ("https://[", False),
        (None, False),
    ],
)
def test_h2_url(value: Any, fine: bool) -> None:
    assert is_url(value) is fine


@pytest.mark.parametrize(
    ("value", "fine"),
    [
        ("Task/1", True),
        ("Device/1", False),
        ("Task/", False),
        ("/1", False),
        ("Task", False),
        ("Task/1/_history/2", False),
        ("https://ehr.example.org/Task/1", False),
        (None, False),
    ],
)
def test_h3_reference(value: Any, fine: bool) -> None:
    assert is_reference(value, frozenset({"Task"})) is fine


@pytest.mark.parametrize(
    ("value", "fine"),
    [
        ({"resourceType": "Task"}, True),
        ({"resourceType": "Bundle"}, True),
        ({"resourceType": "Dosage"}, False),
        ({"resourceType": "task"}, False),
        ({}, False),
        (["Task"], False),
        (None, False),
    ],
)
def test_h4_resource(value: Any, fine: bool) -> None:
    assert is_resource(value) is fine


@pytest.mark.parametrize(
    ("kind", "profile"),
    [
        *((kind, f"{CRD}/profile-{kind.lower()}") for kind in CRD_PROFILED),
        ("Task", f"{CRD}/profile-taskquestionnaire"),
        ("PractitionerRole", f"{US_CORE}/us-core-practitionerrole|3.1.1"),
        ("Medication", f"{US_CORE}/us-core-medication|3.1.1"),
        ("Condition", None),
    ],
)
@pytest.mark.parametrize("version", ["2.0", "2.2"])
def test_h5_profile(version: str, kind: str, profile: str | None) -> None:
    assert profile_of({"resourceType": kind}, version) == profile


@pytest.mark.parametrize(("version", "name"), [("2.0", "profile-appointment"), ("2.2", "profile-appointment-no-order")])
def test_h5_profile_of_appointments(version: str, name: str) -> None:
    assert profile_of({"resourceType": "Appointment"}, version) == f"{CRD}/{name}"


# 1.1 Discovery.


@pytest.mark.parametrize(
    ("status", "body", "fine"), [(200, b"{}", True), (201, b"{}", False), (200, b"<html>", False), (200, b"", False)]
)
def test_discovery_endpoint(status: int, body: bytes, fine: bool) -> None:
    assert (discovery_endpoint(status, body) == []) is fine


OFFERED: Json = {"services": [{"hook": "order-sign", "description": "Answers", "id": "one"}]}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("services",), LEFT_OUT),
        (("services",), {}),
        (("services", 0), "one"),
        *((("services", 0, name), value) for name in ("hook", "description", "id") for value in (LEFT_OUT, " ", 1)),
    ],
)
def test_discovery_services(path: Path, value: Any) -> None:
    assert discovery_services(OFFERED) == []
    assert discovery_services(changed(OFFERED, path, value)) != []


def test_no_service_is_nothing_to_judge() -> None:
    with pytest.raises(NothingToJudge):
        discovery_services({"services": []})


def test_the_first_service_of_a_hook_is_called() -> None:
    twice = {"services": [*OFFERED["services"], {**OFFERED["services"][0], "id": "two"}]}
    assert service_ids(twice) == {"order-sign": "one"}


# crd.req.*: our own requests.


def body(hook: str) -> Json:
    return bodies(hook, version="2.2", fhir_server="https://ehr.example.org/fhir")[0]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("hook",), LEFT_OUT),
        (("hook",), "order-select"),
        (("hookInstance",), LEFT_OUT),
        (("hookInstance",), "one"),
        (("context",), {}),
        (("fhirServer",), LEFT_OUT),
    ],
)
def test_required(path: Path, value: Any) -> None:
    assert inferno_requests.required("order-sign", body("order-sign")) == []
    assert inferno_requests.required("order-sign", changed(body("order-sign"), path, value)) != []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("fhirServer",), 1),
        (("prefetch",), {}),
        (("extension",), {}),
        (("fhirAuthorization", "access_token"), LEFT_OUT),
        (("fhirAuthorization", "token_type"), "bearer"),
        (("fhirAuthorization", "expires_in"), "300"),
        (("fhirAuthorization", "scope"), ""),
        (("fhirAuthorization", "subject"), LEFT_OUT),
    ],
)
def test_optional(path: Path, value: Any) -> None:
    assert inferno_requests.optional(body("order-sign")) == []
    assert inferno_requests.optional(changed(body("order-sign"), path, value)) != []


@pytest.mark.parametrize(
    ("hook", "path", "value"),
    [
        ("order-sign", ("userId",), "dr1"),
        ("order-sign", ("userId",), "Patient/p1"),
        ("order-sign", ("patientId",), "Patient/p1"),
        ("order-sign", ("draftOrders",), LEFT_OUT),
        ("order-sign", ("draftOrders", "resourceType"), "List"),
        ("order-sign", ("draftOrders", "entry"), []),
        ("order-sign", ("draftOrders", "entry", 0, "resource", "id"), LEFT_OUT),
        ("order-select", ("selections",), []),
        ("order-select", ("selections",), ["ServiceRequest/9"]),
        ("order-dispatch", ("order",), LEFT_OUT),
        ("order-dispatch", ("order",), "Task/1"),
        ("order-dispatch", ("performer",), "dr1"),
        ("order-dispatch", ("task",), {"resourceType": "Basic"}),
        ("appointment-book", ("userId",), "Device/1"),
        ("appointment-book", ("appointments", "entry", 0, "resource", "status"), "booked"),
        ("appointment-book", ("appointments", "entry", 0, "resource", "resourceType"), "Encounter"),
        ("encounter-start", ("encounterId",), LEFT_OUT),
        ("encounter-discharge", ("encounterId",), "Encounter/e1"),
    ],
)
def test_context(hook: str, path: Path, value: Any) -> None:
    asked = body(hook)
    assert inferno_requests.context(hook, asked, valid) == []
    assert inferno_requests.context(hook, changed(asked, ("context", *path), value), valid) != []


@pytest.mark.parametrize("hook", ["order-sign", "order-select", "appointment-book"])
def test_context_outside_its_profiles(hook: str) -> None:
    assert inferno_requests.context(hook, body(hook), invalid) != []


def test_a_patient_may_book() -> None:
    asked = changed(body("appointment-book"), ("context", "userId"), "Patient/p1")
    assert inferno_requests.context("appointment-book", asked, valid) == []


def test_the_task_of_a_dispatch() -> None:
    asked = changed(body("order-dispatch"), ("context", "task"), {"resourceType": "Task"})
    assert inferno_requests.context("order-dispatch", asked, valid) == []
    assert inferno_requests.context("order-dispatch", asked, invalid) != []
