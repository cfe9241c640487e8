"""What was read from an EHR a moment ago: encounter-start and order-select warm it for the order-sign that follows.

Only who and where: patient, encounter, coverage, people, places, drugs. The clinical record is read anew each time,
since a diagnosis entered between two hooks must count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import structlog

from app.errors import InvalidRequest, StateError
from app.fhir.ehr import Ehr, Fetched, Read, Wanted
from app.fhir.json import decode, encode
from app.state import SharedState

log = structlog.get_logger("signpost.crd")

_KEPT = frozenset(
    {
        "Coverage",
        "Device",
        "Encounter",
        "Location",
        "Medication",
        "Organization",
        "Patient",
        "Practitioner",
        "PractitionerRole",
    }
)


class RecentReads(Ehr):
    """An EHR that remembers for `seconds`. `scope` tells clients, servers and patients apart."""

    def __init__(self, ehr: Ehr, state: SharedState, scope: str, seconds: float) -> None:
        self._ehr = ehr
        self._state = state
        self._scope = scope
        self._seconds = seconds

    def fetch(self, wanted: Sequence[Wanted]) -> dict[Wanted, Fetched]:
        """What is remembered from memory, the rest from the EHR at once. Only whole, untroubled answers are kept."""
        found = {item: kept for item in wanted if (kept := self._recall(item)) is not None}
        missing = [item for item in wanted if item not in found]
        if missing:
            for item, fetched in self._ehr.fetch(missing).items():
                found[item] = fetched
                if fetched.complete and fetched.problem is None and item.type in _KEPT:
                    self._remember(item, fetched)
        return found

    def _recall(self, item: Wanted) -> Fetched | None:
        if item.type not in _KEPT:
            return None
        try:
            kept = self._state.get(self._key(item))
            return Fetched(tuple(decode(kept)), complete=True, problem=None) if kept is not None else None
        except (StateError, InvalidRequest) as error:
            log.warning("reads.not_recalled", error=type(error).__name__)
            return None

    def _remember(self, item: Wanted, fetched: Fetched) -> None:
        try:
            self._state.set(self._key(item), encode(list(fetched.resources)), self._seconds)
        except StateError as error:
            log.warning("reads.not_remembered", error=type(error).__name__)

    def _key(self, item: Wanted) -> str:
        said: Any = [self._scope, type(item).__name__, item.type, item.id if isinstance(item, Read) else item.params]
        return "read:" + hashlib.sha256(encode(said)).hexdigest()
