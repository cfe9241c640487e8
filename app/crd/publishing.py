"""Making rules live, with four eyes: one person submits, another approves, now or for an instant to come.

Plain functions over the ledger, for the command line and the console alike. What could not go live from files cannot be
submitted; every act is recorded with who and when, and is an event of the ledger's chain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from app.crd.replay import stored_rulebook
from app.crd.scenarios import run
from app.errors import ReplayError, RulebookError
from app.fhir.json import encode
from app.ledger import Ledger, Publication, PublicationRecord, RulebookRecord
from app.ledger.publication import live_at, live_before, open_submissions, scheduled
from app.rulebook.rulebook import Rulebook, load
from app.rulebook.scenarios import build_scenarios, scenario_files


@dataclass(frozen=True, slots=True)
class Checked:
    """A rulebook that may be submitted, and what was tried on it, in words.

    `scenarios` are the texts of those that it was held to, kept with it; None: as they are.
    """

    rulebook: Rulebook
    checks: str
    scenarios: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """An act of the history. `state`: live, scheduled, waiting, past, approved, withdrawn, "-" for a withdrawal."""

    act: Publication
    state: str


def check(rules: Path, questionnaires: Path, roster: Path) -> Checked:
    """Load the rules of a folder and run its scenarios. RulebookError with everything that is wrong."""
    loaded = load(rules, questionnaires)
    if loaded.rulebook is None:
        raise RulebookError("\n".join(str(problem) for problem in loaded.errors))
    return try_out(loaded.rulebook, scenario_files(rules / "scenarios"), roster)


def try_out(rulebook: Rulebook, files: Mapping[str, str], roster: Path) -> Checked:
    """Run the scenarios of some texts. RulebookError with all that do not hold."""
    scenarios, problems = build_scenarios(files, rulebook)
    wrong = [str(problem) for problem in problems]
    for scenario in scenarios:
        outcome = run(scenario, rulebook, roster)
        wrong += [f"{scenario.place}: scenario {scenario.id}: {words}" for words in outcome.differences]
    if wrong:
        raise RulebookError(
            "\n".join([*wrong, "These rules do not hold what their scenarios say; nothing is published."])
        )
    return Checked(rulebook, f"{len(scenarios)} scenarios held", files)


def submit(ledger: Ledger, checked: Checked, *, author: str, note: str = "", now: datetime) -> Publication:
    """Store a rulebook for somebody else to approve. RulebookError when it is live or waits already."""
    author, rulebook = _named(author, "who submits"), checked.rulebook
    _store(ledger, rulebook, now)
    if checked.scenarios is not None:
        ledger.keep_scenarios(rulebook.hash, checked.scenarios)

    def decide(acts: list[Publication]) -> PublicationRecord:
        _refuse_live(acts, rulebook.hash, now)
        for waiting in open_submissions(acts):
            if waiting.rulebook_hash == rulebook.hash:
                raise RulebookError(f"Rulebook {rulebook.label} was submitted already, as number {waiting.number}.")
        return PublicationRecord(
            act="submitted",
            rulebook_hash=rulebook.hash,
            label=rulebook.label,
            actor=author,
            author=author,
            at=now,
            checks=checked.checks,
            note=note,
        )

    return ledger.publish(decide)


def approve(
    ledger: Ledger, number: int, *, approver: str, at: datetime | None = None, note: str = "", now: datetime
) -> Publication:
    """Make a submission live, now or `at` an instant to come. RulebookError unless somebody else submitted it."""
    approver = _named(approver, "who approves")
    _not_past(at, now)
    effective_at = at or now

    def decide(acts: list[Publication]) -> PublicationRecord:
        waiting = next((act for act in open_submissions(acts) if act.number == number), None)
        if waiting is None:
            raise RulebookError(f"Number {number} is no submission that waits for approval.")
        _four_eyes(waiting.author, approver)
        _refuse_live(acts, waiting.rulebook_hash, effective_at)
        return PublicationRecord(
            act="approved",
            rulebook_hash=waiting.rulebook_hash,
            label=waiting.label,
            actor=approver,
            author=waiting.author,
            at=now,
            effective_at=effective_at,
            about=number,
            checks=waiting.checks,
            note=note,
        )

    waiting = next((act for act in ledger.publications() if act.number == number), None)
    if waiting is not None:
        _loads(ledger, waiting.rulebook_hash)
    return ledger.publish(decide)


def publish(
    ledger: Ledger,
    checked: Checked,
    *,
    author: str,
    approver: str,
    at: datetime | None = None,
    note: str = "",
    now: datetime,
) -> Publication:
    """Submit and approve, by two people who work together."""
    _four_eyes(_named(author, "who submits"), _named(approver, "who approves"))
    _not_past(at, now)
    waiting = [act for act in open_submissions(ledger.publications()) if act.rulebook_hash == checked.rulebook.hash]
    submitted = waiting[0] if waiting else submit(ledger, checked, author=author, note=note, now=now)
    return approve(ledger, submitted.number, approver=approver, at=at, note=note, now=now)


def withdraw(ledger: Ledger, number: int, *, by: str, why: str, now: datetime) -> Publication:
    """Take back a submission that waits, or an approval that has not taken effect yet."""
    actor = _named(by, "who withdraws")

    def decide(acts: list[Publication]) -> PublicationRecord:
        taken = next((act for act in (*open_submissions(acts), *scheduled(acts, now)) if act.number == number), None)
        if taken is None:
            raise RulebookError(
                f"Number {number} neither waits for approval nor is scheduled. A live rulebook is rolled back."
            )
        return PublicationRecord(
            act="withdrawn",
            rulebook_hash=taken.rulebook_hash,
            label=taken.label,
            actor=actor,
            author=taken.author,
            at=now,
            about=number,
            note=why,
        )

    return ledger.publish(decide)


def roll_back(
    ledger: Ledger, *, author: str, approver: str, why: str, to: str | None = None, now: datetime
) -> Publication:
    """Make a rulebook live again that was live before: the last one, or the one whose label starts with `to`."""
    author, approver = _named(author, "who asks for it"), _named(approver, "who approves")
    _four_eyes(author, approver)
    if not why.strip():
        raise RulebookError("Say why the rules are rolled back.")

    def decide(acts: list[Publication]) -> PublicationRecord:
        back = _was_live(acts, to, now)
        return PublicationRecord(
            act="rolled-back",
            rulebook_hash=back.rulebook_hash,
            label=back.label,
            actor=approver,
            author=author,
            at=now,
            effective_at=now,
            note=why,
        )

    _loads(ledger, _was_live(ledger.publications(), to, now).rulebook_hash)
    return ledger.publish(decide)


def scenarios_of(ledger: Ledger, rulebook_hash: str, folder: Path) -> Mapping[str, str]:
    """The scenarios that a rulebook is held to: those kept with it, else those of the folder."""
    kept = ledger.scenarios(rulebook_hash)
    return kept if kept is not None else scenario_files(folder)


def history(ledger: Ledger, now: datetime) -> list[Entry]:
    """Every act with what became of it, newest first."""
    acts = ledger.publications()
    live, waiting = live_at(acts, now), {act.number for act in open_submissions(acts)}
    coming = {act.number for act in scheduled(acts, now)}
    withdrawn = {act.about for act in acts if act.act == "withdrawn"}

    def state(act: Publication) -> str:
        if act.number in withdrawn:
            return "withdrawn"
        if act.number in coming:
            return "scheduled"
        if act.act == "submitted":
            return "waiting" if act.number in waiting else "approved"
        if act.effective_at is None:
            return "-"
        return "live" if live is not None and act.number == live.number else "past"

    return [Entry(act, state(act)) for act in reversed(acts)]


def _was_live(acts: Sequence[Publication], to: str | None, now: datetime) -> Publication:
    """What to go back to."""
    if live_at(acts, now) is None:
        raise RulebookError("No rulebook is live, so there is none to roll back.")
    earlier = [act for act in live_before(acts, now) if to is None or act.label.startswith(to)]
    if not earlier:
        words = f"No rulebook {to} was live before." if to else "No other rulebook was live before."
        raise RulebookError(f"{words} `signpost rules published` lists them.")
    return earlier[0]


def _not_past(at: datetime | None, now: datetime) -> None:
    if at is not None and at <= now:
        raise RulebookError(f"{at.isoformat()} is past. Leave --at out to make the rules live now.")


def _four_eyes(author: str, approver: str) -> None:
    if author.casefold() == approver.casefold():
        raise RulebookError(f"{author} cannot approve their own rules. Another person has to.")


def _named(name: str, who: str) -> str:
    if not name.strip():
        raise RulebookError(f"Say {who}.")
    return name.strip()


def _refuse_live(acts: Sequence[Publication], rulebook_hash: str, moment: datetime) -> None:
    live = live_at(acts, moment)
    if live is not None and live.rulebook_hash == rulebook_hash:
        raise RulebookError(f"Rulebook {live.label} is live already: nothing would change.")


def _store(ledger: Ledger, rulebook: Rulebook, now: datetime) -> None:
    files = encode(dict(rulebook.files))
    ledger.record_rulebook(RulebookRecord(hash=rulebook.hash, label=rulebook.label, files=files, loaded_at=now))


def _loads(ledger: Ledger, rulebook_hash: str) -> None:
    """A stored rulebook must still load before it may go live: Signpost itself may be newer."""
    try:
        stored_rulebook(ledger, rulebook_hash)
    except ReplayError as error:
        raise RulebookError(str(error)) from None
