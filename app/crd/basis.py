"""What an answer rested on beside its request and its rulebook, noted while it is made and kept with it.

Members, grants, the EHR, earlier answers and settings change; with these notes a past answer is given again as it was
(`app.crd.replay`). Ids are not noted: all ids of a call follow from the id of its invocation.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from importlib.metadata import version
from itertools import count
from typing import Any, Literal, Self

import msgspec

from app.crd.cards import Shown
from app.crd.facts import OrderFacts
from app.crd.returned_forms import Returned
from app.crd.standing import Earlier
from app.fhir import references
from app.fhir.ehr import Ehr, Fetched, Read, Search, Wanted
from app.fhir.json import decode, encode
from app.ledger import StoredAssertion
from app.members import Grant, Grants, MemberDirectory, MemberMatch
from app.settings import Settings

PROGRAM = version("signpost")
"""The version of this program, which is part of what an answer rested on."""

_IDS = uuid.UUID("5f0e6d0c-7c5a-4f5b-9a52-0c1f7f3f4d11")  # name space of the ids of a call (RFC 9562, 5.5)


class Options(msgspec.Struct, frozen=True):
    """The settings that shape an answer, by their own names (docs/operate.md)."""

    sandbox: bool = False
    default_crd_version: Literal["2.0", "2.2"] = "2.2"
    refuse_several_coverages: bool = True
    dtr_app_url: str | None = None
    max_orders: int = 200

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Those of the service."""
        return cls(**{name: getattr(settings, name) for name in cls.__struct_fields__})


class MemberNote(msgspec.Struct, frozen=True):
    """Whom a Coverage stood for on a day."""

    coverage: str | None
    on: date
    match: MemberMatch


class GrantsNote(msgspec.Struct, frozen=True):
    """What was granted to a member and some people. `networks` None: nobody could say."""

    member_id: str
    npis: tuple[str, ...]
    authorizations: tuple[Grant, ...]
    gold_cards: tuple[Grant, ...]
    networks: tuple[Grant, ...] | None


class Basis(msgspec.Struct, kw_only=True):
    """`earlier` has the id of the assertion that was the newest, by order and coverage; None where there was none.

    `forms` are those that came back, by member and order, where rules looked at them; None: they could not be read.
    `withheld` are the positions of cards left out because they had been shown a moment before. `only` is the order and
    the Coverage that alone were answered, of a call that was answered again for a form.
    """

    program: str = PROGRAM
    options: Options
    could_query: bool = False
    members: list[MemberNote] = []
    grants: list[GrantsNote] = []
    earlier: dict[str, str | None] = {}
    forms: dict[str, list[dict[str, Any]] | None] = {}
    withheld: tuple[int, ...] = ()
    only: tuple[str, str] | None = None


_basis = msgspec.json.Decoder(Basis)


def read_basis(kept: bytes) -> Basis:
    """A basis as it was kept; `msgspec.MsgspecError` when another version of the program wrote it otherwise."""
    return _basis.decode(kept)


def ids_of(invocation_id: str) -> Callable[[], str]:
    """The ids given in one call, one after the other; nobody guesses them who does not know the invocation's."""
    numbers = count(1)
    return lambda: str(uuid.uuid5(_IDS, f"{invocation_id} {next(numbers)}"))


class NotedReads(Ehr):
    """An EHR whose answers are noted, as JSON for the ledger (`kept`)."""

    def __init__(self, ehr: Ehr) -> None:
        self._ehr = ehr
        self._notes: list[dict[str, Any]] = []

    @property
    def kept(self) -> bytes | None:
        """What was asked and what the EHR said, None when nothing was asked."""
        return encode(self._notes) if self._notes else None

    def fetch(self, wanted: Sequence[Wanted]) -> dict[Wanted, Fetched]:
        """All of it at once."""
        found = self._ehr.fetch(wanted)
        self._notes += [
            {
                "type": item.type,
                **({"id": item.id} if isinstance(item, Read) else {"params": item.params}),
                "resources": fetched.resources,
                "complete": fetched.complete,
                "problem": fetched.problem,
            }
            for item, fetched in found.items()
        ]
        return found


class RememberedReads(Ehr):
    """The EHR as it answered then. `unread` are the types of what was not asked then, and so cannot be told now."""

    def __init__(self, kept: bytes | None) -> None:
        self.unread: list[str] = []
        self._known = {_wanted(note): _fetched(note) for note in (decode(kept) if kept else ())}

    def fetch(self, wanted: Sequence[Wanted]) -> dict[Wanted, Fetched]:
        """What was given then."""
        return {item: self._recall(item) for item in wanted}

    def _recall(self, item: Wanted) -> Fetched:
        found = self._known.get(item)
        if found is None and isinstance(item, Search):
            wider = (each for each in self._known if isinstance(each, Search) and _covers(each, item))
            found = next((self._known[each] for each in wider), None)
        if found is None:
            self.unread.append(item.type)
            return Fetched((), complete=False, problem=f"The EHR was not asked for {item.type} at the time")
        return found


