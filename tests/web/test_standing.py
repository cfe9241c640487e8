"""Guidance is kept: the same order under the same rules gets the answer it was promised."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app.settings import ROOT, Settings
from tests.ehr_actions import Answer, EhrActions, example, order_of, with_orders


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    shutil.copytree(ROOT / "rules", tmp_path / "rules")
    return Settings(sandbox=True, data_dir=tmp_path / "data", rules=tmp_path / "rules", rules_interval=0)


def assertion(answer: Answer) -> str:
    (found,) = answer.parts()["coverage-assertion-id"]
    return str(found)


def red_flag(request: dict[str, Any]) -> dict[str, Any]:
    """The record now shows a finding that makes imaging urgent (cauda equina syndrome)."""
    entry = request["prefetch"]["conditions"]["entry"][0]["resource"]
    entry["code"]["coding"][0]["code"] = "G83.4"
    return request


def test_the_same_order_gets_the_same_promise(app: Flask, ehr: EhrActions) -> None:
    first, second = ehr.sign(example("infusion")), ehr.sign(example("infusion"))
    assert assertion(first) == assertion(second)
    assert first.repetitions == second.repetitions
    ledger = app.extensions["ledger"]
    again = ledger.recent(1)[0]
    assert ledger.assertions_of(again.invocation_id) == []
    assert ledger.verify() == []


@pytest.mark.parametrize(
    "change",
    [
        lambda request: order_of(request)["medicationCodeableConcept"]["coding"].pop(0),
        lambda request: order_of(request)["dosageInstruction"].append({"text": "twice"}),
    ],
    ids=["another drug", "another dose"],
)
def test_a_changed_order_gets_a_new_one_that_names_the_old(app: Flask, ehr: EhrActions, change: Any) -> None:
    first = assertion(ehr.sign(example("infusion")))
    request = example("infusion")
    change(request)
    second = assertion(ehr.sign(request))
    assert second != first
    assert app.extensions["ledger"].assertion(second).supersedes == first


def test_what_only_describes_the_order_changes_nothing(ehr: EhrActions) -> None:
    first = ehr.sign(example("infusion"))
    promised = assertion(first)
    request = example("infusion")
    carried = first.json["systemActions"][0]["resource"]
    carried["text"], carried["meta"] = {"status": "generated", "div": "<div/>"}, {"versionId": "2"}
    carried["extension"] = []  # an EHR that lost what it was told
    assert assertion(ehr.sign(with_orders(request, carried))) == promised


def test_changed_data_gets_a_new_one(app: Flask, ehr: EhrActions) -> None:
    first = ehr.sign(example("mri"))
    second = ehr.sign(red_flag(example("mri")))
    assert (first.parts()["pa-needed"], second.parts()["pa-needed"]) == (["auth-needed"], ["no-auth"])
    assert app.extensions["ledger"].assertion(assertion(second)).supersedes == assertion(first)


def test_changed_rules_get_a_new_one(app: Flask, ehr: EhrActions, settings: Settings) -> None:
    first = assertion(ehr.sign(example("mri")))
    path = settings.rules / "payer.yaml"
    path.write_text(path.read_text().replace("valid_days: 60", "valid_days: 61"))
    assert app.extensions["rulebook"].refresh()
    second = assertion(ehr.sign(example("mri")))
    assert app.extensions["ledger"].assertion(second).supersedes == first


def test_a_promise_outlives_an_ehr_that_fails(ehr: EhrActions) -> None:
    """What was free of authorization stays so when the record that showed it cannot be read this time."""
    promised = ehr.sign(red_flag(example("mri")))
    request = example("mri")
    del request["prefetch"]["conditions"]
    again = ehr.sign(request)
    assert assertion(again) == assertion(promised)
    assert again.parts()["pa-needed"] == ["no-auth"]


def test_another_patients_order_is_another_order(ehr: EhrActions) -> None:
    first = assertion(ehr.sign(example("mri")))
    request = example("mri")
    coverage = request["prefetch"]["coverage"]["entry"][0]["resource"]
    coverage["subscriberId"] = coverage["identifier"][0]["value"] = "M100009"
    request["prefetch"]["patient"]["birthDate"] = "1969-08-17"
    assert assertion(ehr.sign(request)) != first
