"""What goes into the ledger and what comes out of it, as plain immutable values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

# The `hook` of questions to the routing API. They are answered without an assertion, and nothing is promised.
ROUTING = "routing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One call of a CDS service: who asked what, when, and how it was answered.

    `client` is the issuer of the client's JWT, or "sandbox". `status` is the HTTP status. `request` is None when
    the body was too large to keep; its size (bytes) and SHA-256 (hex) are kept all the same. `fetched` is JSON of
    what the EHR was asked and said, `basis` of what else the answer rested on (app.crd.basis). `token_use` is "used",
    "not-used" or "rejected" (CRD metric model, tokenUse).
    `answered_in_ms` and the stages in `timings` are milliseconds. `issues` are short codes, never PHI.
    """

    invocation_id: str
    received_at: datetime
    answered_in_ms: float
    service_id: str
    hook: str
    hook_instance: str | None = None
    client: str | None = None
    fhir_server: str | None = None
    protocol_version: str | None = None
    status: int
    request: bytes | None
    request_size: int
    request_sha256: str
    response: bytes
    token_use: str
    rulebook_hash: str | None = None
    fetched: bytes | None = None
    basis: bytes | None = None
    timings: dict[str, float]
    issues: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertionRecord:
    """One determination that leaves the building under a coverage-assertion-id (CRD ext-coverage-information).

    `order_ref` and `coverage_ref` are relative references ("MedicationRequest/123"). `content_hash` is a hash of
    the order's content: the same order asked again gets the same answer. `facts` is JSON of what the rules looked
    at, `answer` JSON of the determination and its trail. `supersedes` is the assertion id this one replaces.
    `told_as` is the id that the client was told it under, when that is the id of an earlier one (davinci-dtr spec-47).
    """

    assertion_id: str
    order_ref: str
    coverage_ref: str
    member_id: str | None = None
    line_of_business: str | None = None
    track: str | None = None
    covered: str
    pa_needed: str | None = None
    content_hash: str
    expires_on: date | None = None
    rule_ids: tuple[str, ...]
    facts: bytes
    answer: bytes
    supersedes: str | None = None
    told_as: str | None = None

    @property
    def told_id(self) -> str:
        """The coverage-assertion-id that the client knows it by."""
        return self.told_as or self.assertion_id


@dataclass(frozen=True, slots=True, kw_only=True)
class CardRecord:
    """One card of a response. `card_id` is its uuid, which feedback names (CDS Hooks 2.0, "Card Attributes").

    `guidance` is the slug of the guidance that made it, `response` the CRD response type, `topic` its code.
    `order_refs` are relative references; `suggestion_ids` the uuid and label of each suggestion, in order.
    """

    card_id: str
    guidance: str
    response: str
    topic: str
    order_refs: tuple[str, ...]
    suggestion_ids: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRecord:
    """What was kept of a patient's record for the forms of one assertion. `content` is sealed before it comes here."""

    assertion_id: str
    taken_at: datetime
    expires_at: datetime
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Invocation):
    """An invocation with the assertions, their snapshots and the cards of its response: written whole or not at all.

    `honoured` are ids of earlier assertions, already in the ledger, that the response gives again.
    """

    assertions: tuple[AssertionRecord, ...] = ()
    cards: tuple[CardRecord, ...] = ()
    honoured: tuple[str, ...] = ()
    snapshots: tuple[SnapshotRecord, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredInvocation(Invocation):
    """An invocation as read back; `received_at` is in UTC. Its assertions: `Ledger.assertions_of`."""

    response_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAssertion(AssertionRecord):
    """An assertion as read back, with the invocation that made it."""

    invocation_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackRecord:
    """What a user did with a card (CDS Hooks 2.0, "Feedback").

    `accepted_suggestions` are uuids of suggestions. `user_comment` is free text that may hold PHI. `client` is as in
    Invocation. `outcome_at` is the client's clock, `received_at` ours.
    """

    feedback_id: str
    card_id: str
    outcome: Literal["accepted", "overridden"]
    accepted_suggestions: tuple[str, ...] = ()
    override_reason_code: str | None = None
    override_reason_system: str | None = None
    override_reason_display: str | None = None
    user_comment: str | None = None
    outcome_at: datetime
    received_at: datetime
    client: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFeedback(FeedbackRecord):
    """Feedback as read back, in UTC. `known` False: the card it names is none of this ledger's."""

    known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackLine:
    """How often the cards of one guidance were shown, and what users did with them; a card counts once.

    `guidance` None: cards that are none of this ledger's, of which nobody knows how many were shown. `reasons` are
    reasons for overriding with their counts, the most frequent first, each by its display or else its code.
    """

    guidance: str | None
    shown: int
    accepted: int
    overridden: int
    ignored: int
    reasons: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RulebookRecord:
    """The exact files of one rulebook version. `files` is opaque to the ledger; `hash` names the content."""

    hash: str
    label: str
    files: bytes
    loaded_at: datetime
