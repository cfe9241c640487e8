"""What a form will need of the patient's record, taken at order time (DTR 2.2, oper-19; CRD 2.2, sec-6).

The EHR lets itself be read only while its hook is answered, so what a form needs is kept then: no more than the
prefill.yaml of the forms that the answer asks for names, sealed, bound to the assertion, its order and its member, and
for a limited time. The token is not part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import structlog

from app.crd.chart import Chart, Resource
from app.crd.determine import Decided
from app.crd.gather import RECORD_PREFETCH, Kept, code_param, named_by, sent
from app.encryption import Encryption
from app.errors import EncryptionError
from app.fhir import dates, references, security_labels
from app.fhir.ehr import Ehr, Search
from app.fhir.json import decode, encode
from app.hooks.request import HookRequest
from app.ledger import AssertionRecord, SnapshotRecord, StoredAssertion
from app.rulebook.prefill import KINDS
from app.rulebook.rulebook import Rulebook
from app.rulebook.scope import Need

log = structlog.get_logger("signpost.crd")

# Kind → the search parameter for its day, and the elements that say it. The others last, and have no day of their own.
_DAY = {
    "medications": ("authoredon", ("authoredOn",)),
    "observations": ("date", ("effectiveDateTime", "effectivePeriod", "effectiveInstant", "issued")),
    "procedures": ("date", ("performedDateTime", "performedPeriod")),
    "encounters": ("date", ("period",)),
    "reports": ("date", ("effectiveDateTime", "effectivePeriod", "issued")),
}
_MORE = {"medications": (("_include", "MedicationRequest:medication"),)}
# Where the codes of a kind stand; `code` for the others.
_CODE = {"medications": "medicationCodeableConcept", "encounters": "type", "devices": "type"}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was kept for the forms of one assertion. None: no form looks at it, or it was not there to be had."""

    forms: tuple[str, ...]
    taken_at: datetime
    patient: Resource | None = None
    order: Resource | None = None
    coverage: Resource | None = None
    encounter: Resource | None = None
    record: Mapping[str, Kept] = field(default_factory=dict)
    related: tuple[Resource, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether all that the forms look at could be read."""
        return all(kept.problem is None for kept in self.record.values())

    def encode(self) -> bytes:
        """As JSON."""
        return encode(self)

    @classmethod
    def decode(cls, content: bytes) -> Snapshot:
        """From `encode`."""
        data: dict[str, Any] = decode(content)
        kept = {kind: Kept(tuple(each["resources"]), each["problem"]) for kind, each in data["record"].items()}
        return cls(
            forms=tuple(data["forms"]),
            taken_at=datetime.fromisoformat(data["taken_at"]),
            record=kept,
            related=tuple(data["related"]),
            **{name: data[name] for name in ("patient", "order", "coverage", "encounter")},
        )


def seal(snapshot: Snapshot, record: AssertionRecord, encryption: Encryption, lifetime: timedelta) -> SnapshotRecord:
    """The ledger's record of a snapshot, which opens only with the assertion it was taken for."""
    return SnapshotRecord(
        assertion_id=record.assertion_id,
        taken_at=snapshot.taken_at,
        expires_at=snapshot.taken_at + lifetime,
        content=encryption.seal(snapshot.encode(), _binding(record)),
    )


def unseal(record: SnapshotRecord, assertion: StoredAssertion, encryption: Encryption) -> Snapshot | None:
    """The snapshot of an assertion; None, and a line in the log, when it does not open."""
    try:
        return Snapshot.decode(encryption.unseal(record.content, _binding(assertion)))
    except EncryptionError as error:
        log.error("snapshot.closed", assertion=assertion.assertion_id, error=str(error))
        return None


def _binding(assertion: AssertionRecord) -> bytes:
    return "\n".join((assertion.assertion_id, assertion.order_ref, assertion.member_id or "")).encode()


def take(
    asked: Sequence[tuple[AssertionRecord, Decided, tuple[str, ...]]],
    *,
    chart: Chart,
    request: HookRequest,
    rulebook: Rulebook,
    ehr: Ehr | None,
    now: datetime,
) -> dict[str, Snapshot]:
    """A snapshot for each assertion that asks for forms with a prefill, by its id.

    `asked`: the assertion, what was decided, and its forms. What is missing is read from the EHR all at once.
    """
    plans = [
        _Plan(record, one, forms, rulebook, chart, request)
        for record, one, forms in asked
        if one.play is not None and any(form in rulebook.prefills for form in forms)
    ]
    today = now.date()
    searches = [search for plan in plans for search in plan.searches(today)] if ehr is not None else []
    fetched = ehr.fetch(list(dict.fromkeys(searches))) if ehr is not None and searches else {}
    return {plan.record.assertion_id: plan.snapshot(fetched, now) for plan in plans}


class _Plan:
    """One assertion: what its forms need, and where each part is to be had."""

    def __init__(
        self,
        record: AssertionRecord,
        one: Decided,
        forms: tuple[str, ...],
        rulebook: Rulebook,
        chart: Chart,
        request: HookRequest,
    ) -> None:
        self.record = record
        self._one = one
        self._forms = tuple(form for form in forms if form in rulebook.prefills)
        self._rulebook = rulebook
        self._chart = chart
        self._request = request
        prefills = [rulebook.prefills[form] for form in self._forms]
        self._names = frozenset[str]().union(*(prefill.names for prefill in prefills))
        self._needs = tuple(dict.fromkeys(need for prefill in prefills for need in prefill.needs))

    def searches(self, today: date) -> list[Search]:
        """What neither the call brought nor the rules have read."""
        return [self._search(need, today) for need in self._needs if self._at_hand(need) is None]

    def _at_hand(self, need: Need) -> Kept | None:
        """What the call brought of a kind, or what was read for the rules, when that is all of it."""
        name = RECORD_PREFETCH.get(need.kind)
        if name is not None and self._request.prefetch.get(name) is not None and name not in self._chart.failed:
            return sent(need.kind, KINDS[need.kind], self._chart, partial=name in self._chart.partial)
        play, evidence = self._one.play, self._one.evidence
        assert play is not None  # checked by take()
        if evidence is not None and {Need(need.kind), Need(need.kind, need.codes)} & set(play.needs):
            read = evidence.record.get(need.kind)
            return read if read is not None and read.problem is None else None
        return None

    def _search(self, need: Need, today: date) -> Search:
        params: tuple[tuple[str, str], ...] = (("patient", self._chart.patient_id), *_MORE.get(need.kind, ()))
        if need.codes is not None and need.kind not in _CODE:
            params += code_param([self._rulebook.lists[need.codes]])
        if need.within_days is not None and need.kind in _DAY:
            params += ((_DAY[need.kind][0], f"ge{_first_day(need, today).isoformat()}"),)
        return Search(KINDS[need.kind], params)

    def snapshot(self, fetched: Mapping[Any, Any], now: datetime) -> Snapshot:
        """What the forms need, and no more."""
        play = self._one.play
        assert play is not None  # checked by take()
        facts = play.facts
        kept: dict[str, list[Kept]] = {}
        drugs: list[Resource] = []
        for need in self._needs:
            whole = self._at_hand(need)
            if whole is None:
                whole = self._read(need, fetched, now.date())
            kind = KINDS[need.kind]
            # What is ordered now is not what there was before.
            own = [
                each
                for each in whole.resources
                if each.get("resourceType") == kind and references.resource_key(each) != facts.order.key
            ]
            if need.kind == "medications":
                drugs += [each for each in whole.resources if each.get("resourceType") == "Medication"]
                drugs += [drug for each in own if (drug := self._drug(each)) is not None]
            narrowed = tuple(each for each in own if wanted(each, need, now.date(), drugs, self._member_of))
            kept.setdefault(need.kind, []).append(Kept(narrowed, whole.problem))
        record = {kind: _together(parts) for kind, parts in kept.items()}
        named = {drug_key(each) for each in record["medications"].resources} if drugs else set()
        related = [drug for drug in drugs if references.resource_key(drug) in named]
        if "order" in self._names:
            related += named_by(self._chart, facts.order.resource)
        return Snapshot(
            forms=self._forms,
            taken_at=now,
            patient=self._if_named("patient", facts.patient),
            order=self._if_named("order", facts.order.resource),
            coverage=self._if_named("coverage", facts.coverage),
            encounter=self._if_named("encounter", facts.encounter),
            record=record,
            related=tuple({references.resource_key(each): each for each in _open(related)}.values()),
        )

    def _read(self, need: Need, fetched: Mapping[Any, Any], today: date) -> Kept:
        result = fetched.get(self._search(need, today))
        if result is None:
            brought = sent(need.kind, KINDS[need.kind], self._chart, partial=True)
            words = f"the patient's {need.kind} could not be read: the call gives no access to the EHR"
            return Kept(brought.resources, words)
        if any(self._chart.of_another(resource) for resource in result.resources):
            return Kept((), "the EHR answered with the record of another patient")
        problem = f"the patient's {need.kind} could not be read: {result.problem}" if result.problem else None
        return Kept(result.resources, problem)

    def _member_of(self, value: Any, value_set: str) -> bool | None:
        return self._chart.member_of(value, value_set, self._rulebook)

    def _drug(self, resource: Resource) -> Resource | None:
        return self._chart.resolve(resource.get("medicationReference"))

    def _if_named(self, name: str, resource: Resource | None) -> Resource | None:
        if resource is None or name not in self._names or security_labels.restricted(resource):
            return None
        return resource


def wanted(
    resource: Resource,
    need: Need,
    today: date,
    drugs: Sequence[Resource],
    member_of: Callable[[Any, str], bool | None],
) -> bool:
    """Whether a resource is one that a need names: by its codes, its day and its security labels.

    `drugs` are the Medications at hand, which most medication requests name theirs by.
    """
    # The codes first: most of a record is about something else.
    if need.codes is not None:
        name = f"list:{need.codes}"
        for concept in _concepts(resource, need, drugs):
            if member_of(concept, name):
                break
        else:
            return False
    if need.within_days is not None and need.kind in _DAY:
        day = _day_of(resource, _DAY[need.kind][1])
        if day is not None and day < _first_day(need, today):
            return False
    return not security_labels.restricted(resource)


def _concepts(resource: Resource, need: Need, drugs: Sequence[Resource]) -> list[Any]:
    stated = resource.get(_CODE.get(need.kind, "code"))
    found = stated if isinstance(stated, list) else [stated]
    if need.kind != "medications":
        return found
    found = list(found)
    key = drug_key(resource)
    if key is not None:
        found += [drug.get("code") for drug in drugs if references.resource_key(drug) == key]
    contained = resource.get("contained")
    for inside in contained if isinstance(contained, list) else ():
        found.append(inside.get("code") if isinstance(inside, dict) else None)
    return found


def drug_key(resource: Resource) -> str | None:
    """The Medication that a request names."""
    return references.local_key(resource.get("medicationReference"))


def _first_day(need: Need, today: date) -> date:
    return today - timedelta(days=need.within_days or 0)


def _day_of(resource: Resource, elements: Iterable[str]) -> date | None:
    """The last day an element speaks of; None where none is said or it cannot be read."""
    for element in elements:
        value = resource.get(element)
        text = (value.get("end") or value.get("start")) if isinstance(value, dict) else value
        if isinstance(text, str) and (read := dates.last_day(text)) is not None:
            return read
    return None


def _together(parts: Sequence[Kept]) -> Kept:
    """One kind from the parts that several needs gave; a problem with one is a problem with the kind."""
    resources = {id(each): each for part in parts for each in part.resources}
    return Kept(tuple(resources.values()), next((part.problem for part in parts if part.problem is not None), None))


def _open(resources: Iterable[Resource]) -> list[Resource]:
    return [each for each in resources if not security_labels.restricted(each)]
