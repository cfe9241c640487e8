"""The `signpost` command as a person uses it, most of it against the real service in a process of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from app.cli import main
from app.settings import ROOT
from tests.conftest import EXAMPLES

SIGNPOST = [sys.executable, "-m", "app.cli"]


def signpost(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **environment}
    return subprocess.run([*SIGNPOST, *arguments], capture_output=True, text=True, cwd=ROOT, env=env, timeout=120)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def url(data_dir: Path) -> Iterator[str]:
    """The real service with two workers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    arguments = ["serve", "--sandbox", "--port", port, "--data-dir", str(data_dir), "--workers", "2"]
    with subprocess.Popen([*SIGNPOST, *arguments], cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        address = f"http://127.0.0.1:{port}"
        for _ in range(200):
            try:
                if requests.get(f"{address}/readyz", timeout=2).ok:
                    break
            except requests.ConnectionError:
                time.sleep(0.1)
        yield address
        process.terminate()
        process.wait(timeout=30)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("infusion", ["covered", "prior authorization needed", "medical", "J1745", "infliximab|1.2.0", "biosimilar"]),
        ("mri", ["prior authorization needed", "CPT 72148", "link: "]),
        ("self-injected", ["pharmacy", "NCPDP SCRIPT", "Meadowlark Pharmacy Services"]),
    ],
)
def test_hook_prints_for_people(url: str, name: str, words: list[str]) -> None:
    told = signpost("hook", str(EXAMPLES / f"order-sign-{name}.json"), "--url", url)
    assert told.returncode == 0, told.stderr
    for word in words:
        assert word in told.stdout


def test_ledger_shows_what_was_asked_and_why(url: str, data_dir: Path) -> None:
    told = signpost("hook", str(EXAMPLES / "order-sign-infusion.json"), "--url", url).stdout
    assertion = re.search(r"assertion\s+(\S+)", told)
    assert assertion is not None
    shown = signpost("ledger", "show", assertion[1], "--data-dir", str(data_dir))
    assert shown.returncode == 0, shown.stderr
    for words in (
        "MedicationRequest/mr1",
        "M100006",
        "route:infliximab",
        "policy:infliximab#brand-first",
        "auth-needed",
    ):
        assert words in shown.stdout
    assert "Robin" not in shown.stdout
    assert "Robin" in signpost("ledger", "show", assertion[1], "--data-dir", str(data_dir), "--request").stdout
    reads = signpost("ledger", "reads", "--data-dir", str(data_dir)).stdout
    assert reads.count(f"command line  answer {assertion[1]}  member ") == 2
    assert assertion[1] in signpost("ledger", "recent", "--data-dir", str(data_dir)).stdout
    verified = signpost("ledger", "verify", "--data-dir", str(data_dir))
    assert (verified.returncode, verified.stdout) == (0, "The ledger is whole.\n")


def test_ledger_knows_nothing_of_others(data_dir: Path, url: str) -> None:
    told = signpost("ledger", "show", "no-such-assertion", "--data-dir", str(data_dir))
    assert (told.returncode, "No answer was given" in told.stderr) == (1, True)


def test_hook_says_why_it_was_refused(url: str, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"hook": "order-sign", "hookInstance": "x"}')
    told = signpost("hook", str(wrong), "--url", url)
    assert (told.returncode, "Refused: 'context' is missing. (context)" in told.stdout) == (1, True)
    wrong.write_text("{")
    assert signpost("hook", str(wrong), "--url", url).returncode == 2


def test_hook_without_a_service() -> None:
    told = signpost("hook", str(EXAMPLES / "order-sign-mri.json"), "--url", "http://127.0.0.1:9")
    assert (told.returncode, "Is the service running?" in told.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (["serve"], {}, "--sandbox"),
        (["serve", "--sandbox", "--host", "0.0.0.0"], {}, "loopback only"),
        (["serve", "--sandbox"], {"SIGNPOST_PROT": "1"}, "Did you mean SIGNPOST_PORT?"),
        (["serve", "--sandbox"], {"SIGNPOST_PORT": "many"}, "SIGNPOST_PORT"),
        (["serve", "--sandbox", "--rules", "nowhere"], {}, "no such folder"),
    ],
)
def test_serve_refuses_in_words(arguments: list[str], environment: dict[str, str], words: str) -> None:
    told = signpost(*arguments, **environment)
    assert told.returncode == 2
    assert words in told.stderr
    assert "Traceback" not in told.stderr


