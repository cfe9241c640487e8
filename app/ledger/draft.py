"""Drafts of rules: what somebody changes in the console, kept until it is submitted or thrown away.

A draft is no answer and no act, so it is not on the chain. What becomes of it is: the publication.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from app.ledger.blobs import pack, unpack
from app.ledger.part import Part
from app.ledger.rows import Row, instant
from app.ledger.tables import draft, scenarios


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """`files` are the changed texts by path, None for a file that is removed; the rest is as in rulebook `based_on`.

    `version` counts up with each change, so that nobody overwrites what they have not seen.
    """

    draft_id: str
    title: str
    author: str
    based_on: str
    version: int
    changed_at: datetime
    files: Mapping[str, str | None]


def draft_row(record: Draft) -> Row:
    """The `draft` row of a record."""
    return {
        "draft_id": record.draft_id,
        "title": record.title,
        "author": record.author,
        "based_on": record.based_on,
        "version": record.version,
        "changed_at": instant(record.changed_at),
        "files": pack(msgspec.json.encode(dict(record.files))),
    }


def stored_draft(row: Mapping[str, Any]) -> Draft:
    """A `draft` row as a record."""
    return Draft(
        draft_id=row["draft_id"],
        title=row["title"],
        author=row["author"],
        based_on=row["based_on"],
        version=row["version"],
        changed_at=datetime.fromisoformat(row["changed_at"]),
        files=msgspec.json.decode(unpack(row["files"]), type=dict[str, str | None]),
    )


class Drafts(Part):
    """Keeps drafts, and the scenarios that a rulebook is held to."""

    def keep_draft(self, record: Draft, *, seen: int | None) -> bool:
        """Write a draft over version `seen` of it, or as a new one (None); whether it was still that version."""
        row = draft_row(record)

        def keep(connection: Connection) -> bool:
            if seen is None:
                connection.exec_driver_sql(self._insert["draft"], row)
                return True
            over = draft.c.draft_id == record.draft_id, draft.c.version == seen
            return connection.execute(update(draft).where(*over).values(**row)).rowcount == 1

        return self._store.write("the draft was not kept", keep)

    def drafts(self) -> list[Draft]:
        """Every draft, the last changed first."""
        return self._find(select(draft).order_by(draft.c.changed_at.desc()), stored_draft)

    def draft(self, draft_id: str) -> Draft | None:
        """The draft of that id, None where there is none."""
        return next(iter(self._find(select(draft).where(draft.c.draft_id == draft_id), stored_draft)), None)

    def delete_draft(self, draft_id: str) -> None:
        """Throw a draft away."""
        query = delete(draft).where(draft.c.draft_id == draft_id)
        self._store.write("the draft was not deleted", lambda connection: connection.execute(query))

    def keep_scenarios(self, rulebook_hash: str, files: Mapping[str, str]) -> None:
        """Keep the texts, by path, of the scenarios that a rulebook in the store is held to, over those kept before."""
        packed = pack(msgspec.json.encode(dict(files)))

        def keep(connection: Connection) -> None:
            connection.execute(delete(scenarios).where(scenarios.c.rulebook_hash == rulebook_hash))
            connection.execute(insert(scenarios).values(rulebook_hash=rulebook_hash, files=packed))

        self._store.write("the scenarios were not kept", keep)

    def scenarios(self, rulebook_hash: str) -> Mapping[str, str] | None:
        """The scenarios kept with a rulebook, None where there are none."""
        query = select(scenarios.c.files).where(scenarios.c.rulebook_hash == rulebook_hash)
        found = self._find(query, lambda row: msgspec.json.decode(unpack(row["files"]), type=dict[str, str]))
        return next(iter(found), None)
