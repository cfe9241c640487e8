"""Every resource of one hook call, by reference, each knowing where it came from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from app.errors import InvalidRequest
from app.fhir import bundles, references
from app.fhir.ehr import Fetched
from app.hooks.request import HookRequest
from app.rulebook.codes import codes_of
from app.rulebook.rulebook import Rulebook
from benefit_router import Code

Origin = Literal["context", "prefetch", "query"]
Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """A resource and its origin."""

    resource: Resource
    origin: Origin


class Chart:
    """The resources of one call. What stands in the context goes before prefetch, and that before what was read."""

    def __init__(self, patient_id: str) -> None:
        self.patient_id = patient_id
        # Why something could not be had, by the key or kind that was wanted, in words for a clinician.
        self.trouble: dict[str, str] = {}
        # Prefetch keys the client filled with null: it looked and found nothing.
        self.empty: set[str] = set()
        # Prefetch keys the client could not run, and those it could run only in part.
        self.failed: set[str] = set()
        self.partial: set[str] = set()
        self._entries: dict[str, Entry] = {}
        self._by_type: dict[str, list[Resource]] = {}
        self._by_url: dict[str, str] = {}
        # What `record_of` and `member_of` found: several rules and forms look at the same of the record.
        self._records: dict[str, tuple[Resource, ...]] = {}
        self._codes: dict[int, tuple[Any, tuple[Code, ...]]] = {}
        self._rulebook: Rulebook | None = None
        self._members: dict[tuple[int, str], tuple[Any, bool | None]] = {}

    @classmethod
    def from_request(cls, request: HookRequest) -> Chart:
        """The chart as the call brings it: draft orders, then prefetch (resource, Bundle, null, OperationOutcome)."""
        chart = cls(request.patient_id)
        for order in request.orders:
            chart.add(order.resource, "context", order.full_url)
        for name in ("draftOrders", "appointments"):
            for entry in bundles.entries(request.context.get(name)):
                chart.add(entry.resource, "context", entry.full_url)
        for name, value in request.prefetch.items():
            chart._add_prefetch(name, value)
        return chart

    def _add_prefetch(self, name: str, value: Any) -> None:
        if value is None:
            self.empty.add(name)
        elif not isinstance(value, dict) or not references.is_type(value.get("resourceType")):
            raise InvalidRequest(
                "The prefetched value is not a FHIR resource.", element=f"prefetch.{name}", code="structure"
            )
        elif value["resourceType"] == "OperationOutcome":
            self.failed.add(name)
        elif bundles.is_bundle(value):
            sent = bundles.entries(value)
            for full_url, resource in sent:
                self.add(resource, "prefetch", full_url)
            troubled = bundles.has_issues(value)
            if not sent:
                (self.failed if troubled else self.empty).add(name)
            elif troubled or bundles.next_link(value) is not None:
                self.partial.add(name)
        else:
            if value["resourceType"] == "Patient" and value.get("id") != self.patient_id:
                raise InvalidRequest(
                    "The prefetched Patient is not the patient of the hook.",
                    element=f"prefetch.{name}.id",
                    code="value",
                )
            self.add(value, "prefetch")

    def add(self, resource: Resource, origin: Origin, full_url: str | None = None) -> None:
        """Take a resource in. One already there under the same key stays."""
        key = references.resource_key(resource)
        if key is None and full_url is not None:
            key = f"{resource.get('resourceType')}?{full_url}"  # a prefetched resource known only by its URL
        if key is None:
            return
        if key not in self._entries:
            self._entries[key] = Entry(resource, origin)
            self._by_type.setdefault(str(resource.get("resourceType")), []).append(resource)
            self._records.clear()
        if full_url is not None:
            self._by_url.setdefault(full_url.lower() if full_url.startswith("urn:") else full_url, key)

    def add_fetched(self, wanted: str, fetched: Fetched) -> None:
        """Take in what the EHR gave. A record of another patient is trouble, and is not looked at."""
        for resource in fetched.resources:
            if self.of_another(resource):
                self.trouble[wanted] = "The EHR answered with the record of another patient."
                return
            self.add(resource, "query")
        if fetched.problem is not None:
            self.trouble[wanted] = fetched.problem

    def get(self, key: str) -> Resource | None:
        """The resource `Type/id`."""
        entry = self._entries.get(key)
        return entry.resource if entry else None

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    @property
    def patient(self) -> Resource | None:
        """The patient of the hook."""
        return self.get(f"Patient/{self.patient_id}")

    def of_type(self, kind: str) -> list[Resource]:
        """Every resource of a type, in the order it came."""
        return list(self._by_type.get(kind, ()))

    def record_of(self, kind: str) -> tuple[Resource, ...]:
        """Every resource of a type that is part of the patient's record: no draft, and no other patient's."""
        found = self._records.get(kind)
        if found is None:
            drafts = {id(entry.resource) for entry in self._entries.values() if entry.origin == "context"}
            of_kind = self._by_type.get(kind, ())
            found = tuple(each for each in of_kind if id(each) not in drafts and not self.of_another(each))
            self._records[kind] = found
        return found

    def of_another(self, resource: Resource) -> bool:
        """Whether a resource says that it is about another patient than the hook's."""
        patient = references.patient_of(resource)
        return patient is not None and patient.kind in ("relative", "absolute") and patient.id != self.patient_id

    def member_of(self, value: Any, value_set: str, rulebook: Rulebook) -> bool | None:
        """Whether a code, Coding or CodeableConcept is in a list of the rulebook; None where that cannot be told."""
        if rulebook is not self._rulebook:
            self._rulebook = rulebook
            self._members.clear()
        asked = (id(value), value_set)
        kept = self._members.get(asked)
        if kept is None:  # the value is held, so that its id stays its own
            kept = self._members[asked] = (value, rulebook.member_of(value, value_set, self._codes_of))
        return kept[1]

    def _codes_of(self, value: Any) -> tuple[Code, ...]:
        """The codes of a Coding or CodeableConcept of this call's resources, read once."""
        kept = self._codes.get(id(value))
        if kept is None:
            kept = self._codes[id(value)] = (value, codes_of(value))  # held, so that its id stays its own
        return kept[1]

    def from_query(self) -> Iterator[Resource]:
        """What was read from the EHR during this call."""
        return (entry.resource for entry in self._entries.values() if entry.origin == "query")

    def resolve(self, reference: Any, holder: Resource | None = None) -> Resource | None:
        """The resource a reference points to: contained in `holder`, by URL, or by type and id whatever the base."""
        parsed = references.parse(reference)
        if parsed is None:
            return None
        if parsed.kind == "contained":
            contained = (holder or {}).get("contained")
            for resource in contained if isinstance(contained, list) else ():
                if isinstance(resource, dict) and resource.get("id") == parsed.id:
                    return resource
            return None
        for url in (parsed.text, parsed.id):
            key = self._by_url.get(url or "")
            if key is not None:
                return self.get(key)
        key = references.local_key(parsed)
        return self.get(key) if key else None
