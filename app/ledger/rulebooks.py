"""Rulebooks as they were when they answered, and the acts that made them live."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, func, select

from app.ledger.events import publication_event
from app.ledger.part import Part
from app.ledger.publication import Publication, PublicationRecord
from app.ledger.records import RulebookRecord
from app.ledger.rows import publication_row, rulebook_row, stored_publication, stored_rulebook
from app.ledger.tables import publication, rulebook

_ACTS = select(publication).order_by(publication.c.number)


class Rulebooks(Part):
    """Keeps them; nothing of them is ever changed."""

    def record_rulebook(self, record: RulebookRecord) -> None:
        """Keep a rulebook version before its first answer leaves; one already kept is left as it is."""

        def keep(connection: Connection) -> None:
            kept = select(rulebook.c.hash).where(rulebook.c.hash == record.hash)
            if connection.execute(kept).first() is None:
                connection.exec_driver_sql(self._insert["rulebook"], rulebook_row(record))

        self._store.write(f"rulebook {record.hash} was not recorded", keep)

    def rulebook(self, rulebook_hash: str) -> RulebookRecord | None:
        """The rulebook version of that hash, None where there is none."""
        query = select(rulebook).where(rulebook.c.hash == rulebook_hash)
        return next(iter(self._find(query, stored_rulebook)), None)

    def publish(self, decide: Callable[[list[Publication]], PublicationRecord]) -> Publication:
        """Add an act on a rulebook, with its event, or nothing.

        `decide` makes the act in view of all before it, and nobody adds one meanwhile; what it raises is passed on as
        it is. The rulebook must be in the store (`record_rulebook`).
        """
        refused: list[Exception] = []

        def keep(connection: Connection) -> Publication | None:
            acts = [stored_publication(row._asdict()) for row in connection.execute(_ACTS)]
            try:
                record = decide(acts)
            except Exception as error:
                refused.append(error)
                return None
            row = publication_row(record, len(acts) + 1)
            self._append(connection.connection.cursor(), {"publication": [row], "event": [publication_event(row)]})
            return stored_publication(row)

        made = self._store.write("the rulebook was not published", keep)
        if made is None:
            raise refused[0]
        return made

    def publications(self) -> list[Publication]:
        """Every act on a rulebook, oldest first."""
        return self._find(_ACTS, stored_publication)

    def publications_count(self) -> int:
        """How many acts there are: what a worker asks to see whether something happened."""
        query = select(func.count()).select_from(publication)
        return self._store.read(
            "the ledger could not be read", lambda connection: connection.execute(query).scalar_one()
        )
