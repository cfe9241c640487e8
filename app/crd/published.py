"""The rulebook that was published: live for every worker from the instant it takes effect."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from app.crd.replay import stored_rulebook
from app.errors import ReplayError, RulebookError
from app.ledger import Ledger
from app.ledger.publication import live_at, live_before, open_submissions, scheduled
from app.rulebook.keeper import RulebookKeeper
from app.rulebook.rulebook import Loaded, Rulebook
from benefit_router import Problem

INTERVAL_S = 0.25
"""Between looks at the ledger. What may go live soon is loaded beforehand, so that workers switch within a second."""

LARGE = 16_000_000
"""Characters of a live rulebook beyond which only one other is loaded beforehand: each takes its memory in each worker.

A routing table of 100,000 rows has 39 million, and takes 140 MiB.
"""

SOON = timedelta(hours=1)


class PublishedKeeper(RulebookKeeper):
    """Looks at the ledger for what is live, and has loaded beforehand what may go live next.

    That is what is scheduled first, what waits for approval, and what a roll-back would return to: at most three beside
    the live one, and one beside a `LARGE` one. A rulebook that does not load stays out, as with files: the running one
    answers on. RulebookError when nothing is published yet.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        interval: float = INTERVAL_S,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._acts = ledger.publications()
        self._ready: dict[str, Rulebook] = {}
        self._refused: dict[str, Loaded] = {}
        self._told: str | None = None  # the live rulebook that was refused, so that it is said once
        live = live_at(self._acts, clock())
        if live is None:
            raise RulebookError(
                "No rulebook is published, and SIGNPOST_RULES_FROM=published answers with nothing else. "
                "Publish one: signpost rules publish FOLDER --by NAME --approved-by NAME."
            )
        try:
            rulebook = stored_rulebook(ledger, live.rulebook_hash)
        except ReplayError as error:
            raise RulebookError(str(error)) from None
        super().__init__(rulebook, interval=interval)

    def prepare(self) -> None:
        """Load one rulebook that may go live soon, if there is one not loaded yet."""
        wanted = self._next(self._clock())
        self._ready = {each: book for each, book in self._ready.items() if each in wanted}
        for rulebook_hash in wanted:
            if rulebook_hash not in self._ready and rulebook_hash not in self._refused:
                loaded = self._load(rulebook_hash)
                if loaded.rulebook is not None:
                    self._ready = {**self._ready, rulebook_hash: loaded.rulebook}
                return

    def _next(self, now: datetime) -> list[str]:
        """Hashes of the rulebooks that may be live next, the likeliest first."""
        acts = self._acts
        coming, waiting = scheduled(acts, now)[:1], open_submissions(acts)[-1:]
        if coming and coming[0].effective_at is not None and coming[0].effective_at - now > SOON:
            coming, waiting = waiting, coming
        likely = (*coming, *waiting, *live_before(acts, now)[:1])
        wanted = [each for each in dict.fromkeys(act.rulebook_hash for act in likely) if each != self._current.hash]
        is_large = sum(map(len, self._current.files.values())) > LARGE
        return wanted[:1] if is_large else wanted

    def _look(self) -> bool:
        if self._ledger.publications_count() != len(self._acts):
            self._acts = self._ledger.publications()
        live = live_at(self._acts, self._clock())
        if live is None or live.rulebook_hash == self._told:
            return False
        if live.rulebook_hash == self._current.hash:
            self._told, self._rejected = None, ()
            return False
        before = self._current
        loaded = self._load(live.rulebook_hash)
        self._told = live.rulebook_hash if loaded.rulebook is None else None
        switched = self._take(loaded)
        if switched:
            self._ready = {**self._ready, before.hash: before}
        return switched

    def _load(self, rulebook_hash: str) -> Loaded:
        """A published rulebook, at hand or from the ledger; or why it does not load."""
        if rulebook_hash in self._ready:
            return Loaded(self._ready[rulebook_hash])
        if rulebook_hash not in self._refused:
            try:
                return Loaded(stored_rulebook(self._ledger, rulebook_hash))
            except ReplayError as error:
                number = next((act.number for act in self._acts if act.rulebook_hash == rulebook_hash), 0)
                problem = Problem(f"publication {number}", None, None, str(error), "Publish another.")
                self._refused[rulebook_hash] = Loaded(None, (problem,))
        return self._refused[rulebook_hash]
