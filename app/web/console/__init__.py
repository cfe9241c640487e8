"""The console: pages for benefit staff, auditors and whoever owns the service. Rendered here, no script needed."""

from __future__ import annotations

from app.web.console import draft_rows, drafts, figures, login, publications, readings, search, why
from app.web.console.pages import Console, blueprint

__all__ = [
    "Console",
    "blueprint",
    "draft_rows",
    "drafts",
    "figures",
    "login",
    "publications",
    "readings",
    "search",
    "why",
]
