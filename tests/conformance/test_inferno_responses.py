"""Inferno's assertions on responses can fail: one exchange that passes them all, and what is broken in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conformance.inferno import HOOKS, Exchange, Json, NothingToJudge
from tests.conformance.inferno_responses import (
    ACROSS_HOOKS,
    CHECKS,
    COVERAGE_INFORMATION,
    groups_of,
    is_mandatory,
)
from tests.conformance.test_inferno_checks import LEFT_OUT, Path, changed, invalid, valid

NO_ID: dict[str, str | None] = {"coverage-assertion-id": None}


def repetition(coverage: str = "Coverage/1", /, **parts: str | None) -> Json:
    said = {"coverage-assertion-id": "a", **parts}
    reference = {"url": "coverage", "valueReference": {"reference": coverage}}
    values = [{"url": name, "valueString": value} for name, value in said.items() if value]
    return {"url": COVERAGE_INFORMATION, "extension": [reference, *values]}


def card(**elements: Any) -> Json:
    topic = {"system": "https://payer.example.org/topics", "code": "guideline"}
    source = {"label": "A payer", "topic": topic}
    return {"summary": "Read this", "indicator": "info", "source": source, **elements}


def suggesting(*actions: Json) -> Json:
    return card(selectionBehavior="any", suggestions=[{"label": "Accept", "actions": list(actions)}])


def action(kind: str, resource: Json) -> Json:
    return {"type": kind, "description": "Changes something", "resource": resource}


ORDER: Json = {"resourceType": "ServiceRequest", "id": "1", "extension": [repetition()]}
TASK: Json = {
    "resourceType": "Task",
    "code": {"coding": [{"code": "complete-questionnaire"}]},
    "input": [{"type": {"text": "questionnaire"}, "valueCanonical": "https://payer.example.org/Questionnaire/q"}],
}
LINK: Json = {"label": "A page", "type": "absolute", "url": "https://payer.example.org/page"}
REPLACEMENT = [
    {"type": "delete", "description": "Remove it", "resourceId": "ServiceRequest/1"},
    action("create", {"resourceType": "ServiceRequest", "id": "2"}),
]
ADDED = action("create", {"resourceType": "Medication", "id": "3"})
(EXTERNAL, SMART, PLAIN, ALTERNATE, ADDITIONAL, FORM, COVERAGE) = range(7)
ANSWER: Json = {
    "cards": [
        card(uuid="u", detail="More", links=[LINK]),
        card(links=[{**LINK, "type": "smart", "appContext": "x"}]),
        card(overrideReasons=[{"code": "c", "system": "s", "display": "d"}]),
        suggesting(*REPLACEMENT),
        suggesting(ADDED),
        suggesting(action("create", TASK)),
        suggesting(action("update", {"resourceType": "Coverage", "id": "1"})),
    ],
    "systemActions": [action("update", ORDER)],
}
REQUEST: Json = {"context": {"draftOrders": {"entry": [{"resource": ORDER}]}}}


def exchange(answer: Any, hook: str = "order-sign", status: int = 200) -> Exchange:
    return Exchange(hook, REQUEST, status, answer if isinstance(answer, bytes) else json.dumps(answer).encode())


@pytest.mark.parametrize("assertion", CHECKS)
def test_a_good_response_passes(assertion: str) -> None:
    assert CHECKS[assertion]([exchange(ANSWER)], valid) == []


@pytest.mark.parametrize(
    ("answer", "status"), [(ANSWER, 201), (ANSWER, 500), (b"<html>", 200), (b"", 200), (b'{"cards":', 200)]
)
def test_hook_call(answer: Any, status: int) -> None:
    assert CHECKS["crd.hook.call"]([exchange(ANSWER), exchange(answer, status=status)], valid) != []


FIRST, THEN = ("cards", 0), ("systemActions", 0)
OFFER = ("cards", ALTERNATE, "suggestions", 0)


@pytest.mark.parametrize(
    ("assertion", "path", "value"),
    [
        ("crd.resp.valid", ("cards",), LEFT_OUT),
        ("crd.resp.valid", ("cards",), {}),
        ("crd.resp.valid", ("systemActions",), LEFT_OUT),
        ("crd.resp.valid", ("systemActions",), None),
        ("crd.resp.valid", ("systemActions",), {}),
        ("crd.resp.valid", FIRST, "a card"),
        ("crd.resp.valid", (*FIRST, "summary"), LEFT_OUT),
        ("crd.resp.valid", (*FIRST, "summary"), "x" * 140),
        ("crd.resp.valid", (*FIRST, "indicator"), "hard-stop"),
        ("crd.resp.valid", (*FIRST, "indicator"), LEFT_OUT),
        ("crd.resp.valid", (*FIRST, "source"), {}),
        ("crd.resp.valid", (*FIRST, "source", "label"), ""),
        ("crd.resp.valid", (*FIRST, "source", "topic"), LEFT_OUT),
        ("crd.resp.valid", (*FIRST, "source", "topic"), "guideline"),
        ("crd.resp.valid", (*FIRST, "source", "topic", "code"), LEFT_OUT),
        ("crd.resp.valid", (*FIRST, "source", "topic", "system"), " "),
        ("crd.resp.valid", THEN, "an action"),
        ("crd.resp.valid", (*THEN, "type"), "replace"),
        ("crd.resp.valid", (*THEN, "type"), LEFT_OUT),
        ("crd.resp.valid", (*THEN, "description"), ""),
        ("crd.resp.valid", (*THEN, "resource"), LEFT_OUT),
        ("crd.resp.valid", (*THEN, "resource", "resourceType"), "Order"),
        ("crd.resp.valid", THEN, {**REPLACEMENT[0], "resourceId": "1"}),
        ("crd.card.optional", (*FIRST, "uuid"), ""),
        ("crd.card.optional", (*FIRST, "detail"), 1),
        ("crd.card.optional", (*FIRST, "links"), []),
        ("crd.card.optional", (*FIRST, "links", 0), "https://payer.example.org"),
        ("crd.card.optional", (*FIRST, "links", 0, "label"), LEFT_OUT),
        ("crd.card.optional", (*FIRST, "links", 0, "type"), "relative"),
        ("crd.card.optional", (*FIRST, "links", 0, "url"), "/page"),
        ("crd.card.optional", (*FIRST, "links", 0, "appContext"), "x"),
        ("crd.card.optional", ("cards", PLAIN, "overrideReasons", 0, "code"), LEFT_OUT),
        ("crd.card.optional", ("cards", PLAIN, "overrideReasons", 0, "system"), LEFT_OUT),
        ("crd.card.optional", ("cards", PLAIN, "overrideReasons", 0, "display"), LEFT_OUT),
        ("crd.card.optional", ("cards", PLAIN, "overrideReasons"), []),
        ("crd.card.optional", ("cards", ALTERNATE, "selectionBehavior"), LEFT_OUT),
        ("crd.card.optional", ("cards", ALTERNATE, "selectionBehavior"), "all"),
        ("crd.card.optional", ("cards", ALTERNATE, "suggestions"), []),
        ("crd.card.optional", (*OFFER, "label"), ""),
        ("crd.card.optional", (*OFFER, "actions"), []),
        ("crd.card.optional", (*OFFER, "actions", 0, "resourceId"), LEFT_OUT),
        ("crd.card.extref", (*FIRST, "links"), [LINK, {**LINK, "type": "smart"}]),
        ("crd.card.extref", (*FIRST, "links"), LEFT_OUT),
        ("crd.card.extref", (*FIRST, "links", 0, "url"), "/page"),
        ("crd.card.instr", ("cards", PLAIN, "links"), [LINK]),
        ("crd.card.instr", ("cards", PLAIN, "suggestions"), [{"label": "Accept"}]),
        ("crd.card.instr", ("cards", PLAIN, "summary"), ""),
        ("crd.sys.covinfo.received", ("systemActions",), []),
        ("crd.sys.covinfo.received", (*THEN, "description"), ""),
        ("crd.sys.covinfo.received", (*THEN, "resource", "resourceType"), "Encounter"),
        ("crd.sys.covinfo.received", (*THEN, "resource", "extension"), LEFT_OUT),
        ("crd.sys.covinfo.received", (*THEN, "resource", "extension", 0, "url"), "https://example.org"),
        ("crd.sys.covinfo.valid", (*THEN, "type"), "create"),
        ("crd.card.alternate", (*OFFER, "actions", 0, "resourceId"), "ServiceRequest/9"),
        ("crd.card.alternate", (*OFFER, "actions"), [action("update", {"resourceType": "Device", "id": "9"})]),
        (
            "crd.card.alternate",
            (*OFFER, "actions"),
            [REPLACEMENT[0], action("create", {"resourceType": "Device", "id": "2"})],
        ),
    ],
)
def test_a_broken_response_fails(assertion: str, path: Path, value: Any) -> None:
    assert CHECKS[assertion]([exchange(changed(ANSWER, path, value))], valid) != []


@pytest.mark.parametrize(
    ("assertion", "path", "value"),
    [
        ("crd.card.smart", ("cards", SMART, "links"), [LINK, {**LINK, "type": "smart"}]),
        ("crd.sys.covinfo.valid", ("systemActions",), []),
        ("crd.card.alternate", (*OFFER, "actions"), [REPLACEMENT[1]]),
        ("crd.card.alternate", (*OFFER, "actions"), [REPLACEMENT[0]]),
        ("crd.form", ("cards", FORM, "suggestions", 0, "actions", 0, "type"), "update"),
        ("crd.form", ("cards", FORM, "suggestions"), [{"label": "Two", "actions": [action("create", TASK)] * 2}]),
        *(
            ("crd.form", ("cards", FORM, "suggestions", 0, "actions", 0, "resource", *path), value)
            for path, value in [
                (("code", "coding", 0, "code"), "other"),
                (("input", 0, "type"), {"coding": [{"code": "questionnaire"}]}),
                (("input", 0, "valueCanonical"), "Questionnaire/q"),
            ]
        ),
        ("crd.coverage.update", ("cards", COVERAGE, "suggestions", 0, "actions", 0), REPLACEMENT[1]),
        ("crd.coverage.update", ("cards", COVERAGE, "suggestions"), suggesting(ADDED)["suggestions"] * 2),
    ],
)
def test_what_is_not_there_cannot_be_judged(assertion: str, path: Path, value: Any) -> None:
    with pytest.raises(NothingToJudge):
        CHECKS[assertion]([exchange(changed(ANSWER, path, value))], valid)


def test_additional_orders_are_told_by_every_action() -> None:
    mixed = suggesting(ADDED, action("update", {"resourceType": "Medication", "id": "3"}))
    with pytest.raises(NothingToJudge):
        CHECKS["crd.card.addlorders"]([exchange({"cards": [mixed]})], valid)


@pytest.mark.parametrize("assertion", ["crd.hook.call", "crd.resp.valid", "crd.card.optional", "crd.card.alternate"])
def test_no_exchange_cannot_be_judged(assertion: str) -> None:
    with pytest.raises(NothingToJudge):
        CHECKS[assertion]([], valid)


@pytest.mark.parametrize(
    "assertion",
    ["crd.sys.covinfo.valid", "crd.card.alternate", "crd.card.addlorders", "crd.form", "crd.coverage.update"],
)
def test_a_resource_outside_its_profile_fails(assertion: str) -> None:
    assert CHECKS[assertion]([exchange(ANSWER)], invalid) != []


@pytest.mark.parametrize(
    ("repetitions", "fine"),
    [
        ([repetition(), repetition()], True),
        ([repetition(), repetition("Coverage/2", **{"coverage-assertion-id": "b"})], True),
        ([repetition(**{"satisfied-pa-id": "p"}), repetition()], True),
        ([repetition(**NO_ID)], False),
        ([repetition(), repetition(**NO_ID)], False),
        ([repetition(), repetition(**{"coverage-assertion-id": "b"})], False),
        ([repetition(), repetition("Coverage/2")], False),
        ([repetition(**{"satisfied-pa-id": "p"}), repetition(**{"satisfied-pa-id": "q"})], False),
        (
            [
                repetition(**{"satisfied-pa-id": "p"}),
                repetition("Coverage/2", **{"coverage-assertion-id": "b", "satisfied-pa-id": "p"}),
            ],
            False,
        ),
    ],
)
def test_which_repetitions_belong_together(repetitions: list[Json], fine: bool) -> None:
    said = changed(ANSWER, (*THEN, "resource", "extension"), repetitions)
    assert (CHECKS["crd.sys.covinfo.valid"]([exchange(said)], valid) == []) is fine


@pytest.mark.parametrize(("hook", "kind"), [("appointment-book", "Appointment"), ("encounter-start", "Encounter")])
def test_coverage_information_stands_on_what_the_hook_is_about(hook: str, kind: str) -> None:
    received = CHECKS["crd.sys.covinfo.received"]
    assert received([exchange(ANSWER, hook)], valid) != []
    assert received([exchange(changed(ANSWER, (*THEN, "resource", "resourceType"), kind), hook)], valid) == []


@pytest.mark.parametrize("hook", HOOKS)
def test_where_system_actions_may_be_missing(hook: str) -> None:
    told = CHECKS["crd.resp.valid"]([exchange({"cards": []}, hook)], valid)
    assert (told == []) is (hook in ("order-select", "encounter-start", "encounter-discharge"))


def test_what_is_mandatory() -> None:
    """The table of Inferno's groups: M and O, and the assertions that only some of them hold."""
    found = {hook: {each for each in CHECKS if hook in groups_of(each) and is_mandatory(each, hook)} for hook in HOOKS}
    always = {"crd.hook.call", "crd.resp.valid"}
    coverage = always | {"crd.sys.covinfo.received", "crd.sys.covinfo.valid"}
    assert found == {
        "order-sign": coverage,
        "order-select": always,
        "order-dispatch": coverage,
        "appointment-book": coverage,
        "encounter-start": always,
        "encounter-discharge": always,
    }
    assert (
        set(groups_of("crd.card.alternate")) == set(groups_of("crd.card.addlorders")) == {"order-select", "order-sign"}
    )
    assert set(ACROSS_HOOKS.values()) <= CHECKS.keys()
