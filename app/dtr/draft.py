"""The root of a draft QuestionnaireResponse and the origin of its answers, in the words of each DTR version.

Sources: davinci-dtr 2.0.1 and 2.2, StructureDefinitions dtr-questionnaireresponse, information-origin, intendedUse,
qr-context, qr-coverage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from app.dtr import extensions
from app.dtr.prefill_data import PrefillData
from app.fhir import references

Version = Literal["2.0", "2.2"]

# Orders that a response may name as its context; others may be asked about all the same.
CONTEXTS = frozenset(
    {"DeviceRequest", "MedicationRequest", "NutritionOrder", "ServiceRequest", "Encounter", "Appointment"}
)
_PURPOSES = frozenset({"withpa", "withclaim", "withorder", "retain-doc"})
_NULL_FLAVOR = "http://terminology.hl7.org/CodeSystem/v3-NullFlavor"


@dataclass(frozen=True, slots=True)
class Words:
    """What differs from version to version. `coverage`: the extension that names the Coverage."""

    origin: str
    coverage: str
    purposes: str


WORDS: dict[Version, Words] = {
    "2.0": Words("auto", extensions.QR_CONTEXT, "http://hl7.org/fhir/us/davinci-crd/CodeSystem/temp"),
    "2.2": Words(
        "auto-server",
        extensions.QR_COVERAGE,
        "http://hl7.org/fhir/us/davinci-crd/CodeSystem/coverage-information-codes",
    ),
}


def origin(version: Version) -> dict[str, Any]:
    """Says of an answer that the payer filled it in; without an author, as dtrx-1 has it."""
    source = {"url": "source", "valueCode": WORDS[version].origin}
    return {"url": extensions.INFORMATION_ORIGIN, "extension": [source]}


def draft(questionnaire: Mapping[str, Any], data: PrefillData, version: Version) -> dict[str, Any]:
    """A response in progress without its items. No `id`: a client would take it for one that is stored (PUT)."""
    words = WORDS[version]
    response: dict[str, Any] = {"resourceType": "QuestionnaireResponse"}
    said = []
    if (coverage := references.resource_key(data.coverage)) is not None:
        said.append({"url": words.coverage, "valueReference": {"reference": coverage}})
    order = references.resource_key(data.order)
    if order is not None and order.partition("/")[0] in CONTEXTS:
        said.append({"url": extensions.QR_CONTEXT, "valueReference": {"reference": order}})
    response["extension"] = [*said, *(_purpose(code, words.purposes) for code in data.purposes or ("OTH",))]
    version_of = f"|{questionnaire['version']}" if questionnaire.get("version") else ""
    response["questionnaire"] = f"{questionnaire.get('url')}{version_of}"
    if questionnaire.get("title"):
        shown = {"url": extensions.DISPLAY, "valueString": questionnaire["title"]}
        response["_questionnaire"] = {"extension": [shown]}
    return response | {"status": "in-progress", "subject": dict(data.subject), "authored": data.now.isoformat()}


def _purpose(code: str, system: str) -> dict[str, Any]:
    """One intended use; one that CRD has no code for is `OTH`."""
    known = code in _PURPOSES
    coding = {"system": system if known else _NULL_FLAVOR, "code": code if known else "OTH"}
    return {"url": extensions.INTENDED_USE, "valueCodeableConcept": {"coding": [coding]}}
