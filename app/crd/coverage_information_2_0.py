"""The coverage-information extension of CRD 2.0: the same determination in the adopted version's words.

Source: davinci-crd 2.0.1, StructureDefinition ext-coverage-information. What 2.0 cannot say is said in the nearest
words it has, never in more favourable ones: `indeterminate` becomes `conditional`, and what has no code goes into the
text of a reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.crd.coverage_information import (
    OWN_DETAIL_SYSTEM,
    OWN_DETAILS,
    URL,
    Extension,
    Repetition,
    quantity,
)
from app.rulebook.answer import Answer, Detail, Quantity, Reason
from app.rulebook.codes import as_coding
from app.rulebook.rulebook import Rulebook

TEMPORARY_SYSTEM = "http://hl7.org/fhir/us/davinci-crd/CodeSystem/temp"
# Codes of 2.0.1's value sets; anything else travels under our own system or as text (both bindings are extensible).
_DETAILS = {
    "allowed-quantity",
    "allowed-period",
    "in-network-copay",
    "out-network-copay",
    "concurrent-review",
    "appropriate-use-needed",
}
_REASONS = {"gold-card": "Gold card", "detail-code": "Detail code"}
_INFO = {"performer", "location", "timeframe", "contract-window"}


def coverage_information_2_0(repetition: Repetition, rulebook: Rulebook) -> Extension:
    """One ext-coverage-information repetition of CRD 2.0.1."""
    return {"url": URL, "extension": list(_parts(repetition, rulebook))}


def _parts(repetition: Repetition, rulebook: Rulebook) -> Iterator[Extension]:
    answer = repetition.answer
    documents, patient_only = _documents(answer)
    covered, needed = _settled(answer.covered), _settled(answer.pa_needed)
    yield {"url": "coverage", "valueReference": dict(repetition.coverage)}
    yield {"url": "covered", "valueCode": covered}
    if needed is not None:
        yield {"url": "pa-needed", "valueCode": needed}
    if documents is not None:
        yield {"url": "doc-needed", "valueCode": documents}
        for code in answer.doc_purpose:
            yield {"url": "doc-purpose", "valueCode": code}
    if "conditional" in (covered, needed, documents):
        for code in dict.fromkeys(code if code in _INFO else "OTH" for code in answer.info_needed or ("OTH",)):
            yield {"url": "info-needed", "valueCode": code}
    for billed in answer.billing_codes:
        yield {"url": "billingCode", "valueCoding": as_coding(billed)}
    for reason in _reasons(answer, patient_only=patient_only):
        yield {"url": "reason", "valueCodeableConcept": _reason(reason)}
    for detail in answer.details:
        yield {"url": "detail", "extension": list(_detail(detail))}
    for key in repetition.dependencies:
        yield {"url": "dependency", "valueReference": {"reference": key}}
    for slug in answer.questionnaires if documents is not None else ():
        yield {"url": "questionnaire", "valueCanonical": rulebook.questionnaires[slug]}
    yield {"url": "date", "valueDate": repetition.today.isoformat()}
    yield {"url": "coverage-assertion-id", "valueString": repetition.assertion_id}
    if answer.satisfied_pa_id is not None:
        yield {"url": "satisfied-pa-id", "valueString": answer.satisfied_pa_id}
    for slug in answer.contacts:
        yield from _contact(slug, rulebook)


def _settled(code: str | None) -> str | None:
    """2.0 has no `indeterminate`."""
    return "conditional" if code == "indeterminate" else code


def _documents(answer: Answer) -> tuple[str | None, bool]:
    """The one doc-needed code 2.0 allows, and whether it stands for the patient's documents, which have no code."""
    asked = {_settled(code) for code in answer.doc_needed}
    if {"clinical", "admin"} <= asked:
        return "both", False
    for code in ("clinical", "admin", "conditional"):
        if code in asked:
            return code, False
    return ("conditional", True) if asked else (None, False)


def _reasons(answer: Answer, *, patient_only: bool) -> Iterator[Reason]:
    if "detail-code" in answer.info_needed:
        yield Reason("The exact code is needed.", "detail-code")
    yield from answer.reasons
    if patient_only:
        yield Reason("Information from the patient is needed.")


def _reason(reason: Reason) -> dict[str, Any]:
    concept: dict[str, Any] = {}
    if reason.code in _REASONS:
        concept["coding"] = [{"system": TEMPORARY_SYSTEM, "code": reason.code, "display": _REASONS[reason.code or ""]}]
    concept["text"] = reason.text or reason.code
    return concept


def _detail(detail: Detail) -> Iterator[Extension]:
    coding = {"system": TEMPORARY_SYSTEM if detail.code in _DETAILS else OWN_DETAIL_SYSTEM, "code": detail.code}
    if detail.code in OWN_DETAILS:
        coding["display"] = OWN_DETAILS[detail.code]
    yield {"url": "code", "valueCodeableConcept": {"coding": [coding]}}
    if isinstance(detail.value, bool):
        yield {"url": "value", "valueBoolean": detail.value}
    elif isinstance(detail.value, Quantity):
        yield {"url": "value", "valueQuantity": quantity(detail.value)}
    else:
        yield {"url": "value", "valueString": detail.value}
    if detail.qualification:
        yield {"url": "qualification", "valueString": detail.qualification}


def _contact(slug: str, rulebook: Rulebook) -> Iterator[Extension]:
    """2.0 has one ContactPoint where 2.2 has a ContactDetail."""
    contact = rulebook.payer.pharmacy.get(slug) or rulebook.payer.contacts[slug]
    for system, value in (("phone", contact.phone), ("url", contact.url)):
        if value:
            yield {"url": "contact", "valueContactPoint": {"system": system, "value": value}}
            return
