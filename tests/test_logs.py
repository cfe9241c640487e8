"""The log of a full run holds no name, identifier, birth date or token of anyone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.settings import ROOT
from tests.ehr_actions import EhrActions, example

# Words that are about a person in the sample requests; codes and resource ids of orders are not.
PERSONAL = ("family", "given", "birthDate", "value", "text", "div", "subscriberId", "display")


def personal(value: Any, key: str = "") -> Iterator[str]:
    """Strings under keys that carry a person's data."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from personal(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from personal(inner, key)
    elif isinstance(value, str) and key in PERSONAL and len(value) > 3:
        yield value


@pytest.mark.parametrize("name", ["mri", "infusion", "self-injected"])
def test_nothing_personal_is_logged(ehr: EhrActions, capfd: pytest.CaptureFixture[str], name: str) -> None:
    request = example(name)
    request["fhirServer"] = "http://127.0.0.1:9/fhir"
    request["fhirAuthorization"] = {"access_token": "secret-token-1234", "token_type": "Bearer"}
    del request["prefetch"]["encounter"]
    broken = json.loads(json.dumps(request))
    broken["prefetch"]["patient"]["birthDate"] = 7
    broken["prefetch"]["coverage"] = {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": 9}}]}
    for sent in (request, broken, {"hook": "Robin Sample"}):
        ehr.sign(sent)
    logged = capfd.readouterr().err
    assert logged.count("hook.answered") == 3
    for words in {*personal(request["prefetch"]), *personal(request["context"]), "secret-token-1234", "Robin"}:
        assert words not in logged, words


def test_the_code_prints_nothing_and_logs_no_resources() -> None:
    """`print` is for the command line only (ruff T20); log calls name fields, never a resource or a body."""
    call = re.compile(r"\blog\.(?:debug|info|warning|error|exception)\((?P<arguments>[^)]*)\)")
    forbidden = re.compile(r"\b(resource|body|data|patient|token|request)\b(?!\.hook)")
    for path in sorted(Path(ROOT / "app").rglob("*.py")):
        for match in call.finditer(path.read_text()):
            assert not forbidden.search(match["arguments"]), f"{path.name}: {match[0]}"
