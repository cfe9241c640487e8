"""An order answered again because a form for it was completed, though no hook fires (davinci-dtr spec-33, spec-43).

It is the call that the order came in, answered by the rules of today: what the EHR sent and said then, the members as
they are, the forms that have come back. The answer is a call of its own in the ledger, and is given again from it as
any other.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog

from app.crd.answering import Answering, Sources
from app.crd.basis import (
    Basis,
    NotedMembers,
    NotedReads,
    Options,
    RememberedReads,
    ids_of,
    noting_earlier,
    noting_forms,
)
from app.crd.coverage_information import Extension
from app.crd.kept_rulebooks import KeptRulebooks
from app.crd.replay import basis_of
from app.crd.respond import SERIALIZERS, Given
from app.crd.returned_forms import ReturnedForms
from app.errors import ReplayError, RequestError
from app.fhir.json import encode
from app.ledger import Call, Ledger, StoredAssertion, StoredInvocation
from app.members.directory import MemberDirectory
from app.rulebook.keeper import RulebookKeeper
from app.rulebook.rulebook import Rulebook

log = structlog.get_logger("signpost.crd")

SERVICE = "next-question"
"""How the ledger names the service of such a call; its hook is that of the call the order came in."""


@dataclass(frozen=True, slots=True)
class Reconsidered:
    """What the order is answered now, and by which rules."""

    given: Given
    rulebook: Rulebook

    def extensions(self, version: str) -> list[Extension]:
        """As coverage-information of a CRD version."""
        return [SERIALIZERS[version](each, self.rulebook) for each in self.given.repetitions]


class Reconsideration:
    """Answers orders again. One for a process."""

    def __init__(
        self,
        options: Options,
        keeper: RulebookKeeper,
        directory: Callable[[Rulebook], MemberDirectory],
        ledger: Ledger,
        returned: ReturnedForms,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._options = options
        self._keeper = keeper
        self._directory = directory
        self._ledger = ledger
        self._returned = returned
        self._rulebooks = KeptRulebooks(ledger)
        self._new_id = new_id

    def of(self, assertion: StoredAssertion, now: datetime) -> Reconsidered | None:
        """The answer for the order of an earlier one, written down. LedgerError when it could not be.

        None when too little of the earlier call is there, or it has nothing to say of the order any more.
        """
        call = self._ledger.invocation(assertion.invocation_id)
        if call is None or call.request is None:
            return None
        started, rulebook, invocation_id = time.monotonic(), self._keeper.current, self._new_id()
        try:
            could_query = basis_of(call).could_query
            basis = Basis(
                options=self._options, could_query=could_query, only=(assertion.order_ref, assertion.coverage_ref)
            )
            reads = NotedReads(RememberedReads(call.fetched)) if could_query else None
            sources = Sources(
                rulebook=rulebook,
                directory=NotedMembers(self._directory(rulebook), basis),
                connect=lambda _: reads,
                earlier=noting_earlier(self._ledger.latest_for_order, basis),
                sift=lambda shown, *_: shown,
                new_id=ids_of(invocation_id),
                returned=noting_forms(self._returned.of, basis),
            )
            made = Answering(call.hook, now.date(), sources, self._options, basis.only)
            body = made.answer(call.request)
        except (ReplayError, RequestError) as error:
            log.error("reconsideration.refused", assertion=assertion.assertion_id, error=str(error)[:200])
            return None
        if not made.given:
            return None
        self._rulebooks.keep(rulebook)
        elapsed = round((time.monotonic() - started) * 1000, 3)
        self._ledger.record(_record(call, call.request, made, basis, reads, body, invocation_id, now, elapsed))
        return Reconsidered(made.given[0], rulebook)


def _record(
    call: StoredInvocation,
    request: bytes,
    made: Answering,
    basis: Basis,
    reads: NotedReads | None,
    body: bytes,
    invocation_id: str,
    now: datetime,
    elapsed: float,
) -> Call:
    """The call as the ledger keeps it. It is the earlier client's: the answer is about that client's order."""
    return Call(
        invocation_id=invocation_id,
        received_at=now,
        answered_in_ms=elapsed,
        service_id=SERVICE,
        hook=call.hook,
        client=call.client,
        fhir_server=call.fhir_server,
        protocol_version=made.version,
        status=200,
        request=request,
        request_size=len(request),
        request_sha256=hashlib.sha256(request).hexdigest(),
        response=body,
        token_use="not-used",  # noqa: S106  # a word of CRD's metric model, not a secret
        rulebook_hash=made.sources.rulebook.hash,
        fetched=reads.kept if reads is not None else None,
        basis=encode(basis),
        timings=made.timings,
        assertions=tuple(made.assertions),
        honoured=tuple(made.honoured),
    )
