"""The ledger's real calls decided again under a candidate rulebook: who would be answered differently, and why.

Each call is decided under the rulebook that answered it and under the candidate, from the same request, record, member
and day, so that only the rules differ. A call of which no changed rule speaks is decided once.
"""

from __future__ import annotations

import multiprocessing
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from app.crd.answering import Answering
from app.crd.comparison import Answered, Touches, answered, touches
from app.crd.replay import PastCall, stored_rulebook
from app.encryption import Encryption
from app.errors import LedgerError, ReplayError, RulebookError
from app.ledger import Ledger, StoredInvocation
from app.rulebook.rulebook import Rulebook, build

EXAMPLES = 3
_CHUNK = 200  # calls that a process works on before it reports
_FEW = 400  # calls for which starting processes costs more than it saves


@dataclass(frozen=True, slots=True)
class Group:
    """Orders that would be answered differently for the same cause.

    `changes` are aspect, before and after. `examples` are ids of assertions, or of calls that made none of their own.
    """

    before: str
    after: str
    changes: tuple[tuple[str, str, str], ...]
    orders: int
    members: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The outcome. `members` counts those of known orders; `not_replayed` has the reasons with their counts.

    `decided_once` are calls that no changed rule speaks of, so that their answer is the same without trying.
    """

    candidate: str
    calls: int
    replayed: int
    decided_once: int
    orders: int
    members: int
    changed_orders: int
    changed_members: int
    groups: tuple[Group, ...]
    not_replayed: tuple[tuple[str, int], ...]


@dataclass(slots=True)
class _Found:
    orders: int = 0
    members: set[str] = field(default_factory=set)
    examples: list[str] = field(default_factory=list)


_Cause = tuple[str, str, tuple[tuple[str, str, str], ...]]


@dataclass(slots=True)
class _Tally:
    """What some calls came to."""

    calls: int = 0
    replayed: int = 0
    decided_once: int = 0
    orders: int = 0
    members: set[str] = field(default_factory=set)
    causes: dict[_Cause, _Found] = field(default_factory=dict)
    not_replayed: Counter[str] = field(default_factory=Counter)

    def add(self, other: _Tally) -> None:
        """Take in another's."""
        self.calls += other.calls
        self.replayed += other.replayed
        self.decided_once += other.decided_once
        self.orders += other.orders
        self.members |= other.members
        self.not_replayed += other.not_replayed
        for cause, found in other.causes.items():
            mine = self.causes.setdefault(cause, _Found())
            mine.orders += found.orders
            mine.members |= found.members
            mine.examples = sorted({*mine.examples, *found.examples})[:EXAMPLES]


def what_if(
    url: str,
    files: Mapping[str, str],
    *,
    encryption: Encryption | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    sample: int | None = None,
    processes: int = 1,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> WhatIf:
    """Ask of every answered call of the ledger at `url` what the rulebook made of `files` would have answered.

    `encryption` opens what the ledger sealed. `since` and `until` are half-open; `sample` takes so many calls by
    chance. `progress` is told the calls done.
    RulebookError when the candidate could not go live.
    """
    candidate = _candidate(files)
    ledger = Ledger.open(url, encryption)
    ids = _sampled(ledger.answered_between(since, until), sample)
    chunks = [ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK)]
    tally = _Tally()
    if processes <= 1 or len(ids) <= _FEW:
        trial = _Trial(ledger, candidate)
        tallies: Iterator[_Tally] = (trial.try_out(chunk) for chunk in chunks)
    else:
        tallies = _in_processes(url, files, encryption, chunks, processes)
    for part in tallies:
        tally.add(part)
        progress(tally.calls, len(ids))
    ledger.close()
    return _told(candidate, tally)


def _candidate(files: Mapping[str, str]) -> Rulebook:
    loaded = build(files)
    if loaded.rulebook is None:
        raise RulebookError("\n".join(str(problem) for problem in loaded.errors))
    return loaded.rulebook


def _sampled(ids: Sequence[str], sample: int | None) -> Sequence[str]:
    if sample is None or sample >= len(ids):
        return ids
    # Drawn by chance, since a stride may fall in with a rhythm of the calls; the same draw each time.
    chosen = sorted(random.Random(0).sample(range(len(ids)), sample))  # noqa: S311  # no secret
    return [ids[position] for position in chosen]


