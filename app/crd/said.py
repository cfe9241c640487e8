"""Cards that a clinician was shown a moment ago, so that signing an order does not repeat what selecting it said."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import date

import structlog

from app.crd.cards import Shown, build_card
from app.crd.standing import content_hash
from app.errors import StateError
from app.fhir.json import encode
from app.hooks.request import HookRequest
from app.rulebook.rulebook import Rulebook
from app.state import SharedState

log = structlog.get_logger("signpost.crd")


class SaidCards:
    """Digests of the cards of the last `seconds`, seen by every worker. Losing one only repeats a card."""

    def __init__(self, state: SharedState, seconds: float) -> None:
        self._state = state
        self._seconds = seconds

    def sift(
        self, shown: list[Shown], request: HookRequest, rulebook: Rulebook, *, client: str, version: str, today: date
    ) -> tuple[list[Shown], list[str]]:
        """The cards to give, and digests of those to `remember` once they have left.

        Cards of order-select are remembered, and order-sign leaves them out while they say the same of the same orders.
        """
        if request.hook not in ("order-select", "order-sign"):
            return shown, []
        digests = [_digest(each, request, rulebook, client, version, today) for each in shown]
        if request.hook == "order-select":
            return shown, digests
        return [each for each, digest in zip(shown, digests, strict=True) if not self._is_said(digest)], []

    def remember(self, digests: Iterable[str]) -> None:
        """Cards that have left."""
        try:
            for digest in digests:
                self._state.set(digest, b"", self._seconds)
        except StateError as error:
            log.warning("cards.not_remembered", error=str(error))

    def _is_said(self, digest: str) -> bool:
        try:
            return self._state.get(digest) is not None
        except StateError as error:
            log.warning("cards.not_recalled", error=str(error))
            return False


def _digest(each: Shown, request: HookRequest, rulebook: Rulebook, client: str, version: str, today: date) -> str:
    """What makes two cards the same: all they say but their ids, to the same client, on the same orders and patient."""
    card = build_card(each, rulebook, version=version, several_orders=False, today=today, new_id=lambda: "")
    orders = [content_hash(facts.order.resource) for facts in each.orders]
    whose = [client, request.fhir_server, request.patient_id]
    return f"card:{hashlib.sha256(encode([whose, orders, each.guidance.scope.slug, card])).hexdigest()}"
