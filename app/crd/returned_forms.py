"""Forms that came back filled in, as rules look at them (`%forms`): kept sealed, read when a rule in play asks.

Nothing came back is a fact the payer knows for certain, so it is an empty list; what cannot be read is unobtainable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog

from app.crd.coverage_information import URL as COVERAGE_INFORMATION
from app.crd.coverage_information import assertion_ids, stated
from app.crd.facts import OrderFacts
from app.crd.same_order import asks_the_same, is_named, is_saved_anew, may_be_same, order_then
from app.encryption import Encryption
from app.errors import EncryptionError, LedgerError
from app.fhir import references
from app.fhir.json import decode, encode
from app.ledger import Ledger, ReturnedForm, StoredAssertion

log = structlog.get_logger("signpost.crd")

Resource = dict[str, Any]
QR_CONTEXT = "http://hl7.org/fhir/us/davinci-dtr/StructureDefinition/qr-context"
Returned = Callable[[OrderFacts], "Sequence[Resource] | None"]
"""What came back for a member's order; None where that cannot be told. Asked only of an order of a known member."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The id a response is kept by; whether it was there `again`, and whether a later one has taken its place."""

    form_id: str
    again: bool
    replaced: bool


class ReturnedForms:
    """Keeps completed responses in the ledger and reads them again."""

    def __init__(self, ledger: Ledger, encryption: Encryption) -> None:
        self._ledger = ledger
        self._encryption = encryption

    def keep(
        self,
        response: Resource,
        counted: list[Resource],
        *,
        form_id: str,
        questionnaire: str,
        assertion: StoredAssertion,
        client: str,
        received_at: datetime,
        sent_as_of: str | None = None,
    ) -> Kept:
        """Keep a response as it came, and `counted`, its items that count.

        One that says what one for the case said, and was authored then, was sent again: it is kept once, and does not
        take the place of later ones. Any other takes the place of those before, which stay in the ledger. `sent_as_of`:
        the client's own word for when it was authored, of one that was dated here; then it is also the last one when
        it says the same as that. LedgerError when it cannot be kept.
        """
        record = ReturnedForm(
            form_id=form_id,
            assertion_id=assertion.assertion_id,
            member_id=assertion.member_id,
            order_ref=assertion.order_ref,
            questionnaire=questionnaire,
            status=str(response["status"]),
            received_at=received_at,
            client=client,
            content=b"",
        )
        content = encode({"received": response, "counted": counted, "sent_as_of": sent_as_of})
        said = _said(decode(content)["received"])
        as_of = response.get("authored") if sent_as_of is None else sent_as_of
        sealed = self._encryption.seal(content, _binding(record))
        before: list[ReturnedForm] = []

        def is_it(known: ReturnedForm, *, last: bool) -> bool:
            try:
                kept = self._content(known)
            except EncryptionError:
                return False  # it cannot be told, so this one is kept
            dated = {kept.get("sent_as_of"), kept["received"].get("authored")}
            return _said(kept["received"]) == said and (as_of in dated or (last and sent_as_of is not None))

        def find_it(kept: Sequence[ReturnedForm]) -> ReturnedForm | None:
            before.extend(kept)
            return next((each for place, each in enumerate(kept) if is_it(each, last=place == 0)), None)

        kept_as = self._ledger.record_returned_form(replace(record, content=sealed), find_it)
        again = kept_as != form_id
        return Kept(kept_as, again, again and kept_as != before[0].form_id)

    def of(self, facts: OrderFacts) -> list[Resource] | None:
        """The newest response to each form of an order, with the items that count and the form's canonical."""
        assert facts.match.member is not None  # asked only then
        try:
            found = self._ledger.forms_of_member(facts.match.member.member_id)
            return [self._read(each) for each in _newest([each for each in found if self._is_about(facts, each)])]
        except (LedgerError, EncryptionError) as error:
            log.error("forms.unreadable", error=str(error))
            return None

    def _is_about(self, facts: OrderFacts, form: ReturnedForm) -> bool:
        """Whether a form was completed for this order; never where another of the same codes may be meant.

        The order has the id of the one that was answered, bears an answer to it, is named by the response, or, while
        that answer holds, is its draft saved anew. One that stands beside that order in the call is another.
        """
        asked = self._ledger.assertion(form.assertion_id)
        if asked is None:
            return form.order_ref == facts.order.key
        if form.order_ref in facts.beside or not may_be_same(facts, asked):
            return False
        if is_named(facts, asked) or self._bears_answer_to(facts, form):
            return True
        if not asks_the_same(facts, asked):
            return False
        if facts.order.key in _context_of(self._content(form)["received"]):
            return True
        call = self._ledger.invocation(asked.invocation_id)
        before, orders_then = order_then(call.request if call is not None else None, asked.order_ref)
        holds = asked.expires_on is None or asked.expires_on >= facts.on
        return holds and before is not None and is_saved_anew(facts, before, orders_then)

    def _bears_answer_to(self, facts: OrderFacts, form: ReturnedForm) -> bool:
        """Whether the order bears a later answer to the order of a form."""
        borne = [self._ledger.assertion(each) for each in sorted(assertion_ids(stated(facts.order.resource)))]
        return (form.member_id, form.order_ref) in {(e.member_id, e.order_ref) for e in borne if e is not None}

    def _read(self, record: ReturnedForm) -> Resource:
        content = self._content(record)
        response = {name: value for name, value in content["received"].items() if name not in ("item", "contained")}
        response["questionnaire"] = record.questionnaire
        return response | ({"item": content["counted"]} if content["counted"] else {})

    def _content(self, record: ReturnedForm) -> dict[str, Any]:
        found: dict[str, Any] = decode(self._encryption.unseal(record.content, _binding(record)))
        return found


def _said(response: Resource) -> Resource:
    """What a client says by a response, whenever: without what its server adds in storing it, and the payer's words."""
    left_out = {"id", "meta", "text", "extension", "authored"}
    listed = response.get("extension")
    extensions = [each for each in listed if _is_clients(each)] if isinstance(listed, list) else []
    return {name: value for name, value in response.items() if name not in left_out} | {"extension": extensions}


def _is_clients(extension: Any) -> bool:
    return not (isinstance(extension, dict) and extension.get("url") == COVERAGE_INFORMATION)


def _context_of(response: Resource) -> frozenset[str]:
    """`Type/id` of what a response says it is about, besides its patient."""
    listed = response.get("extension")
    named = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    keys = [references.local_key(each.get("valueReference")) for each in named if each.get("url") == QR_CONTEXT]
    return frozenset(key for key in keys if key is not None)


def _newest(found: Sequence[ReturnedForm]) -> list[ReturnedForm]:
    """Of each form the newest, whatever its version; `found` is newest first."""
    kept: dict[str, ReturnedForm] = {}
    for each in found:
        kept.setdefault(each.form_url, each)
    return list(kept.values())


def _binding(record: ReturnedForm) -> bytes:
    """Sealed so, a row opens for no other order or member."""
    return "\n".join((record.form_id, record.assertion_id, record.order_ref, record.member_id or "")).encode()
