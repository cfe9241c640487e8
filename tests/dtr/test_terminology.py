"""A terminology server beside the service: asked for what is not kept here, trusted with little."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from app.dtr import terminology
from app.dtr.terminology import terminology_server
from app.dtr.value_sets import expand
from app.errors import NotFound
from app.rulebook.forms import Artifacts
from tests.fhir import ehr_server
from tests.fhir.ehr_server import Behaviour, EhrServer

NOW = datetime(2026, 11, 20, tzinfo=UTC)
PATH = "/ValueSet/$expand"
FOUND = {"resourceType": "ValueSet", "url": "http://x/vs", "expansion": {"contains": [{"code": "1"}]}}


@pytest.fixture
def server() -> Iterator[EhrServer]:
    with EhrServer() as started:
        yield started


def asked(server: EhrServer, canonical: str = "http://x/vs|2") -> dict[str, object]:
    elsewhere = terminology_server(server.base)
    return expand(canonical, Artifacts(), NOW, words="lung", offset=20, count=10, elsewhere=elsewhere)


def test_it_is_asked_for_what_is_not_here(server: EhrServer) -> None:
    server.on[PATH] = ehr_server.answer(FOUND)
    assert asked(server) == FOUND
    query = {name: values[0] for name, values in parse_qs(urlsplit(server.asked[-1]).query).items()}
    assert {name: query[name] for name in ("url", "valueSetVersion", "filter", "offset", "count")} == {
        "url": "http://x/vs",
        "valueSetVersion": "2",
        "filter": "lung",
        "offset": "20",
        "count": "10",
    }
    assert query["system-version"].endswith("731000124108")


@pytest.mark.parametrize(
    "behaviour",
    [
        ehr_server.status(404),
        ehr_server.status(302, Location="http://169.254.169.254/"),
        ehr_server.answer({"resourceType": "OperationOutcome"}),
        ehr_server.answer({"resourceType": "ValueSet"}),
        ehr_server.answer([]),
        ehr_server.hang,
        ehr_server.drip_body,
        ehr_server.reset,
    ],
    ids=["404", "redirect", "outcome", "no expansion", "list", "hang", "drip", "reset"],
)
def test_what_it_does_not_give_is_not_found(
    server: EhrServer, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminology, "SECONDS", 0.5)
    server.on[PATH] = behaviour
    with pytest.raises(NotFound):
        asked(server)


def test_without_one_nobody_is_asked() -> None:
    with pytest.raises(NotFound):
        expand("http://x/vs", Artifacts(), NOW)
