"""One hook call from bytes to bytes: parse, gather, decide, respond, write down, answer."""

from __future__ import annotations

import hashlib
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import structlog

from app.clients import Client
from app.crd import cards
from app.crd.chart import Chart, Resource
from app.crd.coverage_choice import choose_coverages
from app.crd.decide import technical
from app.crd.determination import Determination
from app.crd.determine import Decided, determine, place_of
from app.crd.facts import OrderFacts
from app.crd.gather import Record, gather, gather_record
from app.crd.order_content import listed
from app.crd.recent_reads import RecentReads
from app.crd.respond import SERIALIZERS, Given, body, finished, give, joined
from app.crd.said import SaidCards
from app.crd.standing import Promise, promise
from app.crd.subjects import TYPES, find_subjects
from app.crd.trail import assertion_record, card_record
from app.errors import (
    EhrError,
    InvalidRequest,
    LedgerError,
    NotAllowed,
    PayloadTooLarge,
    RequestError,
    UnknownService,
)
from app.fhir import outcomes, references
from app.fhir.ehr import ConnectionPool, Ehr, EhrConnection
from app.fhir.json import encode
from app.hooks.configuration import read_configuration
from app.hooks.discovery import SERVICE_IDS
from app.hooks.request import DraftOrder, HookRequest, parse_request
from app.ledger import AssertionRecord, Call, CardRecord, Ledger, RulebookRecord
from app.members.directory import MemberDirectory
from app.rulebook.keeper import RulebookKeeper
from app.rulebook.rulebook import Rulebook
from app.rulebook.scope import Need
from app.settings import Settings
from app.state import SharedState

log = structlog.get_logger("signpost.crd")

# Left for deciding, writing and sending once the EHR has been read.
_AFTER_EHR_SECONDS = 0.5
_TOKEN = re.compile(rb'("access_token"\s*:\s*")(?:[^"\\]|\\.)*')


@dataclass(frozen=True, slots=True)
class Answered:
    """What goes back over HTTP."""

    status: int
    body: bytes


@dataclass(slots=True)
class Progress:
    """What is known of a call so far; the ledger row is made from it however the call ends."""

    service_id: str
    received: datetime
    started: float
    invocation_id: str
    client: Client | None = None
    request: HookRequest | None = None
    rulebook: Rulebook | None = None
    chart: Chart | None = None
    queried: bool = False
    timings: dict[str, float] = field(default_factory=dict)
    assertions: list[AssertionRecord] = field(default_factory=list)
    honoured: list[str] = field(default_factory=list)
    tracks: list[str] = field(default_factory=list)
    cards: list[CardRecord] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage, in milliseconds."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.timings[name] = round((time.perf_counter() - started) * 1000, 3)


