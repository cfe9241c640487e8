"""The ledger: what was asked, what was answered and by which rules, so that a payer can be held to it."""

from __future__ import annotations

from app.ledger.draft import Draft
from app.ledger.ledger import Ledger
from app.ledger.measured import MeasuredAssertion, MeasuredCall
from app.ledger.publication import Publication, PublicationRecord
from app.ledger.reading import Reading
from app.ledger.records import (
    ROUTING,
    AssertionRecord,
    Call,
    CardRecord,
    FeedbackLine,
    FeedbackRecord,
    Invocation,
    RulebookRecord,
    SnapshotRecord,
    StoredAssertion,
    StoredFeedback,
    StoredInvocation,
)
from app.ledger.returned_form import FormError, ReturnedForm

__all__ = [
    "ROUTING",
    "AssertionRecord",
    "Call",
    "CardRecord",
    "Draft",
    "FeedbackLine",
    "FeedbackRecord",
    "FormError",
    "Invocation",
    "Ledger",
    "MeasuredAssertion",
    "MeasuredCall",
    "Publication",
    "PublicationRecord",
    "Reading",
    "ReturnedForm",
    "RulebookRecord",
    "SnapshotRecord",
    "StoredAssertion",
    "StoredFeedback",
    "StoredInvocation",
]
