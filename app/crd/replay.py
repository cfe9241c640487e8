"""A past call decided again: from its request and what it rested on, under the rulebook of then or another.

Under the rulebook of then the answer comes out byte for byte, ids and dates included. Nothing is read and nothing is
written but the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from app.crd.answering import Answering, Sources
from app.crd.basis import PROGRAM, Basis, RememberedMembers, RememberedReads, ids_of, read_basis, remembered_forms
from app.crd.cards import Shown
from app.crd.determine import Decided
from app.errors import EhrError, InvalidRequest, ReplayError, RequestError
from app.fhir.json import decode, encode
from app.ledger import ROUTING, Ledger, StoredAssertion, StoredInvocation
from app.members.coverage import CoverageSource
from app.rulebook.rulebook import Rulebook, build

_MOST = 200  # characters of a value that a difference shows


class PastCall:
    """A call of the ledger, to be decided again under a rulebook. Decide or answer with one of these once.

    `assertion` gives an earlier assertion by its id. ReplayError when too little of the call was kept.
    """

    def __init__(
        self, call: StoredInvocation, rulebook: Rulebook, assertion: Callable[[str], StoredAssertion | None]
    ) -> None:
        if call.status >= 400:
            raise ReplayError(f"The call was refused (HTTP {call.status}): there is no answer to give again.")
        if call.request is None:
            raise ReplayError("The request was too large to be kept.")
        self._request = call.request
        self.basis = basis_of(call)
        self._assertion = assertion
        self._members = RememberedMembers(self.basis, CoverageSource(rulebook.payer.line_of_type).find)
        self._ehr = RememberedReads(call.fetched) if self.basis.could_query else None
        sources = Sources(
            rulebook=rulebook,
            directory=self._members,
            connect=lambda _: self._ehr,
            earlier=self._earlier,
            sift=self._sift,
            new_id=ids_of(call.invocation_id),
            returned=remembered_forms(self.basis),
        )
        self.answering = Answering(call.hook, call.received_at.date(), sources, self.basis.options, self.basis.only)

    def answer(self) -> bytes:
        """The response body. ReplayError when the call would be refused now."""
        try:
            return self.answering.answer(self._request)
        except RequestError as error:
            raise ReplayError(f"The call would be refused now: {error}") from None

    def decide(self) -> list[list[Decided]]:
        """What is decided, under each Coverage; [] when no Coverage could be read, as then. ReplayError as `answer`."""
        try:
            return self.answering.decide(self._request)
        except RequestError as error:
            raise ReplayError(f"The call would be refused now: {error}") from None
        except EhrError:
            return []

    @property
    def unknown(self) -> tuple[str, ...]:
        """What had to be known this time and was not asked then, in words: the outcome is then not to be relied on."""
        unread = sorted(set(self._ehr.unread)) if self._ehr is not None else []
        words = [f"the EHR was not asked for {kind} at the time" for kind in unread]
        if self._members.unknown:
            words.append("the member data was not looked up at the time")
        return tuple(words)

    def _earlier(self, member_id: str, order_ref: str, coverage_ref: str) -> StoredAssertion | None:
        """What had been answered before this call, whatever was answered since."""
        known = self.basis.earlier.get(f"{order_ref} {coverage_ref}")
        if known is None:
            return None
        found = self._assertion(known)
        if found is None:
            raise ReplayError(f"The earlier answer {known}, which this call took into account, is no longer there.")
        return found

    def _sift(self, shown: list[Shown], *_: object) -> list[Shown]:
        return [each for position, each in enumerate(shown) if position not in self.basis.withheld]


@dataclass(frozen=True, slots=True)
class Replayed:
    """A past answer given again. `differences` are in words, and empty when it is the same byte for byte.

    `decided` is what was decided under each Coverage, `honoured` the earlier assertions that were given again.
    """

    call: StoredInvocation
    rulebook: Rulebook
    decided: list[list[Decided]]
    honoured: tuple[str, ...]
    body: bytes
    differences: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether the answer came out byte for byte."""
        return self.body == self.call.response


def replay(ledger: Ledger, answer_id: str) -> Replayed:
    """Give an answer again: an assertion, or a whole call by its id. ReplayError says what is no longer there."""
    made = ledger.assertion(answer_id)
    call = ledger.invocation(made.invocation_id if made is not None else answer_id)
    if call is None:
        raise ReplayError(
            f"The call of {answer_id} is not in the ledger."
            if made is not None
            else f"No answer was given under {answer_id}, and no call has that id."
        )
    rulebook = stored_rulebook(ledger, call.rulebook_hash)
    past = PastCall(call, rulebook, ledger.assertion)
    body = past.answer()
    found = list(_differences(call.response, body)) if body != call.response else []
    if found and past.basis.program != PROGRAM:
        found.append(f"The answer was given by Signpost {past.basis.program}; this is {PROGRAM}.")
    return Replayed(call, rulebook, past.answering.decided, tuple(past.answering.honoured), body, tuple(found))


def stored_rulebook(ledger: Ledger, rulebook_hash: str | None) -> Rulebook:
    """A rulebook from the texts the ledger keeps of it. ReplayError when it is gone, altered or no longer loads."""
    record = ledger.rulebook(rulebook_hash) if rulebook_hash is not None else None
    if record is None:
        raise ReplayError(f"The rulebook {rulebook_hash or 'of this call'} is not in the ledger.")
    try:
        files = msgspec.json.decode(record.files, type=dict[str, str])
    except msgspec.MsgspecError:
        raise ReplayError(f"The files of rulebook {record.label} cannot be read.") from None
    loaded = build(files)
    if loaded.rulebook is None:
        raise ReplayError(
            f"Rulebook {record.label} does not load in this version of Signpost ({PROGRAM}):\n"
            + "\n".join(str(problem) for problem in loaded.errors)
        )
    if loaded.rulebook.hash != record.hash:
        raise ReplayError(f"The files kept as rulebook {record.label} are not those it was made of.")
    return loaded.rulebook


def basis_of(call: StoredInvocation) -> Basis:
    """What the answer of a call rested on. ReplayError when it was not kept, or in another form."""
    if call.hook == ROUTING:
        raise ReplayError("The call asked which benefit pays. Nothing was promised, so what it rested on was not kept.")
    if call.basis is None:
        raise ReplayError("The call is from a version of Signpost that did not keep what an answer rested on.")
    try:
        return read_basis(call.basis)
    except msgspec.MsgspecError:
        raise ReplayError(
            "What the answer rested on was kept by another version of Signpost, in another form."
        ) from None


def _differences(then: bytes, now: bytes) -> Iterator[str]:
    """Where two answers differ, one line a place."""
    try:
        before, after = decode(then), decode(now)
    except InvalidRequest:
        yield "The answer that is kept is not JSON."
        return
    found = False
    for line in _compare("", before, after):
        found = True
        yield line
    if not found:
        yield "The answers say the same, written differently."


def _compare(path: str, before: Any, after: Any) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys((*before, *after)):
            yield from _compare(f"{path}.{name}" if path else name, before.get(name), after.get(name))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for position, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _compare(f"{path}[{position}]", one, other)
    elif before != after:
        yield f"{path}: {_short(before)} then, {_short(after)} now"


def _short(value: Any) -> str:
    text = encode(value).decode() if value is not None else "nothing"
    return text if len(text) <= _MOST else f"{text[:_MOST]}…"
