"""What is under deploy/ is what its tools take, names settings there are, and a wheel holds what the image needs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from app.cli import main
from app.settings import ROOT, SECRETS_DIR, Settings

DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
DOCKERFILE, COMPOSE = DEPLOY / "Dockerfile", DEPLOY / "compose.yaml"
MANIFESTS = sorted((KUBERNETES / "base").glob("[!k]*.yaml"))
# Patches are parts of manifests; the API's schema has no word on kustomization files.
KUBERNETES_VERSION = "1.33"


def lint(tool: str, *arguments: object) -> None:
    """Run a linter that may not be installed."""
    program = Path(sys.executable).with_name(tool)
    found = str(program) if program.exists() else shutil.which(tool)
    if found is None:
        pytest.skip(f"{tool} is not installed; pip install --editable '.[deploy]'")
    done = subprocess.run(
        [found, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dockerfile() -> None:
    lint("hadolint", DOCKERFILE)


def test_the_compose_file() -> None:
    lint("check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_a_manifest(path: Path) -> None:
    lint("kubernetes-validate", "--strict", "--version", KUBERNETES_VERSION, path)


def test_yaml_is_neat() -> None:
    rules = (
        "{extends: default, rules: {document-start: disable, line-length: {max: 120}, braces: {max-spaces-inside: 0}}}"
    )
    lint("yamllint", "--strict", "-d", rules, DEPLOY)


def documents(*folders: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for folder in folders:
        for path in sorted(folder.rglob("*.yaml")):
            yield path, yaml.safe_load(path.read_text())


def test_kustomizations_name_what_is_there() -> None:
    listed = set()
    for path, found in documents(KUBERNETES):
        if path.name != "kustomization.yaml":
            continue
        named = [*found["resources"], *(patch["path"] for patch in found.get("patches", ()))]
        for name in named:
            assert (path.parent / name).exists(), f"{path} names {name}"
            listed.add((path.parent / name).resolve())
    for path, _ in documents(KUBERNETES):
        assert path.name == "kustomization.yaml" or path in listed, f"no kustomization names {path}"


def test_only_settings_that_there_are_are_set() -> None:
    known = {f"SIGNPOST_{name.upper()}" for name in Settings.model_fields} | {SECRETS_DIR}
    for path in (DOCKERFILE, COMPOSE, *(path for path, _ in documents(KUBERNETES))):
        unknown = set(re.findall(r"SIGNPOST_[A-Z_]+", path.read_text())) - known
        assert not unknown, f"{path} names {unknown}"


def pods() -> Iterator[dict[str, Any]]:
    for _, found in documents(KUBERNETES / "base"):
        if found["kind"] in ("Deployment", "Job"):
            yield found["spec"]["template"]["spec"]


def test_nothing_runs_as_root_or_may_become_it() -> None:
    assert re.search(r"^USER 10001$", DOCKERFILE.read_text(), re.M)
    found = list(pods())
    assert len(found) == 2
    for pod in found:
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


def test_secrets_are_read_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "signpost_database_url").write_text("postgresql+psycopg://a@b/c\n")
    (tmp_path / "SIGNPOST_REDIS_URL").write_text("redis://from-file:6379/0")
    (tmp_path / "SIGNPOST_ENCRYPTION_KEYS").write_text("one,two")
    (tmp_path / "clients.yaml").write_text("clients: []")
    monkeypatch.setenv(SECRETS_DIR, str(tmp_path))
    monkeypatch.delenv("SIGNPOST_DATABASE_URL", raising=False)
    monkeypatch.setenv("SIGNPOST_REDIS_URL", "redis://from-environment:6379/0")
    monkeypatch.delenv("SIGNPOST_ENCRYPTION_KEYS", raising=False)
    found = Settings()
    assert found.database_url == "postgresql+psycopg://a@b/c"
    assert found.redis_url == "redis://from-environment:6379/0", "the environment goes before"
    assert [key.get_secret_value() for key in found.encryption_keys] == ["one", "two"]


def test_a_folder_of_secrets_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRETS_DIR, str(tmp_path / "nowhere"))
    done = CliRunner().invoke(main, ["ledger", "verify"])
    assert done.exit_code == 2
    assert "is no folder" in done.output


def test_a_wheel_holds_what_the_image_needs(tmp_path: Path) -> None:
    """Not editable: rules, forms, the server's settings and its entry go along."""
    copy = tmp_path / "source"
    ignored = shutil.ignore_patterns(".*", "node_modules", "tests", "data", "*.egg-info", "bench", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=ignored)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--disable-pip-version-check"]
    built = subprocess.run(
        [*pip, "--wheel-dir", tmp_path, copy], capture_output=True, text=True, check=False, timeout=300
    )
    if built.returncode and "setuptools" in built.stderr:
        pytest.skip("pip could not fetch setuptools to build with")
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = {name.partition(".data/data/")[2] or name for name in zipfile.ZipFile(wheel).namelist()}
    wanted = {"gunicorn.conf.py", "wsgi.py"}
    for folder in ("rules", "questionnaires", "docs/examples"):
        wanted |= {str(path.relative_to(ROOT)) for path in (ROOT / folder).rglob("*") if path.is_file()}
    assert {f"share/signpost/{name}" for name in wanted} <= names
    assert "app/web/routing_openapi.json" in names
    assert "app/ledger/migrations/script.py.mako" in names
