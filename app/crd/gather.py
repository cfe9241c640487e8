"""Reading from the EHR what the call did not bring and a decision may turn on.

Two rounds at most before the policies are known: first what the orders name, then what those resources name. The
reads of a round run in parallel, and one deadline holds for the call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.crd.chart import Chart, Resource
from app.fhir import references
from app.fhir.codings import system_from_short_name
from app.fhir.ehr import Ehr, Read, Search
from app.hooks.request import DraftOrder, HookRequest
from app.rulebook.scope import Need
from benefit_router import CodeList

# Elements of the orders that facts are drawn from, and of the resources they name.
_ORDER_REFERENCES = (
    ("medicationReference",),
    ("codeReference",),
    ("locationReference",),
    ("performer",),
    ("requester",),
    ("orderer",),
    ("prescriber",),
    ("reasonReference",),
    ("encounter",),
    ("dispenseRequest", "performer"),
)
_NEXT_REFERENCES = {
    "PractitionerRole": (("practitioner",), ("organization",), ("location",)),
    "Coverage": (("payor",),),
}

# Most EHRs put the drug of a MedicationRequest in a Medication of its own, which has to come with it.
_RECORD_SEARCHES: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "conditions": ("Condition", ()),
    "medications": (
        "MedicationRequest",
        (("status", "active,on-hold,completed,stopped"), ("_include", "MedicationRequest:medication")),
    ),
    "observations": ("Observation", ()),
    "procedures": ("Procedure", ()),
    "allergies": ("AllergyIntolerance", ()),
}
RECORD_TYPES = {kind: search[0] for kind, search in _RECORD_SEARCHES.items()}
# Prefetch keys under which a client may send a part of the record on its own account; it then need not be read.
RECORD_PREFETCH = {
    "conditions": "conditions",
    "medications": "medicationRequests",
    "observations": "observations",
    "procedures": "procedures",
    "allergies": "allergies",
}


@dataclass(frozen=True, slots=True)
class Kept:
    """One kind of the patient's record as far as it could be had. `problem` None: it is complete."""

    resources: tuple[Resource, ...]
    problem: str | None = None


Record = Mapping[str, Kept]


def gather(chart: Chart, request: HookRequest, orders: Sequence[DraftOrder], ehr: Ehr | None) -> None:
    """Read what is missing of patient, encounter, coverage and of everything the orders name."""
    if ehr is None:
        return
    wanted: dict[str, Read | Search] = {}
    if chart.patient is None:
        wanted[f"Patient/{chart.patient_id}"] = Read("Patient", chart.patient_id)
    if request.encounter_id is not None and f"Encounter/{request.encounter_id}" not in chart:
        wanted[f"Encounter/{request.encounter_id}"] = Read("Encounter", request.encounter_id)
    if not chart.of_type("Coverage"):
        wanted["Coverage"] = Search("Coverage", (("patient", chart.patient_id), ("status", "active")))
    for order in orders:
        wanted |= _missing(chart, order.resource, _ORDER_REFERENCES, request.fhir_server)
    _read(chart, wanted, ehr)
    wanted = {}
    for kind, paths in _NEXT_REFERENCES.items():
        for resource in chart.of_type(kind):
            wanted |= _missing(chart, resource, paths, request.fhir_server)
    _read(chart, wanted, ehr)


