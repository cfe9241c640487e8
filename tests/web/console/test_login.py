"""Who gets in and how: accounts, sessions, forged forms, throttling, roles, headers."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from flask import Flask

from app import create_app
from app.cli import main
from app.console.accounts import SAMPLES, FileAccounts
from app.console.sessions import IDLE_S, LONGEST_S, TRIES_OF_NAME, WINDOW_S
from app.errors import SettingsError
from app.settings import Settings
from app.web.console.pages import POLICY
from tests.web.console.conftest import LogIn, Person
from tests.windows import wait_for_room


def pages(app: Flask) -> list[str]:
    """Every page without a variable part that one has to be logged in for."""
    rules = (rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("console.") and not rule.arguments)
    return [rule.rule for rule in rules if "GET" in (rule.methods or ()) and "/login" not in rule.rule]


def test_nobody_sees_a_page_without_logging_in(app: Flask, visitor: Person) -> None:
    for path in pages(app):
        if "/oidc/" not in path:
            answer = visitor.client.get(path)
            assert (answer.status_code, answer.location) == (303, "/console/login"), path
    assert visitor.client.post("/console/logout").location == "/console/login"


@pytest.mark.parametrize(("name", "password"), [("ann", "wrong"), ("nobody", "signpost"), ("", "")])
def test_a_wrong_password_and_an_unknown_name_read_the_same(visitor: Person, name: str, password: str) -> None:
    answer = visitor.log_in(name, password)
    assert (answer.status_code, "The name or the password is wrong." in answer.text) == (403, True)
    assert visitor.get("/").status_code == 303


def test_the_cookie_is_kept_from_scripts_and_other_sites(app: Flask, settings: Settings, tmp_path: Path) -> None:
    FileAccounts(tmp_path / "console.json").put("kim", frozenset({"viewer"}), "a long password")
    (tmp_path / "clients.yaml").write_text(
        "clients:\n  - {name: E, iss: 'https://e.example.org', jwks_url: 'https://e.example.org/k', fhir_bases: []}\n"
    )
    there = create_app(settings.model_copy(update={"sandbox": False, "console": True, "workers": 1}))
    client = there.test_client()
    answer = client.post("https://localhost/console/login", data={"name": "kim", "password": "a long password"})
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Secure-signpost-console=")
    for part in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/console"):
        assert part in cookie
    for name in SAMPLES:
        sample = {"name": name, "password": "signpost"}
        assert client.post("https://localhost/console/login", data=sample).status_code == 403, "a sample account got in"
    assert "Sample accounts" not in client.get("https://localhost/console/login").text
    for part in ("ledger", "state"):
        there.extensions[part].close()


def test_without_the_setting_there_is_no_console(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "clients.yaml").write_text(
        "clients:\n  - {name: E, iss: 'https://e.example.org', jwks_url: 'https://e.example.org/k', fhir_bases: []}\n"
    )
    there = create_app(settings.model_copy(update={"sandbox": False, "workers": 1}))
    assert there.test_client().get("/console/login").status_code == 404
    for part in ("ledger", "state"):
        there.extensions[part].close()


def test_a_form_of_another_session_or_site_is_refused(log_in: LogIn) -> None:
    ann = log_in("ann")
    assert ann.post("/logout", csrf="another").status_code == 403
    foreign = ann.client.post("/console/logout", data={}, headers={"Origin": "https://evil.example.org"})
    assert (foreign.status_code, "another site" in foreign.text) == (403, True)
    assert ann.get("/").status_code == 200, "still logged in"
    assert "Log in" in ann.post("/logout").text
    assert ann.get("/").status_code == 303


def test_logging_in_is_throttled_by_name(visitor: Person) -> None:
    wait_for_room(WINDOW_S, 15)
    told = [visitor.log_in("ann", "wrong").status_code for _ in range(TRIES_OF_NAME + 1)]
    assert told == [403] * TRIES_OF_NAME + [429]
    assert visitor.log_in("ann").status_code == 429, "with the right password too"
    assert visitor.log_in("ed").status_code == 303


def test_a_session_ends_when_idle_or_old(app: Flask, log_in: LogIn, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = app.extensions["console"].sessions
    ann = log_in("ann")
    began = sessions._clock()
    monkeypatch.setattr(sessions, "_clock", lambda: began + LONGEST_S + 1)
    assert ann.get("/").status_code == 303
    assert IDLE_S < LONGEST_S


def test_an_account_taken_away_is_out_at_once(visitor: Person, settings: Settings) -> None:
    accounts = FileAccounts(settings.accounts_path)
    accounts.put("kim", frozenset({"viewer", "auditor"}), "a long password")
    visitor.log_in("kim", "a long password")
    assert visitor.get("/").status_code == 200
    accounts.remove("kim")
    assert visitor.get("/").status_code == 303


def test_headers_and_no_inline_script(app: Flask, log_in: LogIn) -> None:
    ann = log_in("ann")
    for path in pages(app):
        answer = ann.client.get(path)
        assert answer.headers["Content-Security-Policy"] == POLICY, path
        assert answer.headers["Cache-Control"] == "no-store", path
        assert " style=" not in answer.text, path
        assert " onclick=" not in answer.text, path
        assert "<script>" not in answer.text, path


@pytest.mark.parametrize(
    ("name", "roles", "password", "wrong"),
    [
        ("Kim!", {"viewer"}, "a long password", "cannot be a name"),
        ("kim", set(), "a long password", "needs a role"),
        ("kim", {"viewer"}, "short", "too short"),
    ],
)
def test_accounts_that_cannot_be(tmp_path: Path, name: str, roles: set[str], password: str, wrong: str) -> None:
    with pytest.raises(SettingsError, match=wrong):
        FileAccounts(tmp_path / "console.json").put(name, frozenset(roles), password)  # type: ignore[arg-type]


def test_accounts_on_the_command_line(tmp_path: Path) -> None:
    def run(*words: str, typed: str | None = None) -> str:
        done = CliRunner().invoke(main, ["console", "user", *words, "--data-dir", str(tmp_path)], input=typed)
        return f"{done.exit_code} {done.output}"

    assert run("add", "kim", "--role", "editor", "--password-file", "-", typed="a long password\n").startswith("0 kim")
    assert "editor: also changes rules" in run("list")
    file = tmp_path / "console.json"
    assert (file.stat().st_mode & 0o777, "a long password" in file.read_text()) == (0o600, False)
    account = FileAccounts(file).check("kim", "a long password")
    assert account is not None
    assert account.roles == {"editor"}
    assert run("remove", "kim").startswith("0 ")
    assert run("remove", "kim") == "2 There is no account kim.\n"
    file.write_text("garbage")
    assert run("list").startswith("2 The accounts in ")
