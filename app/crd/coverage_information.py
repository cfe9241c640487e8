"""The coverage-information extension of CRD 2.2: one repetition for each answer.

Source: davinci-crd 2.2, StructureDefinition ext-coverage-information. Another protocol version is another `Serializer`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from app.fhir import dates, references
from app.rulebook.answer import REASONS, Answer, Detail, Quantity, Reason
from app.rulebook.codes import as_coding
from app.rulebook.rulebook import Rulebook

URL = "http://hl7.org/fhir/us/davinci-crd/StructureDefinition/ext-coverage-information"
REASON_SYSTEM = "http://hl7.org/fhir/us/davinci-crd/CodeSystem/temp"
DETAIL_SYSTEM = "http://terminology.hl7.org/CodeSystem/crd-coverage-detail"
# Details CRD has no code for: the benefit of a drug and what goes with it. Described in docs/connect.
OWN_DETAIL_SYSTEM = "https://signpost.example.org/fhir/CodeSystem/coverage-detail"
OWN_DETAILS = {
    "benefit-track": "Benefit that pays for the drug",
    "epa-standard": "Electronic prior authorization standard of the pharmacy processor",
    "routing-rule": "Rule that decided the benefit",
    "billing-modifiers": "HCPCS modifiers that the claim carries with the billing codes",
    "decision-time": "How soon an authorization is decided, from receipt of the request",
    "patient-note": "What the patient may be told of the benefit",
}

Extension = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Repetition:
    """What a serializer needs beside the answer."""

    answer: Answer
    coverage: Mapping[str, Any]
    assertion_id: str
    today: date
    expires: date
    dependencies: tuple[str, ...] = ()


Serializer = Callable[[Repetition, Rulebook], Extension]


def coverage_information(repetition: Repetition, rulebook: Rulebook) -> Extension:
    """One ext-coverage-information repetition, parts in the order the specification lists them."""
    return {"url": URL, "extension": list(_parts(repetition, rulebook))}


def _parts(repetition: Repetition, rulebook: Rulebook) -> Iterator[Extension]:
    answer = repetition.answer
    yield {"url": "coverage", "valueReference": dict(repetition.coverage)}
    yield {"url": "covered", "valueCode": answer.covered}
    if answer.pa_needed is not None:
        yield {"url": "pa-needed", "valueCode": answer.pa_needed}
    for name, codes in (
        ("doc-needed", answer.doc_needed),
        ("doc-purpose", answer.doc_purpose),
        ("info-needed", answer.info_needed),
    ):
        for code in codes:
            yield {"url": name, "valueCode": code}
    for billed in answer.billing_codes:
        yield {"url": "billingCode", "valueCoding": as_coding(billed)}
    for reason in answer.reasons:
        yield {"url": "reason", "valueCodeableConcept": _reason(reason)}
    for detail in answer.details:
        yield {"url": "detail", "extension": list(_detail(detail))}
    for key in repetition.dependencies:
        yield {"url": "dependency", "valueReference": {"reference": key}}
    for slug in answer.questionnaires:
        yield {"url": "questionnaire", "valueCanonical": rulebook.questionnaires[slug]}
    yield {"url": "date", "valueDate": repetition.today.isoformat()}
    yield {"url": "coverage-assertion-id", "valueString": repetition.assertion_id}
    if answer.satisfied_pa_id is not None:
        yield {"url": "satisfied-pa-id", "valueString": answer.satisfied_pa_id}
    for slug in answer.contacts:
        yield {"url": "contact", "valueContactDetail": _contact(slug, rulebook)}
    yield {"url": "expiry-date", "valueDate": repetition.expires.isoformat()}


def _reason(reason: Reason) -> dict[str, Any]:
    concept: dict[str, Any] = {}
    if reason.code is not None:
        concept["coding"] = [{"system": REASON_SYSTEM, "code": reason.code, "display": REASONS[reason.code]}]
    if reason.text:
        concept["text"] = reason.text
    return concept


def _detail(detail: Detail) -> Iterator[Extension]:
    own = detail.code in OWN_DETAILS
    coding = {"system": OWN_DETAIL_SYSTEM if own else DETAIL_SYSTEM, "code": detail.code}
    if own:
        coding["display"] = OWN_DETAILS[detail.code]
    yield {"url": "category", "valueCode": detail.category}
    yield {"url": "code", "valueCodeableConcept": {"coding": [coding]}}
    yield {"url": "value", **_value(detail)}
    if detail.qualification:
        yield {"url": "qualification", "valueString": detail.qualification}


def _value(detail: Detail) -> dict[str, Any]:
    value = detail.value
    if isinstance(value, bool):
        return {"valueBoolean": value}
    if isinstance(value, Quantity):
        return {"valueQuantity": quantity(value)}
    return {"valueUrl": value} if detail.link else {"valueString": value}


def quantity(value: Quantity) -> dict[str, Any]:
    """A FHIR Quantity in UCUM."""
    return {"value": value.value, "unit": value.unit, "system": "http://unitsofmeasure.org", "code": value.unit}


def _contact(slug: str, rulebook: Rulebook) -> dict[str, Any]:
    payer = rulebook.payer
    contact = payer.pharmacy.get(slug) or payer.contacts[slug]
    telecom = [{"system": system, "value": v} for system, v in (("phone", contact.phone), ("url", contact.url)) if v]
    return {"name": contact.name, **({"telecom": telecom} if telecom else {})}


def stated(resource: Mapping[str, Any]) -> list[Extension]:
    """The coverage-information repetitions a resource already carries."""
    extensions = resource.get("extension")
    return (
        [e for e in extensions if isinstance(e, dict) and e.get("url") == URL] if isinstance(extensions, list) else []
    )


def coverage_key(repetition: Extension) -> str | None:
    """`Coverage/id` a repetition is about."""
    for part in repetition.get("extension") or ():
        if isinstance(part, dict) and part.get("url") == "coverage":
            return references.local_key(part.get("valueReference"))
    return None


def assertion_ids(repetitions: Iterable[Extension]) -> frozenset[str]:
    """The coverage-assertion-ids that repetitions name."""
    parts = [part for each in repetitions for part in each.get("extension") or () if isinstance(part, dict)]
    found = {part.get("valueString") for part in parts if part.get("url") == "coverage-assertion-id"}
    return frozenset(each for each in found if isinstance(each, str))


def substance(repetition: Extension) -> list[Extension]:
    """A repetition without what differs each time it is given: id, dates, and how the Coverage is addressed."""
    passing = {"coverage", "date", "coverage-assertion-id", "expiry-date"}
    return [
        part for part in repetition.get("extension") or () if isinstance(part, dict) and part.get("url") not in passing
    ]


def expired(repetition: Extension, today: date) -> bool:
    """Whether the last day a repetition is honoured has passed."""
    for part in repetition.get("extension") or ():
        if isinstance(part, dict) and part.get("url") == "expiry-date":
            last = dates.last_day(part.get("valueDate"))
            return last is not None and last < today
    return False
