"""The routing API from bytes to bytes: parse, route each order, write down, answer."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import structlog

from app.clients import Client
from app.crd.determine import place_of
from app.crd.kept_rulebooks import KeptRulebooks
from app.crd.routing import RoutingQuestion, route
from app.errors import InvalidRequest, RequestError
from app.fhir import dates, outcomes
from app.fhir.json import decode, encode
from app.ledger import ROUTING, Call, Ledger
from app.members import MemberDirectory
from app.rulebook.keeper import RulebookKeeper
from app.rulebook.rulebook import Rulebook

log = structlog.get_logger("signpost.routing")

# A check of a parsed body against a published request schema, by its name: raises InvalidRequest with the element.
Check = Callable[[str, Any], None]


@dataclass(frozen=True, slots=True)
class Routed:
    """What goes back over HTTP."""

    status: int
    body: bytes


class RoutingService:
    """Which benefit pays, asked by any vendor. Each call is one invocation in the ledger, without an assertion."""

    def __init__(
        self,
        keeper: RulebookKeeper,
        directory: Callable[[Rulebook], MemberDirectory],
        ledger: Ledger,
        *,
        any_payer: bool,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._keeper = keeper
        self._directory = directory
        self._ledger = ledger
        self._any_payer = any_payer
        self._clock = clock
        self._rulebooks = KeptRulebooks(ledger)

    def one(self, data: bytes, check: Check, client: Client | None) -> Routed:
        """Answer one question. LedgerError when the answer could not be written down: then it is not given."""

        def answer(parsed: Any, rulebook: Rulebook, today: date) -> Any:
            check("Question", parsed)
            return self._route(parsed, rulebook, today)

        return self._answer("routing-decisions", data, client, answer)

    def batch(self, data: bytes, check: Check, client: Client | None) -> Routed:
        """Answer several; a question at fault gets an OperationOutcome in its place, the others their answers."""

        def answer(parsed: Any, rulebook: Rulebook, today: date) -> Any:
            check("Batch", parsed)
            answers = []
            for asked in parsed["questions"]:
                try:
                    check("Question", asked)
                    answers.append(self._route(asked, rulebook, today))
                except RequestError as error:
                    answers.append(outcomes.from_error(error))
            return {"decisions": answers}

        return self._answer("routing-batch", data, client, answer)

    def _route(self, asked: Mapping[str, Any], rulebook: Rulebook, today: date) -> dict[str, Any]:
        on = asked.get("on")
        question = RoutingQuestion(
            order=asked["order"],
            coverage=asked.get("coverage"),
            resources=tuple(asked.get("resources", ())),
            member=asked.get("member"),
            on=date.fromisoformat(on) if on is not None else None,
        )
        return route(
            question,
            rulebook=rulebook,
            directory=self._directory(rulebook),
            any_payer=self._any_payer,
            today=today,
        )

    def _answer(
        self,
        service: str,
        data: bytes,
        client: Client | None,
        answer: Callable[[Any, Rulebook, date], Any],
    ) -> Routed:
        received, started, invocation = self._clock(), time.monotonic(), str(uuid.uuid4())
        rulebook = self._keeper.current
        issues: tuple[str, ...] = ()
        try:
            routed = Routed(200, encode(answer(decode(data), rulebook, received.date())))
        except RequestError as error:
            issues = (f"{error.code} {error.element or ''}".strip(),)
            routed = Routed(error.status, encode(outcomes.from_error(error)))
        except Exception as error:
            # The message of an unknown exception may quote the order; its place may not.
            log.error("routing.fault", invocation=invocation, error=type(error).__name__, at=place_of(error))
            issues = (f"exception {type(error).__name__}",)
            words = f"The service failed on this question; it is recorded as {invocation}."
            routed = Routed(500, encode(outcomes.operation_outcome(outcomes.issue("fatal", "exception", words))))
        call = Call(
            invocation_id=invocation,
            received_at=received,
            answered_in_ms=round((time.monotonic() - started) * 1000, 3),
            service_id=service,
            hook=ROUTING,
            client=client.iss if client else "sandbox",
            status=routed.status,
            request=data,
            request_size=len(data),
            request_sha256=hashlib.sha256(data).hexdigest(),
            response=routed.body,
            token_use="not-used",  # noqa: S106  # a word of CRD's metric model, not a secret
            rulebook_hash=rulebook.hash,
            timings={},
            issues=issues,
        )
        self._rulebooks.keep(rulebook)
        self._ledger.record(call)
        log.info(
            "routing.answered",
            invocation=invocation,
            service=service,
            status=routed.status,
            ms=call.answered_in_ms,
            rulebook=rulebook.label,
            issues=issues,
        )
        return routed


def day(text: str | None) -> date | None:
    """A day of a query; InvalidRequest for what is none."""
    if text is None:
        return None
    span = dates.parse(text)
    if span is None or len(text) != len("2026-01-31"):
        raise InvalidRequest("This is not a day; write year-month-day.", element="on", code="value")
    return span.first
