"""DTR as a registered app meets it: the real service with two workers, tokens, browsers, and a restart in between."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from app.clients.scopes import SCOPES
from app.dtr.wire import VERSIONS, WIRE
from tests.clients.identities import ISS, bearing, claims, entry, registry, sign
from tests.dtr.dtr_actions import Fetched, context, coverage, coverage_of, order
from tests.ehr_actions import example, order_of
from tests.faults.conftest import Service, assertions_in, wait_until

ORIGIN = "https://app.example.org"
IBD = "http://meadowlark.example.org/fhir/ValueSet/inflammatory-bowel-disease"


@dataclass(frozen=True, slots=True)
class App:
    """A registered client and the service it calls, each call over a connection of its own: any worker may answer."""

    service: Service

    def grant(self, jwt: str | None = None, scope: str = " ".join(SCOPES), **changes: Any) -> requests.Response:
        url = f"{self.service.url}/auth/token"
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": jwt or sign(claims(url, sub=ISS, **changes)),
            "scope": scope,
        }
        return requests.post(url, data=form, timeout=20)

    def token(self, scope: str = " ".join(SCOPES)) -> dict[str, str]:
        granted = self.grant(scope=scope)
        assert granted.status_code == 200, granted.text
        return bearing(granted.json()["access_token"])

    def sign(self, call: dict[str, Any]) -> requests.Response:
        url = f"{self.service.url}/cds-services/order-sign-crd"
        return requests.post(url, json=call, headers=bearing(sign(claims(url))), timeout=20)

    def dtr(self, method: str, path: str, version: str = "2.2", **more: Any) -> requests.Response:
        return requests.request(method, f"{self.service.url}/fhir/dtr/{version}{path}", timeout=20, **more)

    def package(self, version: str, headers: dict[str, str], *parameters: dict[str, Any]) -> Fetched:
        body = {"resourceType": "Parameters", "parameter": list(parameters)}
        answer = self.dtr("POST", "/Questionnaire/$questionnaire-package", version, json=body, headers=headers)
        return Fetched(answer.status_code, answer.json(), version)


@pytest.fixture
def serve(start: Callable[..., Service], tmp_path: Path) -> Callable[[], App]:
    """Start the service outside the sandbox; a second start finds the data of the first."""
    (tmp_path / "clients.yaml").write_text(registry(entry()))

    def serve() -> App:
        file = str(tmp_path / "clients.yaml")
        return App(start(sandbox="false", clients_file=file, cors_origins=ORIGIN, rules_interval="0"))

    return serve


def test_who_is_let_in(serve: Callable[[], App]) -> None:
    app = serve()
    here = f"{app.service.url}/auth/token"
    now = int(time.time())
    for jwt in (
        sign(claims("https://another.example.org/auth/token", sub=ISS)),
        sign(claims(f"{app.service.url}/fhir/dtr/2.2", sub=ISS)),
        sign(claims(here, sub=ISS, iat=now - 700, exp=now - 400)),
        sign(claims(here, sub="https://nobody.example.org")),
    ):
        refused = app.grant(jwt)
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    once = sign(claims(here, sub=ISS))
    assert [app.grant(once).status_code for _ in range(4)] == [200, 401, 401, 401]
    assert app.grant(scope="patient/*.rs").json()["error"] == "invalid_scope"

    reading = app.token("system/ValueSet.rs")
    assert app.dtr("GET", "/ValueSet", headers=reading).status_code == 200
    for method, path in (
        ("GET", "/Questionnaire"),
        ("POST", "/Questionnaire/$questionnaire-package"),
        ("POST", "/Questionnaire/$next-question"),
        ("POST", "/QuestionnaireResponse"),
    ):
        body = {} if method == "GET" else {"json": {"resourceType": "Parameters"}}
        for headers, status in (({}, 401), (bearing("made-up"), 401), (reading, 403)):
            answer = app.dtr(method, path, headers=headers, **body)
            assert answer.status_code == status, (path, status)
            assert answer.json()["resourceType"] == "OperationOutcome"
            assert answer.headers.get("WWW-Authenticate", "").startswith("Bearer") is (status == 401)

    # As five minutes later: a token is forgotten, and the client is told to ask for another.
    with closing(sqlite3.connect(app.service.data_dir / "state.sqlite")) as state, state:
        state.execute("UPDATE entry SET expires_at = ? WHERE key LIKE 'access:%'", (time.time() - 1,))
    late = app.dtr("GET", "/ValueSet", headers=reading)
    assert late.status_code == 401
    assert "ask the token endpoint for another" in late.text
    assert app.dtr("GET", "/ValueSet", headers=app.token("system/ValueSet.rs")).status_code == 200


def test_a_browser_of_a_named_origin(serve: Callable[[], App]) -> None:
    app = serve()
    token = app.token()
    for path in ("/Questionnaire/$questionnaire-package", "/Questionnaire/$next-question", "/ValueSet/$expand"):
        for origin, named in ((ORIGIN, True), ("https://elsewhere.example.org", False)):
            wanted = {
                "Origin": origin,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,content-type",
            }
            asked = app.dtr("OPTIONS", path, headers=wanted)
            answer = app.dtr("POST", path, headers={"Origin": origin, **token}, json={"resourceType": "Parameters"})
            assert answer.status_code == 400  # what is sent says nothing; the browser hears why, or does not
            for each in (asked, answer):
                assert each.headers.get("Access-Control-Allow-Origin") == (origin if named else None)
                assert each.headers["Vary"].count("Origin") == 1
            allowed = asked.headers.get("Access-Control-Allow-Headers", "").lower()
            assert ("authorization" in allowed and "content-type" in allowed) is named


def test_an_answer_is_taken_further_after_a_restart(serve: Callable[[], App]) -> None:
    """A restart loses no answer and nothing that was kept for its forms; both versions tell them in their own words."""
    app = serve()
    request = example("mri")
    (given,) = assertions_in(app.sign(request))
    before = {version: app.package(version, app.token(), context(given)) for version in VERSIONS}
    app.service.process.terminate()
    app.service.process.wait(timeout=30)
    app = serve()
    wait_until(app.service.ready, "it is back")
    parts = coverage(coverage_of(request)), order(order_of(request)), context(given)
    for version in VERSIONS:
        after = app.package(version, app.token(), *parts)
        assert (after.status, after.forms) == (200, before[version].forms)
        (bundle,) = after.bundles
        kinds = [each["resource"]["resourceType"] for each in bundle["entry"]]
        assert kinds[:2] == ["Questionnaire", "QuestionnaireResponse"]
        assert set(kinds[2:]) == {"Library"}
        assert [each["name"] for each in after.json["parameter"]] == [WIRE[version].package, WIRE[version].outcome]
        (draft,) = after.of_type("QuestionnaireResponse")
        assert draft["identifier"]["value"] == given
        assert _answered(draft) == _answered(before[version].of_type("QuestionnaireResponse")[0]) != []
        origins = {each["extension"][0]["extension"][0]["valueCode"] for each in _answers(draft["item"])}
        assert origins == {"auto" if version == "2.0" else "auto-server"}


def _answers(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    own = [answer for item in items for answer in item.get("answer", ())]
    return own + [answer for item in items for answer in _answers(item.get("item", []))]


def _answered(draft: dict[str, Any]) -> list[Any]:
    return [{**each, "extension": None} for each in _answers(draft["item"])]


def test_a_large_value_set_page_by_page(serve: Callable[[], App]) -> None:
    app = serve()
    token = app.token()

    def expand(**asked: str) -> dict[str, Any]:
        answer = app.dtr("GET", "/ValueSet/$expand", params={"url": IBD, **asked}, headers=token)
        assert answer.status_code == 200, answer.text
        expansion: dict[str, Any] = answer.json()["expansion"]
        return expansion

    whole = [each["code"] for each in expand()["contains"]]
    assert len(set(whole)) == 77
    pages = [expand(offset=str(start), count="30") for start in (0, 30, 60)]
    assert [each["code"] for page in pages for each in page["contains"]] == whole
    assert [(page["total"], page["offset"], len(page["contains"])) for page in pages] == [
        (77, 0, 30),
        (77, 30, 30),
        (77, 60, 17),
    ]
    assert "contains" not in expand(offset="77")
    fistula = expand(filter="fist crohn", count="2", offset="1")
    assert (fistula["total"], [each["code"] for each in fistula["contains"]]) == (4, ["K50.113", "K50.813"])
    assert expand(filter="k51.9")["total"] == 7
    assert expand(count="0")["total"] == 77
    body = {
        "resourceType": "Parameters",
        "parameter": [{"name": "url", "valueUri": f"{IBD}|1.0.0"}, {"name": "filter", "valueString": "K50.00"}],
    }
    posted = app.dtr("POST", "/ValueSet/$expand", json=body, headers=token)
    assert [each["code"] for each in posted.json()["expansion"]["contains"]] == ["K50.00"]
    for asked, status in (({"url": f"{IBD}|9"}, 404), ({"url": IBD, "count": "-1"}, 400), ({}, 400)):
        assert app.dtr("GET", "/ValueSet/$expand", params=asked, headers=token).status_code == status
    # The package of 2.2 leaves it out and says so; that of 2.0 brings it whole.
    named = {
        "name": "questionnaire",
        "valueCanonical": "http://meadowlark.example.org/fhir/Questionnaire/ustekinumab-infusion",
    }
    asked_by = coverage(coverage_of(example("mri")))
    for version in VERSIONS:
        package = app.package(version, token, asked_by, named)
        assert [each["id"] for each in package.of_type("ValueSet")] == (
            ["inflammatory-bowel-disease"] if version == "2.0" else []
        )
        left = [each["diagnostics"] for each in package.issues if "is large" in each["diagnostics"]]
        assert len(left) == (0 if version == "2.0" else 1)
