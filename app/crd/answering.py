"""One hook call from its bytes to the bytes that leave: the way that live calls and replays both take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from app.crd import cards
from app.crd.basis import Options
from app.crd.chart import Chart, Resource
from app.crd.coverage_choice import choose_coverages
from app.crd.decide import technical
from app.crd.determination import Determination
from app.crd.determine import Decided, determine
from app.crd.facts import OrderFacts
from app.crd.gather import Record, gather, gather_record
from app.crd.order_content import listed
from app.crd.respond import SERIALIZERS, Given, body, finished, give, joined
from app.crd.returned_forms import Returned
from app.crd.standing import Earlier, Promise, promise
from app.crd.subjects import TYPES, find_subjects
from app.crd.trail import assertion_record, card_record
from app.errors import EhrError
from app.fhir import references
from app.fhir.ehr import Ehr
from app.hooks.configuration import read_configuration
from app.hooks.request import DraftOrder, HookRequest, parse_request
from app.ledger import AssertionRecord, CardRecord
from app.members.directory import MemberDirectory
from app.rulebook.rulebook import Rulebook
from app.rulebook.scope import Need


@dataclass(frozen=True, slots=True)
class Sources:
    """Where an answer is drawn from beside its request: live, or as it was when it was given.

    `connect` gives the EHR of a call, None when it may not be asked. `sift` leaves out cards just shown, by the CRD
    version they are in. `new_id` gives the ids of the call. `returned` gives the forms that came back for an order.
    """

    rulebook: Rulebook
    directory: MemberDirectory
    connect: Callable[[HookRequest], Ehr | None]
    earlier: Earlier
    sift: Callable[[list[cards.Shown], HookRequest, str], list[cards.Shown]]
    new_id: Callable[[], str]
    returned: Returned


@dataclass(slots=True)
class Answering:
    """A call being answered. What is known so far stays readable when the way ends early.

    `only`: of the call, one order under one Coverage (`ServiceRequest/1`, `Coverage/1`) is answered, without cards.
    """

    hook: str
    today: date
    sources: Sources
    options: Options
    only: tuple[str, str] | None = None
    request: HookRequest | None = None
    chart: Chart | None = None
    decided: list[list[Decided]] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    laps: list[tuple[str, float, float]] = field(default_factory=list)  # stage, begin and end by time.perf_counter
    assertions: list[AssertionRecord] = field(default_factory=list)
    # Assertions that ask for forms, new or given again, with what was decided and the names of the forms.
    asking: list[tuple[AssertionRecord, Decided, tuple[str, ...]]] = field(default_factory=list)
    honoured: list[str] = field(default_factory=list)
    # What is given for each order, under each Coverage.
    given: list[Given] = field(default_factory=list)
    tracks: list[str] = field(default_factory=list)
    told: list[Determination] = field(default_factory=list)  # what leaves, given anew or again
    shown: list[CardRecord] = field(default_factory=list)

    def answer(self, data: bytes) -> bytes:
        """The response body. RequestError when the message is at fault."""
        request, chart, ehr, orders = self._read(data)
        try:
            coverages = self._coverages(request, chart, ehr)
        except EhrError as trouble:
            return self._technical(request, orders, trouble.reason)
        self._decide(request, chart, ehr, orders, coverages)
        with self.stage("respond"):
            return self._respond(request, chart, ehr, coverages)

    def decide(self, data: bytes) -> list[list[Decided]]:
        """What is decided under each Coverage, without the answer made of it. RequestError, EhrError as in `answer`."""
        request, chart, ehr, orders = self._read(data)
        self._decide(request, chart, ehr, orders, self._coverages(request, chart, ehr))
        return self.decided

    @property
    def version(self) -> str | None:
        """The CRD version to answer in: the one asked for when it is spoken here, else the configured one."""
        if self.request is None:
            return None
        return spoken(self.request, self.options)

    def _read(self, data: bytes) -> tuple[HookRequest, Chart, Ehr | None, list[DraftOrder]]:
        with self.stage("parse"):
            types = TYPES.get(self.hook, frozenset())
            request = parse_request(data, self.hook, order_types=types, max_orders=self.options.max_orders)
            self.request = request
            chart = self.chart = Chart.from_request(request)
        ehr = self.sources.connect(request)
        with self.stage("gather"):
            orders = find_subjects(request, chart, ehr)
            gather(chart, request, orders, ehr)
        if self.only is not None:
            orders = [order for order in orders if order.key == self.only[0]]
        return request, chart, ehr, orders

    def _coverages(self, request: HookRequest, chart: Chart, ehr: Ehr | None) -> list[Resource]:
        found = choose_coverages(
            chart,
            self.sources.rulebook.payer,
            any_payer=self.options.sandbox,
            could_query=ehr is not None,
            several=spoken(request, self.options) != "2.2" or not self.options.refuse_several_coverages,
        )
        only = self.only
        return found if only is None else [each for each in found if references.resource_key(each) == only[1]]

    def _decide(
        self,
        request: HookRequest,
        chart: Chart,
        ehr: Ehr | None,
        orders: list[DraftOrder],
        coverages: list[Resource],
    ) -> None:
        read_record = _reading_once(chart, self.sources.rulebook, ehr, request)
        self.decided = [
            determine(
                orders,
                request=request,
                chart=chart,
                coverage=coverage,
                directory=self.sources.directory,
                rulebook=self.sources.rulebook,
                read_record=read_record,
                returned=self.sources.returned,
                today=self.today,
                stage=self.stage,
            )
            for coverage in coverages
        ]

    def _respond(self, request: HookRequest, chart: Chart, ehr: Ehr | None, coverages: list[Resource]) -> bytes:
        """The answer from what was decided under each Coverage. Cards speak for the first of them."""
        decided = self.decided
        configuration = read_configuration(request.configuration)
        actions: list[dict[str, Any] | None] = []
        told: list[tuple[OrderFacts, Determination]] = []
        if configuration.coverage_information:
            for of_order in zip(*decided, strict=True):
                given = [
                    self._promise(request, one, coverage)
                    for one, coverage in zip(of_order, coverages, strict=True)
                    if not _has_nothing_to_say(one)
                ]
                actions.append(joined(of_order[0].order, given))
                play = of_order[0].play
                if play is not None and given and given[0].action is not None:
                    told.append((play.facts, given[0].determination))
        if self.only is not None:
            return body([], actions)
        shown = cards.shown(decided[0], configuration)
        app_url = self.options.dtr_app_url
        if app_url is not None and spoken(request, self.options) == "2.0":
            launches = cards.dtr_launches(told, app_url, self.sources.rulebook)
            shown = [*launches, *shown][: configuration.max_cards]
        return body(self._cards(request, chart, ehr, shown), actions)

    def _cards(
        self, request: HookRequest, chart: Chart, ehr: Ehr | None, shown: list[cards.Shown]
    ) -> list[dict[str, Any]]:
        """The cards as they leave."""
        version, rulebook = spoken(request, self.options), self.sources.rulebook
        shown = self.sources.sift(shown, request, version)
        lacking = cards.forms_lacking(shown, rulebook, chart, ehr)
        built = [
            cards.build_card(
                each,
                rulebook,
                version=version,
                several_orders=len(self.decided[0]) > 1,
                today=self.today,
                new_id=self.sources.new_id,
                lacking=lacking,
            )
            for each in shown
        ]
        self.shown = [card_record(each, card) for each, card in zip(shown, built, strict=True)]
        return built

    def _promise(self, request: HookRequest, one: Decided, coverage: Resource) -> Given:
        """Give what was decided under one Coverage, or what was promised before and still stands."""
        rulebook = self.sources.rulebook
        facts = one.play.facts if one.play is not None else None
        fresh = finished(one.determination, request.hook, self.today)
        # A client that is not sent the order anew knows by the id alone what it is to replace (davinci-dtr spec-47).
        keeps_id = self.only is not None
        promised = promise(facts, fresh, self.sources.earlier, rulebook, self.today, keeps_id=keeps_id)
        given = self._give(request, one.order, promised, _reference_to(coverage))
        self.given.append(given)
        self.tracks.append(given.determination.route.track if given.determination.route else "-")
        if given.action is not None:
            self.told.append(given.determination)
        if given.action is None and not promised.standing and self.only is None:
            return given
        forms = tuple(dict.fromkeys(form for each in given.determination.answers for form in each.questionnaires))
        if promised.assertion_id is not None and given.action is not None:
            self.honoured.append(promised.assertion_id)
        if forms or not promised.standing:
            own_id = promised.assertion_id or (self.sources.new_id() if promised.told_as is not None else None)
            record = assertion_record(
                facts, given, rulebook, today=self.today, supersedes=promised.supersedes, assertion_id=own_id
            )
            self.assertions += [record] if not promised.standing else []
            self.asking += [(record, one, forms)] if forms else []
        return given

    def _give(self, request: HookRequest, order: DraftOrder, promised: Promise, coverage: dict[str, str]) -> Given:
        return give(
            order,
            promised.determination,
            hook=request.hook,
            version=spoken(request, self.options),
            coverage=coverage,
            dependencies=_dependencies(order, request),
            rulebook=self.sources.rulebook,
            today=self.today,
            new_id=self.sources.new_id,
            told_as=promised.told_as,
            given_on=promised.given_on,
        )

    def _technical(self, request: HookRequest, orders: list[DraftOrder], words: str) -> bytes:
        """Every order answered `indeterminate`: the Coverage itself could not be read."""
        coverage = {"type": "Coverage", "display": "The patient's coverage, which could not be read"}
        if not read_configuration(request.configuration).coverage_information:
            return body([], [])
        told = [order for order in orders if order.resource["resourceType"] != "Encounter"]
        promised = [Promise(technical(order.key, words, self.today)) for order in told]
        given = [self._give(request, *each, coverage) for each in zip(told, promised, strict=True)]
        self.told = [each.determination for each in given if each.action]
        self.assertions = [assertion_record(None, each, self.sources.rulebook) for each in given if each.action]
        return body([], [each.action for each in given])

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage, in milliseconds."""
        started = time.perf_counter()
        try:
            yield
        finally:
            ended = time.perf_counter()
            self.timings[name] = round((ended - started) * 1000, 3)
            self.laps.append((name, started, ended))


def spoken(request: HookRequest, options: Options) -> str:
    """The CRD version to answer in: the one asked for when it is spoken here, else the configured one."""
    asked = request.requested_version
    return asked if asked in SERIALIZERS else options.default_crd_version


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
