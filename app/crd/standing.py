"""What the payer already promised for this order: an answer that stands is given again, not made anew.

Source: davinci-crd found-11 (guidance is honoured), resp-36 (the previous decision is taken into account).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeAlias

import msgspec

from app.crd.coverage_information import URL
from app.crd.determination import Determination
from app.crd.facts import OrderFacts
from app.fhir.json import encode
from app.ledger import StoredAssertion
from app.rulebook.rulebook import Rulebook

Earlier: TypeAlias = Callable[[str, str, str], StoredAssertion | None]
"""The newest assertion by member id, order reference and coverage reference: `Ledger.latest_for_order`."""

_OPEN = frozenset({"conditional", "indeterminate"})


@dataclass(frozen=True, slots=True)
class Promise:
    """The determination to give, and under which assertion. `standing`: it was given before and still holds.

    `told_as` is the id to tell it under, None for a new one.
    """

    determination: Determination
    assertion_id: str | None = None
    given_on: date | None = None
    supersedes: str | None = None
    told_as: str | None = None

    @property
    def standing(self) -> bool:
        """Whether this is an earlier answer given again."""
        return self.assertion_id is not None


class KeptAnswer(msgspec.Struct):
    """A determination as the ledger keeps it, by which rulebook, and the day it was first given."""

    determination: Determination
    rulebook: str | None = None
    given_on: date | None = None


_decoder = msgspec.json.Decoder(KeptAnswer)


def promise(
    facts: OrderFacts | None,
    fresh: Determination,
    earlier: Earlier,
    rulebook: Rulebook,
    today: date,
    *,
    keeps_id: bool = False,
) -> Promise:
    """The standing answer when member, order content and rulebook are the same and nothing new is known; else `fresh`.

    An answer that was definite stands when the data behind it merely cannot be read now. A new answer names the one it
    takes the place of, and with `keeps_id` is told under the same id.
    """
    if facts is None or facts.match.member is None or not facts.match.member.member_id:
        return Promise(fresh)
    found = earlier(facts.match.member.member_id, facts.order.key, f"Coverage/{facts.coverage.get('id')}")
    if found is None:
        return Promise(fresh)
    anew = Promise(fresh, supersedes=found.assertion_id, told_as=found.told_id if keeps_id else None)
    if found.content_hash != content_hash(facts.order.resource) or (found.expires_on or today) < today:
        return anew
    kept = kept_answer(found)
    if kept is None or kept.rulebook != rulebook.label:
        return anew
    if kept.determination.answers != fresh.answers and not (_unread(fresh) and _definite(kept.determination)):
        return anew
    return Promise(kept.determination, found.assertion_id, kept.given_on, told_as=found.told_id)


def content_hash(order: dict[str, Any]) -> str:
    """SHA-256 of what an order says, without what the payer wrote on it and what only describes it."""
    said = {name: value for name, value in order.items() if name not in ("meta", "text", "extension")}
    extensions = order.get("extension")
    others = (
        [e for e in extensions if not (isinstance(e, dict) and e.get("url") == URL)]
        if isinstance(extensions, list)
        else []
    )
    return hashlib.sha256(encode([said, others])).hexdigest()


def kept_answer(found: StoredAssertion) -> KeptAnswer | None:
    """The determination as it was kept; None when an older version of the program wrote it otherwise."""
    try:
        return _decoder.decode(found.answer)
    except msgspec.MsgspecError:
        return None


def _unread(determination: Determination) -> bool:
    """Whether something could not be established this time."""
    technical = any(reason.code == "technical" for answer in determination.answers for reason in answer.reasons)
    return technical or any(tried.held is None for tried in determination.tried)


def _definite(determination: Determination) -> bool:
    return all(not _OPEN & {answer.covered, answer.pa_needed} for answer in determination.answers)
