"""What this server offers: the CDS Hooks discovery document.

The prefetch queries follow the standard ones of davinci-crd 2.2, "Prefetch" (found-29). Only what every call needs is
asked for (found-27); everything else is read with the token of the call when a policy in play wants it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.hooks.configuration import CARD_TYPES, options

VERSIONS = ("2.0", "2.2")
SERVICE_IDS = {"order-sign-crd": "order-sign", "order-select-crd": "order-select"}

_TEXTS = {
    "order-sign": (
        "coverage requirements at order signing",
        "Coverage, prior authorization, documents and, for drugs, the benefit that pays, for each order being signed.",
    ),
    "order-select": (
        "coverage requirements at order selection",
        "Early notice of coverage, prior authorization and, for drugs, the benefit that pays, for the orders selected.",
    ),
}

_PERSONS = ("sender", "recipient", "requester", "performer", "orderer", "prescriber")


def _from_orders(elements: Iterable[str], kind: str) -> list[str]:
    return [f"context.draftOrders.entry.resource.{element}.resolve().ofType({kind}).id" for element in elements]


def _search(kind: str, *tokens: str) -> str:
    return f"{kind}?_id={{{{{'|'.join(tokens)}}}}}"


_ORDER_PREFETCH = {
    "patient": "Patient/{{context.patientId}}",
    "encounter": "Encounter/{{context.encounterId}}",
    "coverage": "Coverage?patient={{context.patientId}}&status=active",
    "devices": _search("Device", "context.draftOrders.entry.resource.ofType(DeviceRequest).code.resolve().id"),
    "medications": _search(
        "Medication", "context.draftOrders.entry.resource.ofType(MedicationRequest).medication.resolve().id"
    ),
    "practitionerRoles": _search(
        "PractitionerRole",
        "%encounter.participant.individual.resolve().ofType(PractitionerRole).id",
        *_from_orders(_PERSONS, "PractitionerRole"),
    ),
    "practitioners": _search(
        "Practitioner",
        "%practitionerRoles.entry.resource.practitioner.resolve().id",
        "%encounter.participant.individual.resolve().ofType(Practitioner).id",
        *_from_orders(_PERSONS, "Practitioner"),
    ),
    "organizations": _search(
        "Organization",
        "%practitionerRoles.entry.resource.organization.resolve().id",
        "%encounter.serviceProvider.resolve().ofType(Organization).id",
        "context.draftOrders.entry.resource.dispenseRequest.performer.resolve().id",
        *_from_orders(("sender", "recipient", "performer"), "Organization"),
    ),
    "locations": _search(
        "Location",
        "%practitionerRoles.entry.resource.location.resolve().id",
        "%encounter.location.location.resolve().id",
        "context.draftOrders.entry.resource.locationReference.resolve().id",
    ),
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
        "prefetch": _ORDER_PREFETCH,
        "usageRequirements": "The patient must be covered by this payer. Data missing from prefetch is read from "
        "fhirServer with the access token of the call.",
        "extension": {
            "davinci-crd.version": list(VERSIONS),
            "davinci-crd.configuration-options": options(topics),
        },
    }
