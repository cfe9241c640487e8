"""Inferno's CRD server suite, each of its assertions as a function over what a service answered.

Source: inferno-framework/davinci-crd-test-kit, suites `crd_server` (CRD 2.0.1) and `crd_server_v220`, restated. An
assertion takes the exchanges of one hook and returns what is wrong with them, in words; nothing wrong is Inferno's
PASS. It raises NothingToJudge where Inferno skips. Here stand what all build on, discovery, and what each response must
be; `inferno_responses` has the kinds of response, `inferno_requests` what the tester's own requests must be.

Whether a resource is valid for its CRD profile is asked of `Valid`, which gives the errors of a resource.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from app.settings import ROOT

Json = dict[str, Any]
Valid = Callable[[Json], list[str]]

JSON_TYPES: dict[str, type] = {"String": str, "Array": list, "Object": dict, "Integer": int}
R4_TYPES = frozenset(
    name
    for name, (parent, _) in json.loads((ROOT / "app" / "fhirpath" / "r4.json").read_text()).items()
    if parent in ("DomainResource", "Resource")
)
HOOKS = (
    "appointment-book",
    "encounter-start",
    "encounter-discharge",
    "order-select",
    "order-dispatch",
    "order-sign",
)
ORDERS = frozenset({"DeviceRequest", "MedicationRequest", "NutritionOrder", "ServiceRequest", "VisionPrescription"})
NEEDS_SYSTEM_ACTIONS = frozenset({"appointment-book", "order-sign", "order-dispatch"})


class NothingToJudge(Exception):
    """Inferno's SKIP: nothing of the kind was sent. A group with a mandatory test that skips does not pass."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call of a hook service as the tester saw it."""

    hook: str
    request: Json
    status: int
    body: bytes

    @property
    def answer(self) -> Any:
        """The JSON of the response; None when it is none."""
        return parsed(self.body)


Exchanges = Sequence[Exchange]
Check = Callable[[Exchanges, Valid], list[str]]


def parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


# H1-H4: what every assertion builds on.


def field(container: Json, name: str, kind: str, *, optional: bool = False) -> list[str]:
    """H1: the field is there, of its JSON type and not blank; an optional one may be left out."""
    if optional and name not in container:
        return []
    value = container.get(name)
    if value is None or value is False:
        return [f"{name} is missing"]
    if not isinstance(value, JSON_TYPES[kind]) or isinstance(value, bool):
        return [f"{name} is not of type {kind}"]
    if blank(value):
        return [f"{name} is blank"]
    return []


def blank(value: Any) -> bool:
    return value is None or value in ("", [], {}) or (isinstance(value, str) and not value.strip())


def is_url(value: Any) -> bool:
    """H2."""
    try:
        parts = urlsplit(value) if isinstance(value, str) else None
        return parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def is_reference(value: Any, types: frozenset[str] | None = None) -> bool:
    """H3: exactly `Type/id`, of one of the types."""
    halves = value.split("/") if isinstance(value, str) else []
    return len(halves) == 2 and all(halves) and (types is None or halves[0] in types)


def is_resource(value: Any) -> bool:
    """H4: an R4 resource, by its resourceType."""
    return isinstance(value, dict) and value.get("resourceType") in R4_TYPES


# 1.1 Discovery.


def discovery_endpoint(status: int, body: bytes) -> list[str]:
    """crd.disc.endpoint."""
    wrong = [f"status is {status}"] if status != 200 else []
    return wrong + (["the body is not JSON"] if parsed(body) is None else [])


def discovery_services(answer: Any) -> list[str]:
    """crd.disc.services."""
    services = answer.get("services") if isinstance(answer, dict) else None
    if not isinstance(services, list):
        return ["services is not an array"]
    if not services:
        raise NothingToJudge("no service is offered")
    return [
        f"services[{position}]: {words}"
        for position, service in enumerate(services)
        for name in ("hook", "description", "id")
        for words in (field(service, name, "String") if isinstance(service, dict) else ["it is no object"])
    ]


def service_ids(answer: Json) -> dict[str, str]:
    """The first service of each hook, which is the one called later."""
    found: dict[str, str] = {}
    for service in answer["services"]:
        found.setdefault(service["hook"], service["id"])
    return found


# 1.3 and 1.5: the response of a hook.


def hook_call(exchanges: Exchanges, _: Valid) -> list[str]:
    """crd.hook.call: every body is answered 200 with JSON."""
    if not exchanges:
        raise NothingToJudge("no request was sent")
    return [
        f"request {position}: status {each.status}, {'no ' if each.answer is None else ''}JSON"
        for position, each in enumerate(exchanges)
        if each.status != 200 or each.answer is None
    ]


def response_valid(exchanges: Exchanges, _: Valid) -> list[str]:
    """crd.resp.valid."""
    if not any(each.status == 200 for each in exchanges):
        raise NothingToJudge("no request was answered")
    return [
        f"response {position}: {words}"
        for position, each in enumerate(exchanges)
        if each.status == 200
        for words in response_problems(each.hook, each.answer)
    ]


def response_problems(hook: str, answer: Any) -> list[str]:
    if not isinstance(answer, dict):
        return ["it is no JSON object"]
    wrong = [] if isinstance(answer.get("cards"), list) else ["cards is not an array"]
    actions = answer.get("systemActions")
    if actions is None and hook in NEEDS_SYSTEM_ACTIONS:
        wrong.append("systemActions is missing")
    elif actions is not None and not isinstance(actions, list):
        wrong.append("systemActions is not an array")
    for name, problems_of in (("cards", card_problems), ("systemActions", action_problems)):
        for position, each in enumerate(listed(answer, name)):
            wrong += [f"{name}[{position}]: {words}" for words in problems_of(each)]
    return wrong


def card_problems(card: Any) -> list[str]:
    """1.5(3)."""
    if not isinstance(card, dict):
        return ["it is no object"]
    wrong = [*field(card, "summary", "String"), *field(card, "indicator", "String"), *field(card, "source", "Object")]
    if wrong:
        return wrong
    if len(card["summary"]) >= 140:
        wrong.append("summary has 140 characters or more")
    if card["indicator"] not in ("info", "warning", "critical"):
        wrong.append("indicator is not known")
    source = card["source"]
    wrong += [f"source.{words}" for words in (*field(source, "label", "String"), *field(source, "topic", "Object"))]
    if isinstance(source.get("topic"), dict):
        for name in ("code", "system"):
            wrong += [f"source.topic.{words}" for words in field(source["topic"], name, "String")]
    return wrong


def action_problems(action: Any) -> list[str]:
    """1.5(4)."""
    if not isinstance(action, dict):
        return ["it is no object"]
    wrong = [*field(action, "type", "String"), *field(action, "description", "String")]
    kind = action.get("type")
    if kind in ("create", "update"):
        wrong += [] if is_resource(action.get("resource")) else ["resource is no R4 resource"]
    elif kind == "delete":
        wrong += [] if is_reference(action.get("resourceId")) else ["resourceId is not Type/id"]
    else:
        wrong.append("type is not known")
    return wrong


def valid_cards(each: Exchange) -> list[Json]:
    """The cards that later assertions look at."""
    return [card for card in listed(each.answer, "cards") if each.status == 200 and not card_problems(card)]


def valid_actions(each: Exchange) -> list[Json]:
    """The system actions that later assertions look at."""
    actions = listed(each.answer, "systemActions")
    return [action for action in actions if each.status == 200 and not action_problems(action)]


def listed(answer: Any, name: str) -> list[Any]:
    value = answer.get(name) if isinstance(answer, dict) else None
    return value if isinstance(value, list) else []
