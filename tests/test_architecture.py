"""The floors of the house: a room imports only from floors below it, and only `web` knows Flask."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Top to bottom. `dtr` stands on `crd`, whose answers ask for forms. `crd` stands on `hooks`: the protocol
# below knows nothing of what a payer makes of it.
FLOORS = (
    {"cli", "web"},
    {"console"},
    {"dtr"},
    {"crd"},
    {"clients"},
    {"hooks", "metrics"},
    {"rulebook", "members", "ledger", "state"},
    {"fhir", "fhirpath"},
    {"encryption"},
    {"errors", "settings", "logs"},
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
# Where parts are put together, everything may be named.
ASSEMBLY = {ROOT / "app" / "__init__.py"}


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "app" and len(parts) > 1 else None


@pytest.mark.parametrize("path", modules("app"), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path: Path) -> None:
    if path in ASSEMBLY:
        return
    room = path.relative_to(ROOT / "app").parts[0].removesuffix(".py")
    for module in imports(path):
        target = room_of(module)
        if target in FLOOR_OF and target != room:
            assert FLOOR_OF[room] < FLOOR_OF[target], f"{room} must not import {module}"


@pytest.mark.parametrize("path", modules("app") + modules("benefit_router"), ids=lambda p: str(p.relative_to(ROOT)))
def test_only_web_knows_flask(path: Path) -> None:
    if path in ASSEMBLY or "web" in path.relative_to(ROOT).parts:
        return
    assert not any(module.split(".")[0] in ("flask", "werkzeug") for module in imports(path))


@pytest.mark.parametrize(
    ("folder", "own"), [("benefit_router", "benefit_router"), ("app/fhirpath", "app.fhirpath")], ids=lambda v: str(v)
)
def test_libraries_of_their_own(folder: str, own: str) -> None:
    for path in modules(folder):
        for module in imports(path):
            if module == "app" and own == "app.fhirpath":
                continue  # `from app import fhirpath` in its own __main__ and docstrings
            ours = module.split(".")[0] in ("app", "benefit_router")
            assert not ours or module.startswith(own), f"{path.name} imports {module}"
