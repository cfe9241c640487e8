"""The extensions of SDC and DTR that population reads and writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.crd.returned_forms import QR_CONTEXT as QR_CONTEXT

_SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
_DTR = "http://hl7.org/fhir/us/davinci-dtr/StructureDefinition/"
_CORE = "http://hl7.org/fhir/StructureDefinition/"

LAUNCH_CONTEXT = f"{_SDC}launchContext"
ITEM_POPULATION_CONTEXT = f"{_SDC}itemPopulationContext"
INITIAL_EXPRESSION = f"{_SDC}initialExpression"
CANDIDATE_EXPRESSION = f"{_SDC}candidateExpression"
CALCULATED_EXPRESSION = f"{_SDC}calculatedExpression"
CONTEXT_EXPRESSION = f"{_SDC}contextExpression"
ADAPTIVE = f"{_SDC}questionnaireAdaptive"
ENABLE_WHEN_EXPRESSION = f"{_SDC}enableWhenExpression"
VARIABLE = f"{_CORE}variable"
CQF_LIBRARY = f"{_CORE}cqf-library"
HIDDEN = f"{_CORE}questionnaire-hidden"
UNIT = f"{_CORE}questionnaire-unit"
UNIT_OPTION = f"{_CORE}questionnaire-unitOption"
UNIT_VALUE_SET = f"{_CORE}questionnaire-unitValueSet"
REFERENCE_RESOURCE = f"{_CORE}questionnaire-referenceResource"
VERSION_ALGORITHM = f"{_CORE}artifact-versionAlgorithm"
DISPLAY = f"{_CORE}display"
INFORMATION_ORIGIN = f"{_DTR}information-origin"
QR_COVERAGE = f"{_DTR}qr-coverage"
INTENDED_USE = f"{_DTR}intendedUse"


def of(element: Mapping[str, Any], url: str) -> Iterator[dict[str, Any]]:
    """The extensions of an element with this URL."""
    listed = element.get("extension")
    for extension in listed if isinstance(listed, list) else ():
        if isinstance(extension, dict) and extension.get("url") == url:
            yield extension


def values(element: Mapping[str, Any], url: str, key: str) -> list[Any]:
    """`key` (`valueCoding`) of each extension with this URL that has it."""
    return [extension[key] for extension in of(element, url) if key in extension]
