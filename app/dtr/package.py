"""One package: a form, its filled draft, and all that a client needs to use it (davinci-dtr, DTR-QPackageBundle)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.crd.snapshot import Snapshot
from app.dtr import extensions
from app.dtr.answer_space import codings_in
from app.dtr.asked import Asked, Wanted
from app.dtr.draft import CONTEXTS, Version
from app.dtr.populate import Populated, populate
from app.dtr.prefill_data import PrefillData
from app.dtr.publish import Publisher, is_adaptive
from app.fhir import dates, outcomes, references
from app.members import Member
from app.rulebook.forms import id_of
from app.rulebook.rulebook import Rulebook

Resource = dict[str, Any]

ASSERTION = "urn:signpost:coverage-assertion-id"
"""System of the identifier by which a response says which answer of CRD's it belongs to."""


@dataclass(frozen=True, slots=True)
class Package:
    """The Bundle, and issues for the outcome beside it."""

    bundle: Resource
    issues: tuple[Resource, ...]


def package(
    wanted: Wanted, asked: Asked, snapshot: Snapshot | None, publisher: Publisher, *, version: Version, now: datetime
) -> Package:
    """The package of one form. Whatever is missing is said and never fails it."""
    form = wanted.questionnaire
    published = publisher.questionnaire(form)
    libraries, lost = publisher.libraries_of(form)
    value_sets, left, unknown = publisher.value_sets_of(form)
    data = prefill_data(wanted, asked, snapshot, now)
    filled = Populated({}, ()) if is_adaptive(form) else filled_form(form, wanted.form, wanted.rulebook, data, version)
    response = _response(wanted, asked, filled, publisher, data, version)
    entries = [
        {"fullUrl": publisher.address("Questionnaire", id_of(form)), "resource": published},
        {"fullUrl": f"urn:uuid:{uuid.uuid4()}", "resource": response},
        *({"fullUrl": publisher.address("Library", each["id"]), "resource": each} for each in libraries),
        *({"fullUrl": publisher.address("ValueSet", each["id"]), "resource": each} for each in value_sets),
    ]
    bundle = {"resourceType": "Bundle", "type": "collection", "timestamp": now.isoformat(), "entry": entries}
    missing = [_over(form, now)] if _is_over(form, now) else []
    missing += [
        outcomes.issue("warning", "not-found", f"The form builds on {each}, which is not there.") for each in lost
    ]
    missing += [
        outcomes.issue("warning", "not-found", f"The value set {each} is not kept here: ask $expand, or elsewhere.")
        for each in unknown
    ]
    missing += [
        outcomes.issue("information", "informational", f"The value set {each} is large: ask $expand for its codes.")
        for each in left
    ]
    return Package(bundle, (*missing, *filled.issues))


def _is_over(form: Mapping[str, Any], now: datetime) -> bool:
    """Whether a form's effectivePeriod has ended (spec-53)."""
    period = form.get("effectivePeriod")
    return isinstance(period, dict) and dates.period_contains(period, now.date()) is False


def _over(form: Mapping[str, Any], now: datetime) -> Resource:
    words = f"The form does not hold on {now.date()}: ask again without naming it, for the one that does."
    return outcomes.issue("warning", "expired", words)


def assertion_of(response: Mapping[str, Any]) -> str | None:
    """The assertion that a response says it belongs to."""
    stated = response.get("identifier")
    if isinstance(stated, dict) and stated.get("system") == ASSERTION and isinstance(stated.get("value"), str):
        return str(stated["value"])
    return None


def filled_form(
    form: Mapping[str, Any], slug: str, rulebook: Rulebook, data: PrefillData, version: Version
) -> Populated:
    """The form with what is known of it filled in."""
    return populate(form, rulebook.prefills.get(slug), data, version, codings_in(rulebook.value_sets))


def prefill_data(wanted: Wanted, asked: Asked, snapshot: Snapshot | None, now: datetime) -> PrefillData:
    """What may go into this form: what the call brought, and what was kept for it when the order was answered."""
    promised = wanted.promised
    kept = snapshot if snapshot is not None and wanted.form in snapshot.forms else None
    order = wanted.orders[0] if wanted.orders else (kept.order if kept else None)
    person = asked.person or (kept.patient if kept else None)
    coverage = asked.coverage or (kept.coverage if kept else None)
    if coverage is None and promised is not None:
        key = promised.assertion.coverage_ref.partition("/")[2]
        coverage = {"resourceType": "Coverage", "id": key} if references.is_id(key) else None
    return PrefillData(
        now=now,
        subject={"reference": asked.patient} if asked.patient else {"display": "The patient of the coverage"},
        patient=person,
        order=order,
        coverage=coverage,
        encounter=kept.encounter if kept else None,
        member=_member(asked, wanted),
        record=kept.record if kept else {},
        related=(*(kept.related if kept else ()), *asked.referenced),
        purposes=wanted.purposes,
        lists=wanted.rulebook.member_of,
    )


def _member(asked: Asked, wanted: Wanted) -> Member | None:
    """The payer's file of the member: for whoever was answered about them before, or knows the person, not the card."""
    known = wanted.promised is not None or (asked.person or {}).get("birthDate") is not None
    return asked.match.member if asked.match is not None and known else None


def _response(
    wanted: Wanted, asked: Asked, filled: Populated, publisher: Publisher, data: PrefillData, version: Version
) -> Resource:
    """The draft response: as it was filled or, of an adaptive form, still without questions."""
    form = wanted.questionnaire
    if is_adaptive(form):
        filled = populate({**form, "item": []}, None, data, version)
    response = filled.response
    if is_adaptive(form):
        contained = publisher.contained(form, [])
        response.pop("item", None)
        response = {
            "resourceType": "QuestionnaireResponse",
            "contained": [contained],
            **{name: value for name, value in response.items() if name != "resourceType"},
            "questionnaire": f"#{contained['id']}",
        }
    also = [
        {"url": extensions.QR_CONTEXT, "valueReference": {"reference": key}}
        for order in wanted.orders[1:]
        if (key := references.resource_key(order)) is not None and order["resourceType"] in CONTEXTS
    ]
    if also:
        response = {**response, "extension": [*response.get("extension", ()), *also]}
    if wanted.promised is not None:
        mark = {"system": ASSERTION, "value": wanted.promised.assertion.told_id}
        response = {**response, "identifier": mark}
    return _ordered(response)


def _ordered(response: Resource) -> Resource:
    first = ("resourceType", "contained", "extension", "identifier", "questionnaire", "_questionnaire")
    return {name: response[name] for name in (*first, *response) if name in response}
