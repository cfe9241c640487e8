"""What a call is to be answered on: drafts, dispatched orders, the orders behind an appointment, the encounter.

A dispatched order is judged as its performer will carry it out, a booked one as its appointment says; what goes back is
the order as it stands on the EHR all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from app.crd.chart import Chart, Resource
from app.crd.order_content import ORDER_TYPES, listed
from app.errors import InvalidRequest, PrefetchMissing, UnprocessableRequest
from app.fhir import references
from app.fhir.ehr import Ehr, Read
from app.fhir.json import encode
from app.hooks.request import DraftOrder, HookRequest

_ALTERNATE = "http://hl7.org/fhir/StructureDefinition/alternate-reference"

TYPES = {
    "order-sign": ORDER_TYPES,
    "order-select": ORDER_TYPES,
    "appointment-book": frozenset({"Appointment"}),
}


def find_subjects(request: HookRequest, chart: Chart, ehr: Ehr | None) -> list[DraftOrder]:
    """The resources to answer on, in the order the call names them.

    Raises PrefetchMissing (412) when not one dispatched order could be had.
    """
    if request.hook == "order-dispatch":
        return _dispatched(request, chart, ehr)
    if request.hook == "appointment-book":
        return [subject for booked in request.orders for subject in _booked(booked, chart, ehr, request)]
    if request.hook.startswith("encounter"):
        return _encounter(request, chart, ehr)
    return [order for order in request.orders if request.selections is None or order.key in request.selections]


def _dispatched(request: HookRequest, chart: Chart, ehr: Ehr | None) -> list[DraftOrder]:
    _read(request.dispatched, chart, ehr, request.fhir_server)
    found: list[DraftOrder] = []
    for position, text in enumerate(request.dispatched):
        resource = chart.resolve(text)
        element = f"context.dispatchedOrders[{position}]"
        if resource is None:
            continue
        if resource.get("resourceType") not in ORDER_TYPES:
            raise InvalidRequest("What is dispatched is not an order.", element=element, code="value")
        patient = references.patient_of(resource)
        if patient is not None and patient.kind in ("relative", "absolute") and patient.id != request.patient_id:
            raise UnprocessableRequest(
                "The order is for another patient than the hook.", element=element, code="invariant"
            )
        order = _as_order(resource, element)
        found.append(replace(order, resource=as_dispatched(resource, {"reference": request.performer})))
    if not found:
        keys = map(references.local_key, request.dispatched)
        why = next((chart.trouble[key] for key in keys if key in chart.trouble), "")
        raise PrefetchMissing(
            f"No dispatched order was prefetched or could be read. {why}".strip(),
            element="context.dispatchedOrders",
            code="required",
        )
    return found


def _booked(booked: DraftOrder, chart: Chart, ehr: Ehr | None, request: HookRequest) -> list[DraftOrder]:
    """The orders an appointment is based on; the appointment itself when it is based on none that can be had."""
    based_on = [
        reference["reference"]
        for reference in _based_on(booked.resource)
        if isinstance(reference, dict) and isinstance(reference.get("reference"), str)
    ]
    _read(based_on, chart, ehr, request.fhir_server)
    found = []
    for text in based_on:
        resource = chart.resolve(text, booked.resource)
        if resource is not None and resource.get("resourceType") in ORDER_TYPES:
            order = _as_order(resource, booked.element)
            found.append(replace(order, resource=as_booked(resource, booked.resource)))
    return found or [replace(booked, resource=as_booked(booked.resource, booked.resource))]


def _based_on(appointment: Resource) -> Iterator[Any]:
    """What an appointment is based on; R4 allows a ServiceRequest only, others come by CRD's alternate reference."""
    for reference in listed(appointment.get("basedOn")):
        yield reference
        for extension in listed(reference.get("extension")) if isinstance(reference, dict) else ():
            if isinstance(extension, dict) and extension.get("url") == _ALTERNATE:
                yield extension.get("valueReference")


def _encounter(request: HookRequest, chart: Chart, ehr: Ehr | None) -> list[DraftOrder]:
    key = f"Encounter/{request.encounter_id}"
    _read([key], chart, ehr, request.fhir_server)
    resource = chart.get(key)
    return [] if resource is None else [_as_order(resource, "context.encounterId")]


def as_dispatched(order: Resource, performer: dict[str, Any]) -> Resource:
    """The order as its performer will carry it out.

    An organization that a prescription goes to dispenses it; who gives the drug stays as ordered.
    """
    if order["resourceType"] != "MedicationRequest":
        return {**order, "performer": [performer]}
    if not _is(performer, ("Organization",)):
        return {**order, "performer": performer}
    dispense = order.get("dispenseRequest")
    dispensed = {**(dispense if isinstance(dispense, dict) else {}), "performer": performer}
    return {**order, "performer": order.get("performer") or performer, "dispenseRequest": dispensed}


def as_booked(order: Resource, appointment: Resource) -> Resource:
    """The order at the time, in the place and with the people of its appointment."""
    actors = [
        participant["actor"]
        for participant in listed(appointment.get("participant"))
        if isinstance(participant, dict) and isinstance(participant.get("actor"), dict)
    ]
    changed = dict(order)
    places = [actor for actor in actors if _is(actor, ("Location",))]
    people = [actor for actor in actors if _is(actor, ("PractitionerRole", "Practitioner", "Organization"))]
    if places:
        changed["locationReference"] = places
    if people:
        changed["performer"] = people
    if appointment.get("start") and order is not appointment:
        changed["occurrenceDateTime"] = appointment["start"]
    return changed


def _is(actor: dict[str, Any], kinds: Sequence[str]) -> bool:
    parsed = references.parse(actor)
    return parsed is not None and parsed.type in kinds


def _as_order(resource: Resource, element: str) -> DraftOrder:
    """A resource that came by prefetch or was read. Its values go back as they came; only white space may differ."""
    key = references.resource_key(resource)
    if key is None:
        raise InvalidRequest("The resource has no id.", element=element, code="required")
    return DraftOrder(key, resource, msgspec.Raw(encode(resource)), None, element)


def _read(wanted: Sequence[str], chart: Chart, ehr: Ehr | None, server: str | None) -> None:
    """Read the references that the chart lacks, all at once."""
    if ehr is None:
        return
    missing: dict[str, Read] = {}
    for text in wanted:
        parsed, key = references.parse(text), references.local_key(text)
        if parsed is None or key is None or parsed.type is None or parsed.id is None or chart.resolve(text) is not None:
            continue
        if parsed.kind == "absolute" and (server is None or parsed.base != server.rstrip("/")):
            continue  # the token is for this EHR only
        missing[key] = Read(parsed.type, parsed.id)
    if missing:
        fetched = ehr.fetch(list(missing.values()))
        for key, item in missing.items():
            chart.add_fetched(key, fetched[item])
