"""`signpost doctor`: each thing that keeps the service from answering is found, and what to do is said."""

from __future__ import annotations

import json
import shutil
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from redis import Redis
from sqlalchemy import create_engine

from app import create_app
from app.cli import main
from app.cli.doctor import stores
from app.settings import ROOT, Settings
from tests.ehr_actions import EhrActions, example

pytestmark = pytest.mark.embedded


def examined(*options: str, **environment: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit code and findings."""
    done = CliRunner().invoke(main, ["doctor", "--json", "--offline", *options], env=environment)
    told = json.loads(done.output)
    assert told["well"] is (done.exit_code == 0)
    return done.exit_code, told["findings"]


def found(findings: list[dict[str, Any]], check: str, verdict: str) -> list[dict[str, Any]]:
    return [each for each in findings if (each["check"], each["verdict"]) == (check, verdict)]


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """The data folder of a service that has answered."""
    folder = tmp_path / "data"
    app = create_app(Settings(sandbox=True, data_dir=folder, rules_interval=0))
    assert EhrActions(app.test_client()).sign(example("mri")).status == 200
    app.extensions["ledger"].close()
    app.extensions["state"].close()
    return folder


def test_all_is_well(served: Path) -> None:
    before = {path.name for path in served.iterdir()}
    code, findings = examined("--sandbox", "--data-dir", str(served))
    assert (code, [each for each in findings if each["verdict"] == "wrong"]) == (0, [])
    (database,) = found(findings, "database", "ok")
    assert "can be written" in database["said"]
    assert {path.name for path in served.iterdir()} == before


def test_nothing_is_made(tmp_path: Path) -> None:
    code, findings = examined("--sandbox", "--data-dir", str(tmp_path / "new"))
    assert code == 0, findings
    assert not (tmp_path / "new").exists()


def spoil_rules(folder: Path) -> dict[str, str]:
    rules = folder.parent / "rules"
    shutil.copytree(ROOT / "rules", rules)
    (rules / "payer.yaml").write_text("name: [", encoding="utf-8")
    return {"SIGNPOST_RULES": str(rules)}


def spoil_roster(folder: Path) -> dict[str, str]:
    roster = folder.parent / "roster.csv"
    roster.write_text("nothing\n", encoding="utf-8")
    return {"SIGNPOST_ROSTER": str(roster)}


def open_key(folder: Path) -> dict[str, str]:
    (folder / "encryption.key").chmod(0o644)
    return {}


def empty_key(folder: Path) -> dict[str, str]:
    (folder / "encryption.key").write_bytes(b"")
    return {}


def garbage_ledger(folder: Path) -> dict[str, str]:
    (folder / "ledger.sqlite").write_bytes(b"not a database at all, for sure" * 100)
    return {}


def newer_ledger(folder: Path) -> dict[str, str]:
    _behind_its_back(folder, "UPDATE alembic_version SET version_num = '9999'")
    return {}


def tomorrows_entry(folder: Path) -> dict[str, str]:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="microseconds")
    _behind_its_back(folder, f"UPDATE event SET recorded_at = '{tomorrow}'")  # noqa: S608
    return {}


def _behind_its_back(folder: Path, statement: str) -> None:
    engine = create_engine(f"sqlite:///{folder / 'ledger.sqlite'}")
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


@pytest.mark.parametrize(
    ("spoil", "check", "said", "remedy"),
    [
        (lambda _: {"SIGNPOST_PROT": "1"}, "settings", "is not a setting", "rest"),
        (lambda _: {"SIGNPOST_HOST": "0.0.0.0"}, "settings", "loopback only", "--host 127.0.0.1"),  # noqa: S104
        (spoil_rules, "rulebook", "payer.yaml", "signpost rules check"),
        (lambda _: {"SIGNPOST_RULES_FROM": "published"}, "rulebook", "published", "signpost rules publish"),
        (spoil_roster, "members", "roster.csv", "Correct the file"),
        (open_key, "files", "encryption.key", "chmod 600"),
        (empty_key, "encryption", "holds no key", "Put back the key"),
        (lambda _: {"SIGNPOST_ENCRYPTION_KEYS": "short"}, "encryption", "not 32 bytes", "Put back"),
        (
            lambda _: {"SIGNPOST_ENCRYPTION_KEYS": b64encode(bytes(32)).decode()},
            "encryption",
            "key that is not among the settings",
            "behind the new one",
        ),
        (garbage_ledger, "database", "not a database", "may write"),
        (newer_ledger, "database", "9999", "Upgrade Signpost"),
        (tomorrows_entry, "clock", "newest entry", "NTP"),
        (lambda _: {"SIGNPOST_STATE_URL": "file:///x"}, "shared state", "SIGNPOST_STATE_URL", "Correct the setting"),
        (
            lambda _: {"SIGNPOST_DATABASE_URL": "postgresql+psycopg://nobody@127.0.0.1:1/none"},
            "database",
            "cannot be reached",
            "SIGNPOST_DATABASE_URL",
        ),
        (lambda _: {"SIGNPOST_REDIS_URL": "redis://127.0.0.1:1/0"}, "Redis", "cannot be used", "SIGNPOST_REDIS_URL"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_is_wrong_is_found(
    served: Path, spoil: Callable[[Path], dict[str, str]], check: str, said: str, remedy: str
) -> None:
    environment = spoil(served)
    code, findings = examined("--sandbox", "--data-dir", str(served), **environment)
    assert code == 1
    (fault,) = found(findings, check, "wrong")
    assert said in fault["said"]
    assert remedy in fault["remedy"]


def test_nobody_is_registered(served: Path) -> None:
    code, findings = examined("--data-dir", str(served))
    assert code == 1
    (fault,) = found(findings, "clients", "wrong")
    assert "signpost clients add" in fault["remedy"]
    (served / "clients.yaml").write_text("clients: 3\n", encoding="utf-8")
    (served / "clients.yaml").chmod(0o666)
    _, findings = examined("--data-dir", str(served))
    assert found(findings, "clients", "wrong")
    (fault,) = found(findings, "files", "wrong")
    assert "clients.yaml" in fault["said"]


@pytest.mark.parametrize(("left", "verdict"), [(1024, "wrong"), (1024**3, "warning"), (10**12, "ok")])
def test_room_on_the_disk(served: Path, monkeypatch: pytest.MonkeyPatch, left: int, verdict: str) -> None:
    monkeypatch.setattr(stores.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(left, 0, left))
    _, findings = examined("--sandbox", "--data-dir", str(served))
    assert found(findings, "disk", verdict)


def test_for_people(served: Path) -> None:
    (served / "encryption.key").chmod(0o640)
    done = CliRunner().invoke(main, ["doctor", "--sandbox", "--data-dir", str(served)])
    assert done.exit_code == 1
    assert "FAIL  files: " in done.output
    assert f"-> chmod 600 {served / 'encryption.key'}" in done.output.replace("\n      ", " ")
    assert "1 to fix, 1 to think about." in done.output


def test_on_servers(tmp_path: Path, postgresql_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clocks are compared with the servers'; one that may forget which JWTs were used is told of."""
    environment = {"SIGNPOST_DATABASE_URL": postgresql_url, "SIGNPOST_REDIS_URL": redis_url}
    options = ("--sandbox", "--data-dir", str(tmp_path))
    code, findings = examined(*options, **environment)
    assert code == 0, findings
    assert found(findings, "database clock", "ok")
    assert found(findings, "Redis clock", "ok")
    assert found(findings, "encryption", "warning")

    with Redis.from_url(redis_url) as server:
        server.config_set("maxmemory", "100mb")
        server.config_set("maxmemory-policy", "allkeys-lru")
        monkeypatch.setattr(stores.time, "time", lambda: 0.0)
        try:
            _, findings = examined(*options, **environment)
        finally:
            server.config_set("maxmemory", "0")
            server.config_set("maxmemory-policy", "noeviction")
    assert found(findings, "Redis", "warning")
    assert "NTP" in found(findings, "Redis clock", "warning")[0]["remedy"]
    engine = create_engine(postgresql_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    engine.dispose()
    _, findings = examined(*options, **environment)
    assert found(findings, "database", "wrong")[0]["remedy"] == "Run `signpost ledger migrate`."
