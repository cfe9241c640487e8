"""One hook call from bytes to bytes: parse, gather, decide, respond, write down, answer."""

from __future__ import annotations

import hashlib
import re
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog

from app.clients import Client
from app.crd.answering import Answering, Sources
from app.crd.basis import (
    Basis,
    NotedMembers,
    NotedReads,
    Options,
    ids_of,
    noting_earlier,
    noting_forms,
    noting_withheld,
)
from app.crd.cards import Shown
from app.crd.determine import place_of
from app.crd.kept_rulebooks import KeptRulebooks
from app.crd.recent_reads import RecentReads
from app.crd.returned_forms import ReturnedForms
from app.crd.said import SaidCards
from app.crd.snapshot import seal, take
from app.encryption import Encryption
from app.errors import (
    InvalidRequest,
    LedgerError,
    NotAllowed,
    PayloadTooLarge,
    RequestError,
    UnknownService,
)
from app.fhir import outcomes
from app.fhir.ehr import ConnectionPool, Ehr, EhrConnection
from app.fhir.json import encode
from app.hooks.discovery import SERVICE_IDS
from app.hooks.request import HookRequest
from app.ledger import Call, Ledger, SnapshotRecord
from app.members.directory import MemberDirectory
from app.rulebook.keeper import RulebookKeeper
from app.rulebook.rulebook import Rulebook
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
    rulebook: Rulebook | None = None
    basis: Basis | None = None
    reads: NotedReads | None = None
    answering: Answering | None = None
    connection: EhrConnection | None = None
    snapshots: list[SnapshotRecord] = field(default_factory=list)
    ledger_at: float = 0.0  # when writing it down began, by time.perf_counter
    ledger_s: float | None = None  # how long that took
    read_for_forms: bool = False
    said: list[str] = field(default_factory=list)


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
        encryption: Encryption | None = None,
        state: SharedState | None = None,
        observers: Sequence[Callable[[Progress, Answered], None]] = (),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._settings = settings
        self._keeper = keeper
        self._directory = directory
        self._pool = pool
        self._ledger = ledger
        self._said = said
        self._encryption = encryption
        self._returned = ReturnedForms(ledger, encryption) if encryption is not None else None
        self._state = state
        self._observers = observers
        self._clock = clock
        self._new_id = new_id
        self._options = Options.of(settings)
        self._rulebooks = KeptRulebooks(ledger)

    def answer(self, service_id: str, data: bytes, client: Client | None = None) -> Answered:
        """Answer one call of a verified client, None in the sandbox.

        An answer that could not be written down is not sent: 503 instead.
        """
        progress = Progress(service_id, self._clock(), time.monotonic(), self._new_id(), client)
        answered = self._answer_and_keep(progress, data)
        for observe in self._observers:
            observe(progress, answered)
        return answered

    def _answer_and_keep(self, progress: Progress, data: bytes) -> Answered:
        issues: tuple[str, ...] = ()
        try:
            answered = Answered(200, self._answer(progress, data))
        except RequestError as error:
            issues = (f"{error.code} {error.element or ''}".strip(),)
            answered = Answered(error.status, encode(outcomes.from_error(error)))
        except LedgerError as error:  # what was promised before cannot be read, and this could not be kept
            return _not_kept(progress, error)
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
        basis = progress.basis = Basis(options=self._options)
        sources = Sources(
            rulebook=rulebook,
            directory=NotedMembers(self._directory(rulebook), basis),
            connect=lambda request: self._ehr(request, progress, basis),
            earlier=noting_earlier(self._ledger.latest_for_order, basis),
            sift=lambda shown, request, version: self._sift(progress, basis, shown, request, version),
            new_id=ids_of(progress.invocation_id),
            returned=noting_forms(self._returned.of, basis) if self._returned is not None else lambda *_: None,
        )
        hook, today = SERVICE_IDS[progress.service_id], progress.received.date()
        made = progress.answering = Answering(hook, today, sources, self._options)
        answer = made.answer(data)
        if made.asking and self._encryption is not None:
            try:
                with made.stage("snapshot"):
                    self._keep_for_forms(progress, made, self._encryption)
            except Exception as error:  # a fault of ours in what comes after the answer must not take it away
                name, at = type(error).__name__, place_of(error)
                log.error("snapshot.fault", invocation=progress.invocation_id, error=name, at=at)
        return answer

    def _ehr(self, request: HookRequest, progress: Progress, basis: Basis) -> Ehr | None:
        """The EHR of this call, when it may be asked. The token stays in the connection, which dies with the call."""
        if request.fhir_server is None or request.access_token is None:
            return None
        pool = self._pool if progress.client is None else self._pool.under(progress.client.policy)
        if not pool.allows(request.fhir_server):
            raise InvalidRequest(
                "This fhirServer is not registered for the client.", element="fhirServer", code="security"
            )
        deadline = self._ehr_deadline(progress)
        progress.connection = EhrConnection(pool, request.fhir_server, request.access_token, deadline)
        ehr: Ehr = progress.connection
        if self._state is not None and self._settings.ehr_cache_seconds:
            client = progress.client.iss if progress.client is not None else ""
            scope = f"{client} {request.fhir_server} {request.patient_id}"
            ehr = RecentReads(ehr, self._state, scope, self._settings.ehr_cache_seconds)
        basis.could_query = True
        progress.reads = NotedReads(ehr)
        return progress.reads

    def _ehr_deadline(self, progress: Progress) -> float:
        return progress.started + self._settings.answer_within - _AFTER_EHR_SECONDS

    def _keep_for_forms(self, progress: Progress, made: Answering, encryption: Encryption) -> None:
        """Keep what the forms that were asked for will need; the answer is ready, so only with what time is left.

        Not through the noted reads: an answer does not rest on this, and it must stand nowhere in the clear.
        """
        ehr = progress.connection
        if ehr is not None:
            until = time.monotonic() + self._settings.snapshot_seconds
            ehr = ehr.until(min(until, self._ehr_deadline(progress)))
        assert made.request is not None and made.chart is not None  # noqa: PT018  # an answer was made of them
        taken = take(
            made.asking,
            chart=made.chart,
            request=made.request,
            rulebook=made.sources.rulebook,
            ehr=ehr,
            now=progress.received,
        )
        lifetime = timedelta(hours=self._settings.snapshot_hours)
        of, new = (
            {record.assertion_id: record for record, _, _ in made.asking},
            {r.assertion_id for r in made.assertions},
        )
        progress.snapshots = [
            seal(kept, of[each], encryption, lifetime)
            for each, kept in taken.items()
            # Of an answer given again the newer one counts, unless less of the record could be read this time.
            if each in new or kept.is_whole or self._ledger.snapshot(each, progress.received) is None
        ]
        progress.read_for_forms = ehr is not None and ehr.used

    def _sift(
        self, progress: Progress, basis: Basis, shown: list[Shown], request: HookRequest, version: str
    ) -> list[Shown]:
        """The cards to give: those of a moment ago are not repeated."""
        if self._said is None or progress.rulebook is None:
            return shown
        given, progress.said = self._said.sift(
            shown,
            request,
            progress.rulebook,
            client=progress.client.iss if progress.client else "sandbox",
            version=version,
            today=progress.received.date(),
        )
        return noting_withheld(shown, given, basis)

    def _write_down(self, progress: Progress, data: bytes, answered: Answered, issues: tuple[str, ...]) -> Answered:
        rulebook, made = progress.rulebook, progress.answering
        request = made.request if made is not None else None
        given = made if made is not None and answered.status < 400 else None
        too_large = len(data) > self._settings.max_body_bytes
        kept = data if too_large else without_token(data, request.access_token if request else None)
        read = made is not None and made.chart is not None and any(made.chart.from_query())
        used = read or progress.read_for_forms
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
            protocol_version=made.version if made else None,
            status=answered.status,
            request=None if too_large else kept,
            request_size=len(kept),
            request_sha256=hashlib.sha256(kept).hexdigest(),
            response=answered.body,
            token_use="used" if used else "not-used",  # noqa: S106  # a word of CRD's metric model, not a secret
            rulebook_hash=rulebook.hash if rulebook else None,
            fetched=progress.reads.kept if progress.reads else None,
            basis=encode(progress.basis) if progress.basis else None,
            timings=made.timings if made else {},
            issues=issues,
            assertions=tuple(given.assertions) if given else (),
            cards=tuple(given.shown) if given else (),
            honoured=tuple(given.honoured) if given else (),
            snapshots=tuple(progress.snapshots) if given else (),
        )
        progress.ledger_at = time.perf_counter()
        try:
            if rulebook is not None:
                self._rulebooks.keep(rulebook)
            self._ledger.record(call)
            if self._said is not None and answered.status < 400:
                self._said.remember(progress.said)
        except LedgerError as error:
            return _not_kept(progress, error)
        finally:
            progress.ledger_s = time.perf_counter() - progress.ledger_at
        log.info(
            "hook.answered",
            invocation=progress.invocation_id,
            service=call.service_id,
            status=answered.status,
            ms=call.answered_in_ms,
            orders=len(made.tracks) if made else 0,
            tracks=made.tracks if made else [],
            rules=[rule for record in made.assertions for rule in record.rule_ids] if made else [],
            cards=len(made.shown) if made else 0,
            rulebook=rulebook.label if rulebook else None,
            issues=issues,
        )
        return answered


def _not_kept(progress: Progress, error: LedgerError) -> Answered:
    log.error("ledger.failed", invocation=progress.invocation_id, error=str(error))
    words = "The answer could not be recorded, so it is not given. Please try again."
    return Answered(503, encode(outcomes.operation_outcome(outcomes.issue("fatal", "transient", words))))


def without_token(data: bytes, token: str | None) -> bytes:
    """The request as it may be kept: the access token is for the call only (CRD sec-9). Works on broken JSON too."""
    if b"access_token" in data:
        data = _TOKEN.sub(rb"\1removed", data)
    return data.replace(token.encode(), b"removed") if token else data