def gather_record(
    chart: Chart, needs: Iterable[Need], lists: Mapping[str, CodeList], ehr: Ehr | None, prefetch: Mapping[str, Any]
) -> dict[str, Kept]:
    """The kinds of record that the rules in play need. What cannot be had is there with its problem, never as empty."""
    codes_of: dict[str, set[str] | None] = {}
    for need in needs:
        names = codes_of.setdefault(need.kind, set())
        if need.codes is None or names is None:
            codes_of[need.kind] = None  # one rule needs all of it
        else:
            names.add(need.codes)
    record: dict[str, Kept] = {}
    searches: dict[str, Search] = {}
    for kind, names in codes_of.items():
        name = RECORD_PREFETCH[kind]
        if prefetch.get(name) is not None and name not in chart.failed:
            record[kind] = sent(kind, RECORD_TYPES[kind], chart, partial=name in chart.partial)
        elif ehr is None:
            record[kind] = Kept((), f"the patient's {kind} could not be read: the call gives no access to the EHR")
        else:
            searches[kind] = _search(kind, chart.patient_id, names, lists)
    if searches and ehr is not None:
        fetched = ehr.fetch(list(searches.values()))
        for kind, search in searches.items():
            chart.add_fetched(kind, fetched[search])
            problem = chart.trouble.get(kind)
            matches = [r for r in fetched[search].resources if r.get("resourceType") == RECORD_TYPES[kind]]
            record[kind] = Kept(
                () if problem and "another patient" in problem else tuple(matches),
                f"the patient's {kind} could not be read: {problem}" if problem else None,
            )
    return record


def sent(kind: str, resource_type: str, chart: Chart, *, partial: bool) -> Kept:
    """What the client sent of the record on its own account; drafts and other patients' records are no part of it."""
    problem = f"the patient's {kind} were sent only in part" if partial else None
    return Kept(chart.record_of(resource_type), problem)


def _search(kind: str, patient_id: str, names: set[str] | None, lists: Mapping[str, CodeList]) -> Search:
    resource_type, params = _RECORD_SEARCHES[kind]
    wanted: tuple[tuple[str, str], ...] = (("patient", patient_id), *params)
    # `code` finds no MedicationRequest that names its drug by reference, so those are read whole.
    if names and kind != "medications":
        wanted += code_param([lists[name] for name in sorted(names)])
    return Search(resource_type, wanted)


def code_param(lists: Sequence[CodeList]) -> tuple[tuple[str, str], ...]:
    """The `code` of a search for what is in these lists; none when one lists prefixes, which no search knows."""
    if any(each.prefixes for each in lists):
        return ()
    codes = [code for each in lists for code in each.exact]
    return (("code", ",".join(sorted(f"{system_from_short_name(system) or system}|{code}" for system, code in codes))),)


def named_by(chart: Chart, resource: Resource) -> list[Resource]:
    """What an order's own elements refer to, and what those do in turn, as far as the chart has it."""
    found: dict[int, Resource] = {}
    waiting: list[tuple[Resource, tuple[tuple[str, ...], ...]]] = [(resource, _ORDER_REFERENCES)]
    for holder, paths in waiting:
        for path in paths:
            for reference in _references(holder, path):
                target = chart.resolve(reference, holder)
                if target is not None and id(target) not in found:
                    found[id(target)] = target
                    waiting.append((target, _NEXT_REFERENCES.get(str(target.get("resourceType")), ())))
    return list(found.values())


def _missing(
    chart: Chart, resource: Resource, paths: Iterable[tuple[str, ...]], server: str | None
) -> dict[str, Read | Search]:
    found: dict[str, Read | Search] = {}
    for path in paths:
        for reference in _references(resource, path):
            parsed = references.parse(reference)
            if parsed is None or parsed.kind not in ("relative", "absolute") or chart.resolve(reference, resource):
                continue
            if parsed.kind == "absolute" and not _same_base(parsed.base, server):
                continue  # the token is for this EHR only
            key = references.local_key(parsed)
            if key is not None and parsed.type is not None and parsed.id is not None:
                found[key] = Read(parsed.type, parsed.id)
    return found


def _references(resource: Resource, path: tuple[str, ...]) -> Iterator[Any]:
    value: Any = resource
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    yield from value if isinstance(value, list) else (value,)


def _same_base(base: str | None, server: str | None) -> bool:
    return base is not None and server is not None and base.rstrip("/") == server.rstrip("/")


def _read(chart: Chart, wanted: Mapping[str, Read | Search], ehr: Ehr) -> None:
    if not wanted:
        return
    fetched = ehr.fetch(list(wanted.values()))
    for key, item in wanted.items():
        chart.add_fetched(key, fetched[item])
