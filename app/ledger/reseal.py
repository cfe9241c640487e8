"""Changing the key under which what is kept of patients is sealed, while the service goes on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Column, Connection, LargeBinary, Table, func, literal, or_, select, update

from app.encryption import Encryption
from app.errors import EncryptionError
from app.ledger.blobs import Blobs
from app.ledger.rows import Row
from app.ledger.store import Store
from app.ledger.tables import assertion, card, event, feedback, invocation, reading, returned_form
from app.ledger.texts import COLUMNS, Texts

_BLOBS: dict[Table, tuple[str, ...]] = {
    invocation: ("exchange", "fetched", "basis"),
    assertion: ("facts", "answer"),
}
_TABLES = (invocation, assertion, card, feedback, returned_form, reading, event)
_DOING = "the ledger was not sealed anew"
_BATCH = 200  # rows in one transaction: the service's writers wait for it


@dataclass(frozen=True, slots=True)
class Resealed:
    """`rows` were sealed anew; `closed` did not open, so they stay as they are.

    `forms` are completed forms under other keys than the first. They stay so: the hash chain is over their sealed text.
    """

    rows: int
    closed: int
    forms: int


def reseal(store: Store, encryption: Encryption) -> Resealed:
    """Seal anew every row that is not under the first key of `encryption`."""
    rows = closed = 0
    for table in _TABLES:
        changed, left = _reseal(store, table, encryption)
        rows, closed = rows + changed, closed + left
    return Resealed(rows, closed, store.read(_DOING, partial(_forms, encryption=encryption)))


def _reseal(store: Store, table: Table, encryption: Encryption) -> tuple[int, int]:
    """How many rows of a table were sealed anew, and how many did not open."""
    changed = closed = 0
    after = None
    while due := store.read(_DOING, partial(_due, table=table, after=after, encryption=encryption)):
        opened = [row for row in (_sealed(table, row, encryption) for row in due) if row is not None]
        store.write(_DOING, partial(_change, table=table, rows=opened))
        changed, closed = changed + len(opened), closed + len(due) - len(opened)
        after = due[-1][_key(table).name]
    return changed, closed


def _key(table: Table) -> Column[Any]:
    """What a row is known by. On PostgreSQL the primary key may hold its month too."""
    return next(iter(table.primary_key.columns))


def _texts(table: Table) -> list[str]:
    return [column.name for column in table.c if column.name in COLUMNS]


def _due(connection: Connection, table: Table, after: Any, encryption: Encryption) -> list[Row]:
    """The next rows with something that is not under the first key, by their key."""
    key, blobs, texts = _key(table), _BLOBS.get(table, ()), _texts(table)
    mark = literal(encryption.mark, LargeBinary)
    other = or_(
        *(func.substr(table.c[name], 1, len(encryption.mark)) != mark for name in blobs),
        *(func.substr(table.c[name], 1, len(encryption.text_mark)) != encryption.text_mark for name in texts),
    )
    query = select(key, *(table.c[name] for name in (*blobs, *texts))).where(other)
    if after is not None:
        query = query.where(key > after)
    return [row._asdict() for row in connection.execute(query.order_by(key).limit(_BATCH))]


def _sealed(table: Table, row: Row, encryption: Encryption) -> Row | None:
    """The row under the first key; None where it does not open."""
    blobs, texts, key = Blobs(encryption), Texts(encryption), row[_key(table).name]
    try:
        opened = texts.opened(row) | {
            name: blobs.give(row[name], f"{table.name}.{name}", key)
            for name in _BLOBS.get(table, ())
            if row[name] is not None
        }
    except EncryptionError:
        return None
    return texts.sealed(opened) | {
        name: blobs.keep(opened[name], f"{table.name}.{name}", key)
        for name in _BLOBS.get(table, ())
        if opened[name] is not None
    }


def _change(connection: Connection, table: Table, rows: list[Row]) -> None:
    key = _key(table)
    for row in rows:
        changed = {name: value for name, value in row.items() if name != key.name}
        connection.execute(update(table).where(key == row[key.name]).values(changed))


def _forms(connection: Connection, encryption: Encryption) -> int:
    mark = literal(encryption.mark, LargeBinary)
    under_others = func.substr(returned_form.c.content, 1, len(encryption.mark)) != mark
    return connection.execute(select(func.count()).select_from(returned_form).where(under_others)).scalar_one()
