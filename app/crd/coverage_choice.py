"""Which Coverage is answered for: the patient's, of this payer, and as a rule only one.

Source: davinci-crd hook-13. A Coverage that no payer stands behind, several of ours where one is wanted, or none at all
is the error of the caller; a Coverage that could not be read is trouble with the EHR and is told in the answer instead.
"""

from __future__ import annotations

from typing import Any

from app.crd.chart import Chart, Resource
from app.crd.order_content import listed
from app.errors import EhrError, InvalidRequest, PrefetchMissing
from app.fhir import dates, references
from app.rulebook.payer import Payer


def choose_coverages(
    chart: Chart, payer: Payer, *, any_payer: bool, could_query: bool, several: bool = False
) -> list[Resource]:
    """The Coverages to answer for, in their own order of relevance; one, unless `several` of ours are answered.

    `any_payer`: the sandbox takes whatever payer a Coverage names.

    Raises InvalidRequest (400), PrefetchMissing (412) or EhrError (told as `technical`).
    """
    found = [coverage for coverage in chart.of_type("Coverage") if _is_of(coverage, chart.patient_id)]
    if not found:
        raise _none_found(chart, could_query)
    for coverage in found:
        _check(coverage)
    # One that is over only matters when there is no other: then the answer is that nothing is in force.
    active = [coverage for coverage in found if coverage.get("status") in (None, "active")] or found
    payers = {id(coverage): _payers(coverage, chart) for coverage in active}
    if all(not listed(coverage.get("payor")) for coverage in active):
        raise InvalidRequest("The Coverage names no payer.", element="Coverage.payor", code="required")
    ours = [coverage for coverage in active if payers[id(coverage)] & payer.identifiers]
    if not ours and any_payer:
        ours = [coverage for coverage in active if listed(coverage.get("payor"))]
    if not ours:
        raise _not_ours(active, chart)
    if len(ours) > 1 and not several:
        raise InvalidRequest(
            f"{len(ours)} active Coverages of this payer were sent; send only the primary one.",
            element="Coverage",
            code="multiple-matches",
        )
    return sorted(ours, key=_rank)


def _rank(coverage: Resource) -> int:
    """Coverage.order, "relative order of the coverage"; one without it comes last."""
    order = coverage.get("order")
    return order if isinstance(order, int) and not isinstance(order, bool) else 1 << 30


def _is_of(coverage: Resource, patient_id: str) -> bool:
    beneficiary = references.parse(coverage.get("beneficiary"))
    return beneficiary is None or beneficiary.kind not in ("relative", "absolute") or beneficiary.id == patient_id


def _check(coverage: Resource) -> None:
    """Dates that are none break core FHIR."""
    period = coverage.get("period")
    for end in ("start", "end"):
        value = period.get(end) if isinstance(period, dict) else None
        if value is not None and dates.first_day(value) is None:
            raise InvalidRequest(f"period.{end} is not a FHIR date.", element=f"Coverage.period.{end}", code="value")


def _payers(coverage: Resource, chart: Chart) -> set[tuple[str, str]]:
    """Identifiers of the payers a Coverage names: on the reference itself, or on the organization it points to."""
    found: set[tuple[str, str]] = set()
    for reference in listed(coverage.get("payor")):
        organization = chart.resolve(reference, coverage)
        stated: list[Any] = [reference.get("identifier")] if isinstance(reference, dict) else []
        stated += listed((organization or {}).get("identifier"))
        for identifier in stated:
            if isinstance(identifier, dict) and isinstance(identifier.get("value"), str):
                found.add((str(identifier.get("system", "")), identifier["value"]))
    return found


def _none_found(chart: Chart, could_query: bool) -> Exception:
    if "Coverage" in chart.trouble:
        return EhrError(f"The patient's coverage could not be read: {chart.trouble['Coverage']}")
    sent = "coverage" in chart.empty or could_query
    if not sent:
        return PrefetchMissing(
            "No Coverage was prefetched, and the call gives no fhirServer with an access token to read one.",
            element="prefetch.coverage",
            code="required",
        )
    return InvalidRequest(
        "The patient has no active Coverage on the EHR.", element="prefetch.coverage", code="not-found"
    )


def _not_ours(active: list[Resource], chart: Chart) -> Exception:
    for coverage in active:
        for reference in listed(coverage.get("payor")):
            key = references.local_key(reference)
            if key is not None and key in chart.trouble:
                return EhrError(f"The payer on the patient's coverage could not be read: {chart.trouble[key]}")
    return InvalidRequest(
        "No Coverage names a payer that this service answers for.", element="Coverage.payor", code="not-found"
    )
