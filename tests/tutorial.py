"""Walks through docs/rules/tutorial.md as its reader would: real commands, real files, a real service.

`python -m tests.tutorial` writes what the commands print into the page.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from app.settings import ROOT

PAGE = ROOT / "docs" / "rules" / "tutorial.md"
PORT = "8085"  # as the page has it
_BLOCK = re.compile(r"^```(?P<kind>console|diff)(?: (?P<file>\S+))?\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_ID = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|\b[0-9a-f]{64}\b|\b[0-9a-f]{12}\b"
# What differs from run to run, or when other rules are edited: not what the page is about.
_VARYING = (
    (re.compile(_ID), "<id>"),
    (re.compile(r"\b20\d\d-\d\d-\d\d(?: \d\d:\d\d:\d\d)?"), "<day>"),
    (re.compile(r"[\d.]+ ms"), "<ms>"),
    (re.compile(r"(?<=\.csv:)\d+|(?<=\.yaml:)\d+"), "<line>"),
    (re.compile(r"\b\d+(?= (?:scenarios?|passed|routing rows|policies|cards|lists|forms|more|weaker|bytes)\b)"), "<n>"),
)
_LEFT_OUT = "..."


@dataclass(frozen=True, slots=True)
class Step:
    """A command with what it prints, or an edit of a file. `start` and `end` are where the page has the output."""

    command: str | None
    text: str
    file: str | None
    start: int
    end: int


def steps(page: str) -> Iterator[Step]:
    """What the page has its reader do, in order."""
    for block in _BLOCK.finditer(page):
        if block["kind"] == "diff":
            yield Step(None, block["text"], block["file"], block.start("text"), block.end("text"))
            continue
        for told in re.finditer(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block["text"], re.MULTILINE):
            start = block.start("text") + told.start(2)
            yield Step(told[1], told[2], None, start, start + len(told[2]))


@dataclass
class Walk:
    """A reader in a folder with copies of the sample's rules, forms and examples."""

    folder: Path
    ids: dict[str, str] = field(default_factory=dict)
    services: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        shutil.copytree(ROOT / "rules", self.folder / "rules")
        shutil.copytree(ROOT / "docs" / "examples", self.folder / "docs" / "examples")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = str(probe.getsockname()[1])

    def edit(self, step: Step) -> None:
        """Make the change of a diff: the lines that are there, once, become those of the other side."""
        assert step.file is not None
        path = self.folder / step.file
        lines = step.text.splitlines()
        before = "".join(f"{line[1:]}\n" for line in lines if line[:1] != "+")
        after = "".join(f"{line[1:]}\n" for line in lines if line[:1] != "-")
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        assert (text.count(before) == 1) if before else not path.exists(), f"{step.file}: where is\n{before}"
        path.write_text(text.replace(before, after) if before else after, encoding="utf-8")

    def run(self, command: str) -> str:
        """What a command prints, both streams."""
        for shown, real in self.ids.items():
            command = command.replace(shown, real)
        command = command.replace(PORT, self._port)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SIGNPOST_")},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "SIGNPOST_LOG_LEVEL": "error",
        }
        if command.endswith(" &"):
            return self._start(command.removesuffix(" &"), environment).replace(self._port, PORT)
        done = subprocess.run(  # noqa: S602  # the page's own words, as its reader types them
            command, shell=True, cwd=self.folder, env=environment, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        return done.stdout.replace(self._port, PORT)

    def _start(self, command: str, environment: dict[str, str]) -> str:
        """Start a service and wait until it answers."""
        log = self.folder / "service.log"
        with log.open("w") as errors:
            process = subprocess.Popen(  # noqa: S602
                f"exec env {command}", shell=True, cwd=self.folder, env=environment, text=True,
                stdout=subprocess.DEVNULL, stderr=errors,
            )  # fmt: skip
        self.services.append(process)
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self._port}/readyz", timeout=5).close()  # noqa: S310
                break
            except OSError:
                assert process.poll() is None, log.read_text()
                time.sleep(0.05)
        return log.read_text()

    def learn(self, shown: str, printed: str) -> None:
        """Ids as the page shows them stand for those that were really printed, in commands to come."""
        if len(shown.splitlines()) == len(printed.splitlines()):
            self.ids.update(zip(re.findall(_ID, shown), re.findall(_ID, printed), strict=False))
            return
        for line in shown.splitlines():
            like = [other for other in printed.splitlines() if _plain(other) == _plain(line)]
            if like:
                self.ids.update(zip(re.findall(_ID, line), re.findall(_ID, like[0]), strict=False))

    def end(self) -> None:
        """Stop the services."""
        for process in self.services:
            process.terminate()
            process.wait(timeout=30)


def differences(shown: str, printed: str) -> list[str]:
    """Lines of the page that were not printed, in their order. A line `...` stands for any number of lines."""
    wanted, found = _plain(shown).splitlines(), iter(_plain(printed).splitlines())
    missing = []
    gap = False
    for line in wanted:
        if line.strip() == _LEFT_OUT:
            gap = True
            continue
        other = next((each for each in found if each == line), None) if gap else next(found, None)
        if other != line:
            missing.append(f"{line!r}, but printed {other!r}")
        gap = False
    rest = list(found)
    if rest and not gap:
        missing.append(f"nothing more, but printed {rest[0]!r}")
    return missing


def _plain(text: str) -> str:
    for pattern, instead in _VARYING:
        text = pattern.sub(instead, text)
    return "\n".join(line.rstrip() for line in text.splitlines())


def main() -> None:
    """Write what the commands print into the page; outputs that leave lines out are kept while they hold."""
    page = PAGE.read_text(encoding="utf-8")
    written, at = [], 0
    with tempfile.TemporaryDirectory() as folder:
        walk = Walk(Path(folder))
        try:
            for step in steps(page):
                if step.command is None:
                    walk.edit(step)
                    continue
                printed = walk.run(step.command)
                holds = not differences(step.text, printed)
                output = step.text if holds else "".join(f"{line.rstrip()}\n" for line in printed.splitlines())
                walk.learn(output, printed)
                written += [page[at : step.start], output]
                at = step.end
        finally:
            walk.end()
    PAGE.write_text("".join([*written, page[at:]]), encoding="utf-8")


if __name__ == "__main__":
    main()