def _wanted(note: dict[str, Any]) -> Wanted:
    if "id" in note:
        return Read(note["type"], note["id"])
    return Search(note["type"], tuple((name, value) for name, value in note["params"]))


def _fetched(note: dict[str, Any]) -> Fetched:
    return Fetched(tuple(note["resources"]), note["complete"], note["problem"])


def _covers(wide: Search, narrow: Search) -> bool:
    """Whether a search finds all that another finds: of the same type, for the same codes or more, or for any code."""
    if wide.type != narrow.type:
        return False
    others = [[param for param in each.params if param[0] != "code"] for each in (wide, narrow)]
    found, wanted = _codes(wide), _codes(narrow)
    return others[0] == others[1] and (not found or (bool(wanted) and found >= wanted))


def _codes(search: Search) -> set[str]:
    return {token for name, value in search.params if name == "code" for token in value.split(",")}


class NotedMembers(MemberDirectory):
    """A directory whose answers are noted."""

    def __init__(self, directory: MemberDirectory, basis: Basis) -> None:
        super().__init__(())
        self._directory = directory
        self._basis = basis

    def find(self, coverage: dict[str, Any], patient: dict[str, Any] | None, on: date) -> MemberMatch:
        """The member a Coverage stands for on a day."""
        match = self._directory.find(coverage, patient, on)
        note = MemberNote(references.resource_key(coverage), on, match)
        if note not in self._basis.members:
            self._basis.members.append(note)
        return match

    def grants_about(self, member_id: str, npis: Iterable[str]) -> Grants:
        """What is granted to a member, and to the people with these NPIs."""
        people = tuple(sorted(npis))
        grants = self._directory.grants_about(member_id, people)
        note = GrantsNote(
            member_id,
            people,
            _every(grants.authorizations),
            _every(grants.gold_cards),
            None if grants.networks is None else _every(grants.networks),
        )
        if note not in self._basis.grants:
            self._basis.grants.append(note)
        return grants


class RememberedMembers(MemberDirectory):
    """The directory as it answered then. `at_its_word` answers for a Coverage that was taken at its word.

    `unknown`: somebody was asked about who was not asked about then.
    """

    def __init__(self, basis: Basis, at_its_word: Callable[..., MemberMatch]) -> None:
        super().__init__(())
        self._matches = {(note.coverage, note.on): note.match for note in basis.members}
        self._granted = {(note.member_id, note.npis): note for note in basis.grants}
        self._at_its_word = at_its_word
        self.unknown = False

    def find(self, coverage: dict[str, Any], patient: dict[str, Any] | None, on: date) -> MemberMatch:
        """The member a Coverage stood for on a day."""
        match = self._matches.get((references.resource_key(coverage), on))
        if match is None:
            self.unknown = True
            return MemberMatch("not-found", words="Nobody was looked up for this coverage at the time.")
        if match.member is not None and match.member.source == "coverage":
            return self._at_its_word(coverage, patient, on)
        return match

    def grants_about(self, member_id: str, npis: Iterable[str]) -> Grants:
        """What was granted."""
        note = self._granted.get((member_id, tuple(sorted(npis))))
        if note is None:
            self.unknown = True
            return Grants()
        return Grants(note.authorizations, note.gold_cards, note.networks)


def _every(by_subject: dict[str, tuple[Grant, ...]]) -> tuple[Grant, ...]:
    return tuple(grant for grants in by_subject.values() for grant in grants)


def noting_earlier(earlier: Earlier, basis: Basis) -> Earlier:
    """`earlier`, noted."""

    def find(member_id: str, order_ref: str, coverage_ref: str) -> StoredAssertion | None:
        found = earlier(member_id, order_ref, coverage_ref)
        basis.earlier[f"{order_ref} {coverage_ref}"] = found.assertion_id if found is not None else None
        return found

    return find


def noting_forms(returned: Returned, basis: Basis) -> Returned:
    """`returned`, noted."""

    def find(facts: OrderFacts) -> Sequence[dict[str, Any]] | None:
        found = returned(facts)
        basis.forms[_whose(facts)] = list(found) if found is not None else None
        return found

    return find


def remembered_forms(basis: Basis) -> Returned:
    """The forms as they were then; of an order whose forms were not looked at, nobody can tell."""
    return lambda facts: basis.forms.get(_whose(facts))


def _whose(facts: OrderFacts) -> str:
    return f"{facts.match.member.member_id if facts.match.member else ''} {facts.order.key}"


def noting_withheld(shown: list[Shown], given: list[Shown], basis: Basis) -> list[Shown]:
    """`given`, the cards of `shown` that leave; the others are noted."""
    leaving = {id(each) for each in given}
    basis.withheld = tuple(position for position, each in enumerate(shown) if id(each) not in leaving)
    return given
