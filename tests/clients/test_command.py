"""`signpost clients`."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from app.clients import load_clients
from tests.clients.identities import ISS, entry, jwk, jwk_set, registry
from tests.fhir import ehr_server
from tests.fhir.ehr_server import EhrServer

NEW = ["--name", "New: Hospital", "--iss", "https://new.example.org", "--jwks-url", "https://new.example.org/keys"]
BASE = ["--fhir-base", "https://new.example.org/r4"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "clients.yaml"


def run(path: Path, *arguments: str) -> Result:
    command, *rest = arguments
    return CliRunner().invoke(main, ["clients", command, "--clients-file", str(path), *rest])


def test_add_makes_the_file(path: Path) -> None:
    options = ["--tenant", "no", "--tenant", "south", "--algorithm", "ES384", "--service", "order-sign-crd"]
    told = run(path, "add", *NEW, *BASE, *options)
    assert told.exit_code == 0, told.output
    client = load_clients(path)["https://new.example.org"]
    assert (client.name, client.jwks_url) == ("New: Hospital", "https://new.example.org/keys")
    assert client.fhir_bases == ("https://new.example.org/r4",)
    assert (client.tenants, client.algorithms, client.services) == ({"no", "south"}, {"ES384"}, {"order-sign-crd"})
    assert not client.allow_private


def test_add_in_the_data_folder(tmp_path: Path) -> None:
    told = CliRunner().invoke(main, ["clients", "add", "--data-dir", str(tmp_path / "new"), *NEW])
    assert told.exit_code == 0, told.output
    assert load_clients(tmp_path / "new" / "clients.yaml")["https://new.example.org"].fhir_bases == ()


@pytest.mark.parametrize("indent", ["", "  ", "    "])
def test_add_keeps_what_is_there(path: Path, indent: str) -> None:
    lines = registry().splitlines()
    before = "\n".join(["# ours", lines[0], *(indent + line for line in lines[1:]), f"{indent}  # the end", "", ""])
    path.write_text(before)
    assert run(path, "add", *NEW, *BASE).exit_code == 0
    assert path.read_text().startswith(before.rstrip("\n") + "\n")
    assert set(load_clients(path)) == {ISS, "https://new.example.org"}


def test_add_inline_keys(path: Path, tmp_path: Path) -> None:
    (tmp_path / "jwks.json").write_text(json.dumps(jwk_set("ec", "rsa")))
    told = run(path, "add", "--name", "Keys", "--iss", ISS, "--jwks", str(tmp_path / "jwks.json"))
    assert told.exit_code == 0, told.output
    assert set(load_clients(path)[ISS].inline_keys) == {("ec", "ES384"), ("rsa", "RS384")}


@pytest.mark.parametrize(
    ("before", "arguments", "words"),
    [
        (None, ["--name", "x", "--iss", "x"], "no keys"),
        (None, [*NEW, "--fhir-base", "http://10.0.0.1/r4"], "https only"),
        (registry(entry(iss="https://new.example.org")), NEW, "Another client has this iss"),
        ("clients: []\n", NEW, "Nothing was added"),
        (registry(entry(algorithms=["none"])), NEW, "'none' is not known"),
        ("clients: [", NEW, "not YAML"),
    ],
    ids=["no keys", "private base", "twice", "another style", "a bad registry", "not YAML"],
)
def test_add_changes_nothing_when_something_is_wrong(
    path: Path, before: str | None, arguments: list[str], words: str
) -> None:
    if before is not None:
        path.write_text(before)
    told = run(path, "add", *arguments)
    assert told.exit_code == 2
    assert words in told.output
    assert (path.read_text() if path.exists() else None) == before


@pytest.mark.parametrize("content", ["{", json.dumps({"keys": [jwk("ec", d="AA")]})], ids=["not JSON", "private"])
def test_add_refuses_a_bad_key_file(path: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "jwks.json").write_text(content)
    told = run(path, "add", "--name", "x", "--iss", "x", "--jwks", str(tmp_path / "jwks.json"))
    assert told.exit_code == 2
    assert not path.exists()


def test_list(path: Path) -> None:
    inside = entry(name="Inside", iss="in", allow_private=True, fhir_bases=[], tenants=["north"], jwks=None)
    path.write_text(registry(entry(), inside | {"jwks_url": "http://10.0.0.1/keys"}))
    told = run(path, "list")
    assert told.exit_code == 0
    for words in (
        "Sample Hospital",
        ISS,
        "ec (ES384)",
        "rsa (RS384)",
        "http://10.0.0.1/keys",
        "prefetch only",
        "north",
    ):
        assert words in told.output


@pytest.mark.parametrize("command", ["list", "check"])
def test_nobody_registered(path: Path, command: str) -> None:
    told = run(path, command)
    assert told.exit_code == 2
    assert "signpost clients add" in told.output


def test_check_fetches_keys_and_looks_hosts_up(path: Path) -> None:
    with EhrServer() as server:
        server.on["/jwks.json"] = ehr_server.answer({"keys": [jwk("ec"), jwk("ec-p256")]})
        local = {"jwks_url": f"{server.base}/jwks.json", "fhir_bases": [server.base], "allow_private": True}
        path.write_text(registry(entry(jwks=None) | local))
        told = run(path, "check")
        assert told.exit_code == 0, told.output
        assert server.asked == ["/jwks.json"]
    for words in ("ec (ES384)", "passed over: key 1", "P-384", "leads to 127.0.0.1"):
        assert words in told.output


@pytest.mark.parametrize(
    ("changes", "published", "words"),
    [
        ({}, None, "status 404"),
        ({}, {"keys": []}, "keys: none"),
        ({}, b"<html>", "not JSON"),
        ({"algorithms": ["RS384"]}, jwk_set("ec"), "none for RS384"),
        ({"fhir_bases": ["https://no-such-host.invalid/r4"]}, jwk_set("ec"), "no address"),
    ],
)
def test_check_says_what_would_fail(path: Path, changes: dict[str, Any], published: Any, words: str) -> None:
    with EhrServer() as server:
        if published is not None:
            server.on["/jwks.json"] = ehr_server.answer(published)
        local = {"jwks_url": f"{server.base}/jwks.json", "fhir_bases": [], "allow_private": True}
        path.write_text(registry(entry(jwks=None) | local | changes))
        told = run(path, "check")
    assert told.exit_code == 1
    assert "FAIL" in told.output
    assert words in told.output


def test_check_tells_of_a_name_that_leads_inside(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.1.2.3", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    path.write_text(registry())
    told = run(path, "check")
    assert told.exit_code == 1
    assert "10.1.2.3, which is not public" in told.output
