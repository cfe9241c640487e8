"""The exact files of every rulebook are kept before its first answer leaves: answers are replayed from them."""

from __future__ import annotations

from datetime import UTC, datetime

from app.fhir.json import encode
from app.ledger import Ledger, RulebookRecord
from app.rulebook.rulebook import Rulebook


class KeptRulebooks:
    """Asks the ledger once for each rulebook."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: set[str] = set()

    def keep(self, rulebook: Rulebook) -> None:
        """Keep a rulebook unless it is kept. LedgerError."""
        if rulebook.hash in self._known:
            return
        files = encode(dict(rulebook.files))
        now = datetime.now(UTC)
        self._ledger.record_rulebook(
            RulebookRecord(hash=rulebook.hash, label=rulebook.label, files=files, loaded_at=now)
        )
        self._known.add(rulebook.hash)