def _in_processes(
    url: str,
    files: Mapping[str, str],
    encryption: Encryption | None,
    chunks: Sequence[Sequence[str]],
    processes: int,
) -> Iterator[_Tally]:
    """Tallies as they come. Processes are started afresh: a server with threads may not fork."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _start, (url, dict(files), encryption)) as pool:
        under_way: list[Future[_Tally]] = [pool.submit(_try_out, chunk) for chunk in chunks]
        for each in as_completed(under_way):
            yield each.result()


_trial: _Trial


def _start(url: str, files: Mapping[str, str], encryption: Encryption | None) -> None:
    """In a new process: open the ledger and load the candidate once."""
    global _trial  # noqa: PLW0603  # one for a process, whose calls share it
    _trial = _Trial(Ledger.open(url, encryption), _candidate(files))


def _try_out(chunk: Sequence[str]) -> _Tally:
    return _trial.try_out(chunk)


class _Trial:
    """The candidate beside the rulebooks that answered."""

    def __init__(self, ledger: Ledger, candidate: Rulebook) -> None:
        self._ledger = ledger
        self._candidate = candidate
        self._then = lru_cache(maxsize=8)(self._rulebook_of_then)

    def _rulebook_of_then(self, rulebook_hash: str | None) -> tuple[Rulebook, Touches] | str:
        """The rulebook that answered, and to which orders the changes may matter; or why it is not there."""
        try:
            rulebook = stored_rulebook(self._ledger, rulebook_hash)
        except ReplayError as error:
            return str(error).partition("\n")[0]
        return rulebook, touches(rulebook, self._candidate)

    def try_out(self, ids: Sequence[str]) -> _Tally:
        """What becomes of these calls."""
        tally = _Tally(calls=len(ids))
        for invocation_id in ids:
            call = self._ledger.invocation(invocation_id)
            if call is None:
                tally.not_replayed["The call is no longer in the ledger."] += 1
                continue
            try:
                self._try(call, tally)
            except (ReplayError, LedgerError) as error:
                tally.not_replayed[str(error)] += 1
        return tally

    def _try(self, call: StoredInvocation, tally: _Tally) -> None:
        then = self._then(call.rulebook_hash)
        if isinstance(then, str):
            raise ReplayError(then)
        rulebook, may_matter = then
        past = _decided(PastCall(call, rulebook, self._ledger.assertion))
        before = list(_answered(past))
        plays = [one.play for decided in past.decided for one in decided]
        if call.rulebook_hash == self._candidate.hash or not any(
            play is None or may_matter(play.facts) for play in plays
        ):
            after = before
            tally.decided_once += 1
        else:
            after = list(_answered(_decided(PastCall(call, self._candidate, self._ledger.assertion))))
        tally.replayed += 1
        tally.orders += len(before)
        tally.members |= {each.member_id for each in before if each.member_id is not None}
        if len(before) != len(after):
            raise ReplayError("The candidate would answer for other Coverages.")
        for one, other in zip(before, after, strict=True):
            changes = one.against(other)
            if changes:
                self._note(tally, call, one, other, changes)

    def _note(
        self,
        tally: _Tally,
        call: StoredInvocation,
        before: Answered,
        after: Answered,
        changes: Mapping[str, tuple[str, str]],
    ) -> None:
        cause = (before.rule, after.rule, tuple((aspect, *each) for aspect, each in changes.items()))
        found = tally.causes.setdefault(cause, _Found())
        found.orders += 1
        if before.member_id is not None:
            found.members.add(before.member_id)
        if len(found.examples) < EXAMPLES:
            made = self._ledger.assertions_of(call.invocation_id)
            own = next((each.assertion_id for each in made if each.order_ref == before.order_key), None)
            found.examples.append(own or call.invocation_id)


def _decided(past: PastCall) -> Answering:
    """The call decided. ReplayError when that took what was not asked at the time."""
    past.decide()
    if past.unknown:
        raise ReplayError(f"The rules ask for more than was known: {'; '.join(past.unknown)}.")
    return past.answering


def _answered(past: Answering) -> Iterator[Answered]:
    return answered(past.decided, past.request) if past.request is not None else iter(())


def _told(candidate: Rulebook, tally: _Tally) -> WhatIf:
    ranked = sorted(tally.causes.items(), key=lambda item: (-item[1].orders, item[0]))
    changed = set().union(*(found.members for found in tally.causes.values()))
    return WhatIf(
        candidate=candidate.label,
        calls=tally.calls,
        replayed=tally.replayed,
        decided_once=tally.decided_once,
        orders=tally.orders,
        members=len(tally.members),
        changed_orders=sum(found.orders for found in tally.causes.values()),
        changed_members=len(changed),
        groups=tuple(
            Group(before, after, changes, found.orders, len(found.members), tuple(found.examples))
            for (before, after, changes), found in ranked
        ),
        not_replayed=tuple(tally.not_replayed.most_common()),
    )
