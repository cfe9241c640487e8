"""One CDS Hooks call, parsed and checked, with every draft order kept byte for byte.

Source: CDS Hooks 2.0, "Calling a CDS Service"; davinci-crd 2.2, CRDHooksRequest. Unknown members are ignored (hook-23).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from app.errors import InvalidRequest, UnprocessableRequest
from app.fhir import references
from app.fhir.json import decode, refuse_nul

REQUESTED_VERSION = "davinci-crd.requestedVersion"
CONFIGURATION = "davinci-crd.configuration"


@dataclass(frozen=True, slots=True)
class DraftOrder:
    """An order in a call: parsed to be read, raw to go back exactly as it came."""

    key: str
    resource: dict[str, Any]
    raw: msgspec.Raw
    full_url: str | None
    element: str


@dataclass(frozen=True, slots=True)
class HookRequest:
    """A hook call. `access_token` is for this call only and never leaves it (CRD sec-9).

    `orders` are the drafts or appointments of the context; `dispatched` and `performer` are references of a dispatch.
    """

    hook: str
    hook_instance: str
    context: dict[str, Any]
    prefetch: dict[str, Any]
    orders: tuple[DraftOrder, ...]
    selections: frozenset[str] | None
    dispatched: tuple[str, ...]
    performer: str | None
    fhir_server: str | None
    access_token: str | None = field(repr=False)
    requested_version: str | None
    configuration: dict[str, Any]

    @property
    def patient_id(self) -> str:
        """Logical id of the patient on the EHR."""
        return str(self.context["patientId"])

    @property
    def encounter_id(self) -> str | None:
        """Logical id of the encounter, when the hook fires inside one."""
        value = self.context.get("encounterId")
        return value if isinstance(value, str) and value else None


class _RawEntry(msgspec.Struct):
    resource: msgspec.Raw = msgspec.Raw()


class _RawBundle(msgspec.Struct):
    entry: list[_RawEntry] = []


class _RawContext(msgspec.Struct):
    draftOrders: _RawBundle = msgspec.field(default_factory=_RawBundle)  # noqa: N815  # the protocol's spelling
    appointments: _RawBundle = msgspec.field(default_factory=_RawBundle)


class _RawOrders(msgspec.Struct):
    context: _RawContext


_orders_decoder = msgspec.json.Decoder(_RawOrders)

# What each hook's context must name, and the Bundle it brings (CDS Hooks library; davinci-crd, CRD*Context).
_REQUIRED = {
    "order-sign": ("userId", "patientId"),
    "order-select": ("userId", "patientId"),
    "order-dispatch": ("patientId", "performer"),
    "appointment-book": ("userId", "patientId"),
    "encounter-start": ("userId", "patientId", "encounterId"),
    "encounter-discharge": ("userId", "patientId", "encounterId"),
}
_BUNDLES = {"order-sign": "draftOrders", "order-select": "draftOrders", "appointment-book": "appointments"}
HOOKS = tuple(_REQUIRED)


def parse_request(body: bytes, hook: str, *, order_types: frozenset[str], max_orders: int) -> HookRequest:
    """Parse a call of `hook`. InvalidRequest (400) when it is not CDS Hooks or not FHIR, naming the element."""
    refuse_nul(body)
    data = decode(body)
    if not isinstance(data, dict):
        raise InvalidRequest("The body is not a JSON object.", code="structure")
    stated = _text(data, "hook")
    if stated != hook:
        raise InvalidRequest(f"This service answers '{hook}', the request is for '{stated[:40]}'.", element="hook")
    context = _object(data, "context")
    for name in _REQUIRED[hook]:
        _text(context, name, "context.")
    for name in ("patientId", "encounterId"):
        if name in _REQUIRED[hook] and not references.is_id(context[name]):
            words = name.removesuffix("Id")
            raise InvalidRequest(f"The {words} id is not a FHIR id.", element=f"context.{name}", code="value")
    prefetch = data.get("prefetch")
    if prefetch is not None and not isinstance(prefetch, dict):
        raise InvalidRequest("prefetch is not an object.", element="prefetch", code="structure")
    authorization = data.get("fhirAuthorization")
    if authorization is not None and not isinstance(authorization, dict):
        raise InvalidRequest("fhirAuthorization is not an object.", element="fhirAuthorization", code="structure")
    server = data.get("fhirServer")
    if server is not None and not isinstance(server, str):
        raise InvalidRequest("fhirServer is not a URL.", element="fhirServer", code="value")
    token = authorization.get("access_token") if authorization else None
    extension = data.get("extension")
    extension = extension if isinstance(extension, dict) else {}
    version, configuration = extension.get(REQUESTED_VERSION), extension.get(CONFIGURATION)
    return HookRequest(
        hook=hook,
        hook_instance=_text(data, "hookInstance"),
        context=context,
        prefetch=prefetch or {},
        orders=_orders(body, context, _BUNDLES[hook], order_types, max_orders) if hook in _BUNDLES else (),
        selections=_selections(context) if hook == "order-select" else None,
        dispatched=_dispatched(context) if hook == "order-dispatch" else (),
        performer=_text(context, "performer", "context.") if hook == "order-dispatch" else None,
        fhir_server=server,
        access_token=token if isinstance(token, str) else None,
        requested_version=version if isinstance(version, str) else None,
        configuration=configuration if isinstance(configuration, dict) else {},
    )


def _orders(
    body: bytes, context: dict[str, Any], name: str, types: frozenset[str], most: int
) -> tuple[DraftOrder, ...]:
    """Every resource of a type that counts, in the order given. Other resource types are context, not orders."""
    where = f"context.{name}"
    bundle = context.get(name)
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise InvalidRequest(f"{name} is not a Bundle.", element=where, code="structure")
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        raise InvalidRequest(f"{name}.entry is not a list.", element=f"{where}.entry", code="structure")
    if len(entries) > most:
        raise UnprocessableRequest(
            f"{name} has {len(entries)} entries; this service takes at most {most} in one call.",
            element=f"{where}.entry",
            code="too-costly",
        )
    try:
        bundles = _orders_decoder.decode(body).context
        raws = (bundles.draftOrders if name == "draftOrders" else bundles.appointments).entry
    except msgspec.ValidationError:  # an entry that is no object, or a member that stands twice
        raise InvalidRequest(
            f"{name}.entry holds something that is no entry.", element=f"{where}.entry", code="structure"
        ) from None
    found: list[DraftOrder] = []
    seen: set[str] = set()
    for position, (entry, raw) in enumerate(zip(entries, raws, strict=True)):
        element = f"{where}.entry[{position}].resource"
        resource = entry.get("resource")
        if not isinstance(resource, dict) or not references.is_type(resource.get("resourceType")):
            raise InvalidRequest("The entry holds no FHIR resource.", element=element, code="structure")
        if resource["resourceType"] not in types:
            continue
        key = references.resource_key(resource)
        if key is None:
            raise InvalidRequest("The order has no id.", element=f"{element}.id", code="required")
        if key in seen:
            raise InvalidRequest("Two draft orders have the same id.", element=f"{element}.id", code="duplicate")
        seen.add(key)
        patient = references.patient_of(resource)
        if patient is not None and patient.kind in ("relative", "absolute") and patient.id != context["patientId"]:
            raise UnprocessableRequest(
                "The order is for another patient than the hook.", element=f"{element}.subject", code="invariant"
            )
        full_url = entry.get("fullUrl")
        full_url = full_url if isinstance(full_url, str) else None
        found.append(DraftOrder(key, resource, raw.resource, full_url, element))
    return tuple(found)


def _selections(context: dict[str, Any]) -> frozenset[str]:
    """`Type/id` of the drafts just selected (order-select)."""
    stated = context.get("selections")
    if not isinstance(stated, list) or not all(isinstance(item, str) for item in stated):
        raise InvalidRequest("selections is not a list of references.", element="context.selections", code="required")
    keys = set()
    for position, item in enumerate(stated):
        key = references.local_key(item)
        if key is None:
            raise InvalidRequest(
                "A selection is not written Type/id.", element=f"context.selections[{position}]", code="value"
            )
        keys.add(key)
    return frozenset(keys)


def _dispatched(context: dict[str, Any]) -> tuple[str, ...]:
    """References of the dispatched orders; a 2.0 client sends a single `order` (CDS Hooks order-dispatch 1.0)."""
    stated = context.get("dispatchedOrders", [context["order"]] if "order" in context else None)
    if not isinstance(stated, list) or not stated or not all(isinstance(item, str) for item in stated):
        raise InvalidRequest(
            "dispatchedOrders is not a list of references.", element="context.dispatchedOrders", code="required"
        )
    for position, item in enumerate(stated):
        if references.local_key(item) is None:
            element = f"context.dispatchedOrders[{position}]"
            raise InvalidRequest("A dispatched order is not written Type/id.", element=element, code="value")
    return tuple(stated)


def _text(data: dict[str, Any], name: str, prefix: str = "") -> str:
    value = data.get(name)
    if not isinstance(value, str) or not value.strip():
        raise InvalidRequest(f"'{name}' is missing.", element=f"{prefix}{name}", code="required")
    return value


def _object(data: dict[str, Any], name: str) -> dict[str, Any]:
    value = data.get(name)
    if not isinstance(value, dict):
        raise InvalidRequest(f"'{name}' is missing.", element=name, code="required")
    return value