def test_rules_check_and_test() -> None:
    runner = CliRunner()
    checked = runner.invoke(main, ["rules", "check"])
    assert (checked.exit_code, "is good" in checked.output) == (0, True)
    tested = runner.invoke(main, ["rules", "test", "--only", "T0", "--verbose"])
    assert tested.exit_code == 0, tested.output
    assert "ok   T01" in tested.output
    assert re.search(r"\d+ passed, 0 failed", tested.output)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--only", "T0", "--format", "json"], 0, '"failed":0'),
        (["--only", "T0", "--format", "junit"], 0, '<testsuite name="scenarios" tests="21" failures="0" errors="0">'),
        (["--coverage"], 0, "benefit_routes.csv:"),
        (["--only", "T0", "--min-coverage", "90"], 1, "is untouched"),
        (["--mutate", "--jobs", "1", "--only", "T09", "--rule", "route:ma-denosumab"], 0, "site_pos without 19"),
        (["--mutate", "--jobs", "2", "--only", "T09", "--rule", "route:ma-denosumab-c"], 0, "site_pos without 19"),
        (
            ["--max-unnoticed", "0", "--only", "T09", "--rule", "route:ma-denosumab-clinic", "--jobs", "1"],
            1,
            "unnoticed",
        ),
        (
            ["--mutate", "--only", "T09", "--rule", "route:ma-d", "--jobs", "1", "--format", "junit"],
            0,
            'name="changes"',
        ),
        (["--only", "no-such"], 1, "0 passed"),
    ],
)
def test_rules_test_for_every_reader(arguments: list[str], code: int, words: str) -> None:
    tested = CliRunner().invoke(main, ["rules", "test", *arguments])
    assert (tested.exit_code, words in tested.output) == (code, True), tested.output


def explained(*arguments: str) -> tuple[int, str]:
    told = CliRunner().invoke(main, ["rules", "explain", *arguments])
    return told.exit_code, told.output


def test_rules_explain_a_request(tmp_path: Path) -> None:
    infusion = str(EXAMPLES / "order-sign-infusion.json")
    code, told = explained(infusion, "--on", "2026-11-22")
    assert code == 0, told
    for words in (
        "decides      infliximab -> medical (benefit_routes.csv:",
        "plan_id must be silver-hmo, it is gold-ppo",
        "holds          brand-first (policies/infliximab.yaml:",
        "if plan: silver-hmo (commercial) (now: gold-ppo (commercial))",
        "by route:silver-infliximab-brand",
        "(--all shows them)",
    ):
        assert words in told
    assert "(--all shows them)" not in explained(infusion, "--all", "--changes", "0")[1]
    code, told = explained(infusion, "--format", "json", "--changes", "1", "--order", "MedicationRequest/mr1")
    (one,) = json.loads(told)
    assert (code, one["explanation"]["track"], one["would_change"]["complete"]) == (0, "medical", True)
    code, told = explained(infusion, "--order", "MedicationRequest/other")
    assert (code, "The call has: MedicationRequest/mr1." in told) == (1, True)
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"hook": "order-sign"}')
    code, told = explained(str(wrong))
    assert (code, "would be refused" in told) == (2, True)


def differs(*arguments: str) -> tuple[int, str]:
    told = CliRunner().invoke(main, ["rules", "diff", *arguments])
    return told.exit_code, told.output


def test_rules_diff_of_folders(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    shutil.copytree(ROOT / "rules", rules)
    old = str(ROOT / "rules")
    code, told = differs(old, str(rules))
    assert (code, "No answer changes." in told) == (0, True)
    policy = rules / "policies" / "denosumab.yaml"
    policy.write_text(policy.read_text().replace("pa: no-auth", "pa: auth-needed"))
    code, told = differs(old, str(rules), "--since", "2026-06-01")
    assert code == 1
    assert "case denosumab#after-bisphosphonate: pa auth-needed instead of no-auth" in told
    assert "and 1 more (--limit" in differs(old, str(rules), "--since", "2026-06-01", "--limit", "1")[1]
    assert "\n- denosumab 60 mg (Prolia) for commercial" in differs(old, str(rules), "--format", "markdown")[1]
    code, told = differs(old, str(rules), "--format", "json")
    assert json.loads(told)["answers"][0]["subjects"] == ["denosumab 60 mg (Prolia)"]
    policy.write_text("policy: 1")
    code, told = differs(old, str(rules))
    assert (code, "policies/denosumab.yaml" in told) == (2, True)


def test_rules_diff_of_git_revisions_and_of_the_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "rules", tmp_path / "payer" / "rules")
    shutil.copytree(ROOT / "questionnaires", tmp_path / "payer" / "questionnaires")
    monkeypatch.chdir(tmp_path)
    for arguments in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=n", "-c", "user.email=e", "commit", "-qm", "rules"],
    ):
        subprocess.run(["git", *arguments], check=True)
    (tmp_path / "payer" / "rules" / "policies" / "rituximab.yaml").unlink()
    code, told = differs("HEAD:payer/rules", "payer/rules")
    assert (code, "policy rituximab decides" in told) == (1, True)
    code, told = differs("no-such:rules", "payer/rules")
    assert (code, "git could not give the rule files" in told) == (2, True)
    code, told = differs("0123abcd", "payer/rules", "--data-dir", str(tmp_path))
    assert (code, "There is no ledger" in told) == (2, True)


