"""The sample payer's forms with one that has all a form may have: Libraries, value sets, CQL, an adaptive sibling."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import Any

from app.settings import ROOT

BASE = "http://meadowlark.example.org/fhir"
FORM = f"{BASE}/Questionnaire/lumbar-mri"
ADAPTIVE = f"{BASE}/Questionnaire/mri-step-by-step"
LIBRARY = f"{BASE}/Library/LumbarMri"
HELPERS = f"{BASE}/Library/Helpers"
LARGE = f"{BASE}/ValueSet/levels"
SMALL = f"{BASE}/ValueSet/therapies"

_CORE = "http://hl7.org/fhir/StructureDefinition"
_SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition"
_PATIENT = {"system": "http://hl7.org/fhir/uv/sdc/CodeSystem/launchContext", "code": "patient", "display": "Patient"}
_LAUNCH = {
    "url": f"{_SDC}/sdc-questionnaire-launchContext",
    "extension": [{"url": "name", "valueCoding": _PATIENT}, {"url": "type", "valueCode": "Patient"}],
}


def _expression(name: str, text: str, language: str = "text/cql-identifier") -> dict[str, Any]:
    return {
        "url": f"{_SDC}/sdc-questionnaire-{name}",
        "valueExpression": {"language": language, "expression": text},
    }


def _library(url: str, *depends: str) -> dict[str, Any]:
    name = url.rpartition("/")[2]
    cql = f"library {name} version '1.0.0'\nusing FHIR version '4.0.1'\ncontext Patient\n"
    elm = {"library": {"identifier": {"id": name, "version": "1.0.0"}}}
    return {
        "resourceType": "Library",
        "id": name,
        "url": url,
        "version": "1.0.0",
        "name": name,
        "status": "active",
        "date": "2026-11-01",
        "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/library-type", "code": "logic-library"}]},
        **(
            {"relatedArtifact": [{"type": "depends-on", "display": d, "resource": d} for d in depends]}
            if depends
            else {}
        ),
        "content": [
            {"contentType": "text/cql", "data": base64.b64encode(cql.encode()).decode()},
            {"contentType": "application/elm+json", "data": base64.b64encode(json.dumps(elm).encode()).decode()},
        ],
    }


def _value_set(url: str, count: int) -> dict[str, Any]:
    codes = [{"code": f"L{number}", "display": f"Level {number}"} for number in range(1, count + 1)]
    return {
        "resourceType": "ValueSet",
        "id": url.rpartition("/")[2],
        "url": url,
        "version": "1.0.0",
        "name": "Sample",
        "status": "active",
        "date": "2026-11-01",
        "compose": {"include": [{"system": f"{BASE}/CodeSystem/sample", "concept": codes}]},
    }


def _questionnaire(url: str, *extensions: dict[str, Any], items: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "resourceType": "Questionnaire",
        "id": url.rpartition("/")[2],
        "extension": [
            _LAUNCH,
            {"url": f"{_CORE}/cqf-library", "valueCanonical": LIBRARY},
            {
                "url": f"{_CORE}/variable",
                "valueExpression": {"name": "born", "language": "text/fhirpath", "expression": "%patient.birthDate"},
            },
            *extensions,
        ],
        "url": url,
        "version": "1.1.0",
        "name": "LumbarMri",
        "title": "Lumbar & sacral spine",
        "status": "active",
        "subjectType": ["Patient"],
        "date": "2026-11-01",
        "effectivePeriod": {"start": "2026-01-01", "end": "2027-12-31"},
        "item": items,
    }


ITEMS: list[dict[str, Any]] = [
    {
        "linkId": "onset",
        "text": "When did the symptoms begin?",
        "type": "date",
        "required": True,
        "extension": [_expression("initialExpression", '"LumbarMri".Onset')],
    },
    {
        "linkId": "born",
        "text": "Born",
        "type": "date",
        "extension": [_expression("initialExpression", "%patient.birthDate", "text/fhirpath")],
    },
    {"linkId": "level", "text": "Level", "type": "choice", "answerValueSet": LARGE},
    {"linkId": "therapy", "text": "Treatment so far", "type": "choice", "answerValueSet": SMALL},
    {
        "linkId": "help",
        "text": "What counts as treatment",
        "type": "display",
        "extension": [
            {
                "url": f"{_CORE}/questionnaire-supportHyperlink",
                "extension": [
                    {"url": "label", "valueString": "Help"},
                    {"url": "link", "valueUri": "https://example.org/help"},
                ],
            }
        ],
    },
]
STEPS: list[dict[str, Any]] = [
    {
        "linkId": "symptoms",
        "text": "Symptoms",
        "type": "group",
        "item": [
            {
                "linkId": "onset",
                "text": "When did the symptoms begin?",
                "type": "date",
                "required": True,
                "extension": [_expression("initialExpression", '"LumbarMri".Onset')],
            },
            {"linkId": "weak", "text": "Is there new weakness?", "type": "boolean", "required": True},
            {
                "linkId": "where",
                "text": "Where?",
                "type": "string",
                "enableWhen": [{"question": "weak", "operator": "=", "answerBoolean": True}],
                "required": True,
            },
        ],
    },
    {
        "linkId": "therapy",
        "text": "Treatment",
        "type": "group",
        "enableWhen": [{"question": "weak", "operator": "=", "answerBoolean": False}],
        "item": [{"linkId": "weeks", "text": "Weeks of treatment", "type": "integer", "required": True}],
    },
    {"linkId": "clinical-done", "text": "The clinical questions are answered.", "type": "display"},
    {
        "linkId": "office",
        "text": "Office",
        "type": "group",
        "item": [{"linkId": "phone", "text": "Telephone for questions", "type": "string"}],
    },
]


def write_sample_forms(folder: Path) -> Path:
    """The shipped forms with these in place of the MRI form and beside it; returns the questionnaires folder."""
    forms = folder / "questionnaires"
    shutil.copytree(ROOT / "questionnaires", forms)
    adaptive = {"url": f"{_SDC}/sdc-questionnaire-questionnaireAdaptive", "valueBoolean": True}
    files: dict[str, dict[str, Any]] = {
        "lumbar-mri/questionnaire.json": _questionnaire(FORM, items=ITEMS),
        "lumbar-mri/library.json": _library(LIBRARY, HELPERS),
        "lumbar-mri/valuesets/levels.json": _value_set(LARGE, 45),
        "libraries/Helpers.json": _library(HELPERS),
        "valuesets/therapies.json": _value_set(SMALL, 3),
        "mri-step-by-step/questionnaire.json": _questionnaire(ADAPTIVE, adaptive, items=STEPS),
    }
    shutil.rmtree(forms / "lumbar-mri")
    for name, resource in files.items():
        path = forms / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(resource), encoding="utf-8")
    return forms
