"""Which labels keep a resource back."""

from __future__ import annotations

from typing import Any

import pytest

from app.fhir.security_labels import ACT_CODE, CONFIDENTIALITY, restricted


@pytest.mark.parametrize(
    ("label", "kept_back"),
    [
        ({"system": CONFIDENTIALITY, "code": "R"}, True),
        ({"system": CONFIDENTIALITY, "code": "V"}, True),
        ({"system": CONFIDENTIALITY, "code": "N"}, False),
        ({"system": ACT_CODE, "code": "SUD"}, True),
        ({"system": ACT_CODE, "code": "NORDSCLCD"}, True),
        ({"system": "http://example.org", "code": "R"}, False),
        ({}, False),
        ("R", False),
    ],
)
def test_labels(label: Any, kept_back: bool) -> None:
    resource = {"meta": {"security": [{"system": CONFIDENTIALITY, "code": "N"}, label]}}
    assert restricted(resource) is kept_back


@pytest.mark.parametrize("resource", [{}, {"meta": None}, {"meta": {"security": "R"}}])
def test_no_labels(resource: dict[str, Any]) -> None:
    assert not restricted(resource)
