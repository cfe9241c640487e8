"""The records of the sandbox's EHR: invented patients, and the places and people their orders name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from app.crd.shorthand import DISPENSERS, record_entry
from app.fhir import codings

Resource = dict[str, Any]

# Place of service → its name; and who supplies a drug, as scenarios name them.
SITES = {
    "11": "Doctor's office",
    "12": "Patient's home",
    "19": "Hospital clinic, off campus",
    "22": "Hospital, outpatient",
    "81": "Laboratory",
}
PHARMACIES = {"retail": "Retail pharmacy", "specialty": "Specialty pharmacy", "home-infusion": "Home infusion pharmacy"}
_KINDS = ("conditions", "medications", "observations", "procedures", "allergies")
_PAYER = {"reference": "Organization/payer", "display": "Meadowlark Health Plan"}


@cache
def patients() -> dict[str, dict[str, Any]]:
    """The patients as patients.yaml has them, by id."""
    text = (Path(__file__).parent / "patients.yaml").read_text(encoding="utf-8")
    return {each["id"]: each for each in yaml.safe_load(text)["patients"]}


def records(today: date) -> dict[str, Resource]:
    """Every resource of the EHR by `Type/id`, its dates counted back from today."""
    found = [*_places(), *_people()]
    for patient in patients().values():
        found += _record(patient, today)
    return {f"{each['resourceType']}/{each['id']}": each for each in found}


def _record(patient: Mapping[str, Any], today: date) -> Iterator[Resource]:
    identity = patient["id"]
    subject = {"reference": f"Patient/{identity}"}
    yield {
        "resourceType": "Patient",
        "id": identity,
        "identifier": [{"system": "https://ehr.example.org/mrn", "value": f"MRN-{identity}"}],
        "name": [{"family": patient["family"], "given": [patient["given"]]}],
        "gender": patient["gender"],
        "birthDate": str(patient["born"]),
        "address": [{"state": patient["state"], "country": "US"}],
    }
    yield {
        "resourceType": "Coverage",
        "id": f"{identity}-coverage",
        "status": "active",
        "subscriberId": patient["member"],
        "beneficiary": subject,
        "relationship": {"coding": [{"system": f"{_TERMINOLOGY}/subscriber-relationship", "code": "self"}]},
        "payor": [_PAYER],
    }
    yield {
        "resourceType": "Encounter",
        "id": f"{identity}-visit",
        "status": "in-progress",
        "class": {"system": f"{_TERMINOLOGY}/v3-ActCode", "code": "AMB", "display": "ambulatory"},
        "subject": subject,
    }
    for kind in _KINDS:
        for position, entry in enumerate(patient.get(kind, ())):
            described = dict(entry)
            if "days_ago" in described:
                described["date"] = (today - timedelta(days=described.pop("days_ago"))).isoformat()
            resource = record_entry(kind, described, position)
            concept = resource.get("code") or resource["medicationCodeableConcept"]
            concept["text"] = entry["display"]
            yield {**resource, "id": f"{identity}-{kind}-{position}", "subject": subject}


_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"


def _places() -> Iterator[Resource]:
    for code, name in SITES.items():
        place = {"coding": [{"system": codings.PLACE_OF_SERVICE, "code": code}], "text": name}
        yield {"resourceType": "Location", "id": f"site-{code}", "name": name, "type": [place]}
        works_at = [{"reference": f"Location/site-{code}"}]
        yield {"resourceType": "PractitionerRole", "id": f"performer-{code}", "location": works_at}
    for name, words in PHARMACIES.items():
        kind = {"coding": [{"system": codings.NUCC, "code": DISPENSERS[name]}], "text": words}
        yield {"resourceType": "Organization", "id": f"pharmacy-{name}", "name": words, "type": [kind]}


def _people() -> Iterator[Resource]:
    npi = {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567893"}
    name = {"family": "Example", "given": ["Ana"], "prefix": ["Dr."]}
    yield {"resourceType": "Practitioner", "id": "dr1", "identifier": [npi], "name": [name]}
    yield {
        "resourceType": "PractitionerRole",
        "id": "dr1-role",
        "practitioner": {"reference": "Practitioner/dr1"},
        "organization": {"reference": "Organization/clinic"},
        "specialty": [{"coding": [{"system": codings.NUCC, "code": "207R00000X"}]}],
    }
    yield {"resourceType": "Organization", "id": "clinic", "active": True, "name": "Example Clinic"}
    yield {
        "resourceType": "Organization",
        "id": "payer",
        "identifier": [{"system": "urn:oid:2.16.840.1.113883.6.300", "value": "99999"}],
        "active": True,
        "name": "Meadowlark Health Plan",
    }
