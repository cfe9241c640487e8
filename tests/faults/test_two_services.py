"""Two services with data folders of their own, on one Redis and one PostgreSQL: whoever is asked, the answer is one."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import requests

from app.clients.rate_limit import WINDOW
from app.clients.scopes import SCOPES
from app.encryption import Encryption
from app.ledger import Ledger
from app.settings import ROOT
from tests.clients.identities import ISS, bearing, claims, entry, registry, sign
from tests.dtr.dtr_actions import context, coverage, coverage_of, order
from tests.ehr_actions import example, order_of
from tests.faults.conftest import Service, assertions_in, fresh, wait_until
from tests.fhir import ehr_server
from tests.fhir.ehr_server import EhrServer
from tests.servers import free_port
from tests.web.test_snapshots import bundle, encounter, live, observation
from tests.windows import wait_for_room

KEY = bytes(range(32))
PATH = "/cds-services/order-sign-crd"
AUDIENCE = "https://crd.payer.example.org"
MOST = 40
TITLE = "title: Magnetic resonance imaging of the lumbar spine"

Pair: TypeAlias = tuple[Service, Service]


@pytest.fixture
def fhir() -> Iterator[EhrServer]:
    """An EHR that both may read."""
    with EhrServer() as server:
        server.on["/Observation"] = ehr_server.answer(bundle(observation(1, 5)))
        server.on["/Encounter"] = ehr_server.answer(bundle(encounter(1, 10)))
        server.on["/Condition"] = ehr_server.answer(bundle())
        yield server


@pytest.fixture
def environment(tmp_path: Path, postgresql_url: str, redis_url: str, fhir: EhrServer) -> dict[str, str]:
    """What is set the same on both machines, rules published."""
    clients = tmp_path / "clients.yaml"
    clients.write_text(registry(entry(fhir_bases=[fhir.base], allow_private=True)))
    return {
        **os.environ,
        "SIGNPOST_DATABASE_URL": postgresql_url,
        "SIGNPOST_REDIS_URL": redis_url,
        "SIGNPOST_ENCRYPTION_KEYS": base64.b64encode(KEY).decode(),
        "SIGNPOST_CLIENTS_FILE": str(clients),
        "SIGNPOST_BASE_URL": AUDIENCE,
        "SIGNPOST_RULES_FROM": "published",
        "SIGNPOST_CALLS_PER_MINUTE": str(MOST),
        "SIGNPOST_WORKERS": "1",
        "SIGNPOST_LOG_LEVEL": "error",
    }


def publish(environment: dict[str, str], folder: Path) -> None:
    command = [sys.executable, "-m", "app.cli", "rules", "publish", str(folder), "--by", "ann", "--approved-by", "bob"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, timeout=120)


@pytest.fixture
def pair(environment: dict[str, str], tmp_path: Path, postgresql_url: str) -> Iterator[Pair]:
    """Both services, running."""
    publish(environment, ROOT / "rules")
    services = []
    for name in ("one", "two"):
        port = free_port()
        own = {"SIGNPOST_PORT": str(port), "SIGNPOST_DATA_DIR": str(tmp_path / name)}
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "serve"], cwd=ROOT, env={**environment, **own}, stderr=subprocess.DEVNULL
        )
        address = f"http://127.0.0.1:{port}"
        services.append(Service(address, process, tmp_path / name, ROOT / "rules", postgresql_url))
    try:
        for each in services:
            wait_until(lambda each=each: each.ready(), "the service is ready")
        yield services[0], services[1]
    finally:
        for each in services:
            each.process.terminate()
            each.process.wait(timeout=30)


def fire(service: Service, call: dict[str, Any], token: str | None = None) -> requests.Response:
    headers = bearing(token or sign(claims(AUDIENCE + PATH)))
    return requests.post(service.url + PATH, json=call, headers=headers, timeout=20)


def granted(service: Service) -> str:
    """An access token of that service."""
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": sign(claims(AUDIENCE + "/auth/token", sub=ISS)),
        "scope": " ".join(SCOPES),
    }
    told = requests.post(service.url + "/auth/token", data=form, timeout=20)
    assert told.ok, told.text
    return str(told.json()["access_token"])


def package(service: Service, call: dict[str, Any], assertion: str, token: str) -> dict[str, Any]:
    """The forms of an order."""
    parts = [coverage(coverage_of(call)), order(order_of(call)), context(assertion)]
    found = requests.post(
        f"{service.url}/fhir/dtr/2.2/Questionnaire/$questionnaire-package",
        json={"resourceType": "Parameters", "parameter": parts},
        headers=bearing(token),
        timeout=20,
    )
    assert found.ok, found.text
    told: dict[str, Any] = found.json()
    return told


def filled(told: dict[str, Any]) -> list[Any]:
    """The items of the first form's response."""
    entries = told["parameter"][0]["resource"]["entry"]
    responses = [each["resource"] for each in entries if each["resource"]["resourceType"] == "QuestionnaireResponse"]
    found: list[Any] = responses[0]["item"]
    return found


def test_a_jwt_is_used_once_over_both(pair: Pair) -> None:
    one, two = pair
    token = sign(claims(AUDIENCE + PATH))
    assert fire(one, fresh(), token).status_code == 200
    assert fire(two, fresh(), token).status_code == 401


def test_calls_are_counted_over_both(pair: Pair) -> None:
    wait_for_room(WINDOW, 25)
    statuses = [fire(pair[turn % 2], example("mri")).status_code for turn in range(MOST + 4)]
    assert statuses == [200] * MOST + [429] * 4


def test_rules_switch_on_both(pair: Pair, environment: dict[str, str], tmp_path: Path) -> None:
    changed = Path(shutil.copytree(ROOT / "rules", tmp_path / "changed"))
    policy = changed / "policies" / "lumbar-mri.yaml"
    policy.write_text(policy.read_text().replace(TITLE, "title: Changed"))
    before = {each.rulebook() for each in pair}
    assert len(before) == 1
    publish(environment, changed)
    wait_until(lambda: not before & {each.rulebook() for each in pair}, "both answer with the new rules")
    assert len({each.rulebook() for each in pair}) == 1


def test_an_answer_of_one_is_honoured_by_the_other(pair: Pair) -> None:
    one, two = pair
    call = fresh("mri")
    assert assertions_in(fire(one, call)) == assertions_in(fire(two, call)) != []


def test_the_forms_of_one_are_given_and_filled_by_the_other(pair: Pair, fhir: EhrServer, postgresql_url: str) -> None:
    one, _ = pair
    call = live(fhir)
    (assertion,) = assertions_in(fire(one, call))
    ledger = Ledger.open(postgresql_url, Encryption([KEY]))
    assert ledger.snapshot(assertion, datetime.now(UTC)) is not None, "what the form needs was kept"
    token = granted(one)
    by_one, by_two = (filled(package(each, call, assertion, token)) for each in pair)
    assert by_one == by_two, "with a token of the first"
    assert "answer" in str(by_two), "filled from what was kept"
    assert ledger.verify() == []
    ledger.close()
