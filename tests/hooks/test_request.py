from __future__ import annotations

import json
from typing import Any

import pytest

from app.errors import InvalidRequest, RequestError, UnprocessableRequest
from app.hooks.request import HookRequest, parse_request

ORDER_TYPES = frozenset({"ServiceRequest", "MedicationRequest"})
TOKEN = "secret-token-of-this-call"


def service(identity: str = "s1", **more: Any) -> dict[str, Any]:
    return {"resourceType": "ServiceRequest", "id": identity, "subject": {"reference": "Patient/p1"}, **more}


def bundle(entries: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "entry": entries}


def body(
    *resources: Any, hook: str = "order-sign", context: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    return {
        "hook": hook,
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": {
            "userId": "Practitioner/u1",
            "patientId": "p1",
            "draftOrders": bundle([{"resource": resource} for resource in resources]),
            **(context or {}),
        },
        **more,
    }


def parse(call: Any, hook: str = "order-sign", max_orders: int = 200) -> HookRequest:
    raw = call if isinstance(call, bytes) else json.dumps(call).encode()
    return parse_request(raw, hook, order_types=ORDER_TYPES, max_orders=max_orders)


def without(call: dict[str, Any], *path: str) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(call))
    target = copy
    for step in path[:-1]:
        target = target[step]
    del target[path[-1]]
    return copy


def test_everything_a_call_says() -> None:
    request = parse(
        body(
            service(),
            context={"encounterId": "e1"},
            prefetch={"patient": {"resourceType": "Patient"}, "coverage": None},
            fhirServer="https://ehr.example.org/fhir",
            fhirAuthorization={"access_token": TOKEN, "token_type": "Bearer"},
            extension={"davinci-crd.requestedVersion": "2.2", "davinci-crd.configuration": {"max-cards": 3}},
        )
    )
    assert request.hook == "order-sign"
    assert request.hook_instance == "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea"
    assert (request.patient_id, request.encounter_id) == ("p1", "e1")
    assert request.prefetch == {"patient": {"resourceType": "Patient"}, "coverage": None}
    assert request.fhir_server == "https://ehr.example.org/fhir"
    assert request.access_token == TOKEN
    assert request.requested_version == "2.2"
    assert request.configuration == {"max-cards": 3}
    assert request.selections is None
    (order,) = request.orders
    assert (order.key, order.full_url, order.element) == (
        "ServiceRequest/s1",
        None,
        "context.draftOrders.entry[0].resource",
    )


def test_the_least_a_call_says() -> None:
    request = parse(body())
    assert request.orders == ()
    assert request.prefetch == {}
    assert request.configuration == {}
    for absent in (request.fhir_server, request.access_token, request.requested_version, request.encounter_id):
        assert absent is None


def test_the_token_is_not_in_the_repr() -> None:
    request = parse(body(fhirAuthorization={"access_token": TOKEN}))
    assert request.access_token == TOKEN
    assert TOKEN not in repr(request)
    assert TOKEN not in str(request)


@pytest.mark.parametrize(
    "more",
    [
        {"unheard-of": {"nested": [1, 2]}},
        {"context": {"unheard-of": 1}},
        {"extension": {"com.example.other": {"x": 1}}},
        {"extension": "text"},
        {"extension": ["list"]},
        {"extension": None},
        {"extension": {"davinci-crd.requestedVersion": 2.2, "davinci-crd.configuration": ["max-cards"]}},
        {"extension": {"davinci-crd.requestedVersion": None, "davinci-crd.configuration": "max-cards=1"}},
        {"prefetch": None},
        {"fhirServer": None},
        {"fhirAuthorization": None},
        {"fhirAuthorization": {}},
        {"fhirAuthorization": {"access_token": 5}},
        {"fhirAuthorization": {"access_token": None}},
        {"context": {"encounterId": None}},
        {"context": {"encounterId": ""}},
        {"context": {"encounterId": 5}},
    ],
)
def test_what_is_unknown_or_of_no_use_is_ignored(more: dict[str, Any]) -> None:
    request = parse(body(service(), **more))
    assert [order.key for order in request.orders] == ["ServiceRequest/s1"]
    assert (request.access_token, request.requested_version, request.configuration) == (None, None, {})
    assert request.encounter_id is None


CALL = body(service())


