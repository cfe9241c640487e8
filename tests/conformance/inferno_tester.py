"""The tester's side of a run: its keys, its EHR, the service as a process of its own, and a session of requests."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from app.settings import ROOT
from tests.clients.identities import bearing, claims, jwk_set, sign
from tests.conformance.inferno import HOOKS, Exchange, service_ids
from tests.conformance.inferno_bodies import Json, bodies, record
from tests.fhir import ehr_server
from tests.fhir.ehr_server import Behaviour, EhrServer

SIGNPOST = [sys.executable, "-m", "app.cli"]
KEYS = {"ES384": "ec", "RS384": "rsa"}
SEARCHED = ("Coverage", "Condition", "MedicationRequest", "Procedure", "Observation", "AllergyIntolerance")


@dataclass(frozen=True, slots=True)
class Discovery:
    """What the discovery endpoint gave."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Session:
    """One run of the suite: `discoveries` without and with a JWT, and the exchanges of each hook."""

    version: str
    discoveries: tuple[Discovery, Discovery]
    exchanges: dict[str, list[Exchange]]


class InfernoClient:
    """Signs as Inferno does: `iss` is its base, `jku` the JWK set below it, `aud` the exact URL called."""

    def __init__(self, ehr: EhrServer) -> None:
        self._base = ehr.base.removesuffix("/fhir")
        self._fhir_server = ehr.base
        ehr.on |= {"/jwks.json": ehr_server.answer(jwk_set()), **_serving(record())}

    def register(self, data_dir: Path) -> None:
        """Become a client of the service, as an operator would do it."""
        jwks, fhir = ("--jwks-url", f"{self._base}/jwks.json"), ("--fhir-base", self._fhir_server)
        given = ["--name", "Inferno", "--iss", self._base, *jwks, *fhir, "--allow-private"]
        subprocess.run([*SIGNPOST, "clients", "add", *given, "--data-dir", str(data_dir)], cwd=ROOT, check=True)

    def headers(self, url: str, algorithm: str) -> dict[str, str]:
        signed = sign(claims(url, iss=self._base), KEYS[algorithm], jku=f"{self._base}/jwks.json")
        return {"Content-type": "application/json", **bearing(signed)}

    def run(self, service: str, *, version: str, algorithm: str) -> Session:
        """Discover the services and call each with every body of its hook. `service` is the base URL."""
        url = f"{service}/cds-services"
        accept = {"Accept": "application/json"}
        found = [requests.get(url, headers=accept | h, timeout=30) for h in ({}, self.headers(url, algorithm))]
        ids = service_ids(found[0].json())
        exchanges: dict[str, list[Exchange]] = {hook: [] for hook in HOOKS}
        for hook in filter(ids.__contains__, HOOKS):
            url = f"{service}/cds-services/{ids[hook]}"
            for body in bodies(hook, version=version, fhir_server=self._fhir_server):
                response = requests.post(url, json=body, headers=self.headers(url, algorithm), timeout=30)
                exchanges[hook].append(Exchange(hook, body, response.status_code, response.content))
        open_one, signed_one = (Discovery(each.status_code, each.content) for each in found)
        return Session(version, (open_one, signed_one), exchanges)


def _serving(resources: list[Json]) -> dict[str, Behaviour]:
    reads = {f"/{each['resourceType']}/{each['id']}": ehr_server.answer(each) for each in resources}
    forms = [each for each in resources if each["resourceType"] == "Questionnaire"]
    searches = {f"/{kind}": _searching(kind, resources) for kind in SEARCHED}
    return reads | searches | {"/Questionnaire": _found(forms)}


def _found(resources: list[Json]) -> Behaviour:
    entries = [{"resource": each} for each in resources]
    return ehr_server.answer({"resourceType": "Bundle", "type": "searchset", "entry": entries})


def _searching(kind: str, resources: list[Json]) -> Behaviour:
    """Answers a search by patient. Orders under way are no record of what the patient has had."""
    kept = [each for each in resources if each["resourceType"] == kind and kind != "MedicationRequest"]

    def answer(handler: Any) -> None:
        (patient,) = parse_qs(urlsplit(handler.path).query)["patient"]
        _found([each for each in kept if each["beneficiary"]["reference"] == f"Patient/{patient}"])(handler)

    return answer


@contextmanager
def serving(data_dir: Path) -> Iterator[str]:
    """The service as it runs in earnest, with two workers and no sandbox; its base URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [*SIGNPOST, "serve", "--workers", "2", "--port", port, "--data-dir", str(data_dir)]
    said = data_dir / "said"
    with said.open("wb") as stderr, subprocess.Popen(command, cwd=ROOT, stderr=stderr) as process:
        try:
            if not _answers(f"http://127.0.0.1:{port}/readyz", process):
                raise RuntimeError(f"the service does not start: {said.read_text()[-4000:]}")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=30)


def _answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    for _ in range(300):
        try:
            if requests.get(url, timeout=2).ok:
                return True
        except requests.ConnectionError:
            if process.poll() is not None:
                return False
            time.sleep(0.1)
    return False
