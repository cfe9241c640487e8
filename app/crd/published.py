"""The rulebook that was published: live for every worker from the instant it takes effect."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from app.crd.replay import stored_rulebook
from app.errors import ReplayError, RulebookError
from app.ledger import Ledger, Publication
from app.ledger.publication import live_at, scheduled
from app.rulebook.keeper import RulebookKeeper
from app.rulebook.rulebook import Loaded, Rulebook
from benefit_router import Problem

INTERVAL_S = 0.25
"""Between looks at the ledger: with the time to load, workers switch within a second."""


class PublishedKeeper(RulebookKeeper):
    """Looks at the ledger for what is live. One that is scheduled is loaded beforehand and switched to on time.

    A rulebook that does not load stays out, as with files: the running one answers on. RulebookError when nothing is
    published yet.
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
        self._refused: set[str] = set()
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

    def _look(self) -> bool:
        if self._ledger.publications_count() != len(self._acts):
            self._acts = self._ledger.publications()
        now = self._clock()
        live = live_at(self._acts, now)
        switched = live is not None and live.rulebook_hash != self._current.hash and self._switch(live)
        for coming in scheduled(self._acts, now)[:1]:
            self._prepare(coming)
        return switched

    def _switch(self, live: Publication) -> bool:
        if live.rulebook_hash in self._refused:
            return False
        refusal = self._prepare(live)
        return self._take(refusal or Loaded(self._ready.pop(live.rulebook_hash)))

    def _prepare(self, act: Publication) -> Loaded | None:
        """Have its rulebook at hand; why not, when it does not load."""
        if act.rulebook_hash in self._ready or act.rulebook_hash in self._refused:
            return None
        try:
            self._ready = {act.rulebook_hash: stored_rulebook(self._ledger, act.rulebook_hash)}
        except ReplayError as error:
            self._refused.add(act.rulebook_hash)
            return Loaded(None, (Problem(f"publication {act.number}", None, None, str(error), "Publish another."),))
        return None
