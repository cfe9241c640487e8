"""The routing table as rows to edit: one row changes, every other stays byte for byte as it was written."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Self

from app.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class GridRow:
    """One record. `first` and `last` are its lines, from 1; a cell with a line break has several."""

    first: int
    last: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Grid:
    """A CSV text with comments (`#` at the start of a line), as its records. `header` is its line of column names."""

    lines: tuple[str, ...]
    header: int
    columns: tuple[str, ...]
    rows: tuple[GridRow, ...]

    @classmethod
    def read(cls, text: str) -> Self:
        """Read leniently: what is wrong with the table is said by the checks, and mended here."""
        lines = text.splitlines(keepends=True)
        columns: tuple[str, ...] = ()
        found: list[GridRow] = []
        reader = csv.reader(iter(lines))
        first, header = 1, 0
        for cells in reader:
            last = reader.line_num
            if cells and not lines[first - 1].lstrip().startswith("#"):
                if not columns:
                    columns, header = tuple(cell.strip() for cell in cells), last
                else:
                    padded = [*cells, *[""] * (len(columns) - len(cells))]
                    found.append(GridRow(first, last, dict(zip(columns, padded, strict=False))))
            first = last + 1
        return cls(tuple(lines), header, columns, tuple(found))

    def row(self, rule_id: str) -> GridRow | None:
        """The row of that name."""
        return next((each for each in self.rows if each.cells.get("rule_id") == rule_id), None)

    def with_row(self, rule_id: str, cells: Mapping[str, str]) -> str:
        """The text with other cells in a row. InvalidRequest when there is no such row."""
        row, grid = self._existing(rule_id), self._with_columns(cells)
        written = grid._written({**row.cells, **cells})
        return "".join([*grid.lines[: row.first - 1], written, *grid.lines[row.last :]])

    def with_new(self, cells: Mapping[str, str], after: str | None = None) -> str:
        """The text with one row more, behind another or at the end."""
        position, grid = self._existing(after).last if after is not None else len(self.lines), self._with_columns(cells)
        before = list(grid.lines[:position])
        if before and not before[-1].endswith("\n"):
            before[-1] += "\n"
        return "".join([*before, grid._written(cells), *grid.lines[position:]])

    def without(self, rule_id: str) -> str:
        """The text without a row."""
        row = self._existing(rule_id)
        return "".join([*self.lines[: row.first - 1], *self.lines[row.last :]])

    def _existing(self, rule_id: str) -> GridRow:
        row = self.row(rule_id)
        if row is None:
            raise InvalidRequest(f"There is no row {rule_id!r}.")
        return row

    def _with_columns(self, cells: Mapping[str, str]) -> Self:
        """With a column for each cell that is not empty: one that the file left out is empty in every other row."""
        new = [name for name, text in cells.items() if text.strip() and name not in self.columns]
        if not new:
            return self
        ends = {self.header: "".join(f",{name}" for name in new), **{row.last: "," * len(new) for row in self.rows}}
        lines = (_ending(line, ends.get(number, "")) for number, line in enumerate(self.lines, 1))
        return replace(self, lines=tuple(lines), columns=(*self.columns, *new))

    def _written(self, cells: Mapping[str, str]) -> str:
        out = io.StringIO()
        # A cell cannot hold a line break: the table is one rule a line.
        values = [" ".join(cells.get(name, "").split()) for name in self.columns]
        csv.writer(out, lineterminator="\n").writerow(values)
        return out.getvalue()


@dataclass(frozen=True, slots=True)
class RowChange:
    """A row that is new, gone or changed. `cells` are column, text before and text now, where they differ."""

    rule_id: str
    kind: Literal["new", "gone", "changed"]
    cells: tuple[tuple[str, str, str], ...]


def changes(before: Grid, after: Grid) -> list[RowChange]:
    """What became of the rows, in their order; those that are gone last."""
    found = []
    for row in after.rows:
        rule_id = row.cells.get("rule_id", "")
        old = before.row(rule_id)
        was = old.cells if old is not None else {}
        cells = tuple((name, was.get(name, ""), text) for name, text in row.cells.items() if was.get(name, "") != text)
        if cells:
            found.append(RowChange(rule_id, "changed" if old is not None else "new", cells))
    gone = (row.cells.get("rule_id", "") for row in before.rows)
    return [*found, *(RowChange(rule_id, "gone", ()) for rule_id in gone if after.row(rule_id) is None)]


def _ending(line: str, more: str) -> str:
    kept = line.rstrip("\r\n")
    return f"{kept}{more}{line[len(kept) :]}"
