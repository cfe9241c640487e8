"""The request bodies that the service is asked with in the place of Inferno's preset, and the EHR record behind them.

Three patients of the sample payer: p1 with a commercial plan, p2 with Medicare Advantage (though another plan is on
file), p3 whose coverage has ended.
Of each hook the first body brings its prefetch; the others leave everything to be read from the EHR.
"""

from __future__ import annotations

import copy
import json
import uuid
from typing import Any

from app.settings import ROOT
from tests.ehr_actions import example, order_of

Json = dict[str, Any]

CPT = "http://www.ama-assn.org/go/cpt"
HCPCS = "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
NUCC = "http://nucc.org/provider-taxonomy"
PLACE_OF_SERVICE = "https://www.cms.gov/Medicare/Coding/place-of-service-codes/Place_of_Service_Code_Set"
MEMBERS = {"p1": ("M100006", "1980-05-01"), "p2": ("M100001", "1958-03-14"), "p3": ("M100013", "1983-06-06")}


def _concept(system: str, code: str, text: str) -> Json:
    return {"coding": [{"system": system, "code": code}], "text": text}


def _sampled(kind: str) -> list[Json]:
    """Resources of a type in the prefetch of a sample request."""
    bundled: list[Json] = []
    for value in example("mri")["prefetch"].values():
        if value is not None:
            bundled += [entry["resource"] for entry in value["entry"]] if "entry" in value else [value]
    return [resource for resource in bundled if resource["resourceType"] == kind]


def _belonging_to(patient: str) -> list[Json]:
    """The patient with encounter and coverage."""
    number = patient[1:]
    text = json.dumps([*_sampled("Patient"), *_sampled("Encounter"), *_sampled("Coverage")])
    for letter in "pec":
        text = text.replace(f'"{letter}1"', f'"{letter}{number}"').replace(f'/{letter}1"', f'/{letter}{number}"')
    person, encounter, coverage = json.loads(text)
    member, born = MEMBERS[patient]
    person["birthDate"] = born
    encounter["type"] = [_concept(CPT, "99213", "Office visit")]
    coverage["subscriberId"] = coverage["identifier"][0]["value"] = member
    return [person, encounter, coverage]


def _infusion(name: str, patient: str, code: str, drug: str, **elements: Any) -> Json:
    order = order_of(example("infusion"))
    return {
        **order,
        "id": name,
        "medicationCodeableConcept": _concept(HCPCS, code, drug),
        "subject": {"reference": f"Patient/{patient}"},
        "encounter": {"reference": f"Encounter/e{patient[1:]}"},
        **elements,
    }


def _device(name: str, code: str, text: str) -> Json:
    return {
        "resourceType": "DeviceRequest",
        "id": name,
        "status": "draft",
        "intent": "original-order",
        "codeCodeableConcept": _concept(HCPCS, code, text),
        "subject": {"reference": "Patient/p1"},
        "encounter": {"reference": "Encounter/e1"},
        "authoredOn": "2026-11-20",
        "requester": {"reference": "PractitionerRole/dr1"},
    }


MRI = order_of(example("mri"))
OXYGEN_SET_UP = {**MRI, "id": "oxygen-visit", "code": _concept(HCPCS, "E1390", "Setting up an oxygen concentrator")}
PRESSURE_DEVICE = _device("pap", "E0601", "Continuous airway pressure device")
OXYGEN = _device("oxygen", "E1390", "Oxygen concentrator")
GLUCOSE_MONITOR = _device("monitor", "E2103", "Continuous glucose monitor")
INFLIXIMAB = _infusion("infliximab", "p1", "J1745", "infliximab 5 mg/kg infusion")
RITUXIMAB = _infusion(
    "rituximab",
    "p1",
    "J9312",
    "rituximab 375 mg/m2 infusion",
    reasonCode=[_concept("http://hl7.org/fhir/sid/icd-10-cm", "C83.30", "Diffuse large B-cell lymphoma")],
)
# The drug comes from a specialty pharmacy, which Medicare Part B does not pay.
SENT_BY_PHARMACY = _infusion(
    "sent",
    "p2",
    "J1745",
    "infliximab 5 mg/kg infusion",
    performer={"reference": "PractitionerRole/nurse"},
    dispenseRequest={"performer": {"reference": "Organization/specialty-pharmacy"}},
)
INFUSION_VISIT = {
    **MRI,
    "id": "infusion-visit",
    "code": _concept(HCPCS, "J1745", "Infliximab infusion"),
    "subject": {"reference": "Patient/p2"},
    "encounter": {"reference": "Encounter/e2"},
}
# Drafts still: the profiles of CRD 2.0.1 fix that status even for what is dispatched or booked.
_PLACED = (MRI, OXYGEN, OXYGEN_SET_UP, SENT_BY_PHARMACY, INFUSION_VISIT)


def record() -> list[Json]:
    """Everything the EHR holds."""
    return [
        *(resource for patient in MEMBERS for resource in _belonging_to(patient)),
        *(each for kind in ("PractitionerRole", "Practitioner", "Organization") for each in _sampled(kind)),
        {
            "resourceType": "PractitionerRole",
            "id": "nurse",
            "practitioner": {"reference": "Practitioner/dr1"},
            "location": [{"reference": "Location/office"}],
        },
        {"resourceType": "Location", "id": "office", "type": [_concept(PLACE_OF_SERVICE, "11", "Office")]},
        {
            "resourceType": "Organization",
            "id": "specialty-pharmacy",
            "active": True,
            "name": "Example Specialty Pharmacy",
            "type": [_concept(NUCC, "3336S0011X", "Specialty pharmacy")],
        },
        *_PLACED,
        json.loads((ROOT / "questionnaires" / "diabetes-program" / "questionnaire.json").read_text()),
    ]


