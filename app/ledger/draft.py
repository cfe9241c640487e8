"""Drafts of rules: what somebody changes in the console, kept until it is submitted or thrown away.

A draft is no answer and no act, so it is not on the chain. What becomes of it is: the publication.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from app.ledger.blobs import pack, unpack
from app.ledger.rows import Row, instant


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
