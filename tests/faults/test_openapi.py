"""The routing API against its own OpenAPI document: what the document allows is answered, what it forbids refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app import create_app
from app.settings import Settings

# What a payer knows, such as its lines, is in no schema: so a request of the right form may be refused too.
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
FEW = settings(max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    folder: Path = tmp_path_factory.mktemp("openapi")
    app = create_app(Settings(sandbox=True, data_dir=folder, rules_interval=0, log_level="error"))
    yield app
    app.extensions["ledger"].close()
    app.extensions["state"].close()


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(
    "address", ["POST /routing/v1/decisions", "POST /routing/v1/batch", "GET /routing/v1/standards"]
)
def test_as_the_document_says(tried: Flask, address: str, mode: GenerationMode) -> None:
    document = schemathesis.openapi.from_wsgi("/routing/v1/openapi.json", tried)
    (operation,) = (found.ok() for found in document.get_all_operations() if found.ok().label == address)
    seen: set[int] = set()

    @FEW
    @given(operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        answered = case.call(headers={"Accept-Encoding": "identity"})
        case.validate_response(answered, checks=CHECKS)
        seen.add(answered.status_code)
        if answered.status_code >= 400:
            assert json.loads(answered.content)["resourceType"] == "OperationOutcome"

    ask()
    assert seen <= {200, 400}
    assert (200 if mode is GenerationMode.POSITIVE else 400) in seen


def test_every_address_is_tried(tried: Flask) -> None:
    document = schemathesis.openapi.from_wsgi("/routing/v1/openapi.json", tried)
    labels = {found.ok().label for found in document.get_all_operations()}
    assert labels == {"POST /routing/v1/decisions", "POST /routing/v1/batch", "GET /routing/v1/standards"}
