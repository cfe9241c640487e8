"""Rules, tables and orders in one line each, for the tests of the router. Codes and rows are invented."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from benefit_router import COLUMNS, Code, CodeList, OrderSignals, Outcome, Problem, Product, Provenance, Rule, Signal
from benefit_router import read_table as read

DAY = date(2026, 6, 1)
FILE = "benefit_routes.csv"

# The smallest row that loads.
ROW = {
    "rule_id": "row",
    "title": "A row",
    "status": "approved",
    "band": "4",
    "effective_from": "2026-01-01",
    "track": "medical",
    "source_url": "https://example.org/policy",
    "retrieved": "2026-01-01",
    "licence_note": "illustration, not policy",
    "author": "a.author",
    "approver": "b.approver",
}


def table_text(*rows: Mapping[str, str], header: Iterable[str] | None = None) -> str:
    """CSV of rows, each `ROW` with its own cells on top; row n stands on line n + 1."""
    names = list(header or [column.name for column in COLUMNS])
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        cells = {**ROW, **row}
        writer.writerow([cells.get(name, "") for name in names])
    return out.getvalue()


def problems_of(*rows: Mapping[str, str], **reading: Any) -> list[Problem]:
    """What is wrong with a table of these rows; such a table never loads."""
    table, problems = read(table_text(*rows), file=FILE, **reading)
    assert table is None
    return problems


def rule_of(**cells: str) -> Rule:
    """The one row of these cells, as the reader reads it."""
    table, problems = read(table_text(cells), file=FILE)
    assert problems == []
    assert table is not None
    return table.rules[0]


def rule(
    rule_id: str = "row",
    track: Any = "medical",
    *conditions: Any,
    codes: Any = (),
    band: int = 4,
    specificity: int = 0,
    priority: int = 0,
    starts: date = date(2026, 1, 1),
    ends: date | None = None,
    drug_class: Iterable[str] = (),
    **outcome: Any,
) -> Rule:
    """A rule as a value. `codes`: codes it names, `"*"` any known drug, None any order."""
    return Rule(
        rule_id=rule_id,
        title=f"Title of {rule_id}",
        band=band,
        priority=priority,
        effective_from=starts,
        effective_to=ends,
        codes=codes if codes is None or isinstance(codes, str) else CodeList.of(rule_id, codes),
        drug_class=frozenset(drug_class),
        conditions=tuple(conditions),
        outcome=Outcome(track, **outcome),
        provenance=Provenance(),
        specificity=specificity,
        line=1,
    )


def product(
    name: str, *codes: Code, form: str | None = None, routes: Iterable[str] = (), tags: Iterable[str] = ()
) -> Product:
    """A product under its codes and class tags."""
    classes = frozenset(tags)
    identities = frozenset(codes) | {("class", tag) for tag in classes}
    return Product(name, identities, form, frozenset(routes), classes=classes)


def order(
    *codes: Code,
    on: date = DAY,
    dx: Iterable[Code] | None = None,
    reasons: Iterable[Iterable[str]] = (),
    flags: Mapping[str, bool] | None = None,
    age: int | None = None,
    **single: str | Signal,
) -> OrderSignals:
    """An order that states `codes`; a plain word for a signal is a known one."""
    return OrderSignals(
        codes=frozenset(codes),
        on=on,
        single={name: Signal.known(value) if isinstance(value, str) else value for name, value in single.items()},
        diagnoses=None if dx is None else frozenset(dx),
        reasons=frozenset(map(frozenset, reasons)),
        flags=flags or {},
        age=age,
    )
