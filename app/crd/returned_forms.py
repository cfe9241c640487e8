"""Forms that came back filled in, as rules look at them (`%forms`): kept sealed, read when a rule in play asks.

Nothing came back is a fact the payer knows for certain, so it is an empty list; what cannot be read is unobtainable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog

from app.crd.coverage_information import URL as COVERAGE_INFORMATION
from app.crd.facts import OrderFacts
from app.crd.same_order import is_named, is_same
from app.encryption import Encryption
from app.errors import EncryptionError, LedgerError
from app.fhir.json import decode, encode
from app.ledger import Ledger, ReturnedForm, StoredAssertion

log = structlog.get_logger("signpost.crd")

Resource = dict[str, Any]
Returned = Callable[[OrderFacts], "Sequence[Resource] | None"]
"""What came back for a member's order; None where that cannot be told. Asked only of an order of a known member."""


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
        dated_here: bool = False,
    ) -> str:
        """Keep a response as it came, and `counted`, its items that count; the id it is kept by.

        One that says what the last for the case said was sent twice, and is kept once; any other takes the place of
        those before, which stay in the ledger. `dated_here`: when it was authored is our word, not the client's.
        LedgerError when it cannot be kept.
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
        content = encode({"received": response, "counted": counted})
        said = _said(decode(content)["received"], dated_here)
        sealed = self._encryption.seal(content, _binding(record))

        def is_it(last: ReturnedForm) -> bool:
            try:
                return _said(self._content(last)["received"], dated_here) == said
            except EncryptionError:
                return False  # it cannot be told, so this one is kept

        return self._ledger.record_returned_form(replace(record, content=sealed), is_it)

    def of(self, facts: OrderFacts) -> list[Resource] | None:
        """The newest response to each form of an order, with the items that count and the form's canonical.

        What came back before the EHR gave the order another id counts until the answer that asked for it lapses.
        """
        assert facts.match.member is not None  # asked only then
        try:
            found = self._ledger.forms_of_member(facts.match.member.member_id)
            about = {each.assertion_id for each in found}
            asked = {each: self._ledger.assertion(each) for each in sorted(about)}
            counted = [each for each in found if _is_about(facts, each, asked[each.assertion_id])]
            return [self._read(each) for each in _newest(counted)]
        except (LedgerError, EncryptionError) as error:
            log.error("forms.unreadable", error=str(error))
            return None

    def _read(self, record: ReturnedForm) -> Resource:
        content = self._content(record)
        response = {name: value for name, value in content["received"].items() if name not in ("item", "contained")}
        response["questionnaire"] = record.questionnaire
        return response | ({"item": content["counted"]} if content["counted"] else {})

    def _content(self, record: ReturnedForm) -> dict[str, Any]:
        found: dict[str, Any] = decode(self._encryption.unseal(record.content, _binding(record)))
        return found


def _said(response: Resource, dated_here: bool) -> Resource:
    """What a client says by a response: without what its server adds in storing it, and without the payer's words."""
    left_out = {"id", "meta", "text", "extension", *(("authored",) if dated_here else ())}
    stated = response.get("extension")
    extensions = [each for each in stated if _is_clients(each)] if isinstance(stated, list) else []
    return {name: value for name, value in response.items() if name not in left_out} | {"extension": extensions}


def _is_clients(extension: Any) -> bool:
    return not (isinstance(extension, dict) and extension.get("url") == COVERAGE_INFORMATION)


def _is_about(facts: OrderFacts, form: ReturnedForm, asked: StoredAssertion | None) -> bool:
    """Whether a form was completed for this order."""
    if asked is None:
        return form.order_ref == facts.order.key
    holds = asked.expires_on is None or asked.expires_on >= facts.on
    return is_same(facts, asked) and (holds or is_named(facts, asked))


def _newest(found: Sequence[ReturnedForm]) -> list[ReturnedForm]:
    """Of each form the newest, whatever its version; `found` is newest first."""
    kept: dict[str, ReturnedForm] = {}
    for each in found:
        kept.setdefault(each.form_url, each)
    return list(kept.values())


def _binding(record: ReturnedForm) -> bytes:
    """Sealed so, a row opens for no other order or member."""
    return "\n".join((record.form_id, record.assertion_id, record.order_ref, record.member_id or "")).encode()
