"""One form under check: its text, its items, and where each stands."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from app.rulebook.prefill import Prefill, walk
from benefit_router import Problem


@dataclass(slots=True)
class Subject:
    """A form, where its answers come from, and the problems found so far."""

    file: str
    text: str
    form: Mapping[str, Any]
    prefill: Prefill | None
    problems: list[Problem] = field(default_factory=list)

    @property
    def items(self) -> list[tuple[dict[str, Any], tuple[str, ...]]]:
        """Every item in the order of the form, with the linkIds above it."""
        return [found for _, found in walk(self.form.get("item"))]

    def item(self, link_id: str) -> dict[str, Any] | None:
        """The item of a linkId."""
        return next((item for item, _ in self.items if item["linkId"] == link_id), None)

    def prefilled(self, link_id: str) -> bool:
        """Whether prefill.yaml fills it."""
        return self.prefill is not None and link_id in self.prefill.items

    def error(self, link_id: str | None, words: str, remedy: str) -> None:
        """Something that breaks a rule, about an item or, with None, the form."""
        self._add(link_id, words, remedy, "error")

    def warn(self, link_id: str | None, words: str, remedy: str) -> None:
        """Something that is allowed, and better otherwise."""
        self._add(link_id, words, remedy, "warning")

    def _add(self, link_id: str | None, words: str, remedy: str, severity: Literal["error", "warning"]) -> None:
        line = 1
        if link_id is not None:
            place = re.search(rf'"linkId"\s*:\s*{re.escape(json.dumps(link_id, ensure_ascii=False))}', self.text)
            line = self.text.count("\n", 0, place.start()) + 1 if place else 1
        column = f"item {link_id}" if link_id is not None else None
        self.problems.append(Problem(self.file, line, column, words, remedy, severity))
