"""The circumstances of an order that the benefit can turn on: route, form, site, who supplies and who performs it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from app.crd.chart import Chart, Resource
from app.crd.order_content import listed
from app.fhir import codings, references
from app.hooks.request import HookRequest
from app.rulebook.codes import Crosswalks, as_code
from benefit_router import MISSING, Code, Signal
from benefit_router.codes import fault_in
from benefit_router.columns import ENCOUNTER_CLASSES

# CMS place-of-service codes where a professional gives a drug, and where the patient lives (CMS POS code set).
_GIVEN_AT = frozenset({"11", "19", "20", "22", "24", "49", "50", "65", "71", "72"})

_POS = re.compile(r"\d{2}", re.ASCII)

_NUCC = re.compile(r"[0-9A-Z]{9}X", re.ASCII)

# NUCC taxonomy of those who dispense. A physician (20), clinic (26) or hospital (27, 28) that dispenses uses its own
# supply; of anybody else, such as another supplier (33), it is not said.
_PHARMACIES = {
    "3336S0011X": "specialty",
    "3336H0001X": "home-infusion",
    "251F00000X": "home-infusion",
    "3336C0003X": "retail",
    "3336C0002X": "retail",
    "3336M0002X": "retail",
    "333600000X": "retail",
}
_PROVIDERS = ("20", "26", "27", "28")
_CLASSES = frozenset(ENCOUNTER_CLASSES) - {"none"}


def route_of(resource: Resource, crosswalks: Crosswalks) -> Signal:
    """The route the dosage states. Two different stated routes leave both possible; an unknown code is no route.

    A route beside one that cannot be made out is not known for certain.
    """
    stated = [dosage["route"] for dosage in listed(resource.get("dosageInstruction")) if _says(dosage, "route")]
    words = [
        {
            crosswalks.routes[code]
            for coding in codings.codings_of(route)
            if (code := as_code(coding)) in crosswalks.routes
        }
        for route in stated
    ]
    found = set().union(*words)
    return Signal.known(found.pop()) if len(found) == 1 and all(words) else Signal.derived(found)


def dose_form_of(medication: Resource | None, crosswalks: Crosswalks) -> Signal:
    """The dose form the Medication states."""
    words = {
        crosswalks.dose_forms[code]
        for coding in codings.codings_of((medication or {}).get("form"))
        if (code := as_code(coding)) in crosswalks.dose_forms
    }
    return Signal.known(words.pop()) if len(words) == 1 else Signal.derived(words)


def agreeing(route: Signal, form: Signal, crosswalks: Crosswalks) -> tuple[Signal, Signal]:
    """A stated route and form. Where no such form is given by that route, neither is known: either may be the slip."""
    routes = frozenset().union(*(crosswalks.routes_of_form.get(word, frozenset()) for word in form.values))
    if not route.values or not routes or not route.values.isdisjoint(routes):
        return route, form
    forms = {word for word, given in crosswalks.routes_of_form.items() if not given.isdisjoint(route.values)}
    return Signal.derived(route.values | routes), Signal.derived(form.values | forms)


def site_of(resource: Resource, chart: Chart) -> Signal:
    """Place of service: stated on the order, or that of the one location its performer works at."""
    stated = [_places_of_service(concept) for concept in listed(resource.get("locationCode"))]
    if any(stated):
        return _of_all(stated)
    places = [chart.resolve(reference, resource) for reference in listed(resource.get("locationReference"))]
    for performer in _resolved(chart, resource, listed(resource.get("performer"))):
        if performer.get("resourceType") == "PractitionerRole":
            places += [chart.resolve(reference, performer) for reference in listed(performer.get("location"))]
    return _of_all(
        {code for concept in listed((place or {}).get("type")) for code in _places_of_service(concept)}
        for place in places
    )


def _places_of_service(concept: Any) -> set[str]:
    return {
        coding.code
        for coding in codings.codings_of(concept)
        if coding.system == codings.PLACE_OF_SERVICE and _POS.fullmatch(coding.code)
    }


def _of_all(said: Iterable[set[str]]) -> Signal:
    """What several elements say: all they name is possible, and nothing is known when one of them cannot be read."""
    each = list(said)
    if not all(each):
        return MISSING
    found = set().union(*each)
    return Signal.known(found.pop()) if len(found) == 1 else Signal.derived(found)


def _says(element: Any, name: str) -> bool:
    return isinstance(element, dict) and element.get(name) is not None


def encounter_of(resource: Resource, request: HookRequest, chart: Chart) -> tuple[Resource | None, Signal]:
    """The encounter and its class; `none` when the order is placed outside any encounter.

    A class in words of the EHR's own is not known: it may mean any of HL7's. The hook's own encounter stands in only
    for an order that names no other.
    """
    reference = resource.get("encounter")
    if reference is None and request.encounter_id is None:
        return None, Signal.known("none")
    encounter = chart.resolve(reference, resource) if reference is not None else None
    if encounter is None and references.local_key(reference) is None and request.encounter_id is not None:
        encounter = chart.get(f"Encounter/{request.encounter_id}")
    coding = codings.coding_of((encounter or {}).get("class"))
    is_known = coding is not None and coding.system in ("", codings.ACT_CODE) and coding.code in _CLASSES
    return encounter, Signal.known(coding.code) if coding is not None and is_known else MISSING


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
    taxonomy = taxonomy_of(organization)
    kinds = {kind for code in taxonomy if (kind := _PHARMACIES.get(code))}
    provides = [code.startswith(_PROVIDERS) for code in taxonomy if code not in _PHARMACIES]
    if not kinds:
        return Signal.known("buy-bill") if provides and all(provides) else MISSING
    if any(provides):  # a provider with a pharmacy: which of the two is meant is not said
        return MISSING
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
    """NUCC taxonomy of the intended performer; not known when that of one of several is not."""
    performers = [chart.resolve(reference, resource) for reference in listed(resource.get("performer"))]
    return _of_all(set(taxonomy_of(performer or {})) for performer in performers)


def taxonomy_of(resource: Resource) -> list[str]:
    """NUCC codes of an organization, a role or a practitioner; not what only stands where one should."""
    concepts = listed(resource.get("type")) + listed(resource.get("specialty")) + listed(resource.get("code"))
    for qualification in listed(resource.get("qualification")):
        concepts.append(qualification.get("code") if isinstance(qualification, dict) else None)
    found = [coding for concept in concepts for coding in codings.codings_of(concept)]
    return [coding.code for coding in found if coding.system == codings.NUCC and _NUCC.fullmatch(coding.code)]


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


def reasons_of(resource: Resource, chart: Chart) -> list[frozenset[Code]]:
    """The codes of each reason the order states, as a concept or as a condition it points to; none for one in words.

    What is no code of its system says nothing, so it refutes nothing.
    """
    found = [codings.codings_of(concept) for concept in listed(resource.get("reasonCode"))]
    for reference in listed(resource.get("reasonReference")):
        condition = chart.resolve(reference, resource) or {}
        found.append(codings.codings_of(condition.get("code")) if condition.get("resourceType") == "Condition" else ())
    return [frozenset(code for code in map(as_code, each) if fault_in(*code) is None) for each in found]


def phase_of(resource: Resource) -> Signal:
    """An order that continues an earlier prescription is maintenance; nothing standard marks an induction."""
    return Signal.derived({"maintenance"}) if resource.get("priorPrescription") else MISSING


def _resolved(chart: Chart, holder: Resource, listed_references: list[Any]) -> Iterator[Resource]:
    for reference in listed_references:
        found = chart.resolve(reference, holder)
        if found is not None:
            yield found
