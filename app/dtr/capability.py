"""What this endpoint does, for machines: the CapabilityStatement and the discovery documents.

Source: davinci-dtr, CapabilityStatement dtr-payer-service; davinci-hrex 1.2, "Endpoint discovery"; SMART App Launch
2.2, "Conformance".
"""

from __future__ import annotations

from typing import Any

from app.clients.scopes import SCOPES
from app.dtr.draft import Version
from app.dtr.wire import VERSIONS, WIRE
from app.rulebook.payer import Payer

Resource = dict[str, Any]

PAYER_SERVICE = "http://hl7.org/fhir/us/davinci-dtr/CapabilityStatement/dtr-payer-service"
SEARCH = {"_id": "token", "url": "uri", "version": "token", "name": "string", "title": "string", "status": "token"}
_DTR = "http://hl7.org/fhir/us/davinci-dtr/OperationDefinition"
_NEXT_QUESTION = {
    "2.0": "http://hl7.org/fhir/uv/sdc/OperationDefinition/Questionnaire-next-question",
    "2.2": f"{_DTR}/DTR-Questionnaire-next-question",
}
_EXPAND = {
    "2.0": "http://hl7.org/fhir/OperationDefinition/ValueSet-expand",
    "2.2": f"{_DTR}/DTR-ValueSet-expand",
}
_SMART = {"system": "http://terminology.hl7.org/CodeSystem/restful-security-service", "code": "SMART-on-FHIR"}


def capability_statement(version: Version, base: str, program: str, date: str, *, open_to_all: bool) -> Resource:
    """The statement of one base. `program` is the version of this program, `date` the day the process started."""
    security: Resource = {"cors": True}
    if not open_to_all:
        security |= {
            "service": [{"coding": [_SMART]}],
            "description": "SMART Backend Services: see .well-known/smart-configuration.",
        }
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": date,
        "kind": "instance",
        "instantiates": [f"{PAYER_SERVICE}|{WIRE[version].release}"],
        "software": {"name": "Signpost", "version": program},
        "implementation": {"description": f"Payer service of Da Vinci DTR {version}", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "implementationGuide": [
            f"http://hl7.org/fhir/us/davinci-dtr/ImplementationGuide/hl7.fhir.us.davinci-dtr|{WIRE[version].release}"
        ],
        "rest": [
            {
                "mode": "server",
                "documentation": "Forms are filled here by FHIRPath, and at the client by the CQL of their Libraries.",
                "security": security,
                "resource": [
                    _readable(
                        "Questionnaire",
                        ("questionnaire-package", f"{_DTR}/questionnaire-package"),
                        ("next-question", _NEXT_QUESTION[version]),
                        ("log-questionnaire-errors", f"{_DTR}/log-questionnaire-errors"),
                    ),
                    _readable("Library"),
                    _readable("ValueSet", ("expand", _EXPAND[version])),
                    {"type": "QuestionnaireResponse", "interaction": [{"code": "create"}]},
                ],
            }
        ],
    }


def _readable(kind: str, *operations: tuple[str, str]) -> Resource:
    stated: Resource = {
        "type": kind,
        "interaction": [{"code": "read"}, {"code": "search-type"}],
        "searchParam": [{"name": name, "type": type_} for name, type_ in SEARCH.items()],
    }
    if operations:
        stated["operation"] = [{"name": name, "definition": definition} for name, definition in operations]
    return stated


def davinci_configuration(payer: Payer, bases: dict[str, str], hooks: str) -> Resource:
    """HRex's well-known document. `bases`: the FHIR base of each DTR version; `hooks`: that of the CDS services."""
    system, value = min(payer.identifiers)
    found: Resource = {"payer-identifier": {"system": system, "value": value}}
    for version in VERSIONS:
        found[f"davinci_crd_hook_endpoint#{version}"] = hooks
        found[f"davinci_dtr_qpackage_endpoint#{version}"] = bases[version]
    return found


def smart_configuration(issuer: str | None, token_endpoint: str | None) -> Resource:
    """SMART's well-known document; of an authorization server elsewhere it names the issuer alone."""
    found: Resource = {
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["ES384", "RS384"],
        "scopes_supported": list(SCOPES),
        "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
    }
    if issuer is not None:
        found["issuer"] = issuer
    if token_endpoint is not None:
        found["token_endpoint"] = token_endpoint
    return found
