"""The table of functions in the documentation, made from the registrations in `functions/`.

python -m app.fhirpath.reference docs/fhirpath.md      rewrites the table between the two markers
"""

from __future__ import annotations

import sys
from pathlib import Path

from app.fhirpath.analysis import NOT_SUPPORTED
from app.fhirpath.functions import FUNCTIONS

BEGIN = "<!-- functions: made by python -m app.fhirpath.reference docs/fhirpath.md -->"
END = "<!-- end of functions -->"
_FLOWS = {
    "strict": "unknown",
    "each": "the rest, left open",
    "whole": "three-valued",
}


def table() -> str:
    """Markdown: one row a function, by chapter; the last column is what a judgement makes of missing input."""
    groups: dict[str, list[str]] = {}
    for function in sorted(FUNCTIONS.values(), key=lambda function: function.name.lower()):
        signature = function.signature.replace("|", "\\|")
        row = f"| `{signature}` | {function.summary} | {function.section} | {_FLOWS[function.flow]} |"
        groups.setdefault(function.group, []).append(row)
    parts = [f"{len(FUNCTIONS)} functions. `?` marks an argument that may be left out, `*` one that may be repeated."]
    for group in sorted(groups):
        header = ["| function | result | from | missing input |", "|---|---|---|---|"]
        parts.append("\n".join([f"### {group.capitalize()}", "", *header, *groups[group]]))
    names = ", ".join(f"`{name}()`" for name in sorted(NOT_SUPPORTED))
    parts.append(f"Not supported, and an error when compiled: {names}.")
    return "\n\n".join(parts)


def refreshed(document: str) -> str:
    """`document` with the table between the markers made anew; ValueError without markers."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    if not rest or END not in rest:
        raise ValueError("the markers of the function table are missing")
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


def main() -> int:
    """Rewrite the document named on the command line."""
    path = Path(sys.argv[1])
    path.write_text(refreshed(path.read_text("utf-8")), "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
