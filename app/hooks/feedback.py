"""What users did with the cards they were shown, as a CDS client tells it.

Source: CDS Hooks 2.0, "Feedback". Unknown members are ignored, and `null` is taken for absent.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from app.errors import InvalidRequest, PayloadTooLarge
from app.fhir.json import decode
from app.ledger import FeedbackRecord

MAX_ENTRIES = 1000
"""Most entries taken in one call."""

_LONGEST = 1000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# What users write has lines; NUL is the one character that PostgreSQL cannot keep.
_NUL = re.compile("\0")
_LONGEST_COMMENT = 10_000
_OUTCOMES: dict[str, Literal["accepted", "overridden"]] = {"accepted": "accepted", "overridden": "overridden"}


def parse_feedback(
    body: bytes, *, received_at: datetime, client: str, new_id: Callable[[], str]
) -> tuple[FeedbackRecord, ...]:
    """The feedback in one call, in its order.

    InvalidRequest (400) names the element that is not as it must be and quotes nothing; PayloadTooLarge (413) for more
    than MAX_ENTRIES.
    """
    data = decode(body)
    if not isinstance(data, dict):
        raise InvalidRequest("The body is not a JSON object.", code="structure")
    entries = data.get("feedback")
    if not isinstance(entries, list) or not entries:
        raise InvalidRequest("'feedback' is not a list of at least one entry.", element="feedback", code="required")
    if len(entries) > MAX_ENTRIES:
        words = f"feedback has {len(entries)} entries; this service takes at most {MAX_ENTRIES} in one call."
        raise PayloadTooLarge(words, element="feedback", code="too-costly")
    return tuple(
        _entry(_Object(entry, f"feedback[{position}]"), received_at, client, new_id())
        for position, entry in enumerate(entries)
    )


class _Object:
    """A JSON object that knows its place in the body."""

    def __init__(self, value: Any, place: str) -> None:
        if not isinstance(value, dict):
            raise InvalidRequest("This is not an object.", element=place, code="structure")
        self._members = value
        self._place = place

    def wrong(self, name: str, words: str, code: str) -> InvalidRequest:
        """The error of a member."""
        return InvalidRequest(words, element=f"{self._place}.{name}", code=code)

    def text(self, name: str, *, unfit: re.Pattern[str] = _CONTROL, longest: int = _LONGEST) -> str | None:
        """A text; None where it is absent or empty."""
        value = self._members.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            raise self.wrong(name, f"'{name}' is not a text.", "structure")
        if len(value) > longest or unfit.search(value):
            raise self.wrong(name, f"'{name}' is too long or holds control characters.", "value")
        return value

    def needed(self, name: str) -> str:
        """A text that must be there."""
        value = self.text(name)
        if value is None:
            raise self.wrong(name, f"'{name}' is missing.", "required")
        return value

    def inner(self, name: str) -> _Object | None:
        """An object; None where it is absent."""
        value = self._members.get(name)
        return None if value is None else _Object(value, f"{self._place}.{name}")

    def each(self, name: str) -> list[_Object]:
        """The objects of a list; [] where it is absent."""
        value = self._members.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.wrong(name, f"'{name}' is not a list.", "structure")
        return [_Object(item, f"{self._place}.{name}[{position}]") for position, item in enumerate(value)]


def _entry(entry: _Object, received_at: datetime, client: str, feedback_id: str) -> FeedbackRecord:
    outcome = _OUTCOMES.get(entry.needed("outcome"))
    if outcome is None:
        raise entry.wrong("outcome", "The outcome is neither 'accepted' nor 'overridden'.", "value")
    override = entry.inner("overrideReason")
    reason = override.inner("reason") if override else None
    return FeedbackRecord(
        feedback_id=feedback_id,
        card_id=entry.needed("card"),
        outcome=outcome,
        accepted_suggestions=tuple(each.needed("id") for each in entry.each("acceptedSuggestions")),
        override_reason_code=reason.needed("code") if reason else None,
        override_reason_system=reason.text("system") if reason else None,
        override_reason_display=reason.text("display") if reason else None,
        user_comment=override.text("userComment", unfit=_NUL, longest=_LONGEST_COMMENT) if override else None,
        outcome_at=_instant(entry),
        received_at=received_at,
        client=client,
    )


def _instant(entry: _Object) -> datetime:
    """When the user acted; a timestamp without a zone is in UTC, as all are meant to be."""
    stated = entry.needed("outcomeTimestamp")
    try:
        moment = msgspec.convert(stated, datetime)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (msgspec.ValidationError, OverflowError):
        raise entry.wrong("outcomeTimestamp", "The timestamp is no ISO 8601 date and time.", "value") from None
