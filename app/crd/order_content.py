"""What an order says, read from each of the six order types into one shape.

Only elements that CRD's profiles make mandatory or must-support are relied on; everything else is taken when it is
there (conf-8, conf-12).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from app.crd.chart import Chart, Resource
from app.errors import InvalidRequest
from app.fhir import codings, dates

ORDER_TYPES = frozenset(
    {
        "CommunicationRequest",
        "DeviceRequest",
        "MedicationRequest",
        "NutritionOrder",
        "ServiceRequest",
        "VisionPrescription",
    }
)

# Where each type keeps the day it was written, and the day it is for.
_WRITTEN = {"NutritionOrder": "dateTime", "VisionPrescription": "dateWritten"}
_ORDERER = {"NutritionOrder": "orderer", "VisionPrescription": "prescriber"}
# Of all order types: what is asked for no longer is. An order that was carried out (`completed`) is none of these.
_TAKEN_BACK = ("cancelled", "entered-in-error", "noshow", "revoked", "stopped")
_PAYLOAD_CONTENT = "http://hl7.org/fhir/5.0/StructureDefinition/extension-CommunicationRequest.payload.content[x]"


@dataclass(frozen=True, slots=True)
class OrderContent:
    """What is ordered. `unresolved` names the reference to the drug or device that could not be followed.

    `stated` are all its codings, `products` those of each product apart: one order may ask for several. `service_days`
    are those the service may be on. `void` says why it asks for nothing: a service that is not to be done, or an order
    taken back.
    """

    stated: tuple[codings.Coding, ...]
    products: tuple[tuple[codings.Coding, ...], ...]
    billing_options: tuple[codings.Coding, ...]
    words: str
    unresolved: str | None
    medication: Resource | None
    written: date | None
    service_days: dates.Span | None
    void: str | None

    def day_of_service(self, today: date) -> date:
        """The day benefits are judged at. What goes on is judged today, by the rules that pay for what is to come."""
        if self.service_days is None:
            return max(self.written or today, today)
        first, last = self.service_days
        return today if first <= today <= last else first


def read_content(resource: Resource, chart: Chart, element: str) -> OrderContent:
    """Read an order. InvalidRequest names the element of a date that is none."""
    concepts, unresolved, medication = _concepts(resource, chart)
    found = tuple(dict.fromkeys(coding for concept in concepts for coding in codings.codings_of(concept)))
    products = tuple(each for concept in _products(resource) if (each := codings.codings_of(concept)))
    options = [option for concept in (*concepts, medication, resource) for option in codings.billing_options(concept)]
    written = _day(resource, _WRITTEN.get(resource["resourceType"], "authoredOn"), element)
    return OrderContent(
        stated=found,
        products=products or (found,),
        billing_options=tuple(dict.fromkeys(options)),
        words=_words(concepts, found, resource),
        unresolved=unresolved,
        medication=medication,
        written=written,
        service_days=_service_days(resource, element),
        void=_void(resource),
    )


def orderer(resource: Resource) -> Any:
    """The reference to who ordered it."""
    return resource.get(_ORDERER.get(resource["resourceType"], "requester"))


def _void(resource: Resource) -> str | None:
    if resource.get("doNotPerform") is True:
        return "The order says that this is not to be done (doNotPerform)"
    status = resource.get("status")
    return f"The order's status is {status}" if status in _TAKEN_BACK else None


def listed(value: Any) -> list[Any]:
    """A repeating element as a list, whatever came."""
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def _concepts(resource: Resource, chart: Chart) -> tuple[list[Any], str | None, Resource | None]:
    kind = resource["resourceType"]
    if kind == "MedicationRequest":
        concept = resource.get("medicationCodeableConcept")
        if concept is not None:
            return [concept], None, None
        medication = chart.resolve(resource.get("medicationReference"), resource)
        if medication is None:
            return [], _reference_words(resource.get("medicationReference")), None
        return [medication.get("code")], None, medication
    if kind == "DeviceRequest":
        concept = resource.get("codeCodeableConcept")
        if concept is not None:
            return [concept], None, None
        device = chart.resolve(resource.get("codeReference"), resource)
        if device is None:
            return [], _reference_words(resource.get("codeReference")), None
        return [device.get("type")], None, None
    return list(_plain_concepts(resource)), None, None


def _plain_concepts(resource: Resource) -> Iterator[Any]:
    kind = resource["resourceType"]
    if kind == "ServiceRequest":
        yield resource.get("code")
    elif kind == "NutritionOrder":
        diet = resource.get("oralDiet")
        yield from listed(diet.get("type")) if isinstance(diet, dict) else ()
        yield from _products(resource)
    elif kind == "VisionPrescription":
        yield from _products(resource)
    elif kind == "Appointment":
        yield from listed(resource.get("serviceType"))
    elif kind == "Encounter":
        yield from listed(resource.get("type"))
    elif kind == "CommunicationRequest":
        yield from listed(resource.get("category"))
        for payload in listed(resource.get("payload")):
            for extension in listed(payload.get("extension")) if isinstance(payload, dict) else ():
                if isinstance(extension, dict) and extension.get("url") == _PAYLOAD_CONTENT:
                    yield extension.get("valueCodeableConcept")


def _products(resource: Resource) -> Iterator[Any]:
    """The products of the two kinds of order that may ask for several at once; all else of an order describes one."""
    for supplement in listed(resource.get("supplement")):
        yield supplement.get("type") if isinstance(supplement, dict) else None
    formula = resource.get("enteralFormula")
    if isinstance(formula, dict):
        yield formula.get("baseFormulaType")
        yield formula.get("additiveType")
    for lens in listed(resource.get("lensSpecification")):
        yield lens.get("product") if isinstance(lens, dict) else None


def _reference_words(reference: Any) -> str:
    """What was pointed to, without the id."""
    return "the order names no drug or device" if reference is None else "what the order points to was not sent"


def _words(concepts: Iterable[Any], found: tuple[codings.Coding, ...], resource: Resource) -> str:
    """The order's own name for what is ordered, for texts that a clinician reads."""
    for concept in concepts:
        if isinstance(concept, dict) and isinstance(concept.get("text"), str) and concept["text"].strip():
            return str(concept["text"]).strip()
    for coding in found:
        if coding.display:
            return coding.display
    if found:
        return f"{codings.short_name(found[0].system)} {found[0].code}"
    for payload in listed(resource.get("payload")):
        if isinstance(payload, dict) and isinstance(payload.get("contentString"), str):
            return str(payload["contentString"])
    return str(resource["resourceType"])


