"""The data of a form from a Bundle, narrowed as they would be at order time: for cases, and for trying a form out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from app.crd.gather import Kept
from app.crd.snapshot import wanted
from app.dtr.prefill_data import PrefillData, Resource
from app.fhir import bundles, references
from app.members import Member
from app.rulebook.prefill import KINDS, Prefill
from app.rulebook.rulebook import Rulebook

_BARE: Mapping[str, str] = {}


def from_bundle(
    bundle: Mapping[str, Any],
    prefill: Prefill | None,
    rulebook: Rulebook,
    *,
    now: datetime,
    member: Member | None = None,
    partial: Mapping[str, str] = _BARE,
) -> PrefillData:
    """What a form is filled from when the Bundle is all there is. The order is the draft in it.

    `partial`: kinds that could be had only in part, with why.
    """
    every = list(bundles.resources(dict(bundle)))
    order = order_in(bundle)
    patient = _first(every, "Patient")
    drugs = [each for each in every if each["resourceType"] == "Medication"]
    encounter = references.local_key((order or {}).get("encounter"))
    return PrefillData(
        now=now,
        subject={"reference": references.resource_key(patient) or "Patient/unknown"},
        patient=patient,
        order=order,
        coverage=_first(every, "Coverage"),
        encounter=next((each for each in every if references.resource_key(each) == encounter and encounter), None),
        member=member,
        record=dict(_record(every, order, drugs, prefill, rulebook, now, partial)),
        related=tuple(every),
        lists=rulebook.member_of,
    )


def order_in(bundle: Mapping[str, Any]) -> Resource | None:
    """The order that a Bundle is about: the draft in it."""
    return next((each for each in bundles.resources(dict(bundle)) if each.get("status") == "draft"), None)


def _first(every: list[Resource], kind: str) -> Resource | None:
    return next((each for each in every if each["resourceType"] == kind), None)


def _record(
    every: list[Resource],
    order: Resource | None,
    drugs: list[Resource],
    prefill: Prefill | None,
    rulebook: Rulebook,
    now: datetime,
    partial: Mapping[str, str],
) -> Iterator[tuple[str, Kept]]:
    needs = prefill.needs if prefill is not None else ()
    for kind in dict.fromkeys(need.kind for need in needs):
        own = [each for each in every if each["resourceType"] == KINDS[kind] and each is not order]
        narrowed = tuple(
            each
            for each in own
            if any(wanted(each, need, now.date(), drugs, rulebook.member_of) for need in needs if need.kind == kind)
        )
        yield kind, Kept(narrowed, partial.get(kind))