def test_rules_explain_and_diff_what_the_ledger_keeps(url: str, data_dir: Path) -> None:
    told = signpost("hook", str(EXAMPLES / "order-sign-self-injected.json"), "--url", url).stdout
    assertion = re.search(r"assertion\s+(\S+)", told)
    assert assertion is not None
    explained = signpost("rules", "explain", "--assertion", assertion[1], "--data-dir", str(data_dir))
    assert explained.returncode == 0, explained.stderr
    assert "What would change the answer" in explained.stdout
    shown = signpost("ledger", "show", assertion[1], "--data-dir", str(data_dir)).stdout
    kept = re.search(r"Rulebook +([0-9a-f]{64})", shown)
    assert kept is not None
    compared = signpost("rules", "diff", kept[1], "rules", "--data-dir", str(data_dir))
    assert (compared.returncode, "No answer changes." in compared.stdout) == (0, True)
    unknown = signpost("rules", "explain", "--assertion", "nobody", "--data-dir", str(data_dir))
    assert (unknown.returncode, "No answer was given under nobody" in unknown.stderr) == (2, True)
    assert "only one of them" in signpost("rules", "explain").stderr


def test_rules_tell_every_mistake(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "rules", tmp_path / "rules")
    table = tmp_path / "rules" / "benefit_routes.csv"
    table.write_text(table.read_text().replace("meadowlark-rx", "meadowlark-rcks"))
    runner = CliRunner()
    checked = runner.invoke(main, ["rules", "check", "--rules", str(tmp_path / "rules")])
    assert checked.exit_code == 1
    assert "benefit_routes.csv:" in checked.output
    assert "Did you mean 'meadowlark-rx'?" in checked.output
    assert runner.invoke(main, ["rules", "test", "--rules", str(tmp_path / "rules")]).exit_code == 2


def test_rules_check_tells_people_pull_requests_and_tools(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "rules", tmp_path / "rules")
    (tmp_path / "rules" / "lists" / "spare, list.csv").write_text("system,code,display\nHCPCS,J1745,a drug\n")
    check = ["rules", "check", "--rules", str(tmp_path / "rules")]
    runner = CliRunner()
    text = runner.invoke(main, check)
    assert (text.exit_code, "lists/spare, list.csv:1: warning:" in text.output, " note:" in text.output) == (
        0,
        True,
        False,
    )
    assert " note:" in runner.invoke(main, [*check, "--notes"]).output
    annotated = runner.invoke(main, [*check, "--strict", "--format", "github"])
    assert annotated.exit_code == 1
    assert annotated.output.startswith(
        f"::warning file={tmp_path}/rules/lists/spare%2C list.csv,line=1,title=unused-list::"
    )
    (found,) = json.loads(runner.invoke(main, [*check, "--format", "json"]).stdout)
    assert (found["lint"], found["severity"], found["line"]) == ("unused-list", "warning", 1)


def test_rules_check_needs_no_members(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "rules", tmp_path / "rules", ignore=shutil.ignore_patterns("members"))
    checked = CliRunner().invoke(main, ["rules", "check", "--rules", str(tmp_path / "rules")])
    assert (checked.exit_code, "is good" in checked.output) == (0, True)


def test_a_scenario_that_fails_says_how(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "rules", tmp_path / "rules")
    for path in (tmp_path / "rules" / "scenarios").glob("*.yaml"):
        path.write_text(path.read_text().replace("track: pharmacy", "track: medical"))
    told = CliRunner().invoke(main, ["rules", "test", "--only", "T03", "--rules", str(tmp_path / "rules")])
    assert told.exit_code == 1
    assert "expected 'medical', got 'pharmacy'" in told.output


def test_demo_answers_three_orders() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    told = signpost("demo", "--once", "--port", port)
    assert told.returncode == 0, told.stderr
    assert told.stdout.count("what next") == 3
    for words in ("MRI of the lumbar spine", "infliximab", "adalimumab"):
        assert words in told.stdout
