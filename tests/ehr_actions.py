"""What an EHR does to the service, as actions: sign orders, select them, ask what is offered."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

from app.settings import ROOT

EXAMPLES = ROOT / "docs" / "examples"
COVERAGE_INFORMATION = "http://hl7.org/fhir/us/davinci-crd/StructureDefinition/ext-coverage-information"


def example(name: str) -> dict[str, Any]:
    """A sample request, free to be changed."""
    loaded: dict[str, Any] = json.loads((EXAMPLES / f"order-sign-{name}.json").read_text())
    return loaded


def with_orders(request: dict[str, Any], *orders: dict[str, Any]) -> dict[str, Any]:
    """The request with other draft orders."""
    changed = copy.deepcopy(request)
    entries = [
        {"fullUrl": f"https://ehr.example.org/fhir/{o['resourceType']}/{o['id']}", "resource": o} for o in orders
    ]
    changed["context"]["draftOrders"]["entry"] = entries
    return changed


def order_of(request: dict[str, Any], position: int = 0) -> dict[str, Any]:
    """A draft order of a request."""
    found: dict[str, Any] = request["context"]["draftOrders"]["entry"][position]["resource"]
    return found


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer with its JSON."""

    status: int
    json: dict[str, Any]

    @property
    def repetitions(self) -> list[list[dict[str, Any]]]:
        """The coverage-information repetitions of each system action."""
        return [
            [e for e in action["resource"].get("extension", []) if e["url"] == COVERAGE_INFORMATION]
            for action in self.json["systemActions"]
        ]

    def parts(self, order: int = 0, repetition: int = 0) -> dict[str, list[Any]]:
        """Values of one repetition by part name; details by their code."""
        found: dict[str, list[Any]] = {}
        for part in self.repetitions[order][repetition]["extension"]:
            if part["url"] == "detail":
                inner = {
                    each["url"]: next(v for k, v in each.items() if k.startswith("value")) for each in part["extension"]
                }
                found.setdefault(inner["code"]["coding"][0]["code"], []).append(inner["value"])
            else:
                value = next(v for k, v in part.items() if k.startswith("value"))
                found.setdefault(part["url"], []).append(value)
        return found

    @property
    def issue(self) -> dict[str, Any]:
        """The first issue of an OperationOutcome."""
        assert self.json["resourceType"] == "OperationOutcome"
        found: dict[str, Any] = self.json["issue"][0]
        return found


class EhrActions:
    """A client that speaks CDS Hooks."""

    def __init__(self, client: FlaskClient) -> None:
        self._client = client

    def post(self, service: str, body: bytes) -> Answer:
        """Post bytes to a service."""
        response = self._client.post(f"/cds-services/{service}", data=body, content_type="application/json")
        return Answer(response.status_code, json.loads(response.data))

    def sign(self, request: dict[str, Any] | Path) -> Answer:
        """Fire order-sign."""
        body = request.read_bytes() if isinstance(request, Path) else json.dumps(request).encode()
        return self.post("order-sign-crd", body)

    def select(self, request: dict[str, Any], *selections: str) -> Answer:
        """Fire order-select on the same drafts."""
        changed = copy.deepcopy(request)
        changed["hook"] = "order-select"
        changed["context"]["selections"] = list(selections)
        return self.post("order-select-crd", json.dumps(changed).encode())

    def discover(self) -> dict[str, Any]:
        """Read the discovery document."""
        response = self._client.get("/cds-services")
        assert response.status_code == 200
        found: dict[str, Any] = json.loads(response.data)
        return found
