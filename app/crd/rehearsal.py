"""A hook call decided without an EHR: what it brings is all there is.

For scenarios, explanations and trials of changed rules. The call is read once and may be decided under any rulebook.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Self

from app.crd.chart import Chart, Resource
from app.crd.coverage_choice import choose_coverages
from app.crd.determine import Decided, determine
from app.crd.gather import RECORD_TYPES, Record, gather_record
from app.crd.subjects import TYPES, find_subjects
from app.errors import InvalidRequest
from app.fhir.json import decode
from app.hooks.discovery import SERVICE_IDS
from app.hooks.request import DraftOrder, HookRequest, parse_request
from app.members import MemberDirectory
from app.rulebook.payer import Payer
from app.rulebook.rulebook import Rulebook
from app.rulebook.scope import Need

_MAX_ORDERS = 100


@dataclass(frozen=True, slots=True, eq=False)
class Rehearsal:
    """One call, ready to be decided. Kinds of `record` go before what the call brings of them.

    `forms` came back for its orders before.
    """

    request: HookRequest
    orders: tuple[DraftOrder, ...]
    chart: Chart
    coverage: Resource
    directory: MemberDirectory
    today: date
    record: Record = field(default_factory=dict)
    forms: tuple[Resource, ...] = ()

    @classmethod
    def of(
        cls,
        body: bytes,
        *,
        directory: MemberDirectory,
        payer: Payer,
        today: date,
        record: Record | None = None,
        forms: Iterable[Resource] = (),
        any_payer: bool = True,
    ) -> Self:
        """Read a call of any hook. Raises RequestError when a live service would refuse it.

        `any_payer` takes the Coverage of whichever payer, as the sandbox does.
        """
        data = decode(body)
        hook = data.get("hook") if isinstance(data, dict) else None
        if not isinstance(hook, str) or hook not in SERVICE_IDS.values():
            raise InvalidRequest(f"'{str(hook)[:40]}' is not a hook that is answered here.", element="hook")
        request = parse_request(body, hook, order_types=TYPES.get(hook, frozenset()), max_orders=_MAX_ORDERS)
        chart = Chart.from_request(request)
        orders = tuple(find_subjects(request, chart, None))
        coverage = choose_coverages(chart, payer, any_payer=any_payer, could_query=False, several=True)[0]
        return cls(request, orders, chart, coverage, directory, today, record or {}, tuple(forms))

    def decide(self, rulebook: Rulebook) -> list[Decided]:
        """Each order, decided under a rulebook."""
        return determine(
            self.orders,
            request=self.request,
            chart=self.chart,
            coverage=self.coverage,
            directory=self.directory,
            rulebook=rulebook,
            read_record=lambda _: self._read(rulebook),
            returned=lambda facts: self.forms,
            today=self.today,
        )

    def _read(self, rulebook: Rulebook) -> Record:
        """All of the record, so that other rules may ask for it; a kind nobody gave could not be read: not empty."""
        sent = [Need(kind) for kind in RECORD_TYPES if kind not in self.record]
        return {**gather_record(self.chart, sent, rulebook.lists, None, self.request.prefetch), **self.record}
