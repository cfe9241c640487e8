"""What $questionnaire-package is asked (davinci-dtr, OperationDefinition questionnaire-package, dtr-1).

Unknown parameters are passed over. `referenced`, which 2.2 dropped, is still taken: EHRs send it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.dtr.draft import Version
from app.dtr.parameters import Parameter, parameters_of, read_resource
from app.errors import InvalidRequest, UnprocessableRequest
from app.fhir import references

MOST = 50
"""Coverages, orders, canonicals and further resources in one call, each; beyond, a call is refused."""

ORDER_TYPES = frozenset(
    {
        "Appointment",
        "CommunicationRequest",
        "DeviceRequest",
        "Encounter",
        "ImmunizationRecommendation",
        "MedicationRequest",
        "NutritionOrder",
        "ServiceRequest",
        "SupplyRequest",
        "VisionPrescription",
    }
)

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PackageRequest:
    """A call's parameters. `context` is a coverage-assertion-id or what another exchange calls its own."""

    coverages: tuple[Resource, ...] = ()
    orders: tuple[Resource, ...] = ()
    referenced: tuple[Resource, ...] = ()
    questionnaires: tuple[str, ...] = ()
    context: str | None = None
    changed_since: datetime | None = None


def parse_package_request(body: bytes, version: Version) -> PackageRequest:
    """Read a call. InvalidRequest (400) names the parameter that is wrong or missing."""
    coverages: list[Resource] = []
    orders: list[Resource] = []
    referenced: list[Resource] = []
    questionnaires: list[str] = []
    context: str | None = None
    changed_since: datetime | None = None
    for each in parameters_of(read_resource(body)):
        match each.name:
            case "coverage":
                coverages.append(_coverage(each))
            case "order":
                orders.append(_order(each))
            case "referenced":
                referenced.append(each.resource)
            case "questionnaire":
                questionnaires.append(each.text("valueCanonical", "valueUri", "valueString"))
            case "context":
                if context is not None:
                    raise InvalidRequest("There is more than one context.", element=each.element, code="structure")
                context = each.text("valueString")
            case "changedsince":
                changed_since = _instant(each)
    if max(len(coverages), len(orders), len(referenced), len(questionnaires)) > MOST:
        raise UnprocessableRequest(f"A call takes at most {MOST} of each parameter.", code="too-costly")
    if not (orders or questionnaires or context):
        raise InvalidRequest(
            "Send at least one of order, questionnaire and context (dtr-1).",
            element="Parameters.parameter",
            code="required",
        )
    if not coverages and context is None:
        raise InvalidRequest("Send the coverage.", element="Parameters.parameter", code="required")
    if version == "2.2" and len(coverages) > 1:
        raise InvalidRequest("Send one coverage.", element="Parameters.parameter", code="structure")
    return PackageRequest(
        tuple(coverages),
        tuple(orders),
        tuple(referenced),
        tuple(dict.fromkeys(questionnaires)),
        context,
        changed_since,
    )


def _coverage(parameter: Parameter) -> Resource:
    resource = parameter.resource
    if resource["resourceType"] != "Coverage":
        raise InvalidRequest("This is no Coverage.", element=f"{parameter.element}.resource", code="value")
    return resource


def _order(parameter: Parameter) -> Resource:
    resource = parameter.resource
    if resource["resourceType"] not in ORDER_TYPES:
        raise InvalidRequest(
            f"A {resource['resourceType']} is no order.", element=f"{parameter.element}.resource", code="value"
        )
    if references.resource_key(resource) is None:
        raise InvalidRequest("The order has no id.", element=f"{parameter.element}.resource.id", code="required")
    return resource


def _instant(parameter: Parameter) -> datetime:
    text = parameter.text("valueInstant", "valueDateTime")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidRequest("This is no instant: date, time and time zone.", element=parameter.element, code="value")
    return moment
