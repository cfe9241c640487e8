"""What a DTR client does: it fetches forms for an order, asks for codes and questions, and sends forms back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.ehr_actions import EhrActions, example, order_of

Resource = dict[str, Any]
PACKAGE = {"2.0": "PackageBundle", "2.2": "packagebundle"}
OUTCOME = {"2.0": "operationOutcome", "2.2": "outcome"}


@dataclass(frozen=True, slots=True)
class Fetched:
    """The answer of $questionnaire-package."""

    status: int
    json: Resource
    version: str

    @property
    def bundles(self) -> list[Resource]:
        return [p["resource"] for p in self.json.get("parameter", ()) if p["name"] == PACKAGE[self.version]]

    @property
    def issues(self) -> list[Resource]:
        """The issues beside the packages, or of the error."""
        if self.json["resourceType"] == "OperationOutcome":
            return list(self.json["issue"])
        outcomes = [p["resource"] for p in self.json["parameter"] if p["name"] == OUTCOME[self.version]]
        assert len(outcomes) <= 1
        return [issue for outcome in outcomes for issue in outcome["issue"]]

    def of_type(self, kind: str, bundle: int = 0) -> list[Resource]:
        return [e["resource"] for e in self.bundles[bundle]["entry"] if e["resource"]["resourceType"] == kind]

    @property
    def forms(self) -> list[str]:
        """`url|version` of each form, in order."""
        found = [bundle["entry"][0]["resource"] for bundle in self.bundles]
        return [f"{form['url']}|{form['version']}" for form in found]


class DtrActions:
    """A client of one DTR version."""

    def __init__(self, http: FlaskClient, version: str = "2.2", headers: dict[str, str] | None = None) -> None:
        self._http = http
        self.version = version
        self.base = f"/fhir/dtr/{version}"
        self._headers = headers or {}

    def package(self, *parameters: Resource) -> Fetched:
        body = {"resourceType": "Parameters", "parameter": list(parameters)}
        answer = self.post("/Questionnaire/$questionnaire-package", body)
        return Fetched(answer[0], answer[1], self.version)

    def post(self, path: str, body: Any) -> tuple[int, Resource]:
        response = self.send(path, body)
        return response.status_code, response.get_json(silent=True) or {}

    def send(self, path: str, body: Any) -> TestResponse:
        return self._http.post(self.base + path, json=body, headers=self._headers)

    def get(self, path: str) -> tuple[int, Resource]:
        response = self._http.get(self.base + path, headers=self._headers)
        return response.status_code, response.get_json()


def coverage(resource: Resource) -> Resource:
    return {"name": "coverage", "resource": resource}


def order(resource: Resource) -> Resource:
    return {"name": "order", "resource": resource}


def context(assertion_id: str) -> Resource:
    return {"name": "context", "valueString": assertion_id}


def questionnaire(canonical: str) -> Resource:
    return {"name": "questionnaire", "valueCanonical": canonical}


def coverage_of(request: Resource) -> Resource:
    """The Coverage that a sample hook request brings."""
    found: Resource = request["prefetch"]["coverage"]
    resource: Resource = found["entry"][0]["resource"] if found["resourceType"] == "Bundle" else found
    return resource


@dataclass(frozen=True, slots=True)
class Signed:
    """An order signed, and its parts as $questionnaire-package takes them."""

    coverage: Resource
    order: Resource
    assertion_id: str

    @property
    def parameters(self) -> tuple[Resource, ...]:
        return coverage(self.coverage), order(self.order), context(self.assertion_id)


def sign(ehr: EhrActions, name: str = "mri") -> Signed:
    request = example(name)
    parts = ehr.sign(request).parts()
    return Signed(coverage_of(request), order_of(request), parts["coverage-assertion-id"][0])
