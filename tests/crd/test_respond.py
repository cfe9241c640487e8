"""The system action: the order as it came, with the answer added, and nothing that contradicts itself."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.crd.chart import Resource
from app.crd.coverage_information import URL
from app.crd.determination import Determination
from app.crd.order_content import ORDER_TYPES
from app.crd.respond import Given, body, give, sound, without_documents
from app.fhir.json import encode
from app.hooks.request import parse_request
from app.rulebook.answer import Answer, Reason
from tests.crd.builders import TODAY, call, rulebook, service, shape

RULES = rulebook()
AUTH = Answer(
    "covered", "auth-needed", ("clinical",), ("withpa",), questionnaires=("form",), reasons=(Reason("Criteria."),)
)
NO_AUTH = Answer("covered", "no-auth", reasons=(Reason("Fine."),))
EXPIRES = date(2026, 9, 13)


def determined(*answers: Answer) -> Determination:
    return Determination("ServiceRequest/s1", answers or (NO_AUTH,), TODAY, EXPIRES)


def given(order: Resource, *answers: Answer, hook: str = "order-sign", id: str = "A1", today: date = TODAY) -> Given:  # noqa: A002
    return give(
        call(order).orders[0],
        determined(*answers),
        hook=hook,
        version="2.2",
        coverage={"reference": "Coverage/c1"},
        dependencies=(),
        rulebook=RULES,
        today=today,
        new_id=lambda: id,
    )


def order_in(one: Given) -> dict[str, Any]:
    assert one.action is not None
    changed: dict[str, Any] = json.loads(encode(one.action["resource"]))
    return changed


def part(repetition: dict[str, Any], name: str) -> list[Any]:
    return [
        next(v for k, v in each.items() if k.startswith("value"))
        for each in repetition["extension"]
        if each["url"] == name
    ]


RAW = (
    b'{"id":"s1","resourceType":"ServiceRequest","zeta":{"b":1.10,"a":[1,2]},"subject":{"reference":"Patient/p1"},'
    b'"extension":[{"url":"x","valueDecimal":2.50}],"status":"draft"}'
)


def test_the_order_goes_back_as_it_came() -> None:
    request = b'{"hook":"order-sign","hookInstance":"h","context":{"userId":"Practitioner/u","patientId":"p1",'
    request += b'"draftOrders":{"resourceType":"Bundle","entry":[{"resource":' + RAW + b"}]}}}"
    (draft,) = parse_request(request, "order-sign", order_types=ORDER_TYPES, max_orders=1).orders
    one = give(
        draft,
        determined(),
        hook="order-sign",
        version="2.2",
        coverage={"reference": "Coverage/c1"},
        dependencies=(),
        rulebook=RULES,
        today=TODAY,
        new_id=lambda: "A1",
    )
    assert one.action is not None
    assert one.action["type"] == "update"
    assert one.action["description"] == "Add the payer's coverage information to the order"
    before, after = RAW.split(b'}],"status"')
    text = encode(one.action["resource"])
    assert text.startswith(before + b'},{"url":"' + URL.encode())
    assert text.endswith(b'}],"status"' + after)


def test_every_answer_is_a_repetition_and_they_share_one_assertion() -> None:
    parts = (replace(AUTH, billing_codes=(("HCPCS", "A0001"),)), replace(NO_AUTH, billing_codes=(("HCPCS", "B0002"),)))
    repetitions = order_in(given(service("CPT 1"), *parts))["extension"]
    assert [part(each, "pa-needed") for each in repetitions] == [["auth-needed"], ["no-auth"]]
    assert [part(each, "coverage-assertion-id") for each in repetitions] == [["A1"], ["A1"]]


OTHER_EXTENSION = {"url": "http://example.org/note", "valueString": "kept"}


def earlier(
    *answers: Answer, coverage: str = "Coverage/c1", expires: str | None = "2026-09-01"
) -> list[dict[str, Any]]:
    """What an order carries that was answered before, under another assertion."""
    made = order_in(given(service("CPT 1"), *answers, id="OLD"))["extension"]
    for repetition in made:
        repetition["extension"] = [
            {"url": "coverage", "valueReference": {"reference": coverage}},
            *(each for each in repetition["extension"] if each["url"] not in ("coverage", "expiry-date")),
            *([{"url": "expiry-date", "valueDate": expires}] if expires else []),
        ]
    return made


@pytest.mark.parametrize(
    ("before", "now", "says_so_already"),
    [
        pytest.param(earlier(NO_AUTH), (NO_AUTH,), True, id="same"),
        pytest.param(
            earlier(NO_AUTH, coverage="https://ehr.example.org/fhir/Coverage/c1"),
            (NO_AUTH,),
            True,
            id="same-coverage-in-full",
        ),
        pytest.param(earlier(NO_AUTH, expires=None), (NO_AUTH,), True, id="same-without-expiry"),
        pytest.param(earlier(NO_AUTH, expires="2026-06-15"), (NO_AUTH,), True, id="same-valid-today"),
        pytest.param(earlier(NO_AUTH, expires="2026-06-14"), (NO_AUTH,), False, id="same-but-expired"),
        pytest.param(earlier(NO_AUTH, expires="someday"), (NO_AUTH,), True, id="unreadable-expiry"),
        pytest.param(earlier(NO_AUTH), (AUTH,), False, id="changed"),
        pytest.param(earlier(NO_AUTH), (replace(NO_AUTH, reasons=(Reason("Otherwise."),)),), False, id="other-words"),
        pytest.param(earlier(NO_AUTH), (NO_AUTH, AUTH), False, id="one-more"),
        pytest.param(earlier(NO_AUTH, AUTH), (NO_AUTH,), False, id="one-less"),
        pytest.param(earlier(NO_AUTH, coverage="Coverage/c2"), (NO_AUTH,), False, id="other-coverage"),
        pytest.param([OTHER_EXTENSION], (NO_AUTH,), False, id="never-answered"),
        pytest.param([{"url": URL}], (NO_AUTH,), False, id="empty-repetition"),
        pytest.param(
            [{"url": URL, "extension": ["broken", {"url": "covered"}]}], (NO_AUTH,), False, id="broken-repetition"
        ),
        pytest.param("broken", (NO_AUTH,), False, id="no-list"),
    ],
)
def test_an_answer_is_given_when_it_is_new_or_changed(
    before: Any, now: tuple[Answer, ...], says_so_already: bool
) -> None:
    one = given(service("CPT 1", extension=before), *now)
    assert (one.action is None) is says_so_already


def test_a_changed_answer_replaces_the_old_and_leaves_all_else() -> None:
    others = earlier(NO_AUTH, coverage="Coverage/c2")
    order = service("CPT 1", extension=[*earlier(NO_AUTH), OTHER_EXTENSION, *others])
    kept = order_in(given(order, AUTH))["extension"]
    assert kept[:2] == [OTHER_EXTENSION, *others]
    assert [part(each, "pa-needed") for each in kept[2:]] == [["auth-needed"]]
    assert len(kept) == 3


def test_order_select_asks_for_no_documents() -> None:
    (repetition,) = order_in(given(service("CPT 1"), AUTH, hook="order-select"))["extension"]
    assert part(repetition, "pa-needed") == ["auth-needed"]
    assert {each["url"] for each in repetition["extension"]}.isdisjoint({"doc-needed", "doc-purpose", "questionnaire"})


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (AUTH, {"covered": "covered", "pa": "auth-needed"}),
        (NO_AUTH, {"covered": "covered", "pa": "no-auth"}),
        (replace(AUTH, doc_needed=("admin",)), {"covered": "covered", "pa": "auth-needed"}),
        (
            replace(AUTH, doc_needed=("clinical", "patient")),
            {
                "covered": "covered",
                "pa": "auth-needed",
                "docs": ("patient",),
                "purpose": ("withpa",),
                "questionnaire": ("form",),
            },
        ),
        # What only the documents waited for is not waited for any more.
        (
            replace(NO_AUTH, doc_needed=("conditional",), info_needed=("OTH",)),
            {"covered": "covered", "pa": "no-auth"},
        ),
        (
            replace(NO_AUTH, pa_needed="conditional", doc_needed=("conditional",), info_needed=("OTH",)),
            {"covered": "covered", "pa": "conditional", "info": ("OTH",)},
        ),
    ],
)
def test_without_documents(answer: Answer, expected: dict[str, Any]) -> None:
    assert shape(without_documents(answer)) == expected


CONTRADICTIONS = [
    Answer("not-covered", "no-auth"),
    Answer("covered", "conditional"),
    Answer("covered", "no-auth", info_needed=("OTH",), reasons=(Reason("x"),)),
    Answer("covered", "no-auth", ("clinical",), ("withpa",), reasons=(Reason("x"),)),
    Answer("covered", "satisfied"),
    Answer("covered", "no-auth", satisfied_pa_id="PA1"),
    Answer("covered", "no-auth", questionnaires=("form",)),
    Answer("covered", "no-auth", ("admin",), ("withclaim",)),
    Answer("covered", "indeterminate"),
    Answer("covered", "conditional", info_needed=("OTH",)),
    Answer("covered", "no-auth", reasons=(Reason(""),)),
]


@pytest.mark.parametrize("answer", CONTRADICTIONS)
def test_an_answer_that_contradicts_itself_leaves_as_indeterminate(answer: Answer) -> None:
    with capture_logs() as logs:
        one = given(service("CPT 1"), NO_AUTH, answer)
    (repetition,) = order_in(one)["extension"]
    assert (part(repetition, "covered"), part(repetition, "pa-needed")) == (["indeterminate"], ["indeterminate"])
    (reason,) = part(repetition, "reason")
    assert reason["coding"][0]["code"] == "technical"
    assert reason["text"] == "The payer's rules gave an answer that contradicts itself."
    assert part(repetition, "expiry-date") == ["2026-06-15"]
    assert [(entry["event"], entry["log_level"], entry["order"]) for entry in logs] == [
        ("answer.contradicts_itself", "error", "ServiceRequest/s1")
    ]
    assert logs[0]["broken"]


def test_a_sound_answer_is_left_alone() -> None:
    assert sound(determined(AUTH, NO_AUTH), TODAY) == determined(AUTH, NO_AUTH)


@pytest.mark.parametrize(
    ("actions", "cards", "expected"),
    [
        ([], [], b'{"cards":[]}'),
        ([None], [], b'{"cards":[]}'),
        ([{"type": "update"}, None], [{"uuid": "u"}], b'{"cards":[{"uuid":"u"}],"systemActions":[{"type":"update"}]}'),
    ],
)
def test_body(actions: list[dict[str, Any] | None], cards: list[dict[str, Any]], expected: bytes) -> None:
    assert body(cards, actions) == expected
