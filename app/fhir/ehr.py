"""Reading the EHR during one hook call (CRD found-5): in parallel, on the call's token, before the call's deadline.

Trouble with the EHR is an ordinary result here, not an exception: it says in words for a clinician what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias
from urllib.parse import urljoin

import structlog

from app.errors import EhrError
from app.fhir import bundles
from app.fhir.references import is_id, is_type
from app.fhir.transport import LATE, ConnectionPool, EhrStatusError, Exchange, HostPolicy

if TYPE_CHECKING:
    from app.fhir.client import PooledClient

__all__ = ["ConnectionPool", "Ehr", "EhrConnection", "Fetched", "HostPolicy", "Read", "Search"]

log = structlog.get_logger(__name__)

# Issue types by which a server says that its answer leaves something out (FHIR R4 issue-type).
_LEFT_OUT = {"suppressed", "incomplete", "too-costly", "timeout", "throttled", "transient", "forbidden", "security"}


@dataclass(frozen=True, slots=True)
class Read:
    """GET [base]/type/id."""

    type: str
    id: str


@dataclass(frozen=True, slots=True)
class Search:
    """GET [base]/type?name=value&… with all its pages; a name may stand several times."""

    type: str
    params: tuple[tuple[str, str], ...]


Wanted: TypeAlias = Read | Search


@dataclass(frozen=True, slots=True)
class Fetched:
    """What the EHR gave. `complete`: nothing that was asked for is known to be missing for a technical reason.

    `problem` is a sentence for clinicians without PHI. A record the EHR does not have is complete, with a problem.
    """

    resources: tuple[dict[str, Any], ...]
    complete: bool
    problem: str | None


class Ehr(Protocol):
    """What a hook call needs of an EHR."""

    def read(self, key: str) -> Fetched:
        """The resource `Type/id`."""
        kind, _, identity = key.partition("/")
        wanted = Read(kind, identity)
        return self.fetch([wanted])[wanted]

    def search(self, type: str, params: Sequence[tuple[str, str]]) -> Fetched:  # noqa: A002
        """Every match of a search, and what it includes."""
        wanted = Search(type, tuple(params))
        return self.fetch([wanted])[wanted]

    def fetch(self, wanted: Sequence[Wanted]) -> dict[Wanted, Fetched]:
        """All of it at once; every item wanted has its result."""


class EhrConnection(Ehr):
    """The EHR of one hook call. `deadline` is a time.monotonic() value for everything read through it together.

    The token is used for this call only: it is never logged, nor part of a repr or an exception (CRD sec-9).
    Whether a resource belongs to the call's patient is the caller's to check (`references.patient_of`).
    """

    def __init__(self, pool: ConnectionPool, base_url: str, access_token: str | None, deadline: float) -> None:
        self._pool = pool
        self._base_url = base_url.strip().rstrip("/")
        self._token = access_token
        self._deadline = deadline
        self.used = False  # whether anything was asked for over it

    def until(self, deadline: float) -> EhrConnection:
        """The same EHR on the same token, with a deadline of its own."""
        return EhrConnection(self._pool, self._base_url, self._token, deadline)

    @cached_property
    def _client(self) -> PooledClient:
        from app.fhir.client import PooledClient

        return PooledClient(self._pool, self._base_url, self._token, self._deadline)

    def fetch(self, wanted: Sequence[Wanted]) -> dict[Wanted, Fetched]:
        """All of it in parallel, each item once. Returns by the deadline, whatever the EHR does; does not raise."""
        fetched = self._fetch(dict.fromkeys(wanted))
        for item, result in fetched.items():
            if result.problem:
                log.info("ehr.problem", resource_type=item.type, complete=result.complete, problem=result.problem)
        return fetched

    def _fetch(self, wanted: dict[Wanted, None]) -> dict[Wanted, Fetched]:
        if not self._pool.allows(self._base_url):
            return dict.fromkeys(wanted, _lacking("The EHR's FHIR server is not one this service may read"))
        if not wanted or time.monotonic() >= self._deadline:
            return dict.fromkeys(wanted, _lacking(LATE))
        self.used = True
        client, started = self._client, time.monotonic()
        under_way: dict[Wanted, tuple[Future[Fetched], Exchange]] = {}
        for item in wanted:
            exchange = Exchange()
            under_way[item] = (self._pool.submit(_fetch_one, client, item, exchange, self._pool.max_pages), exchange)
        try:
            wait([future for future, _ in under_way.values()], max(0.0, self._deadline - time.monotonic()))
        finally:
            for future, exchange in under_way.values():
                if not future.done():
                    future.cancel()
                    exchange.cut()
        fetched = {
            item: future.result() if future.done() and not future.cancelled() else _lacking(LATE)
            for item, (future, _) in under_way.items()
        }
        if self._pool.observe is not None:
            for item, (_, exchange) in under_way.items():
                ended = exchange.ended or time.monotonic()
                self._pool.observe(outcome_of(fetched[item]), ended - started)
        return fetched


def outcome_of(fetched: Fetched) -> str:
    """In a word: "ok", "absent" (the EHR has no such record), "late" or "failed"."""
    if fetched.problem is None:
        return "ok"
    if fetched.complete:
        return "absent"
    return "late" if fetched.problem == LATE else "failed"


def _lacking(problem: str) -> Fetched:
    return Fetched((), False, problem)


def _fetch_one(client: PooledClient, item: Wanted, exchange: Exchange, max_pages: int) -> Fetched:
    with exchange.here():
        return _read(client, item) if isinstance(item, Read) else _search(client, item, max_pages)


def _read(client: PooledClient, item: Read) -> Fetched:
    if not (is_type(item.type) and is_id(item.id)):
        return _lacking("The record refers to something that cannot be read")
    try:
        resource = client.get(item.type, item.id)
    except EhrError as error:
        if isinstance(error, EhrStatusError) and error.status in (404, 410):
            return Fetched((), True, f"The EHR has no such record ({item.type})")
        return _lacking(_words(error, item.type))
    if problem := _not_data(resource, item.type):
        return _lacking(problem)
    if (resource["resourceType"], resource.get("id")) != (item.type, item.id):
        return _lacking(f"The EHR answered with a record other than the {item.type} asked for")
    return Fetched((resource,), True, None)


def _search(client: PooledClient, item: Search, max_pages: int) -> Fetched:
    if not is_type(item.type):
        return _lacking("The record refers to something that cannot be read")
    asked: dict[str, list[str]] = {}
    for name, value in item.params:
        asked.setdefault(name, []).append(value)
    found: list[dict[str, Any]] = []
    remark: str | None = None
    path, params = item.type, asked
    for _ in range(max_pages):
        try:
            page = client.execute(path, method="get", params=params)
        except EhrError as error:
            return Fetched(tuple(found), False, _words(error, item.type))
        if problem := _not_data(page, item.type):
            return Fetched(tuple(found), False, problem)
        if not bundles.is_bundle(page):
            return Fetched(tuple(found), False, f"The EHR answered with something that is not a list of {item.type}")
        found += bundles.resources(page)
        if any(_leaves_out(issue) for issue in bundles.issues(page)):
            remark = f"The EHR says that its answer for {item.type} is not complete"
        link = bundles.next_link(page)
        if link is None:
            return Fetched(tuple(found), remark is None, remark)
        path, params = urljoin(client.url + "/", link), {}
    return Fetched(tuple(found), False, f"The EHR holds more {item.type} than are read in one call")


def _leaves_out(issue: dict[str, Any]) -> bool:
    return issue.get("severity") in ("fatal", "error") or issue.get("code") in _LEFT_OUT


def _not_data(content: Any, type_: str) -> str | None:
    if not isinstance(content, dict) or not is_type(content.get("resourceType")):
        return f"The EHR answered the request for {type_} with something that is not FHIR"
    if content["resourceType"] == "OperationOutcome":
        return f"The EHR reported a problem instead of {type_}"
    return None


def _words(error: EhrError, type_: str) -> str:
    if not isinstance(error, EhrStatusError):
        return error.reason
    match error.status:
        case 401 | 403:
            words = f"refused access to {type_}"
        case 404 | 410:
            words = f"does not offer {type_}"
        case 429:
            words = f"is too busy to answer for {type_}"
        case status if 300 <= status < 400:
            words = f"redirected the request for {type_}, which is not followed"
        case status if status >= 500:
            words = f"failed while answering for {type_}"
        case _:
            words = f"did not accept the request for {type_}"
    return f"The EHR {words} ({error.status})"
