"""Working on rules without touching what is live: a draft is a rulebook and what is changed of it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

import msgspec

from app.errors import InvalidRequest, NotFound
from app.fhir.json import encode
from app.ledger import Draft, Ledger, RulebookRecord
from app.rulebook.rulebook import ROUTES_FILE, Loaded, Rulebook, build
from benefit_router import Problem

_NEW_FILE = re.compile(r"(policies|guidance|scenarios)/[a-z0-9][a-z0-9-]*\.yaml|lists/[a-z0-9][a-z0-9-]*\.csv")
ScenariosOf = Callable[[str], Mapping[str, str]]
MOST_BYTES = 2_000_000
"""Largest text of one file."""


@dataclass(frozen=True, slots=True)
class Open:
    """A draft with the texts it is based on and the texts it makes, of rules and of their scenarios."""

    draft: Draft
    base: Mapping[str, str]
    files: Mapping[str, str]

    @property
    def changed(self) -> list[str]:
        """Paths of files that differ from the base."""
        every = sorted({*self.base, *self.files})
        return [path for path in every if self.base.get(path) != self.files.get(path)]

    @property
    def loaded(self) -> Loaded:
        """The rulebook it makes, with everything that is wrong with it."""
        return _built(tuple(sorted((path, text) for path, text in self.files.items() if not _is_scenario(path))))

    @property
    def scenarios(self) -> Mapping[str, str]:
        """The texts of the scenarios it is held to."""
        return {path: text for path, text in self.files.items() if _is_scenario(path)}

    def problems_of(self, path: str, problems: tuple[Problem, ...]) -> list[Problem]:
        """Those of one file."""
        return [problem for problem in problems if problem.file == path]


def begin(ledger: Ledger, book: Rulebook, *, title: str, author: str, now: datetime) -> Draft:
    """A new draft of the live rules. InvalidRequest without a title."""
    if not title.strip():
        raise InvalidRequest("Give the draft a title: what is to change.")
    files = encode(dict(book.files))
    ledger.record_rulebook(RulebookRecord(hash=book.hash, label=book.label, files=files, loaded_at=now))
    draft = Draft(
        draft_id=str(uuid.uuid4()),
        title=title.strip()[:200],
        author=author,
        based_on=book.hash,
        version=1,
        changed_at=now,
        files={},
    )
    ledger.keep_draft(draft, seen=None)
    return draft


def open_draft(ledger: Ledger, draft_id: str, scenarios: ScenariosOf) -> Open:
    """A draft with its texts; `scenarios` gives those of a rulebook by its hash. NotFound where there is no draft."""
    draft = ledger.draft(draft_id)
    if draft is None:
        raise NotFound("There is no such draft. It may have been submitted or thrown away.")
    base = {**_texts(ledger, draft.based_on), **scenarios(draft.based_on)}
    return _opened(draft, base)


def changed(ledger: Ledger, opened: Open, path: str, text: str | None, *, seen: int, by: str, now: datetime) -> Draft:
    """Give a file another text, or take it out (None).

    InvalidRequest for a path that may not be, for what is too large, for somebody else's draft, and when it was changed
    since version `seen`.
    """
    if path not in opened.base and not _NEW_FILE.fullmatch(path):
        raise InvalidRequest(
            f"{path!r} is no file of the rules. Write policies/name.yaml, scenarios/name.yaml or lists/name.csv."
        )
    if text is not None and len(text.encode()) > MOST_BYTES:
        raise InvalidRequest("The text is too large for a rule file.")
    if text is None and path in (ROUTES_FILE, "payer.yaml"):
        raise InvalidRequest(f"There are no rules without {path}.")
    _refuse_others(opened.draft, by)
    # Browsers send line ends as CR LF, files have LF.
    files = {**opened.draft.files, path: None if text is None else text.replace("\r\n", "\n")}
    kept = {name: other for name, other in files.items() if opened.base.get(name) != other}
    draft = replace(opened.draft, files=kept, version=seen + 1, changed_at=now)
    if not ledger.keep_draft(draft, seen=seen):
        raise InvalidRequest("The draft was changed meanwhile, in another window. Load the page again.")
    return draft


def rebased(ledger: Ledger, opened: Open, book: Rulebook, scenarios: ScenariosOf, *, by: str, now: datetime) -> Draft:
    """The draft on the rules that are live now. InvalidRequest naming files that changed in both."""
    _refuse_others(opened.draft, by)
    texts = {**book.files, **scenarios(book.hash)}
    both = [path for path in opened.changed if opened.base.get(path) != texts.get(path)]
    if both:
        raise InvalidRequest(f"Changed here and in the live rules since: {', '.join(both)}. Begin a new draft of them.")
    files = encode(dict(book.files))
    ledger.record_rulebook(RulebookRecord(hash=book.hash, label=book.label, files=files, loaded_at=now))
    draft = replace(opened.draft, based_on=book.hash, version=opened.draft.version + 1, changed_at=now)
    ledger.keep_draft(draft, seen=opened.draft.version)
    return draft


def _is_scenario(path: str) -> bool:
    return path.startswith("scenarios/")


def _refuse_others(draft: Draft, by: str) -> None:
    if draft.author != by:
        raise InvalidRequest(f"This is a draft of {draft.author}. Begin one of your own.")


def _opened(draft: Draft, base: Mapping[str, str]) -> Open:
    files = {**base, **draft.files}
    return Open(draft, base, {path: text for path, text in files.items() if text is not None})


@lru_cache(maxsize=8)
def _built(files: tuple[tuple[str, str], ...]) -> Loaded:
    """A draft is looked at many times between two changes, and building takes its time."""
    return build(dict(files))


def _texts(ledger: Ledger, rulebook_hash: str) -> Mapping[str, str]:
    record = ledger.rulebook(rulebook_hash)
    if record is None:
        raise NotFound("The rules that the draft is based on are no longer in the ledger.")
    return msgspec.json.decode(record.files, type=dict[str, str])
