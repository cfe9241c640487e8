"""Changing the key under which what is kept of patients is sealed, while the service goes on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, LargeBinary, Table, func, literal, or_, select, update

from app.encryption import Encryption
from app.errors import EncryptionError
from app.ledger.blobs import Blobs
from app.ledger.rows import Row
from app.ledger.store import Store
from app.ledger.tables import assertion, invocation, returned_form

_COLUMNS: dict[Table, tuple[str, ...]] = {
    invocation: ("exchange", "fetched", "basis"),
    assertion: ("facts", "answer"),
}
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
    for table in _COLUMNS:
        changed, left = _reseal(store, table, encryption)
        rows, closed = rows + changed, closed + left
    return Resealed(rows, closed, store.read(_DOING, partial(_forms, encryption=encryption)))


def _reseal(store: Store, table: Table, encryption: Encryption) -> tuple[int, int]:
    """How many rows of a table were sealed anew, and how many did not open."""
    changed = closed = 0
    after = ""
    while due := store.read(_DOING, partial(_due, table=table, after=after, encryption=encryption)):
        opened = [row for row in (_sealed(table, row, encryption) for row in due) if row is not None]
        store.write(_DOING, partial(_change, table=table, rows=opened))
        changed, closed = changed + len(opened), closed + len(due) - len(opened)
        after = due[-1][_key(table)]
    return changed, closed


def _key(table: Table) -> str:
    return f"{table.name}_id"


def _due(connection: Connection, table: Table, after: str, encryption: Encryption) -> list[Row]:
    """The next rows with something that is not under the first key, by primary key."""
    key = table.c[_key(table)]
    mark = literal(encryption.mark, LargeBinary)
    other = or_(*(func.substr(table.c[name], 1, len(encryption.mark)) != mark for name in _COLUMNS[table]))
    query = select(key, *(table.c[name] for name in _COLUMNS[table])).where(key > after, other)
    return [row._asdict() for row in connection.execute(query.order_by(key).limit(_BATCH))]


def _sealed(table: Table, row: Row, encryption: Encryption) -> Row | None:
    """The row under the first key; None where it does not open."""
    blobs, key = Blobs(encryption), row[_key(table)]
    try:
        opened = {
            name: None if row[name] is None else blobs.give(row[name], f"{table.name}.{name}", key)
            for name in _COLUMNS[table]
        }
    except EncryptionError:
        return None
    sealed = {
        name: None if content is None else blobs.keep(content, f"{table.name}.{name}", key)
        for name, content in opened.items()
    }
    return {_key(table): key, **sealed}


def _change(connection: Connection, table: Table, rows: list[Row]) -> None:
    key = table.c[_key(table)]
    for row in rows:
        connection.execute(
            update(table).where(key == row[key.name]).values({name: row[name] for name in _COLUMNS[table]})
        )


def _forms(connection: Connection, encryption: Encryption) -> int:
    mark = literal(encryption.mark, LargeBinary)
    under_others = func.substr(returned_form.c.content, 1, len(encryption.mark)) != mark
    return connection.execute(select(func.count()).select_from(returned_form).where(under_others)).scalar_one()
