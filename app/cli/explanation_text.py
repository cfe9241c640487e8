"""An explanation as a person reads it at the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from app.crd.counterfactual import OtherAnswer, WouldChange
from app.crd.explanation import CaseSeen, Explanation, Part
from app.rulebook.answer import Answer

# Details that say something of their own; the others stand in the lines above.
_TOLD = {
    "billing-modifiers": "modifiers",
    "decision-time": "decided within",
    "patient-note": "to the patient",
}
_HELD = {True: "yes", False: "no", None: "unknown"}


def explanation_text(told: Explanation, changes: WouldChange | None = None, *, every_row: bool = False) -> str:
    """The whole way of one order. Rows that name the drug but are for others are counted, unless `every_row`."""
    lines = [
        f"Order       {told.order}, {told.words}",
        f"On          {told.on}, rulebook {told.rulebook}",
        f"Member      {told.member}",
        *_facts(told),
        *_benefit(told, every_row=every_row),
        *_policies(told),
        *_cards(told),
        *(line for answer in told.answers for line in _answer(answer)),
        f"Decided by  {', '.join(told.decided_by) or 'no rule'}",
    ]
    if told.handoff:
        lines.append(f"Handoff     {told.handoff}")
    lines.append(f"Holds to    {told.expires}")
    if changes is not None:
        lines += _changes(changes)
    return "\n".join(lines)


def _facts(told: Explanation) -> Iterator[str]:
    if told.facts:
        yield "Facts"
    for status in ("known", "derived", "missing"):
        for fact in told.facts:
            if fact.status == status:
                shown = f"{fact.name}: {fact.value}" if fact.value is not None else f"{fact.name}: {fact.words}"
                yield f"  {status:<9} {shown}"


def _benefit(told: Explanation, *, every_row: bool) -> Iterator[str]:
    if told.track is None:
        return
    yield f"Benefit     {told.track} ({told.confidence}): {told.reason}"
    if told.products:
        yield f"  may mean  {', '.join(told.products)}"
    deciding = next((number for number, row in enumerate(told.rows) if row.verdict == "decides"), len(told.rows))
    # A row that asks for another member, or that stands below the one that decides, is rarely what is looked for.
    hidden = 0
    for number, row in enumerate(told.rows):
        if not every_row and number > deciding and row.verdict in ("refuted", "not in force"):
            hidden += 1
            continue
        name = row.name.removeprefix("route:")
        yield f"  {row.verdict:<12} {name} -> {row.track} ({row.place}): {row.why}"
    if hidden:
        yield f"  and {hidden} weaker rows that could not hold (--all shows them)"


def _policies(told: Explanation) -> Iterator[str]:
    for policy in told.policies:
        yield f"Policy      {policy.name.removeprefix('policy:')} {policy.verdict} ({policy.place}): {policy.why}"
        for case in policy.cases:
            yield from _case(case)


def _case(case: CaseSeen) -> Iterator[str]:
    lacking = f": {'; '.join(case.lacking)}" if case.lacking else ""
    yield f"  {case.verdict:<14} {case.name} ({case.place}){lacking}"
    if case.verdict in ("does not hold", "unknown") or len(case.parts) > 1:
        yield from (_part(part) for part in case.parts)


def _part(part: Part) -> str:
    return f"    {_HELD[part.value]:<8} {part.text}"


def _cards(told: Explanation) -> Iterator[str]:
    for card in told.cards:
        name = card.name.removeprefix("card:")
        yield f"Card        {name} is {'shown' if card.shown else 'not shown'} ({card.place}): {card.why}"


def _answer(answer: Answer) -> Iterator[str]:
    yield f"Answer      {answer_words(answer)}"
    for reason in answer.reasons:
        yield f"  {' '.join(filter(None, (reason.code, reason.text)))}"
    for detail in answer.details:
        if detail.code in _TOLD:
            qualified = f" ({detail.qualification})" if detail.qualification else ""
            yield f"  {_TOLD[detail.code]}: {detail.value}{qualified}"


def answer_words(answer: Answer) -> str:
    """What an answer promises and asks, in the words of a policy."""
    parts = [answer.covered]
    if answer.pa_needed is not None:
        parts.append(f"pa {answer.pa_needed}")
    for name, values in (
        ("docs", answer.doc_needed),
        ("purpose", answer.doc_purpose),
        ("form", answer.questionnaires),
        ("info", answer.info_needed),
        ("billed as", tuple(" ".join(code) for code in answer.billing_codes)),
    ):
        if values:
            parts.append(f"{name} {' '.join(values) if name != 'billed as' else ' or '.join(values)}")
    return ", ".join(parts)


def _changes(changes: WouldChange) -> Iterator[str]:
    yield "What would change the answer"
    if not changes.others:
        yield "  nothing that was tried"
    for other in changes.others:
        yield f"  {_other(other)}"
        for way in other.ways:
            words = " and ".join(f"{each.fact}: {' or '.join(each.after)} (now: {each.before})" for each in way.changes)
            yield f"    if {words}"
            yield f"       by {', '.join(way.decided_by) or 'no rule'}"
    if not changes.complete:
        yield f"  Not everything was tried: stopped after {changes.tried} combinations."


def _other(other: OtherAnswer) -> str:
    answers = "; ".join(answer_words(answer) for answer in other.answers)
    return f"{other.track}: {answers}" if other.track is not None else answers
