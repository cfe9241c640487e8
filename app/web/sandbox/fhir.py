"""The FHIR server of the sandbox's EHR: reads and searches of its invented records, for whoever has the token."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, current_app, request

from app.fhir import codings, dates, outcomes, references
from app.fhir.json import encode
from app.web.sandbox.records import Resource, records

blueprint = Blueprint("sandbox_fhir", __name__, url_prefix="/sandbox/fhir")

# Search parameter → elements it looks at; what is not here is passed over, as FHIR servers may (R4, "Search").
_DATES = {
    "date": ("effectiveDateTime", "performedDateTime"),
    "authoredon": ("authoredOn",),
    "recorded-date": ("recordedDate",),
}


@blueprint.get("/<kind>/<identity>")
def read(kind: str, identity: str) -> Response:
    """One resource."""
    if not _known():
        return _refused()
    found = records(datetime.now(UTC).date()).get(f"{kind}/{identity}")
    if found is None:
        words = f"There is no {kind} of this id." if references.is_type(kind) else "This is no type of FHIR."
        told = outcomes.operation_outcome(outcomes.issue("error", "not-found", words))
        return _fhir(told, 404)
    return _fhir(found)


@blueprint.get("/<kind>")
def search(kind: str) -> Response:
    """Resources of a type, as a searchset."""
    if not _known():
        return _refused()
    of_kind = [each for each in records(datetime.now(UTC).date()).values() if each["resourceType"] == kind]
    found = [each for each in of_kind if _matches(each, request.args.items(multi=True))]
    base = request.base_url.removesuffix(f"/{kind}")
    entries = [
        {"fullUrl": f"{base}/{kind}/{each['id']}", "resource": each, "search": {"mode": "match"}} for each in found
    ]
    return _fhir({"resourceType": "Bundle", "type": "searchset", "total": len(found), "entry": entries})


def _known() -> bool:
    """Whether the call bears the token that the sandbox's EHR gives out with its hooks."""
    given = request.headers.get("Authorization", "").encode()
    return hmac.compare_digest(given, f"Bearer {current_app.config['SANDBOX_TOKEN']}".encode())


def _refused() -> Response:
    words = "Reading needs the access token that the sandbox's EHR sends with a hook."
    return _fhir(outcomes.operation_outcome(outcomes.issue("error", "login", words)), 401)


def _matches(resource: Resource, wanted: Iterable[tuple[str, str]]) -> bool:
    return all(_meets(resource, name, value.split(",")) for name, value in wanted)


def _meets(resource: Resource, name: str, values: list[str]) -> bool:
    if name == "_id":
        return resource["id"] in values
    if name in ("patient", "subject", "beneficiary"):
        about = references.patient_of(resource)
        return about is not None and about.id in {value.removeprefix("Patient/") for value in values}
    if name == "status":
        return resource.get("status") is None or resource["status"] in values
    if name == "code":
        stated = {(coding.system, coding.code) for coding in codings.codings_of(resource.get("code"))}
        return any(_asked(value) in stated for value in values)
    if name in _DATES:
        return all(_since(resource, _DATES[name], value) for value in values)
    return True


def _asked(token: str) -> tuple[str, str]:
    system, _, code = token.rpartition("|")
    system = codings.normalise_system(system)
    return system, codings.normalise_code(system, code)


def _since(resource: Resource, elements: tuple[str, ...], value: str) -> bool:
    """`ge` and the like: the sandbox's records have one day each."""
    stated = next((resource[name] for name in elements if name in resource), None)
    day, limit = dates.first_day(stated), dates.first_day(value[2:] if value[:2].isalpha() else value)
    if day is None or limit is None:
        return False
    return day < limit if value.startswith(("lt", "le")) else day >= limit


def _fhir(resource: dict[str, Any], status: int = 200) -> Response:
    return Response(encode(resource), status=status, mimetype="application/fhir+json")
