"""People at the console, each with their own browser that keeps cookies."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.console.accounts import SAMPLE_PASSWORD


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody at the console."""

    client: FlaskClient

    def get(self, path: str, /, **query: Any) -> TestResponse:
        """Open a page."""
        return self.client.get(f"/console{path}", query_string=query)

    def post(self, path: str, /, *, csrf: str | None = None, follow: bool = True, **fields: Any) -> TestResponse:
        """Send a form, with the token that the first page gave."""
        token = re.search(r'name="csrf" value="([^"]+)"', self.get("/").text)
        fields["csrf"] = csrf if csrf is not None else token[1] if token else ""
        return self.client.post(f"/console{path}", data=fields, follow_redirects=follow)

    def log_in(self, name: str, password: str = SAMPLE_PASSWORD) -> TestResponse:
        """Log in."""
        return self.client.post("/console/login", data={"name": name, "password": password})


LogIn = Callable[[str], Person]


@pytest.fixture
def visitor(app: Flask) -> Person:
    """Somebody who is not logged in."""
    return Person(app.test_client())


@pytest.fixture
def log_in(app: Flask) -> LogIn:
    """Log one of the sample accounts in."""

    def enter(name: str) -> Person:
        person = Person(app.test_client())
        assert person.log_in(name).status_code == 303
        return person

    return enter
