"""From a chart to determinations: the one way that live calls, scenarios and replays all take."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import date

import structlog

from app.crd.chart import Chart, Resource
from app.crd.decide import decide, technical
from app.crd.determination import Determination
from app.crd.evidence import Evidence
from app.crd.facts import build_facts
from app.crd.gather import Record
from app.crd.in_play import InPlay, rules_in_play
from app.crd.returned_forms import Returned
from app.errors import RequestError
from app.hooks.request import DraftOrder, HookRequest
from app.members.directory import MemberDirectory
from app.rulebook.rulebook import Rulebook
from app.rulebook.scope import Need

log = structlog.get_logger("signpost.crd")


@dataclass(frozen=True, slots=True)
class Decided:
    """One order, decided. `play` and `evidence` are None for an order whose facts could not be made out."""

    order: DraftOrder
    determination: Determination
    play: InPlay | None = None
    evidence: Evidence | None = None


def determine(
    orders: Sequence[DraftOrder],
    *,
    request: HookRequest,
    chart: Chart,
    coverage: Resource,
    directory: MemberDirectory,
    rulebook: Rulebook,
    read_record: Callable[[list[Need]], Record],
    today: date,
    returned: Returned = lambda facts: (),
    stage: Callable[[str], AbstractContextManager[None]] = lambda _: nullcontext(),
) -> list[Decided]:
    """Decide each order. `read_record` gives the kinds of record the rules in play need; `stage` times the parts.

    `returned` gives the forms that came back for an order; it is asked when a rule in play looks at them.
    """
    plays: list[InPlay | None] = []
    with stage("facts"):
        for order in orders:
            try:
                facts = build_facts(
                    order,
                    request=request,
                    chart=chart,
                    coverage=coverage,
                    directory=directory,
                    rulebook=rulebook,
                    today=today,
                )
                plays.append(rules_in_play(facts, request.hook, rulebook))
            except RequestError:
                raise
            except Exception as error:
                _report(order, error)
                plays.append(None)
    with stage("record"):
        record = read_record([need for play in plays if play is not None for need in play.needs])
    with stage("decide"):
        return [
            _decided(order, play, record, chart, rulebook, today, returned)
            for order, play in zip(orders, plays, strict=True)
        ]


def _decided(
    order: DraftOrder,
    play: InPlay | None,
    record: Record,
    chart: Chart,
    rulebook: Rulebook,
    today: date,
    returned: Returned,
) -> Decided:
    """Decide one order. A fault in one must not silence the others: it is told as `technical`."""
    if play is not None:
        try:
            forms = _forms(play, returned)
            evidence = Evidence(play.facts, record, chart, rulebook, today, forms)
            return Decided(order, decide(play, evidence, rulebook=rulebook, today=today), play, evidence)
        except Exception as error:
            _report(order, error)
    return Decided(order, technical(order.key, "The payer's rules could not be evaluated for this order.", today))


def _forms(play: InPlay, returned: Returned) -> Sequence[Resource] | None:
    """The forms that came back for the order, when a rule looks at them; None where that cannot be told."""
    if not play.looks_at("forms"):
        return ()
    member = play.facts.match.member
    return returned(play.facts) if member is not None and member.member_id else ()


def _report(order: DraftOrder, error: Exception) -> None:
    """A fault of ours is found in the log by its place."""
    log.error("decide.fault", order=order.key, error=type(error).__name__, at=place_of(error))


def place_of(error: BaseException) -> str:
    """File and line where an exception arose: enough to find it, and no data."""
    frames = traceback.extract_tb(error.__traceback__)
    written = [frame for frame in frames if not frame.filename.startswith("<")]  # generated code has no file
    return f"{written[-1].filename.rsplit('/', 1)[-1]}:{written[-1].lineno}" if written else "unknown"