def _service_days(resource: Resource, element: str) -> dates.Span | None:
    """The days the service may be on, where the order says: occurrence, or dosing, which may have no end."""
    for name in ("occurrenceDateTime", "start"):  # an Appointment has its start
        if (span := _days(resource, name, element)) is not None:
            return span
    for holder, period, where in _periods(resource):
        stated = holder.get(period)
        if isinstance(stated, dict) and (span := _days(stated, "start", f"{element}.{where}")) is not None:
            last = dates.last_day(stated.get("end")) or date.max
            return dates.Span(span.first, max(span.last, last))
    return None


def _periods(resource: Resource) -> Iterator[tuple[dict[str, Any], str, str]]:
    yield resource, "occurrencePeriod", "occurrencePeriod"
    if resource["resourceType"] == "Encounter":
        yield resource, "period", "period"
    timing = resource.get("occurrenceTiming")
    repeat = timing.get("repeat") if isinstance(timing, dict) else None
    if isinstance(repeat, dict):
        yield repeat, "boundsPeriod", "occurrenceTiming.repeat.boundsPeriod"
    for position, dosage in enumerate(listed(resource.get("dosageInstruction"))):
        timing = dosage.get("timing") if isinstance(dosage, dict) else None
        repeat = timing.get("repeat") if isinstance(timing, dict) else None
        if isinstance(repeat, dict):
            yield repeat, "boundsPeriod", f"dosageInstruction[{position}].timing.repeat.boundsPeriod"


def _day(holder: dict[str, Any], name: str, element: str) -> date | None:
    span = _days(holder, name, element)
    return span.first if span is not None else None


def _days(holder: dict[str, Any], name: str, element: str) -> dates.Span | None:
    value = holder.get(name)
    if value is None:
        return None
    span = dates.parse(value)
    if span is None:
        raise InvalidRequest(f"{name} is not a FHIR date.", element=f"{element}.{name}", code="value")
    return span
