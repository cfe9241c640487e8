from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.fhir.json import encode
from app.hooks.configuration import CARD_TYPES
from app.hooks.discovery import SERVICE_IDS, VERSIONS, discovery


def services(*topics: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(encode(discovery("Sample Health", topics)))["services"]
    return found


def test_services() -> None:
    found = services()
    assert {service["id"]: service["hook"] for service in found} == SERVICE_IDS
    for service in found:
        assert service["title"].startswith("Sample Health: ")
        assert service["description"]
        assert service["usageRequirements"]
        assert service["extension"]["davinci-crd.version"] == list(VERSIONS)
    assert len({service["title"] for service in found}) == len(found)


@pytest.mark.parametrize("version", VERSIONS)
def test_versions_are_major_and_minor(version: str) -> None:
    assert [part.isdecimal() for part in version.split(".")] == [True, True]


@pytest.mark.parametrize(
    ("topics", "codes"),
    [
        ((), ["coverage-info"]),
        (("guideline",), ["coverage-info", "guideline"]),
        # In one order whatever the order of the rules, and each once.
        (("guideline", "cost", "guideline"), ["coverage-info", "cost", "guideline"]),
        (("coverage-info",), ["coverage-info"]),
        (tuple(CARD_TYPES), list(CARD_TYPES)),
    ],
)
def test_options_cover_each_topic(topics: tuple[str, ...], codes: list[str]) -> None:
    for service in services(*topics):
        options = service["extension"]["davinci-crd.configuration-options"]
        assert [option["code"] for option in options] == [*codes, "max-cards"]


@pytest.fixture(scope="module")
def standard(ig: Path) -> dict[str, dict[str, Any]]:
    """The services of the IG's own discovery document, by hook."""
    path = ig / "crd-2.2" / "CRDServices.json"
    if not path.is_file():
        pytest.skip(f"{path} is not there; set SIGNPOST_IG_DIR")
    return {service["hook"]: service for service in json.loads(path.read_text())["services"]}


@pytest.mark.parametrize("hook", SERVICE_IDS.values())
def test_prefetch_queries_are_the_standard_ones(hook: str, standard: dict[str, dict[str, Any]]) -> None:
    (ours,) = (service for service in services() if service["hook"] == hook)
    queries = set(standard[hook]["prefetch"].values())
    for key, query in ours["prefetch"].items():
        assert query in queries, key


@pytest.mark.parametrize("hook", SERVICE_IDS.values())
def test_earlier_keys_are_referred_to_by_their_names(hook: str) -> None:
    (ours,) = (service for service in services() if service["hook"] == hook)
    seen: list[str] = []
    for key, query in ours["prefetch"].items():
        for part in query.split("%")[1:]:
            assert part.split(".")[0] in seen, f"{key} refers to something that does not come before it"
        seen.append(key)


def test_card_types_are_codes_of_the_standard(standard: dict[str, dict[str, Any]]) -> None:
    declared = {
        option["code"]: option["type"]
        for service in standard.values()
        for option in service["extension"]["davinci-crd.configuration-options"]
    }
    for service in services(*CARD_TYPES):
        for option in service["extension"]["davinci-crd.configuration-options"]:
            if option["code"] in declared:
                assert option["type"] == declared[option["code"]]
    # Every type the example declares is one this server could.
    assert set(declared) - {"max-cards"} <= set(CARD_TYPES)
