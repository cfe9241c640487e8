"""What this server offers: the CDS Hooks discovery document.

The prefetch queries follow the standard ones of davinci-crd 2.2, "Prefetch" (found-29). Only what every call needs is
asked for (found-27); everything else is read with the token of the call when a policy in play wants it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.hooks.configuration import CARD_TYPES, options
from app.hooks.request import HOOKS

VERSIONS = ("2.0", "2.2")
SERVICE_IDS = {f"{hook}-crd": hook for hook in HOOKS}

_TEXTS = {
    "order-sign": (
        "coverage requirements at order signing",
        "Coverage, prior authorization, documents and, for drugs, the benefit that pays, for each order being signed.",
    ),
    "order-select": (
        "coverage requirements at order selection",
        "Early notice of coverage, prior authorization and, for drugs, the benefit that pays, for the orders selected.",
    ),
    "order-dispatch": (
        "coverage requirements when an order goes to its performer",
        "What the chosen performer decides: site, network and supply, for each order dispatched.",
    ),
    "appointment-book": (
        "coverage requirements at booking",
        "Coverage and prior authorization of what is booked, written on the order behind the appointment.",
    ),
    "encounter-start": (
        "coverage at the start of an encounter",
        "Whether coverage is in force, and guidance for the encounter. Prepares the answers to the orders that follow.",
    ),
    "encounter-discharge": (
        "guidance at the end of an encounter",
        "Guidance that goes with the end of the encounter.",
    ),
}

_PERSONS = ("sender", "recipient", "requester", "performer", "orderer", "prescriber")


def _search(kind: str, *tokens: str) -> str:
    return f"{kind}?_id={{{{{'|'.join(tokens)}}}}}"


def _of_type(kind: str, *paths: str) -> list[str]:
    return [f"{path}.resolve().ofType({kind}).id" for path in paths]


_PATIENT = {"patient": "Patient/{{context.patientId}}"}
_ENCOUNTER = {"encounter": "Encounter/{{context.encounterId}}"}
_COVERAGE = {"coverage": "Coverage?patient={{context.patientId}}&status=active"}


def _people(roles: list[str], organizations: list[str], locations: list[str]) -> dict[str, str]:
    """Who is involved: the paths that lead to persons, and what further leads to organizations and locations."""
    participant = "%encounter.participant.individual"
    return {
        "practitionerRoles": _search("PractitionerRole", *_of_type("PractitionerRole", participant, *roles)),
        "practitioners": _search(
            "Practitioner",
            "%practitionerRoles.entry.resource.practitioner.resolve().id",
            *_of_type("Practitioner", participant, *roles),
        ),
        "organizations": _search(
            "Organization",
            "%practitionerRoles.entry.resource.organization.resolve().id",
            *_of_type("Organization", "%encounter.serviceProvider"),
            *organizations,
        ),
        "locations": _search(
            "Location",
            "%practitionerRoles.entry.resource.location.resolve().id",
            "%encounter.location.location.resolve().id",
            *locations,
        ),
    }


def _order_prefetch() -> dict[str, str]:
    order = "context.draftOrders.entry.resource"
    return {
        **_PATIENT,
        **_ENCOUNTER,
        **_COVERAGE,
        "devices": _search("Device", f"{order}.ofType(DeviceRequest).code.resolve().id"),
        "medications": _search("Medication", f"{order}.ofType(MedicationRequest).medication.resolve().id"),
        **_people(
            [f"{order}.{person}" for person in _PERSONS],
            [
                f"{order}.dispenseRequest.performer.resolve().id",
                *_of_type("Organization", f"{order}.sender", f"{order}.recipient", f"{order}.performer"),
            ],
            [f"{order}.locationReference.resolve().id"],
        ),
    }


def _requests(*kinds: str) -> dict[str, str]:
    """Prefetch key of each request type, as the standard queries name them."""
    return {f"{kind[0].lower()}{kind[1:]}s": kind for kind in kinds}


_DEVICES = {"devices": _search("Device", "%deviceRequests.entry.resource.code.resolve().id")}
_MEDICATIONS = {"medications": _search("Medication", "%medicationRequests.entry.resource.medication.resolve().id")}


def _dispatch_prefetch() -> dict[str, str]:
    kinds = _requests(
        "CommunicationRequest",
        "DeviceRequest",
        "MedicationRequest",
        "NutritionOrder",
        "ServiceRequest",
        "VisionPrescription",
    )
    persons = (
        ("communicationRequests", ("sender", "recipient", "requester")),
        ("deviceRequests", ("performer", "requester")),
        ("medicationRequests", ("performer", "requester")),
        ("serviceRequests", ("performer", "requester")),
        ("nutritionOrders", ("orderer",)),
        ("visionPrescriptions", ("prescriber",)),
    )
    return {
        **_PATIENT,
        **_ENCOUNTER,
        **_COVERAGE,
        **{key: _search(kind, *_of_type(kind, "context.dispatchedOrders")) for key, kind in kinds.items()},
        **_DEVICES,
        **_MEDICATIONS,
        **_people(
            [f"%{key}.entry.resource.{person}" for key, elements in persons for person in elements],
            [
                *_of_type(
                    "Organization",
                    "%communicationRequests.entry.resource.recipient",
                    "%communicationRequests.entry.resource.sender",
                ),
                "%medicationRequests.entry.resource.dispenseRequest.performer.resolve().id",
                *_of_type("Organization", "%serviceRequests.entry.resource.performer"),
            ],
            ["%serviceRequests.entry.resource.locationReference.resolve().id"],
        ),
    }


def _appointment_prefetch() -> dict[str, str]:
    based_on = "context.appointments.entry.resource.basedOn"
    alternate = f"{based_on}.extension('http://hl7.org/fhir/StructureDefinition/alternate-reference').value"
    actor = "context.appointments.entry.resource.participant.actor"
    orders = [
        f"%{key}.entry.resource.{person}"
        for key in ("deviceRequests", "medicationRequests", "serviceRequests")
        for person in ("performer", "requester")
    ]
    return {
        **_PATIENT,
        **_ENCOUNTER,
        **_COVERAGE,
        "deviceRequests": _search("DeviceRequest", *_of_type("DeviceRequest", alternate)),
        "serviceRequests": _search("ServiceRequest", *_of_type("ServiceRequest", based_on)),
        "medicationRequests": _search("MedicationRequest", *_of_type("MedicationRequest", alternate)),
        **_DEVICES,
        **_MEDICATIONS,
        **_people(
            [actor, *orders],
            _of_type(
                "Organization",
                "%medicationRequests.entry.resource.dispenseRequest.performer",
                "%serviceRequests.entry.resource.performer",
            ),
            _of_type("Location", actor, "%serviceRequests.entry.resource.locationReference"),
        ),
    }


_PREFETCH = {
    "order-sign": _order_prefetch(),
    "order-select": _order_prefetch(),
    "order-dispatch": _dispatch_prefetch(),
    "appointment-book": _appointment_prefetch(),
    "encounter-start": {**_PATIENT, **_ENCOUNTER, **_COVERAGE, **_people([], [], [])},
    "encounter-discharge": {**_PATIENT, **_ENCOUNTER, **_COVERAGE, **_people([], [], [])},
}


def discovery(payer_name: str, topics: Iterable[str]) -> dict[str, Any]:
    """The discovery document. `topics` are the card types the live rulebook can produce."""
    offered = ["coverage-info", *(code for code in CARD_TYPES if code in set(topics) - {"coverage-info"})]
    return {"services": [_service(service_id, payer_name, offered) for service_id in SERVICE_IDS]}


def _service(service_id: str, payer_name: str, topics: list[str]) -> dict[str, Any]:
    hook = SERVICE_IDS[service_id]
    title, description = _TEXTS[hook]
    return {
        "hook": hook,
        "title": f"{payer_name}: {title}",
        "description": description,
        "id": service_id,
        "prefetch": _PREFETCH[hook],
        "usageRequirements": "The patient must be covered by this payer. Data missing from prefetch is read from "
        "fhirServer with the access token of the call.",
        "extension": {
            "davinci-crd.version": list(VERSIONS),
            "davinci-crd.configuration-options": options(topics),
        },
    }
