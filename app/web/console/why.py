"""Why an answer came out as it did, for whoever has to say so; and what it would have been were the facts others.

What is searched for is sent in a form's body: an address would stand in logs and histories, and names a person.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.crd.counterfactual import supposed, what_would_change
from app.crd.determine import Decided
from app.crd.explanation import explain
from app.crd.replay import Replayed, replay
from app.crd.supposition import Situation, Supposition, suppositions
from app.errors import InvalidRequest, NotFound, ReplayError
from app.ledger import StoredAssertion
from app.rulebook.rulebook import Rulebook
from app.web.console.pages import blueprint, ledger, needs, note_reading

_MOST = 100  # answers listed at once
_TRIED = 1500  # changes of facts tried for one page: about a second


@blueprint.get("/why")
@needs("persons")
def why() -> str:
    """The form to find an answer with."""
    return render_template("console/why.html", asked={}, found=None)


@blueprint.post("/why")
@needs("persons")
def find_answers() -> str | Response:
    """Answers by id, or of an order, member or span of days."""
    asked = {name: request.form.get(name, "").strip()[:100] for name in ("id", "order", "member", "since", "until")}
    if not any(asked.values()):
        raise InvalidRequest("Say what to look for: an id, an order, a member or a day.")
    if asked["id"]:
        return _by_id(asked["id"])
    since, until = _day(asked["since"]), _day(asked["until"])
    note_reading(
        "search",
        ", ".join(f"{name} {value}" for name, value in asked.items() if value and name != "member") or "member",
        asked["member"] or None,
    )
    found = ledger().assertions_about(
        member_id=asked["member"] or None,
        order_ref=asked["order"] or None,
        since=since,
        until=until + timedelta(days=1) if until is not None else None,
        limit=_MOST,
    )
    return render_template("console/why.html", asked=asked, found=found, most=_MOST)


@blueprint.get("/why/<assertion_id>")
@needs("persons")
def answer(assertion_id: str) -> str:
    """One answer: the way to it, and what would change it."""
    return _told(assertion_id, {})


@blueprint.post("/why/<assertion_id>")
@needs("persons")
def suppose(assertion_id: str) -> str:
    """The same with facts changed."""
    chosen = {name.removeprefix("fact:"): value for name, value in request.form.items() if name.startswith("fact:")}
    return _told(assertion_id, {fact: value for fact, value in chosen.items() if value})


def _by_id(wanted: str) -> str | Response:
    if ledger().assertion(wanted) is not None:
        return redirect(url_for("console.answer", assertion_id=wanted), 303)
    call = ledger().invocation(wanted)
    if call is None:
        raise NotFound("No answer was given under this id, and no call has it.")
    note_reading("call", wanted)
    found = [(call.received_at, made) for made in ledger().assertions_of(wanted)]
    return render_template("console/why.html", asked={"id": wanted}, found=found, most=_MOST)


def _told(assertion_id: str, chosen: dict[str, str]) -> str:
    under_id = ledger().told_under(assertion_id)
    if not under_id:
        raise NotFound("No answer was given under this id.")
    made = under_id[0]
    note_reading("answer", assertion_id, made.member_id)
    try:
        replayed = replay(ledger(), assertion_id)
    except ReplayError as error:
        raise NotFound(f"The answer cannot be given again: {error}") from None
    decided = _of_order(replayed, made)
    if decided is None:
        raise NotFound("The order of this answer is not in its call.")
    book = replayed.rulebook
    every = _suppositions(decided, book)
    wanted = [each for each in every if chosen.get(each.fact) == each.after]
    other = supposed(decided, wanted, book) if wanted else None
    facts: dict[str, list[Supposition]] = {}
    for each in every:
        facts.setdefault(each.fact, []).append(each)
    return render_template(
        "console/answer.html",
        made=made,
        later=under_id[1:],
        call=replayed.call,
        same=replayed.same,
        told=explain(decided, book),
        changes=what_would_change(decided, book, most_tried=_TRIED),
        facts=facts,
        chosen=chosen,
        supposed=explain(other, book) if other is not None else None,
        supposed_changes=[(each.fact, each.before, each.after) for each in wanted],
        form=ledger().forms_returned_for(made.told_id),
    )


def _of_order(replayed: Replayed, made: StoredAssertion) -> Decided | None:
    """What was decided for the order of an answer, under the Coverage it was given for."""
    every = [one for decided in replayed.decided for one in decided if one.order.key == made.order_ref]
    of_coverage = [
        one for one in every if one.play is not None and one.play.facts.coverage.get("id") == _id_in(made.coverage_ref)
    ]
    return next(iter(of_coverage or every), None)


def _id_in(reference: str) -> str:
    return reference.rpartition("/")[2]


def _suppositions(decided: Decided, book: Rulebook) -> list[Supposition]:
    if decided.play is None or decided.evidence is None:
        return []
    return suppositions(Situation(decided.play.facts, decided.evidence.record), book)


def _day(text: str) -> datetime | None:
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC) if text else None
    except ValueError:
        raise InvalidRequest("The day is not one. Write it as 2026-11-25.") from None
