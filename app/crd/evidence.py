"""What the conditions of one order are judged on: its facts, the patient's record, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Any

from app import fhirpath
from app.crd.chart import Chart, Resource
from app.crd.facts import OrderFacts
from app.crd.gather import Kept, Record
from app.fhir import references
from app.rulebook.conditions import RECORD, Condition, Finding
from app.rulebook.rulebook import Rulebook


class Evidence:
    """Judges conditions for one order. What could not be read is unobtainable to a condition, never empty."""

    def __init__(
        self,
        facts: OrderFacts,
        record: Record,
        chart: Chart,
        rulebook: Rulebook,
        today: date,
        forms: Sequence[Resource] | None = (),
    ) -> None:
        """`forms` came back for the order; None: it cannot be told which."""
        self._order = facts.order.resource
        self.record = record
        self.chart = chart
        self.today = today
        self.forms = forms
        self._rulebook = rulebook
        self._now = datetime.combine(today, time(), tzinfo=UTC)
        self._variables: dict[str, Any] = {
            "order": facts.order.resource,
            "facts": facts.view,
            "coverage": facts.coverage,
            "patient": facts.patient or fhirpath.Unobtainable("the patient's record could not be read"),
            "encounter": facts.encounter or fhirpath.Unobtainable("the encounter could not be read"),
            "forms": fhirpath.Unobtainable("the forms that came back could not be read")
            if forms is None
            else list(forms),
            **{kind: _record(kind, record.get(kind)) for kind in RECORD},
        }

    def judge(self, condition: Condition | None) -> Finding:
        """What a condition comes to; no condition always holds."""
        if condition is None:
            return Finding(True)
        return condition.judge(self._variables, now=self._now, member_of=self._member_of, resolve=self._resolve)

    def trace(self, condition: Condition) -> fhirpath.Trace:
        """Every step of a condition as `judge` takes it."""
        return condition.trace(self._variables, now=self._now, member_of=self._member_of, resolve=self._resolve)

    def _member_of(self, value: Any, value_set: str) -> bool | None:
        """A code in a list. A reference stands for what it points to; one that leads nowhere is unknown."""
        if isinstance(value, dict) and "coding" not in value and "code" not in value:
            reference = references.parse(value)
            if reference is not None:
                found = self._contained(reference) if reference.kind == "contained" else self._resolve(value)
                return None if found is None else self._in_list(found.get("code"), value_set)
            if "display" in value:
                return None  # a Reference, or a Coding, that says what it means in words only
        return self._in_list(value, value_set)

    def _in_list(self, value: Any, value_set: str) -> bool | None:
        return self.chart.member_of(value, value_set, self._rulebook)

    def _contained(self, reference: references.Reference) -> Resource | None:
        """What a `#id` stands for. It does not say which resource holds it, so it must be the only one of its id."""
        holders = [self._order, *(resource for kept in self.record.values() for resource in kept.resources)]
        found = [inside for holder in holders if (inside := self.chart.resolve(reference.text, holder)) is not None]
        return found[0] if len(found) == 1 else None

    def _resolve(self, reference: Any) -> Resource | None:
        return self.chart.resolve(reference, self._order)


def _record(kind: str, kept: Kept | None) -> Any:
    if kept is None:
        return fhirpath.Unobtainable(f"the patient's {kind} were not read")
    if kept.problem is None:
        return list(kept.resources)
    reason = kept.problem.removesuffix(".")
    return fhirpath.Incomplete(list(kept.resources), reason) if kept.resources else fhirpath.Unobtainable(reason)
