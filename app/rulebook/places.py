"""Where each rule stands: file and line, from the exact texts that a rulebook was built from."""

from __future__ import annotations

from collections.abc import Mapping

from app.rulebook.codes import parse_code
from app.rulebook.documents import Document, Path, read_document
from app.rulebook.tables import LISTS
from benefit_router import Code, Rule, rows

_ROUTES = "benefit_routes.csv"


class Places:
    """Places of rules, by the names that past answers give them. Files are read again only when one is asked for."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = files
        self._documents: dict[str, Document | None] = {}
        self._entries: dict[str, dict[Code, int]] = {}

    def row(self, rule: Rule) -> str:
        """Of a routing row."""
        return f"{_ROUTES}:{rule.line}"

    def policy(self, slug: str) -> str:
        """Of a policy."""
        return self._in(f"policies/{slug}.yaml", ("policy",))

    def case(self, slug: str, position: int) -> str:
        """Of a case of a policy, counted from 0."""
        return self._in(f"policies/{slug}.yaml", ("cases", position, "case"))

    def card(self, slug: str) -> str:
        """Of a card."""
        return self._in(f"guidance/{slug}.yaml", ("guidance",))

    def entry(self, name: str, code: Code) -> str:
        """Of a code in a list; a prefix is written with its `*`."""
        file = f"lists/{name}.csv"
        if file not in self._entries:
            lines = rows(self._files.get(file, ""), file, LISTS.columns, [])
            self._entries[file] = {
                found: line
                for line, row in lines
                if (found := parse_code(f"{row['system']} {row['code']}")) is not None
            }
        return f"{file}:{self._entries[file].get(code, 1)}"

    def _in(self, file: str, path: Path) -> str:
        if file not in self._documents:
            self._documents[file] = read_document(self._files[file], file)[0] if file in self._files else None
        document = self._documents[file]
        return f"{file}:{document.line(path) if document is not None else 1}"
