"""Two decisions of the same order, compared as benefit people speak of them: road, coverage, authorization, ..."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from app.crd import cards
from app.crd.determination import Determination
from app.crd.determine import Decided
from app.crd.facts import OrderFacts
from app.crd.respond import finished
from app.hooks.configuration import read_configuration
from app.hooks.request import HookRequest
from app.rulebook.guidance import Guidance
from app.rulebook.rulebook import ROUTES_FILE, Rulebook
from benefit_router import Code, CodeList, Rule

ASPECTS = ("road", "coverage", "authorization", "documents", "cards", "words")
"""What may differ; `words` is what is said around the answer: reasons, billing codes, details, how long it holds."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An order as it would be answered: the determination as it leaves, and what the cards beside it offer, by name."""

    order_key: str
    member_id: str | None
    determination: Determination
    cards: Mapping[str, str]

    @property
    def rule(self) -> str:
        """The rules that decided, in one line."""
        return ", ".join(self.determination.rule_ids) or "no rule"

    def _said(self, aspect: str) -> str:
        answers, route = self.determination.answers, self.determination.route
        match aspect:
            case "road":
                return route.track if route is not None else "no drug"
            case "coverage":
                return " + ".join(answer.covered for answer in answers)
            case "authorization":
                return " + ".join(answer.pa_needed or "none stated" for answer in answers)
            case "documents":
                return " + ".join(_documents(answer.doc_needed, answer.questionnaires) for answer in answers)
            case "cards":
                return ", ".join(sorted(self.cards)) or "none"
        return repr((answers, self.determination.expires, self.determination.handoff))

    def against(self, other: Answered) -> dict[str, tuple[str, str]]:
        """What differs in the other: aspect to before and after. Words count only when nothing else differs."""
        found = {}
        for aspect in ASPECTS[:-1]:
            before, after = self._said(aspect), other._said(aspect)
            if before != after:
                found[aspect] = (before, after)
        others = [slug for slug in sorted(self.cards) if other.cards.get(slug, self.cards[slug]) != self.cards[slug]]
        if others and "cards" not in found:
            found["cards"] = (", ".join(others), "the same, saying something else")
        if not found and self._said("words") != other._said("words"):
            found["words"] = ("as before", "otherwise")
        return found


def answered(decided: Sequence[Sequence[Decided]], request: HookRequest) -> Iterator[Answered]:
    """Each order under each Coverage as it would be answered. Cards go with the first Coverage."""
    shown: dict[str, dict[str, str]] = {}
    if decided:
        for each in cards.shown(decided[0], read_configuration(request.configuration)):
            for facts in each.orders:
                shown.setdefault(facts.order.key, {})[each.guidance.scope.slug] = _offered(each.guidance)
    for position, orders in enumerate(decided):
        for one in orders:
            facts_of = one.play.facts if one.play is not None else None
            member = facts_of.match.member if facts_of is not None else None
            leaving = finished(one.determination, request.hook, one.determination.on)
            yield Answered(
                order_key=one.order.key,
                member_id=member.member_id if member is not None else None,
                determination=replace(leaving, tried=()),
                cards=shown.get(one.order.key, {}) if position == 0 else {},
            )


def _offered(guidance: Guidance) -> str:
    """All that a card says, whoever is shown it."""
    said = (guidance.indicator, guidance.summary, guidance.detail, guidance.links, guidance.suggestions)
    return repr((*said, guidance.form, guidance.coverage, guidance.app))


def _documents(needed: Iterable[str], forms: Iterable[str]) -> str:
    return ", ".join((*needed, *(f"form {form}" for form in forms))) or "none"


Touches = Callable[[OrderFacts], bool]


def touches(before: Rulebook, after: Rulebook) -> Touches:
    """Whether the difference of two rulebooks can matter to an order, by what it may mean. When in doubt, it can.

    Rows, policies and cards are found by code. Where nothing else differs, an order that no changed one of them speaks
    of is answered the same.
    """
    changed = {path for path in (*before.files, *after.files) if before.files.get(path) != after.files.get(path)}
    scoped = ("policies/", "guidance/", "questionnaires/")
    if any(path != ROUTES_FILE and not path.startswith(scoped) for path in changed):
        return lambda _: True
    rows = _changed_rows(before, after)
    if _contested(before) != _contested(after) or any(row.codes == "*" or row.for_any_order for row in rows):
        return lambda _: True
    lists = [row.codes for row in rows if isinstance(row.codes, CodeList)]
    classes = frozenset(("class", tag) for row in rows for tag in row.drug_class)
    slugs = {path.rsplit("/", 1)[1].removesuffix(".yaml") for path in changed if path != ROUTES_FILE}
    for book in (before, after):
        scopes = [*(policy.scope for policy in book.policies), *(card.scope for card in book.guidance)]
        lists += [scope.codes for scope in scopes if scope.slug in slugs]
    catalog = before.table.catalog

    def may_matter(facts: OrderFacts) -> bool:
        meant = catalog.candidates(facts.signals.codes).products
        codes: set[Code] = set().union(facts.codes, facts.options, facts.signals.codes, *facts.products)
        codes.update(*(product.identities for product in meant))
        codes.update(("class", tag) for product in meant for tag in product.classes)
        return not classes.isdisjoint(codes) or any(code in each for each in lists for code in codes)

    return may_matter


def _changed_rows(before: Rulebook, after: Rulebook) -> list[Rule]:
    """Rows of either that the other does not have just so; where a row stands in its file does not matter."""
    old, new = _rows(before), _rows(after)
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return [row for name in names for row in (old.get(name), new.get(name)) if row is not None]


def _rows(rulebook: Rulebook) -> Mapping[str, Rule]:
    return {row.rule_id: replace(row, line=0) for row in rulebook.table.rules}


def _contested(rulebook: Rulebook) -> set[str]:
    return {row.rule_id for row in rulebook.table.rules if rulebook.table.contested(row)}