class CrdService:
    """The payer's answer to a hook. One for a process; a call keeps nothing on it."""

    def __init__(
        self,
        settings: Settings,
        keeper: RulebookKeeper,
        directory: Callable[[Rulebook], MemberDirectory],
        pool: ConnectionPool,
        ledger: Ledger,
        *,
        said: SaidCards | None = None,
        state: SharedState | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._settings = settings
        self._keeper = keeper
        self._directory = directory
        self._pool = pool
        self._ledger = ledger
        self._said = said
        self._state = state
        self._clock = clock
        self._new_id = new_id
        self._stored_rulebooks: set[str] = set()

    def answer(self, service_id: str, data: bytes, client: Client | None = None) -> Answered:
        """Answer one call of a verified client, None in the sandbox.

        An answer that could not be written down is not sent: 503 instead.
        """
        progress = Progress(service_id, self._clock(), time.monotonic(), self._new_id(), client)
        issues: tuple[str, ...] = ()
        try:
            answered = Answered(200, self._answer(progress, data))
        except RequestError as error:
            issues = (f"{error.code} {error.element or ''}".strip(),)
            answered = Answered(error.status, encode(outcomes.from_error(error)))
        except Exception as error:  # a fault of ours must still be a well-formed answer, and be found
            # The message of an unknown exception may quote the record; its place may not.
            log.error("hook.fault", invocation=progress.invocation_id, error=type(error).__name__, at=place_of(error))
            issues = (f"exception {type(error).__name__}",)
            words = f"The service failed on this call; it is recorded as {progress.invocation_id}."
            answered = Answered(500, encode(outcomes.operation_outcome(outcomes.issue("fatal", "exception", words))))
        return self._write_down(progress, data, answered, issues)

    def _answer(self, progress: Progress, data: bytes) -> bytes:
        if progress.service_id not in SERVICE_IDS:
            raise UnknownService("There is no CDS service of this id.", code="not-found")
        if progress.client is not None and not progress.client.may_call(progress.service_id):
            raise NotAllowed("This client is not registered for this service.", code="forbidden")
        if len(data) > self._settings.max_body_bytes:
            limit = self._settings.max_body_bytes
            raise PayloadTooLarge(f"The body is larger than {limit} bytes.", code="too-long")
        rulebook = progress.rulebook = self._keeper.current
        today = progress.received.date()
        with progress.stage("parse"):
            hook = SERVICE_IDS[progress.service_id]
            types = TYPES.get(hook, frozenset())
            request = progress.request = parse_request(
                data, hook, order_types=types, max_orders=self._settings.max_orders
            )
            chart = progress.chart = Chart.from_request(request)
        ehr = self._ehr(request, progress)
        with progress.stage("gather"):
            orders = find_subjects(request, chart, ehr)
            gather(chart, request, orders, ehr)
        try:
            coverages = choose_coverages(
                chart,
                rulebook.payer,
                any_payer=self._settings.sandbox,
                could_query=ehr is not None,
                several=self._version(request) != "2.2" or not self._settings.refuse_several_coverages,
            )
        except EhrError as trouble:
            return self._technical(progress, orders, trouble.reason, today)
        directory, read_record = self._directory(rulebook), _reading_once(chart, rulebook, ehr, request)
        decided = [
            determine(
                orders,
                request=request,
                chart=chart,
                coverage=coverage,
                directory=directory,
                rulebook=rulebook,
                read_record=read_record,
                today=today,
                stage=progress.stage,
            )
            for coverage in coverages
        ]
        with progress.stage("respond"):
            return self._respond(progress, decided, coverages, ehr, today)

    def _ehr(self, request: HookRequest, progress: Progress) -> Ehr | None:
        """The EHR of this call, when it may be asked. The token stays in the connection, which dies with the call."""
        if request.fhir_server is None or request.access_token is None:
            return None
        pool = self._pool if progress.client is None else self._pool.under(progress.client.policy)
        if not pool.allows(request.fhir_server):
            raise InvalidRequest(
                "This fhirServer is not registered for the client.", element="fhirServer", code="security"
            )
        progress.queried = True
        deadline = progress.started + self._settings.answer_within - _AFTER_EHR_SECONDS
        connection = EhrConnection(pool, request.fhir_server, request.access_token, deadline)
        if self._state is None or not self._settings.ehr_cache_seconds:
            return connection
        client = progress.client.iss if progress.client is not None else ""
        scope = f"{client} {request.fhir_server} {request.patient_id}"
        return RecentReads(connection, self._state, scope, self._settings.ehr_cache_seconds)

    def _respond(
        self,
        progress: Progress,
        decided: list[list[Decided]],
        coverages: list[Resource],
        ehr: Ehr | None,
        today: date,
    ) -> bytes:
        """The answer from what was decided under each Coverage. Cards speak for the first of them."""
        request, rulebook = progress.request, progress.rulebook
        assert request is not None and rulebook is not None  # noqa: PT018  # set by _answer
        configuration = read_configuration(request.configuration)
        actions: list[dict[str, Any] | None] = []
        told: list[tuple[OrderFacts, Determination]] = []
        if configuration.coverage_information:
            for of_order in zip(*decided, strict=True):
                given = [
                    self._promise(progress, one, coverage, today)
                    for one, coverage in zip(of_order, coverages, strict=True)
                    if not _has_nothing_to_say(one)
                ]
                actions.append(joined(of_order[0].order, given))
                play = of_order[0].play
                if play is not None and given and given[0].action is not None:
                    told.append((play.facts, given[0].determination))
        shown = cards.shown(decided[0], configuration)
        app_url = self._settings.dtr_app_url
        if app_url is not None and self._version(request) == "2.0":
            shown = [*cards.dtr_launches(told, app_url, rulebook), *shown][: configuration.max_cards]
        return body(self._cards(progress, shown, len(decided[0]) > 1, ehr, today), actions)

    def _cards(
        self, progress: Progress, shown: list[cards.Shown], several: bool, ehr: Ehr | None, today: date
    ) -> list[dict[str, Any]]:
        """The cards as they leave."""
        request, rulebook, chart = progress.request, progress.rulebook, progress.chart
        assert request is not None and rulebook is not None and chart is not None  # noqa: PT018  # set by _answer
        version = self._version(request)
        if self._said is not None:
            client = progress.client.iss if progress.client else "sandbox"
            shown, progress.said = self._said.sift(
                shown, request, rulebook, client=client, version=version, today=today
            )
        lacking = cards.forms_lacking(shown, rulebook, chart, ehr)
        built = [
            cards.build_card(
                each,
                rulebook,
                version=version,
                several_orders=several,
                today=today,
                new_id=self._new_id,
                lacking=lacking,
            )
            for each in shown
        ]
        progress.cards = [card_record(each, card) for each, card in zip(shown, built, strict=True)]
        return built

    def _promise(self, progress: Progress, one: Decided, coverage: Resource, today: date) -> Given:
        """Give what was decided under one Coverage, or what was promised before and still stands."""
        request, rulebook = progress.request, progress.rulebook
        assert request is not None and rulebook is not None  # noqa: PT018  # set by _answer
        facts = one.play.facts if one.play is not None else None
        fresh = finished(one.determination, request.hook, today)
        promised = promise(facts, fresh, self._ledger, rulebook, today)
        given = self._give(progress, one.order, promised, _reference_to(coverage), today)
        progress.tracks.append(given.determination.route.track if given.determination.route else "-")
        if given.action is not None and promised.standing:
            progress.honoured.append(given.assertion_id)
        elif given.action is not None:
            record = assertion_record(facts, given, rulebook, today=today, supersedes=promised.supersedes)
            progress.assertions.append(record)
        return given

    def _give(
        self, progress: Progress, order: DraftOrder, promised: Promise, coverage: dict[str, str], today: date
    ) -> Given:
        request, rulebook = progress.request, progress.rulebook
        assert request is not None and rulebook is not None  # noqa: PT018  # set by _answer
        return give(
            order,
            promised.determination,
            hook=request.hook,
            version=self._version(request),
            coverage=coverage,
            dependencies=_dependencies(order, request),
            rulebook=rulebook,
            today=today,
            new_id=self._new_id,
            standing=promised.assertion_id,
            given_on=promised.given_on,
        )

    def _version(self, request: HookRequest) -> str:
        """The CRD version to answer in: the one asked for when it is spoken here, else the configured one."""
        asked = request.requested_version
        return asked if asked in SERIALIZERS else self._settings.default_crd_version

    def _technical(self, progress: Progress, orders: list[DraftOrder], words: str, today: date) -> bytes:
        """Every order answered `indeterminate`: the Coverage itself could not be read."""
        request = progress.request
        assert request is not None  # set by _answer
        coverage = {"type": "Coverage", "display": "The patient's coverage, which could not be read"}
        if not read_configuration(request.configuration).coverage_information:
            return body([], [])
        told = [order for order in orders if order.resource["resourceType"] != "Encounter"]
        given = [self._give(progress, o, Promise(technical(o.key, words, today)), coverage, today) for o in told]
        progress.assertions = [assertion_record(None, each, progress.rulebook) for each in given if each.action]
        return body([], [each.action for each in given])

    def _write_down(self, progress: Progress, data: bytes, answered: Answered, issues: tuple[str, ...]) -> Answered:
        request, rulebook, chart = progress.request, progress.rulebook, progress.chart
        too_large = len(data) > self._settings.max_body_bytes
        kept = data if too_large else without_token(data, request.access_token if request else None)
        fetched = list(chart.from_query()) if chart is not None else []
        elapsed = (time.monotonic() - progress.started) * 1000
        call = Call(
            invocation_id=progress.invocation_id,
            received_at=progress.received,
            answered_in_ms=round(elapsed, 3),
            service_id=progress.service_id[:64],
            hook=SERVICE_IDS.get(progress.service_id, "unknown"),
            hook_instance=request.hook_instance[:64] if request else None,
            client=progress.client.iss if progress.client else "sandbox",
            fhir_server=request.fhir_server[:200] if request and request.fhir_server else None,
            protocol_version=self._version(request) if request else None,
            status=answered.status,
            request=None if too_large else kept,
            request_size=len(kept),
            request_sha256=hashlib.sha256(kept).hexdigest(),
            response=answered.body,
            token_use="used" if fetched else "not-used",  # noqa: S106  # a word of CRD's metric model, not a secret
            rulebook_hash=rulebook.hash if rulebook else None,
            fetched=encode(fetched) if fetched else None,
            timings=progress.timings,
            issues=issues,
            assertions=tuple(progress.assertions) if answered.status < 400 else (),
            cards=tuple(progress.cards) if answered.status < 400 else (),
            honoured=tuple(progress.honoured) if answered.status < 400 else (),
        )
        try:
            if rulebook is not None and rulebook.hash not in self._stored_rulebooks:
                self._store(rulebook)
            self._ledger.record(call)
            if self._said is not None and answered.status < 400:
                self._said.remember(progress.said)
        except LedgerError as error:
            log.error("ledger.failed", invocation=progress.invocation_id, error=str(error))
            words = "The answer could not be recorded, so it is not given. Please try again."
            failed = outcomes.operation_outcome(outcomes.issue("fatal", "transient", words))
            return Answered(503, encode(failed))
        log.info(
            "hook.answered",
            invocation=progress.invocation_id,
            service=call.service_id,
            status=answered.status,
            ms=call.answered_in_ms,
            orders=len(progress.tracks),
            tracks=progress.tracks,
            rules=[rule for record in progress.assertions for rule in record.rule_ids],
            cards=len(progress.cards),
            rulebook=rulebook.label if rulebook else None,
            issues=issues,
        )
        return answered

    def _store(self, rulebook: Rulebook) -> None:
        """Keep the exact files of every rulebook that answers: answers are explained and replayed from them."""
        files = encode(dict(rulebook.files))
        record = RulebookRecord(hash=rulebook.hash, label=rulebook.label, files=files, loaded_at=self._clock())
        self._ledger.record_rulebook(record)
        self._stored_rulebooks.add(rulebook.hash)


def without_token(data: bytes, token: str | None) -> bytes:
    """The request as it may be kept: the access token is for the call only (CRD sec-9). Works on broken JSON too."""
    if b"access_token" in data:
        data = _TOKEN.sub(rb"\1removed", data)
    return data.replace(token.encode(), b"removed") if token else data


def _reading_once(
    chart: Chart, rulebook: Rulebook, ehr: Ehr | None, request: HookRequest
) -> Callable[[list[Need]], Record]:
    """Reads the record that rules need; under several Coverages what was read for one serves the next."""
    kept: dict[frozenset[Need], Record] = {}

    def read(needs: list[Need]) -> Record:
        wanted = frozenset(needs)
        if wanted not in kept:
            kept[wanted] = gather_record(chart, needs, rulebook.lists, ehr, request.prefetch)
        return kept[wanted]

    return read


def _has_nothing_to_say(one: Decided) -> bool:
    """An encounter is told of coverage that is not there, or of a policy about it; it asks nothing of its own."""
    if one.order.resource["resourceType"] != "Encounter":
        return False
    return one.play is None or (one.play.facts.match.outcome == "found" and one.determination.policy is None)


def _reference_to(coverage: Resource) -> dict[str, str]:
    return {"reference": references.resource_key(coverage) or "Coverage/unknown"}


def _dependencies(order: DraftOrder, request: HookRequest) -> tuple[str, ...]:
    """Other drafts of the same call that this order builds on, such as an induction before its maintenance."""
    drafts = {each.key for each in request.orders} - {order.key}
    named = [*listed(order.resource.get("basedOn")), *listed(order.resource.get("priorPrescription"))]
    return tuple(key for reference in named if (key := references.local_key(reference)) in drafts and key is not None)
