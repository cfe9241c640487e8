"""What Inferno demands of the tester's own requests (crd.req.*): it vets the bodies that the service is asked with.

Conventions as in `inferno`.
"""

from __future__ import annotations

import re
from typing import Any

from tests.conformance.inferno import ORDERS, Json, Valid, blank, field, is_reference, is_resource

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TOP_LEVEL = {"fhirServer": "String", "fhirAuthorization": "Object", "prefetch": "Object"}
_AUTHORIZATION = {"access_token": "String", "expires_in": "Integer", "scope": "String", "subject": "String"}
_ORDER_OF_DISPATCH = {"patientId": "String", "order": "String", "performer": "String"}
_PERSON = {"userId": "String", "patientId": "String"}
_CONTEXT = {
    "order-sign": {**_PERSON, "draftOrders": "Object"},
    "order-select": {**_PERSON, "selections": "Array", "draftOrders": "Object"},
    "order-dispatch": _ORDER_OF_DISPATCH,
    "appointment-book": {**_PERSON, "appointments": "Object"},
    "encounter-start": {**_PERSON, "encounterId": "String"},
    "encounter-discharge": {**_PERSON, "encounterId": "String"},
}
_USERS = frozenset({"Practitioner", "PractitionerRole"})


def required(hook: str, request: Json) -> list[str]:
    """crd.req.required."""
    wrong = [
        *field(request, "hook", "String"),
        *field(request, "hookInstance", "String"),
        *field(request, "context", "Object"),
    ]
    if request.get("hook") != hook:
        wrong.append("hook is another one")
    if not _UUID.fullmatch(str(request.get("hookInstance"))):
        wrong.append("hookInstance is no UUID")
    if "fhirAuthorization" in request and "fhirServer" not in request:
        wrong.append("fhirAuthorization without fhirServer")
    return wrong


def optional(request: Json) -> list[str]:
    """crd.req.optional."""
    wrong = [words for name, kind in _TOP_LEVEL.items() for words in field(request, name, kind, optional=True)]
    wrong += [f"{name} is blank" for name, value in request.items() if name not in _TOP_LEVEL and blank(value)]
    authorization = request.get("fhirAuthorization")
    if isinstance(authorization, dict):
        for name, kind in _AUTHORIZATION.items():
            wrong += [f"fhirAuthorization.{words}" for words in field(authorization, name, kind)]
        if authorization.get("token_type") != "Bearer":
            wrong.append("fhirAuthorization.token_type is not Bearer")
    return wrong


def context(hook: str, request: Json, valid: Valid) -> list[str]:
    """crd.req.context. An order-dispatch is looked at in the form of CDS Hooks 1.0, with its single `order`."""
    given = request["context"]
    wrong = [words for name, kind in _CONTEXT[hook].items() for words in field(given, name, kind)]
    if wrong:
        return wrong
    for name in ("patientId", "encounterId"):
        if "/" in given.get(name, ""):
            wrong.append(f"{name} is no bare id")
    if hook == "order-dispatch":
        return wrong + _dispatch_problems(given, valid)
    users = _USERS | {"Patient", "RelatedPerson"} if hook == "appointment-book" else _USERS
    if not is_reference(given["userId"], users):
        wrong.append("userId is not Type/id of who may call")
    if hook == "appointment-book":
        wrong += _bundle_problems(given["appointments"], frozenset({"Appointment"}), valid)
        wrong += [
            "an Appointment is not proposed"
            for each in _resources(given["appointments"])
            if each.get("resourceType") == "Appointment" and each.get("status") != "proposed"
        ]
    elif hook.startswith("order"):
        wrong += _bundle_problems(given["draftOrders"], ORDERS, valid)
        submitted = {f"{each.get('resourceType')}/{each.get('id')}" for each in _resources(given["draftOrders"])}
        wrong += [
            f"selection {each} is no draft order"
            for each in given.get("selections", ())
            if not is_reference(each, ORDERS) or each not in submitted
        ]
    return wrong


def _dispatch_problems(given: Json, valid: Valid) -> list[str]:
    wrong = [] if is_reference(given["order"], ORDERS) else ["order is not Type/id of an order"]
    wrong += [] if is_reference(given["performer"]) else ["performer is not Type/id"]
    task = given.get("task")
    if task is not None:
        is_task = isinstance(task, dict) and task.get("resourceType") == "Task"
        wrong += valid(task) if is_task else ["task is no Task"]
    return wrong


def _resources(bundle: Any) -> list[Json]:
    entries = bundle.get("entry") if isinstance(bundle, dict) else None
    return [entry["resource"] for entry in entries or () if isinstance(entry.get("resource"), dict)]


def _bundle_problems(bundle: Json, types: frozenset[str], valid: Valid) -> list[str]:
    if bundle.get("resourceType") != "Bundle":
        return ["it is no Bundle"]
    found = _resources(bundle)
    wrong = ["an entry has no resource with an id" for each in found if not is_resource(each) or not each.get("id")]
    meant = [each for each in found if each.get("resourceType") in types]
    if not meant:
        wrong.append(f"the Bundle has no {' or '.join(sorted(types))}")
    return wrong + [words for each in meant for words in valid(each)]
