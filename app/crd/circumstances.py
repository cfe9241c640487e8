"""The circumstances of an order that the benefit can turn on: route, form, site, who supplies and who performs it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.crd.chart import Chart, Resource
from app.crd.order_content import listed
from app.fhir import codings, references
from app.hooks.request import HookRequest
from app.rulebook.codes import Crosswalks, as_code
from benefit_router import MISSING, Code, Signal

# CMS place-of-service codes where a professional gives a drug, and where the patient lives (CMS POS code set).
_GIVEN_AT = frozenset({"11", "19", "20", "22", "24", "49", "50", "65", "71", "72"})

# NUCC taxonomy of those who dispense; every other organization that dispenses is a provider's own supply.
_PHARMACIES = {
    "3336S0011X": "specialty",
    "3336H0001X": "home-infusion",
    "251F00000X": "home-infusion",
    "3336C0003X": "retail",
    "3336C0002X": "retail",
    "3336M0002X": "retail",
    "333600000X": "retail",
}


def route_of(resource: Resource, crosswalks: Crosswalks) -> Signal:
    """The route the dosage states. Two different stated routes leave both possible; an unknown code is no route."""
    words = {
        crosswalks.routes[code]
        for dosage in listed(resource.get("dosageInstruction"))
        if isinstance(dosage, dict)
        for coding in codings.codings_of(dosage.get("route"))
        if (code := as_code(coding)) in crosswalks.routes
    }
    if len(words) == 1:
        return Signal.known(words.pop())
    return Signal.derived(words)


def dose_form_of(medication: Resource | None, crosswalks: Crosswalks) -> Signal:
    """The dose form the Medication states."""
    words = {
        crosswalks.dose_forms[code]
        for coding in codings.codings_of((medication or {}).get("form"))
        if (code := as_code(coding)) in crosswalks.dose_forms
    }
    return Signal.known(words.pop()) if len(words) == 1 else Signal.derived(words)


def site_of(resource: Resource, chart: Chart) -> Signal:
    """Place of service: stated on the order, or that of the one location its performer works at."""
    stated = {
        coding.code
        for concept in listed(resource.get("locationCode"))
        for coding in codings.codings_of(concept)
        if coding.system == codings.PLACE_OF_SERVICE
    }
    places = [chart.resolve(reference, resource) for reference in listed(resource.get("locationReference"))]
    for performer in _resolved(chart, resource, listed(resource.get("performer"))):
        if performer.get("resourceType") == "PractitionerRole":
            places += [chart.resolve(reference, performer) for reference in listed(performer.get("location"))]
    if not stated:
        stated = {
            coding.code
            for place in places
            if place is not None
            for concept in listed(place.get("type"))
            for coding in codings.codings_of(concept)
            if coding.system == codings.PLACE_OF_SERVICE
        }
    return Signal.known(stated.pop()) if len(stated) == 1 else Signal.derived(stated)


def encounter_of(resource: Resource, request: HookRequest, chart: Chart) -> tuple[Resource | None, Signal]:
    """The encounter and its class; `none` when the order is placed outside any encounter.

    The hook's own encounter stands in only for an order that names no other.
    """
    reference = resource.get("encounter")
    if reference is None and request.encounter_id is None:
        return None, Signal.known("none")
    encounter = chart.resolve(reference, resource) if reference is not None else None
    if encounter is None and references.local_key(reference) is None and request.encounter_id is not None:
        encounter = chart.get(f"Encounter/{request.encounter_id}")
    coding = codings.coding_of((encounter or {}).get("class"))
    return encounter, Signal.known(coding.code) if coding else MISSING


def supply_channel_of(resource: Resource, site: Signal, chart: Chart) -> Signal:
    """Who supplies the drug, from who dispenses it and where it is given.

    A specialty pharmacy that ships to a clinic is white bagging, a retail pharmacy whose drug the patient carries to a
    clinic is brown bagging. Without a site both readings stay possible.
    """
    dispense = resource.get("dispenseRequest")
    performer = dispense.get("performer") if isinstance(dispense, dict) else None
    if performer is None:
        return MISSING
    organization = chart.resolve(performer, resource)
    if organization is None:
        return MISSING
    kinds = {kind for code in taxonomy_of(organization) if (kind := _PHARMACIES.get(code))}
    if not kinds:
        return Signal.known("buy-bill") if taxonomy_of(organization) else MISSING
    kind = sorted(kinds)[0] if len(kinds) == 1 else ""
    if kind == "home-infusion":
        return Signal.known(kind)
    bagged = {"specialty": "white", "retail": "brown"}.get(kind)
    if bagged is None:
        return MISSING
    if site.values and site.values <= _GIVEN_AT:
        return Signal.known(bagged)
    if site.values and site.values.isdisjoint(_GIVEN_AT):
        return Signal.known(kind)
    return Signal.derived({kind, bagged})


def performer_type_of(resource: Resource, chart: Chart) -> Signal:
    """NUCC taxonomy of the intended performer."""
    found = {
        code
        for performer in _resolved(chart, resource, listed(resource.get("performer")))
        for code in taxonomy_of(performer)
    }
    return Signal.known(found.pop()) if len(found) == 1 else Signal.derived(found)


def taxonomy_of(resource: Resource) -> list[str]:
    """NUCC codes of an organization, a role or a practitioner."""
    concepts = listed(resource.get("type")) + listed(resource.get("specialty")) + listed(resource.get("code"))
    for qualification in listed(resource.get("qualification")):
        concepts.append(qualification.get("code") if isinstance(qualification, dict) else None)
    return [c.code for concept in concepts for c in codings.codings_of(concept) if c.system == codings.NUCC]


def npi_of(reference: Any, resource: Resource, chart: Chart) -> str | None:
    """NPI behind a reference to a practitioner or role."""
    found = chart.resolve(reference, resource)
    if found is not None and found.get("resourceType") == "PractitionerRole":
        found = chart.resolve(found.get("practitioner"), found) or found
    for identifier in listed((found or {}).get("identifier")):
        if isinstance(identifier, dict) and identifier.get("system") == "http://hl7.org/fhir/sid/us-npi":
            value = identifier.get("value")
            return value if isinstance(value, str) else None
    return None


def diagnoses_of(resource: Resource, chart: Chart) -> frozenset[Code] | None:
    """The indications the order states, as reason codes or as conditions it points to; None when it states none."""
    found = {
        as_code(coding) for concept in listed(resource.get("reasonCode")) for coding in codings.codings_of(concept)
    }
    for condition in _resolved(chart, resource, listed(resource.get("reasonReference"))):
        if condition.get("resourceType") == "Condition":
            found |= {as_code(coding) for coding in codings.codings_of(condition.get("code"))}
    return frozenset(found) or None


def phase_of(resource: Resource) -> Signal:
    """An order that continues an earlier prescription is maintenance; nothing standard marks an induction."""
    return Signal.derived({"maintenance"}) if resource.get("priorPrescription") else MISSING


def _resolved(chart: Chart, holder: Resource, listed_references: list[Any]) -> Iterator[Resource]:
    for reference in listed_references:
        found = chart.resolve(reference, holder)
        if found is not None:
            yield found