def _bundle(kind: str, resources: list[Json]) -> Json:
    entries = [
        {"fullUrl": f"https://ehr.example.org/fhir/{each['resourceType']}/{each['id']}", "resource": each}
        for each in resources
    ]
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


def _prefetch(patient: str, **orders: list[Json]) -> Json:
    person, encounter, coverage = _belonging_to(patient)
    sets = {
        "coverage": [coverage],
        "practitionerRoles": _sampled("PractitionerRole"),
        "practitioners": _sampled("Practitioner"),
        "organizations": _sampled("Organization"),
        **orders,
    }
    found = {key: _bundle("searchset", resources) for key, resources in sets.items()}
    return {"patient": person, "encounter": encounter, **found}


def _moment(patient: str = "p1", **context: Any) -> Json:
    return {"userId": "PractitionerRole/dr1", "patientId": patient, "encounterId": f"e{patient[1:]}", **context}


def _signing(*orders: Json, patient: str = "p1") -> Json:
    return _moment(patient, draftOrders=_bundle("collection", list(orders)))


def _selecting(*orders: Json, patient: str = "p1") -> Json:
    """Drafts of their own: signing does not repeat the cards of a selection, and each hook is judged by itself."""
    drafts = [{**order, "id": f"{order['id']}-selected"} for order in orders]
    keys = [f"{each['resourceType']}/{each['id']}" for each in drafts]
    return {**_signing(*drafts, patient=patient), "selections": keys}


def _booking(*orders: Json, patient: str = "p1") -> Json:
    """A booking of what the orders ask for; without an order, of a visit."""
    based_on = [{"reference": f"ServiceRequest/{order['id']}"} for order in orders]
    appointment = {
        "resourceType": "Appointment",
        "id": "a1",
        "status": "proposed",
        **({"basedOn": based_on} if based_on else {"serviceType": [{"text": "Office visit"}]}),
        "start": "2026-12-01T09:00:00-05:00",
        "end": "2026-12-01T09:30:00-05:00",
        "requestedPeriod": [{"start": "2026-12-01", "end": "2026-12-02"}],
        "participant": [
            {"actor": {"reference": f"Patient/{patient}"}, "status": "accepted"},
            {"actor": {"reference": "PractitionerRole/dr1"}, "status": "accepted"},
        ],
    }
    return _moment(patient, appointments=_bundle("collection", [appointment]))


_MEETING = {"context": _moment(), "prefetch": _prefetch("p1")}
_COVERAGE_ENDED = {"context": _moment("p3")}
_BODIES: dict[str, list[Json]] = {
    "order-sign": [
        {"context": _signing(MRI, INFLIXIMAB, PRESSURE_DEVICE), "prefetch": _prefetch("p1")},
        {"context": _signing(RITUXIMAB, OXYGEN)},
        {"context": _signing(SENT_BY_PHARMACY, patient="p2")},
        {"context": _signing(GLUCOSE_MONITOR)},
    ],
    "order-select": [
        {"context": _selecting(MRI, OXYGEN), "prefetch": _prefetch("p1")},
        {"context": _selecting(RITUXIMAB, INFLIXIMAB)},
        {"context": _selecting(SENT_BY_PHARMACY, patient="p2")},
        {"context": _selecting(GLUCOSE_MONITOR)},
    ],
    "order-dispatch": [
        {
            "context": {"patientId": "p1", "order": "DeviceRequest/oxygen", "performer": "Organization/clinic"},
            "prefetch": _prefetch("p1", deviceRequests=[OXYGEN]),
        },
        {
            "context": {
                "patientId": "p2",
                "order": "MedicationRequest/sent",
                "performer": "PractitionerRole/nurse",
            }
        },
        {
            "context": {
                "patientId": "p1",
                "dispatchedOrders": ["ServiceRequest/sr1", "DeviceRequest/oxygen"],
                "performer": "PractitionerRole/dr1",
            }
        },
    ],
    "appointment-book": [
        {"context": _booking(), "prefetch": _prefetch("p1")},
        {"context": _booking(OXYGEN_SET_UP)},
        {"context": _booking(INFUSION_VISIT, patient="p2")},
    ],
    "encounter-start": [_MEETING, _COVERAGE_ENDED],
    "encounter-discharge": [_MEETING, _COVERAGE_ENDED],
}


def _two_coverages() -> Json:
    """2.0 has each coverage answered; 2.2 has the client choose one."""
    prefetch = _prefetch("p1")
    (first,) = prefetch["coverage"]["entry"]
    prefetch["coverage"]["entry"].append({"resource": {**first["resource"], "id": "c9"}})
    return {"context": _signing(MRI), "prefetch": prefetch}


def bodies(hook: str, *, version: str, fhir_server: str) -> list[Json]:
    """The bodies for a hook, each its own invocation."""
    return [
        {
            "hook": hook,
            "hookInstance": str(uuid.uuid4()),
            "fhirServer": fhir_server,
            "fhirAuthorization": {
                "access_token": "a-token-for-this-call",
                "token_type": "Bearer",
                "expires_in": 300,
                "scope": "patient/*.read user/PractitionerRole.read",
                "subject": "crd-service",
                "patient": body["context"]["patientId"],
            },
            **copy.deepcopy(body),
            "extension": {"davinci-crd.requestedVersion": version},
        }
        for body in [*_BODIES[hook], *([_two_coverages()] if (hook, version) == ("order-sign", "2.0") else [])]
    ]
