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
from app.hooks.request import DraftOrder, HookRequest
from app.members.directory import MemberDirectory
from app.rulebook.rulebook import Rulebook
from app.rulebook.scope import Need

log = structlog.get_logger("signpost.crd")


@dataclass(frozen=True, slots=True)
class Decided:
    """One order, decided: the rules in play, what they were judged on, and the determination."""

    play: InPlay
    evidence: Evidence
    determination: Determination


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
    stage: Callable[[str], AbstractContextManager[None]] = lambda _: nullcontext(),
) -> list[Decided]:
    """Decide each order. `read_record` gives the kinds of record the rules in play need; `stage` times the parts."""
    with stage("facts"):
        facts = [
            build_facts(
                order,
                request=request,
                chart=chart,
                coverage=coverage,
                directory=directory,
                rulebook=rulebook,
                today=today,
            )
            for order in orders
        ]
    with stage("route"):
        plays = [rules_in_play(each, request.hook, rulebook) for each in facts]
    with stage("record"):
        record = read_record([need for play in plays for need in play.needs])
    with stage("decide"):
        return [_decided(play, record, chart, rulebook, today) for play in plays]


def _decided(play: InPlay, record: Record, chart: Chart, rulebook: Rulebook, today: date) -> Decided:
    """Decide one order; a fault in deciding it must not silence the others."""
    evidence = Evidence(play.facts, record, chart, rulebook, today)
    try:
        determination = decide(play, evidence, rulebook=rulebook, today=today)
    except Exception as error:  # told as `technical`, and found in the log by its place
        key = play.facts.order.key
        log.error("decide.fault", order=key, error=type(error).__name__, at=place_of(error))
        determination = technical(key, "The payer's rules could not be evaluated for this order.", today)
    return Decided(play, evidence, determination)


def place_of(error: BaseException) -> str:
    """File and line where an exception arose: enough to find it, and no data."""
    frames = traceback.extract_tb(error.__traceback__)
    written = [frame for frame in frames if not frame.filename.startswith("<")]  # generated code has no file
    return f"{written[-1].filename.rsplit('/', 1)[-1]}:{written[-1].lineno}" if written else "unknown"
