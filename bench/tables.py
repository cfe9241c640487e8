"""Rulebooks of any size: the sample's, with rows for drugs that do not exist."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path

from app.settings import ROOT


def rulebook_with(rows: int, folder: Path) -> Path:
    """A copy of the sample rules whose routing table has `rows` rows."""
    rules = folder / f"rules-{rows}"
    shutil.copytree(ROOT / "rules", rules)
    table = rules / "benefit_routes.csv"
    text = table.read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    header, *present = list(csv.reader(lines))
    pattern = next(row for row in present if row[header.index("match_level")] == "ingredient")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for number in range(rows - len(present)):
        row = list(pattern)
        row[header.index("rule_id")] = f"invented-{number}"
        row[header.index("match_code")] = str(90_000_000 + number)
        writer.writerow(row)
    table.write_text(text.rstrip("\n") + "\n" + out.getvalue())
    return rules
