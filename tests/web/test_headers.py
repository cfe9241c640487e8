"""No response goes without the headers that keep browsers and caches from it."""

from __future__ import annotations

import pytest
from flask import Flask

from app.web.headers import HEADERS


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/cds-services", 200),
        ("GET", "/healthz", 200),
        ("GET", "/routing/v1/standards", 200),
        ("GET", "/fhir/dtr/2.2/metadata", 200),
        ("POST", "/cds-services/order-sign-crd", 400),
        ("POST", "/healthz", 405),
        ("GET", "/nowhere", 404),
    ],
)
def test_every_response(app: Flask, method: str, path: str, status: int) -> None:
    response = app.test_client().open(path, method=method)
    assert response.status_code == status
    for name, value in HEADERS.items():
        assert response.headers[name] == value
