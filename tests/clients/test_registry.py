"""The registry of clients, and what is said of a slip in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.clients import load_clients
from app.clients.registry import read_clients
from app.errors import SettingsError
from tests.clients.identities import BASE, ISS, entry, jwk, jwk_set, registry

WRITTEN = """\
# who may call
clients:
  - name: Sample Hospital
    iss: https://ehr.example.org
    jwks_url: https://ehr.example.org/jwks.json
    fhir_bases: [https://fhir.ehr.example.org/r4, https://fhir2.ehr.example.org:8443]
    algorithms: [ES384]
    tenants: [north, south]
    services: [order-sign-crd]
  - name: Inside
    iss: inside
    jwks_url: http://10.1.2.3/keys
    fhir_bases: []
    allow_private: true
"""


def test_read() -> None:
    found, problems = read_clients(WRITTEN, "clients.yaml")
    assert problems == []
    sample, inside = found["https://ehr.example.org"], found["inside"]
    assert sample.jwks_url == "https://ehr.example.org/jwks.json"
    assert (sample.algorithms, sample.tenants) == ({"ES384"}, {"north", "south"})
    assert (sample.may_call("order-sign-crd"), sample.may_call("order-select-crd")) == (True, False)
    assert sample.policy.allows("https://fhir.ehr.example.org/r4/x")
    assert (sample.policy.public_only, inside.policy.public_only) == (True, False)
    assert (inside.algorithms, inside.tenants, inside.may_call("anything")) == ({"ES384", "RS384"}, None, True)
    assert not inside.policy.allows(BASE)


def test_inline_keys() -> None:
    found, problems = read_clients(registry(), "clients.yaml")
    assert problems == []
    assert set(found[ISS].inline_keys) == {("ec", "ES384"), ("rsa", "RS384")}


SLIPS: dict[str, tuple[dict[str, Any], str, str]] = {
    "unknown key": (entry(isss="x"), "isss", "Did you mean 'iss'?"),
    "no name": (entry(name=None), "'name' is missing", "Add 'name:'"),
    "no iss": (entry(iss=None), "'iss' is missing", "letter by letter"),
    "no bases": (entry(fhir_bases=None), "'fhir_bases' is missing", "`[]`"),
    "no keys": (entry(jwks=None), "no keys", "jwks_url"),
    "iss is a number": (entry(iss=7), "not a text", "quotes"),
    "iss is empty": (entry(iss=""), "not a text", "quotes"),
    "iss with blanks": (entry(iss=" x"), "not a text", "quotes"),
    "private key": (entry(jwks={"keys": [jwk("ec", d="AA")]}), "private", "Copy"),
    "jwks is a list": (entry(jwks=[jwk("ec")]), "not a JWK set", "Copy"),
    "jwks is empty": (entry(jwks={"keys": []}), "no key", "Copy"),
    "jwks over http": (entry(jwks_url="http://ehr.example.org/k"), "https only", "allow_private"),
    "jwks at a private address": (entry(jwks_url="https://10.0.0.1/k"), "public internet", "allow_private"),
    "jwks at localhost": (entry(jwks_url="https://localhost/k"), "public internet", "allow_private"),
    "jwks in a file": (entry(jwks_url="file:///etc/passwd"), "not a URL", "https://host/path"),
    "jwks with a user": (entry(jwks_url="https://u:p@ehr.example.org/k"), "not a URL", "without a user"),
    "a base is none": (entry(fhir_bases=["fhir.example.org"]), "not a FHIR base URL", "https://host/path"),
    "a base with a query": (entry(fhir_bases=["https://e.example.org/?x=1"]), "not a FHIR base URL", "query"),
    "a base over http": (entry(fhir_bases=[BASE, "http://e.example.org"]), "https only", "allow_private"),
    "a base at metadata": (entry(fhir_bases=["https://169.254.169.254/x"]), "public internet", "allow_private"),
    "a base in IPv6": (entry(fhir_bases=["https://[::1]/x"]), "public internet", "allow_private"),
    "a base in decimal": (entry(fhir_bases=["https://2130706433/x"]), "public internet", "allow_private"),
    "a base in hex": (entry(fhir_bases=["https://0x7f.0x1/x"]), "public internet", "allow_private"),
    "a base in octal": (entry(fhir_bases=["https://0177.0.0.1/x"]), "public internet", "allow_private"),
    "bases is a text": (entry(fhir_bases=BASE), "not a list", "[one, another]"),
    "bases hold a number": (entry(fhir_bases=[7]), "not a list of texts", "[one, another]"),
    "alg none": (entry(algorithms=["none"]), "'none' is not known", "ES384, RS384"),
    "alg HS256": (entry(algorithms=["HS256"]), "'HS256' is not known", "ES384"),
    "no alg": (entry(algorithms=[]), "empty", "leave 'algorithms' out"),
    "no tenant": (entry(tenants=[]), "empty", "leave 'tenants' out"),
    "unknown service": (entry(services=["order-sign"]), "not known", "order-sign-crd"),
    "private in words": (entry(allow_private="yes"), "neither true nor false", "true or false"),
}


@pytest.mark.parametrize("name", SLIPS)
def test_slips_are_told_with_line_and_remedy(name: str) -> None:
    wrong, message, remedy = SLIPS[name]
    found, problems = read_clients(registry(entry(iss="first"), wrong), "clients.yaml")
    assert ISS not in found
    (problem,) = problems
    assert message in f"{problem.column} {problem.message}"
    assert remedy in problem.remedy
    assert problem.line is not None
    assert problem.line > len(registry(entry(iss="first")).splitlines())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("[", "not YAML"),
        ("client: []", "one list named 'clients'"),
        ("clients: {}", "one list named 'clients'"),
        ("clients: []\nmore: 1", "one list named 'clients'"),
        ("clients: [x]", "This is no client"),
        ("clients:\n- &a {name: x}", "anchor"),
        ("clients: []\nclients: []", "stands twice"),
    ],
)
def test_not_a_registry(text: str, words: str) -> None:
    found, problems = read_clients(text, "clients.yaml")
    assert found == {}
    assert words in str(problems[0])


def test_one_iss_twice() -> None:
    _, problems = read_clients(registry(entry(), entry(name="Other")), "clients.yaml")
    assert [problem.message for problem in problems] == ["Another client has this iss."]


def test_loading(tmp_path: Path) -> None:
    path = tmp_path / "clients.yaml"
    assert load_clients(path) == {}
    path.write_text(registry())
    assert set(load_clients(path)) == {ISS}
    path.write_text(registry(entry(iss=None), entry(jwks=jwk_set("ec-p256"))))
    with pytest.raises(SettingsError, match=r"clients\.yaml:2.*'iss' is missing.*\n.*P-384"):
        load_clients(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(SettingsError, match="cannot be read"):
        load_clients(path)
