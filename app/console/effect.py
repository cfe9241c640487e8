"""What a candidate would change, as a picture and in sentences: by the rules themselves, and for real calls."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.console.charts import Chart, flows
from app.crd.differences import Difference, difference, rule_sentence, sentence
from app.crd.whatif import WhatIf, what_if
from app.encryption import Encryption
from app.rulebook.rulebook import Rulebook

SAMPLE = 400
"""Real calls decided again for one page; `signpost rules whatif` takes all."""
KEPT = timedelta(minutes=5)
"""How long what was worked out is shown again; the page says from when it is."""
_DECISIONS = 4000
_MOST = 60


@dataclass(frozen=True, slots=True)
class Effect:
    """`drugs` and real `orders` move between benefits; `authorizations` are those of real orders that change, and
    `authorizations_of_drugs` those of drugs and services. None where nothing does.

    `sentences` say what is answered otherwise, `rules` which rules changed. `tried` is of the real calls that
    there were `at` an instant.
    """

    sentences: tuple[str, ...]
    rules: tuple[str, ...]
    drugs: Chart | None
    orders: Chart | None
    authorizations: Chart | None
    authorizations_of_drugs: Chart | None
    tried: WhatIf
    left_out: int
    at: datetime


_kept: dict[tuple[str, str, str], Effect] = {}


def effect(
    live: Rulebook, candidate: Rulebook, *, ledger_url: str, encryption: Encryption | None, now: datetime
) -> Effect:
    """Compare a candidate with the live rules, for services from today on, and on a sample of the ledger's calls.

    What was worked out less than `KEPT` before is given again, since a page is loaded oftener than rules change.
    """
    asked = (ledger_url, live.hash, candidate.hash)
    kept = _kept.get(asked)
    if kept is None or not kept.at <= now < kept.at + KEPT:
        kept = _kept[asked] = _effect(live, candidate, ledger_url, encryption, now)
        for old in [each for each, effect in _kept.items() if now - effect.at >= KEPT]:
            _kept.pop(old, None)
    return kept


def _effect(
    live: Rulebook, candidate: Rulebook, ledger_url: str, encryption: Encryption | None, now: datetime
) -> Effect:
    told = difference(live, candidate, since=now.date(), most=_DECISIONS)
    tried = what_if(ledger_url, candidate.files, encryption=encryption, sample=SAMPLE)
    sentences = [sentence(change) for change in told.answers]
    others = [*told.cards, *told.others, *told.silent]
    return Effect(
        sentences=tuple(sentences[:_MOST]),
        rules=tuple(rule_sentence(each) for each in others),
        drugs=_flow("Drugs that change benefit", "drugs", _moved_drugs(told)),
        orders=_flow("Real orders that change benefit", "orders", _moved_orders(tried, "road")),
        authorizations=_flow(
            "Real orders that gain or lose authorization", "orders", _moved_orders(tried, "authorization")
        ),
        authorizations_of_drugs=_flow(
            "Drugs and services whose authorization changes", "subjects", _changed_authorizations(told)
        ),
        tried=tried,
        left_out=max(0, len(sentences) - _MOST),
        at=now,
    )


def _moved_drugs(told: Difference) -> Counter[tuple[str, str]]:
    """Each drug once for a move, in however many ways it makes it."""
    moved = {(change.road, subject) for change in told.answers if change.road for subject in change.subjects}
    return Counter(road for road, _ in moved)


def _changed_authorizations(told: Difference) -> Counter[tuple[str, str]]:
    """Each drug or service once for a change, in however many ways it makes it."""
    changed = {
        (each.authorization, subject) for each in told.answers if each.authorization for subject in each.subjects
    }
    return Counter(authorization for authorization, _ in changed)


def _moved_orders(tried: WhatIf, aspect: str) -> Counter[tuple[str, str]]:
    moved: Counter[tuple[str, str]] = Counter()
    for group in tried.groups:
        for name, before, after in group.changes:
            if name == aspect:
                moved[before, after] += group.orders
    return moved


def _flow(title: str, counted: str, moved: Counter[tuple[str, str]]) -> Chart | None:
    if not moved:
        return None
    moves = [(before, after, count) for (before, after), count in moved.most_common()]
    return flows(title, ("before", "after", counted), moves)
