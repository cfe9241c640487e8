from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from app.hooks.configuration import CARD_TYPES, DEFAULT_MAX_CARDS, Configuration, options, read_configuration
from app.rulebook.schema import schema


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({}, Configuration()),
        ({"coverage-info": True, "guideline": True}, Configuration()),
        ({"coverage-info": False}, Configuration(False, switched_off=frozenset({"coverage-info"}))),
        ({"guideline": False, "cost": False}, Configuration(switched_off=frozenset({"guideline", "cost"}))),
        ({"max-cards": 3}, Configuration(max_cards=3)),
        ({"max-cards": 0}, Configuration(max_cards=0)),
        ({"max-cards": -5}, Configuration(max_cards=0)),
        ({"max-cards": 10**30}, Configuration(max_cards=10**30)),
        # Codes nobody declared.
        ({"unheard-of": False, "unsolicited-determ": False}, Configuration()),
        # Values of the wrong type count as not given.
        ({"max-cards": "3"}, Configuration()),
        ({"max-cards": Decimal("3.5")}, Configuration()),
        ({"max-cards": True}, Configuration()),
        ({"max-cards": False}, Configuration()),
        ({"max-cards": None}, Configuration()),
        ({"max-cards": [3]}, Configuration()),
        ({"coverage-info": "false", "guideline": 0, "cost": None, "claim": []}, Configuration()),
    ],
)
def test_reading(stated: dict[str, Any], expected: Configuration) -> None:
    assert read_configuration(stated) == expected


def test_wants() -> None:
    configuration = read_configuration({"guideline": False})
    assert configuration.wants("cost")
    assert not configuration.wants("guideline")


@pytest.mark.parametrize("topics", [[], ["coverage-info"], list(CARD_TYPES)])
def test_options_cover_each_topic(topics: list[str]) -> None:
    declared = {option["code"]: option for option in options(topics)}
    assert list(declared) == [*topics, "max-cards"]
    for topic in topics:
        assert (declared[topic]["type"], declared[topic]["default"]) == ("boolean", True)
    assert (declared["max-cards"]["type"], declared["max-cards"]["default"]) == ("integer", DEFAULT_MAX_CARDS)
    for option in declared.values():
        assert set(option) == {"code", "type", "name", "description", "default"}
        assert option["name"]
        assert option["description"]


def test_what_is_declared_can_be_switched() -> None:
    for option in options(list(CARD_TYPES)):
        changed = 1 if option["type"] == "integer" else False
        assert read_configuration({option["code"]: changed}) != Configuration()
        assert read_configuration({option["code"]: option["default"]}) == Configuration()


def test_every_topic_a_card_may_have_can_be_declared() -> None:
    topics = schema("guidance")["properties"]["card"]["properties"]["topic"]["enum"]
    assert set(topics) == set(CARD_TYPES) - {"coverage-info"}
