"""What a form is filled from: the payer's own data, the call's resources, and what was kept of the patient's record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app import fhirpath
from app.crd.gather import Kept
from app.fhir import references, security_labels
from app.members import Member
from app.rulebook.prefill import KINDS

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefillData:
    """Everything population looks at. Pure data: no store, no network, and the day is given.

    `subject` is the reference to the patient on the client's server. None of `patient`, `order`, `coverage`,
    `encounter` and `member`: nobody has it. `record` is by kind (`observations`); a kind that is not in it was not
    kept. `related` is what references lead to. `purposes` are codes of CRD's DocReason (`withpa`). `lists` is
    `Rulebook.member_of`.
    """

    now: datetime
    subject: Mapping[str, Any]
    patient: Resource | None = None
    order: Resource | None = None
    coverage: Resource | None = None
    encounter: Resource | None = None
    member: Member | None = None
    record: Mapping[str, Kept] = field(default_factory=dict)
    related: tuple[Resource, ...] = ()
    purposes: tuple[str, ...] = ()
    lists: Callable[[Any, str], bool | None] = lambda value, value_set: None

    def names(self) -> dict[str, Any]:
        """The server's %names. What could not be had is unobtainable, never empty; restricted records are not there."""
        words = "is not among what the service was given for this order"
        return {
            "patient": _shown(self.patient) or fhirpath.Unobtainable(f"the patient {words}"),
            "order": self.order or fhirpath.Unobtainable(f"the order {words}"),
            "coverage": self.coverage or fhirpath.Unobtainable(f"the coverage {words}"),
            "encounter": _shown(self.encounter) or fhirpath.Unobtainable(f"the encounter {words}"),
            "member": _member(self.member),
            **{kind: self._kind(kind) for kind in KINDS},
        }

    def _kind(self, kind: str) -> Any:
        kept = self.record.get(kind)
        if kept is None:
            return fhirpath.Unobtainable(f"the patient's {kind} were not kept for this order")
        resources = [each for each in kept.resources if not security_labels.restricted(each)]
        if kept.problem is None:
            return resources
        reason = kept.problem.removesuffix(".")
        return fhirpath.Incomplete(resources, reason) if resources else fhirpath.Unobtainable(reason)

    def resolve(self, reference: Any) -> Resource | None:
        """What a reference in these data leads to."""
        key = references.local_key(reference)
        every = (self.patient, self.order, self.coverage, self.encounter, *self.related)
        for resource in every if key is not None else ():
            if resource is not None and references.resource_key(resource) == key:
                return _shown(resource)
        return None

    def member_of(self, value: Any, value_set: str) -> bool | None:
        """A code in a list. A reference stands for what it points to; one that leads nowhere is unknown."""
        if isinstance(value, dict) and "coding" not in value and "code" not in value:
            parsed = references.parse(value)
            if parsed is None:
                return None
            found = self._contained(str(parsed.id)) if parsed.kind == "contained" else self.resolve(value)
            return None if found is None else self.lists(found.get("code"), value_set)
        return self.lists(value, value_set)

    def _contained(self, name: str) -> Resource | None:
        """What `#name` stands for. It does not say which resource holds it, so it must be the only one of its id."""
        holders = [self.order or {}, *(each for kept in self.record.values() for each in kept.resources)]
        found = [each for holder in holders for each in holder.get("contained") or () if each.get("id") == name]
        return found[0] if len(found) == 1 else None


def _shown(resource: Resource | None) -> Resource | None:
    return None if resource is None or security_labels.restricted(resource) else resource


def _member(member: Member | None) -> Any:
    """The payer's file of the member. What it does not say is not in it."""
    if member is None:
        return fhirpath.Unobtainable("the member is not on file")
    told = {
        "id": member.member_id,
        "line": member.line,
        "plan": member.plan,
        "group": member.group,
        "state": member.state,
        "birth_date": member.birth_date,
        "flags": dict(member.flags) or None,
    }
    return {name: value for name, value in told.items() if value is not None}