@pytest.mark.parametrize(
    ("call", "element", "code"),
    [
        # no JSON, or not an object
        (b"", None, "structure"),
        (b"{", None, "structure"),
        (b"\xff\xfe", None, "structure"),
        (b"[]", None, "structure"),
        (b"null", None, "structure"),
        (b'"order-sign"', None, "structure"),
        (b"[" * 100_000, None, "structure"),
        # members that must be there
        (without(CALL, "hook"), "hook", "required"),
        ({**CALL, "hook": ""}, "hook", "required"),
        ({**CALL, "hook": 5}, "hook", "required"),
        ({**CALL, "hook": "order-select"}, "hook", "invalid"),
        (without(CALL, "hookInstance"), "hookInstance", "required"),
        ({**CALL, "hookInstance": "  "}, "hookInstance", "required"),
        (without(CALL, "context"), "context", "required"),
        ({**CALL, "context": []}, "context", "required"),
        (without(CALL, "context", "userId"), "context.userId", "required"),
        (without(CALL, "context", "patientId"), "context.patientId", "required"),
        (body(context={"patientId": 5}), "context.patientId", "required"),
        (body(context={"patientId": "Patient/p1"}), "context.patientId", "value"),
        (body(context={"patientId": "../p1"}), "context.patientId", "value"),
        (body(context={"patientId": "x" * 65}), "context.patientId", "value"),
        # members of the wrong type
        ({**CALL, "prefetch": []}, "prefetch", "structure"),
        ({**CALL, "prefetch": "none"}, "prefetch", "structure"),
        ({**CALL, "fhirAuthorization": "Bearer x"}, "fhirAuthorization", "structure"),
        ({**CALL, "fhirServer": {"url": "x"}}, "fhirServer", "value"),
        # the draft orders
        (without(CALL, "context", "draftOrders"), "context.draftOrders", "structure"),
        (body(context={"draftOrders": None}), "context.draftOrders", "structure"),
        (body(context={"draftOrders": [service()]}), "context.draftOrders", "structure"),
        (body(context={"draftOrders": {"resourceType": "List"}}), "context.draftOrders", "structure"),
        *(
            (body(context={"draftOrders": bundle(entries)}), "context.draftOrders.entry", "structure")
            for entries in (None, {}, "text", [None], [5], ["text"], [[]])
        ),
        *(
            (body(service(), resource), "context.draftOrders.entry[1].resource", "structure")
            for resource in (None, 5, "text", [], {}, {"resourceType": None}, {"resourceType": "service request"})
        ),
        (body(context={"draftOrders": bundle([{}])}), "context.draftOrders.entry[0].resource", "structure"),
        *(
            (body(service(), service(identity)), "context.draftOrders.entry[1].resource.id", "required")
            for identity in ("", None, 5, "a/b", "..")
        ),
        (body(without(service(), "id")), "context.draftOrders.entry[0].resource.id", "required"),
        (body(service(), service("s2"), service()), "context.draftOrders.entry[2].resource.id", "duplicate"),
    ],
)  # fmt: skip
def test_invalid_requests(call: Any, element: str | None, code: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        parse(call)
    error = raised.value
    assert (error.status, error.element, error.code) == (400, element, code)
    assert error.message


@pytest.mark.parametrize(
    ("call", "element"),
    [
        (f'{{"context": 5, {json.dumps(CALL)[1:]}', "context.draftOrders.entry"),
        (json.dumps(CALL).replace('"entry":', '"entry": [1], "entry":'), "context.draftOrders.entry"),
    ],
)  # fmt: skip
def test_a_member_that_stands_twice_and_differs_in_kind(call: str, element: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        parse(call.encode())
    assert raised.value.element == element


def test_of_a_member_that_stands_twice_the_last_counts() -> None:
    call = json.dumps(CALL).replace('"entry":', '"entry": [], "entry":')
    assert [order.key for order in parse(call.encode()).orders] == ["ServiceRequest/s1"]


@pytest.mark.parametrize("stated", ["x" * 1000, "order-select", "patient-view"])
def test_another_hook_is_named_but_not_at_length(stated: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        parse({**CALL, "hook": stated})
    assert stated[:40] in raised.value.message
    assert len(raised.value.message) < 120


def subject(reference: Any) -> dict[str, Any]:
    return service(subject={"reference": reference})


@pytest.mark.parametrize(
    ("order", "accepted"),
    [
        (subject("Patient/p1"), True),
        (subject("https://ehr.example.org/fhir/Patient/p1"), True),
        (subject("Patient/p1/_history/2"), True),
        (subject("urn:uuid:c757873d-ec9a-4326-a141-556f43239520"), True),
        (subject("#patient"), True),
        (subject("Group/g1"), True),
        (subject(None), True),
        (service(subject={"identifier": {"value": "x"}}), True),
        (without(service(), "subject"), True),
        (subject("Patient/p2"), False),
        (subject("https://ehr.example.org/fhir/Patient/p2"), False),
        (subject("Patient/p2/_history/1"), False),
    ],
)
def test_another_patients_order(order: dict[str, Any], accepted: bool) -> None:
    if accepted:
        assert len(parse(body(order)).orders) == 1
        return
    with pytest.raises(UnprocessableRequest) as raised:
        parse(body(service("s0"), order))
    error = raised.value
    assert (error.status, error.code) == (422, "invariant")
    assert error.element == "context.draftOrders.entry[1].resource.subject"
    assert "p2" not in error.message


def test_other_resources_are_context_not_orders() -> None:
    medication = {"resourceType": "Medication"}
    task = {"resourceType": "Task", "for": {"reference": "Patient/p2"}}
    request = parse(body(medication, service(), task, service("s2")))
    assert [(order.key, order.element) for order in request.orders] == [
        ("ServiceRequest/s1", "context.draftOrders.entry[1].resource"),
        ("ServiceRequest/s2", "context.draftOrders.entry[3].resource"),
    ]


def test_one_id_in_two_types() -> None:
    request = parse(body(service("same"), {**service("same"), "resourceType": "MedicationRequest"}))
    assert [order.key for order in request.orders] == ["ServiceRequest/same", "MedicationRequest/same"]


@pytest.mark.parametrize(("url", "kept"), [("urn:uuid:1", "urn:uuid:1"), (None, None), (5, None)])
def test_full_url(url: Any, kept: str | None) -> None:
    call = body(service())
    call["context"]["draftOrders"]["entry"][0]["fullUrl"] = url
    assert parse(call).orders[0].full_url == kept


def test_the_bytes_of_each_order_are_kept() -> None:
    first = (
        '{ "id" : "s1",\n\t"quantity":{"value": 1.10, "big":1E+2,"small":0.000} ,"resourceType":"ServiceRequest",'
        '"note":[{"text":"caf\\u00e9 \\/ \u00e9"}], "a":{"z":1,"y":2}}'
    )
    second = '{"resourceType":"MedicationRequest","id":"m1","intent":"order"}'
    entries = f'"entry":[ {{"resource":{first}, "fullUrl":"urn:x"}},{{"search":{{}},"resource":{second}}} ]'
    call = json.dumps(body()).replace('"entry": []', entries)
    request = parse(call.encode())
    assert [bytes(order.raw) for order in request.orders] == [first.encode(), second.encode()]
    assert list(request.orders[0].resource) == ["id", "quantity", "resourceType", "note", "a"]
    assert list(request.orders[0].resource["a"]) == ["z", "y"]
    assert str(request.orders[0].resource["quantity"]["value"]) == "1.10"


@pytest.mark.parametrize(("entries", "most", "accepted"), [(200, 200, True), (201, 200, False), (1000, 200, False)])
def test_many_orders(entries: int, most: int, accepted: bool) -> None:
    call = body(*(service(f"s{number}") for number in range(entries)))
    if accepted:
        assert [order.key for order in parse(call, max_orders=most).orders][-1] == f"ServiceRequest/s{entries - 1}"
        return
    with pytest.raises(UnprocessableRequest) as raised:
        parse(call, max_orders=most)
    assert (raised.value.element, raised.value.code) == ("context.draftOrders.entry", "too-costly")
    assert str(most) in raised.value.message


def test_no_entry_at_all() -> None:
    assert parse(body(context={"draftOrders": {"resourceType": "Bundle"}})).orders == ()


@pytest.mark.parametrize(
    ("stated", "keys"),
    [
        ([], set()),
        (["ServiceRequest/s1"], {"ServiceRequest/s1"}),
        (["ServiceRequest/s1", "ServiceRequest/s1", "Task/t1"], {"ServiceRequest/s1", "Task/t1"}),
        (["https://ehr.example.org/fhir/ServiceRequest/s1"], {"ServiceRequest/s1"}),
        (["ServiceRequest/not-there"], {"ServiceRequest/not-there"}),
    ],
)  # fmt: skip
def test_selections(stated: list[str], keys: set[str]) -> None:
    request = parse(body(service(), hook="order-select", context={"selections": stated}), "order-select")
    assert request.selections == keys


@pytest.mark.parametrize(
    ("stated", "element", "code"),
    [
        (None, "context.selections", "required"),
        ("ServiceRequest/s1", "context.selections", "required"),
        ([{"reference": "ServiceRequest/s1"}], "context.selections", "required"),
        (["ServiceRequest/s1", None], "context.selections", "required"),
        (["s1"], "context.selections[0]", "value"),
        (["ServiceRequest/s1", "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"], "context.selections[1]", "value"),
        (["ServiceRequest/s1", ""], "context.selections[1]", "value"),
    ],
)
def test_wrong_selections(stated: Any, element: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        parse(body(service(), hook="order-select", context={"selections": stated}), "order-select")
    assert (raised.value.element, raised.value.code) == (element, code)


def test_selections_belong_to_order_select() -> None:
    assert parse(body(service(), context={"selections": 5})).selections is None


@pytest.mark.parametrize("name", ["Zebedee", TOKEN])
@pytest.mark.parametrize("broken", [{"subject": {"reference": "Patient/p2"}}, {"id": ""}, {"resourceType": "x y"}])
def test_errors_hold_nothing_of_the_patient_or_the_token(name: str, broken: dict[str, Any]) -> None:
    order = {**service(note=[{"text": name}]), **broken}
    call = body(order, fhirAuthorization={"access_token": TOKEN})
    with pytest.raises(RequestError) as raised:
        parse(call)
    assert name not in f"{raised.value!r}{raised.value.message}{raised.value.element}"
