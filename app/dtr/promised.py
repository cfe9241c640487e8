"""What was promised under a coverage-assertion-id: the way from an order's answer to its forms.

An assertion lives in the ledger, so it is found by any worker and after any restart. It is of use only to the client
that it was given to, or to one that the registry says may act for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import structlog

from app.clients import Client
from app.crd.determination import Determination
from app.crd.replay import stored_rulebook
from app.crd.standing import kept_answer
from app.errors import InvalidRequest, ReplayError, UnprocessableRequest
from app.fhir import references
from app.fhir.json import decode
from app.ledger import Ledger, StoredAssertion, StoredInvocation
from app.rulebook.answer import Answer
from app.rulebook.rulebook import Rulebook

log = structlog.get_logger("signpost.dtr")

_UNKNOWN = "No coverage-assertion-id of yours is the context."


@dataclass(frozen=True, slots=True)
class Promised:
    """An assertion with what it said, under the rulebook of then. `patient` is `Patient/id` on the client's server.

    `before` are those that were told under the same id before it, newest first: a completed form may change the answer.
    """

    assertion: StoredAssertion
    determination: Determination
    rulebook: Rulebook
    patient: str | None
    before: tuple[Promised, ...] = ()

    @property
    def every(self) -> tuple[Promised, ...]:
        """All that was told under the id, newest first."""
        return (self, *self.before)

    @property
    def first(self) -> StoredAssertion:
        """The assertion that the id is of."""
        return self.every[-1].assertion

    @property
    def answers(self) -> tuple[Answer, ...]:
        """The answers given."""
        return self.determination.answers

    @property
    def forms(self) -> tuple[str, ...]:
        """The folders of the forms it asked for."""
        return tuple(dict.fromkeys(form for answer in self.answers for form in answer.questionnaires))

    @property
    def purposes(self) -> tuple[str, ...]:
        """What the documents are for, as codes of CRD's DocReason."""
        return tuple(dict.fromkeys(code for answer in self.answers for code in answer.doc_purpose))


class Promises:
    """Finds assertions. Past rulebooks are kept a while: one is built from its texts in some tenths of a second."""

    def __init__(self, ledger: Ledger, current: Callable[[], Rulebook]) -> None:
        self._ledger = ledger
        self._current = current
        self._past = lru_cache(maxsize=4)(lambda rulebook_hash: stored_rulebook(ledger, rulebook_hash))

    def find(self, assertion_id: str, client: Client | None, *, element: str | None = None) -> Promised:
        """What was told last under an id. UnprocessableRequest.

        In the same words whether there is none or it is not for this client.
        """
        found: Promised | None = None
        for assertion in self._ledger.told_under(assertion_id) if 0 < len(assertion_id) <= 200 else ():
            call = self._ledger.invocation(assertion.invocation_id)
            if call is None:
                break
            if client is not None and not client.may_use_answers_to(call.client or ""):
                log.warning("dtr.foreign_context", client=client.iss, assertion=assertion.assertion_id)
                break
            kept = kept_answer(assertion)
            if kept is None:
                raise UnprocessableRequest(
                    "The context is an answer of an older version of the service; sign the order again.",
                    element=element,
                    code="processing",
                )
            before = found.every if found is not None else ()
            found = Promised(assertion, kept.determination, self._rulebook(call), _patient(call), before)
        if found is None:
            raise UnprocessableRequest(_UNKNOWN, element=element, code="not-found")
        return found

    def _rulebook(self, call: StoredInvocation) -> Rulebook:
        """The rulebook of then; the current one where it cannot be had any more."""
        current = self._current()
        if call.rulebook_hash in (None, current.hash):
            return current
        try:
            return self._past(call.rulebook_hash)
        except ReplayError as error:
            log.error("dtr.rulebook_gone", rulebook=call.rulebook_hash, error=str(error)[:200])
            return current


def _patient(call: StoredInvocation) -> str | None:
    try:
        request = decode(call.request) if call.request is not None else None
    except InvalidRequest:
        return None
    context = request.get("context") if isinstance(request, dict) else None
    found = context.get("patientId") if isinstance(context, dict) else None
    return f"Patient/{found}" if references.is_id(found) else None
