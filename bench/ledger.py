"""A ledger of any size: the sample's scenarios as the service answered them, repeated with members of their own."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from app.crd.scenarios import rehearse
from app.crd.service import CrdService
from app.crd.shorthand import hook_request
from app.encryption import Encryption
from app.errors import RequestError
from app.fhir.ehr import ConnectionPool, HostPolicy
from app.fhir.json import encode
from app.ledger import AssertionRecord, Call, Ledger
from app.ledger.records import Invocation
from app.rulebook.keeper import FileKeeper
from app.rulebook.scenarios import read_scenarios
from app.settings import Settings

MEMBERS = 20_000
KEY = Encryption([bytes(32)])
"""Seals the ledger, as the service does."""
_DESCRIBED = b'"described"'  # the member id of scenarios that describe their member


def synthetic_ledger(folder: Path, calls: int) -> str:
    """The URL of a new ledger with so many calls."""
    settings = Settings(sandbox=True, data_dir=folder / "real", rules_interval=0, sqlite_synchronous="normal")
    keeper = FileKeeper(settings.rules, settings.questionnaires, interval=0)
    _answer_scenarios(settings, keeper)
    source = Ledger.open(settings.ledger_url)
    real = [_read_back(source, each) for each in source.answered_between(None, None)]
    url = f"sqlite:///{folder / 'synthetic.sqlite'}"
    ledger = Ledger.open(url, KEY, synchronous="normal")
    stored = source.rulebook(keeper.current.hash)
    assert stored is not None
    ledger.record_rulebook(stored)
    for number in range(calls):
        ledger.record(_again(real[number % len(real)], number))
    source.close()
    ledger.close()
    return url


def _answer_scenarios(settings: Settings, keeper: FileKeeper) -> None:
    """Every scenario answered on its own day, for its own member."""
    ledger = Ledger.open(settings.ledger_url, synchronous="normal")
    scenarios, _ = read_scenarios(settings.rules / "scenarios", keeper.current)
    encryption = Encryption.of([], settings.key_path)
    for scenario in scenarios:
        try:
            directory = rehearse(scenario, keeper.current, settings.roster_path).directory
        except RequestError:
            continue
        moment = datetime.combine(date.fromisoformat(scenario.on), time(12), UTC)
        service = CrdService(
            settings,
            keeper,
            lambda _, found=directory: found,  # type: ignore[misc]  # the one of this scenario
            ConnectionPool(HostPolicy(None)),
            ledger,
            encryption=encryption,
            clock=lambda now=moment: now,  # type: ignore[misc]  # the day of this scenario
        )
        service.answer(f"{scenario.hook}-crd", scenario.request or encode(hook_request(scenario, keeper.current)))
    ledger.close()


def _read_back(ledger: Ledger, invocation_id: str) -> Call:
    found = ledger.invocation(invocation_id)
    assert found is not None
    names = [each.name for each in fields(AssertionRecord)]
    made = ledger.assertions_of(invocation_id)
    return Call(
        **{each.name: getattr(found, each.name) for each in fields(Invocation)},
        assertions=tuple(AssertionRecord(**{name: getattr(each, name) for name in names}) for each in made),
    )


def _again(call: Call, number: int) -> Call:
    """The same call of another member, at a moment of its own."""
    member = f"m{number % MEMBERS}"
    request, basis = ((text or b"").replace(_DESCRIBED, f'"{member}"'.encode()) for text in (call.request, call.basis))
    return replace(
        call,
        invocation_id=str(uuid.UUID(int=number)),
        received_at=call.received_at + timedelta(milliseconds=number),
        request=request,
        request_size=len(request),
        request_sha256=hashlib.sha256(request).hexdigest(),
        basis=basis,
        assertions=tuple(_assertions(call, member)),
    )


def _assertions(call: Call, member: str) -> Iterator[AssertionRecord]:
    for made in call.assertions:
        yield replace(made, assertion_id=str(uuid.uuid4()), member_id=member, supersedes=None)
