"""From a chart to determinations: the one way that live calls, scenarios and replays all take."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import date

import structlog

from app.crd.cards import guidance_in_play
from app.crd.chart import Chart, Resource
from app.crd.decide import decide, policies_in_play, route, technical
from app.crd.determination import Determination
from app.crd.facts import OrderFacts, build_facts
from app.crd.gather import Record
from app.hooks.request import DraftOrder, HookRequest
from app.members.directory import MemberDirectory
from app.rulebook.rulebook import Rulebook
from app.rulebook.scope import Need
from benefit_router import RouteDecision

log = structlog.get_logger("signpost.crd")


@dataclass(frozen=True, slots=True)
class Determined:
    """Every order with its determination, and the record they were decided on."""

    answers: tuple[tuple[OrderFacts, Determination], ...]
    record: Record


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
) -> Determined:
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
        routes = [route(each, rulebook) for each in facts]
    with stage("record"):
        record = read_record(_needs(facts, routes, request.hook, rulebook))
    with stage("decide"):
        return Determined(
            tuple(
                (each, _decide(each, decision, rulebook, record, chart, today))
                for each, decision in zip(facts, routes, strict=True)
            ),
            record,
        )


def _decide(
    facts: OrderFacts,
    decision: RouteDecision | None,
    rulebook: Rulebook,
    record: Record,
    chart: Chart,
    today: date,
) -> Determination:
    """Decide one order; a fault in deciding it must not silence the others."""
    try:
        return decide(facts, decision, rulebook=rulebook, record=record, chart=chart, today=today)
    except Exception as error:  # told as `technical`, and found in the log by its place
        log.error("decide.fault", order=facts.order.key, error=type(error).__name__, at=place_of(error))
        return technical(facts.order.key, "The payer's rules could not be evaluated for this order.", today)


def _needs(facts: list[OrderFacts], routes: list[RouteDecision | None], hook: str, rulebook: Rulebook) -> list[Need]:
    """What the policies and cards in play want read from the record."""
    needs: list[Need] = []
    for each, decision in zip(facts, routes, strict=True):
        if each.match.outcome != "found":
            continue
        for policy in policies_in_play(each, decision, rulebook):
            needs += policy.needs if policy is not None else ()
        track = decision.track if decision is not None else None
        for guidance in guidance_in_play(each, track, hook, rulebook):
            needs += guidance.needs
    return needs


def place_of(error: BaseException) -> str:
    """File and line where an exception arose: enough to find it, and no data."""
    frames = traceback.extract_tb(error.__traceback__)
    written = [frame for frame in frames if not frame.filename.startswith("<")]  # generated code has no file
    return f"{written[-1].filename.rsplit('/', 1)[-1]}:{written[-1].lineno}" if written else "unknown"
