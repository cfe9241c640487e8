"""Publishing: four eyes, checked, scheduled, rolled back, withdrawn; on the ledger's chain; switched to whole."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app import create_app
from app.crd import publishing
from app.crd.published import PublishedKeeper
from app.crd.publishing import Checked
from app.crd.replay import stored_rulebook
from app.errors import RulebookError
from app.ledger import Ledger
from app.rulebook.rulebook import Rulebook, build
from app.settings import ROOT, Settings
from tests.ehr_actions import EhrActions, example

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
TITLE = "title: Magnetic resonance imaging of the lumbar spine"


def later(**span: float) -> datetime:
    return NOW + timedelta(**span)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}", synchronous="normal")
    yield ledger
    ledger.close()


@pytest.fixture(scope="session")
def versions(sample_rulebook: Rulebook) -> dict[str, Checked]:
    """Three rulebooks that differ in a title."""
    found = {}
    for name in ("first", "second", "third"):
        files = dict(sample_rulebook.files)
        files["policies/lumbar-mri.yaml"] = files["policies/lumbar-mri.yaml"].replace(TITLE, f"title: {name}")
        loaded = build(files)
        assert loaded.rulebook is not None
        found[name] = Checked(loaded.rulebook, "1 scenarios held")
    return found


Publish = Callable[..., Any]


@pytest.fixture
def publish(ledger: Ledger, versions: dict[str, Checked]) -> Publish:
    def act(name: str, **changes: Any) -> Any:
        how = {"author": "ann", "approver": "bob", "now": NOW, **changes}
        return publishing.publish(ledger, versions[name], **how)

    return act


def live(ledger: Ledger, moment: datetime) -> str:
    return (
        PublishedKeeper(ledger, interval=0, clock=lambda: moment)
        .current.policies_about([("CPT", "72148")])[0]
        .scope.title
    )


def states(ledger: Ledger, moment: datetime) -> list[str]:
    """Acts and their states, oldest first."""
    return [f"{entry.act.act} {entry.state}" for entry in reversed(publishing.history(ledger, moment))]


def test_from_draft_to_live_and_back(ledger: Ledger, publish: Publish, versions: dict[str, Checked]) -> None:
    publish("first")
    submitted = publishing.submit(ledger, versions["second"], author="ann", note="why", now=later(hours=1))
    assert live(ledger, later(hours=1)) == "first", "a draft is not live"
    approved = publishing.approve(ledger, submitted.number, approver="bob", now=later(hours=2))
    assert (approved.author, approved.actor, approved.checks) == ("ann", "bob", "1 scenarios held")
    assert live(ledger, later(hours=2)) == "second"
    back = publishing.roll_back(ledger, author="cy", approver="bob", why="complaints", now=later(hours=3))
    assert (back.note, back.label) == ("complaints", versions["first"].rulebook.label)
    assert live(ledger, later(hours=3)) == "first"
    assert live(ledger, later(hours=2.5)) == "second", "what was live then stays known"
    assert states(ledger, later(hours=3)) == [
        "submitted approved",
        "approved past",
        "submitted approved",
        "approved past",
        "rolled-back live",
    ]
    assert ledger.verify() == []


def test_rolling_back_to_a_named_one(ledger: Ledger, publish: Publish, versions: dict[str, Checked]) -> None:
    for hour, name in enumerate(("first", "second", "third")):
        publish(name, now=later(hours=hour))
    label = versions["first"].rulebook.label
    publishing.roll_back(ledger, author="ann", approver="bob", why="no", to=label[:8], now=later(hours=3))
    assert live(ledger, later(hours=3)) == "first"
    publishing.roll_back(ledger, author="ann", approver="bob", why="no", now=later(hours=4))
    assert live(ledger, later(hours=4)) == "third", "the one that was live before"


def test_scheduled_and_withdrawn(ledger: Ledger, publish: Publish) -> None:
    publish("first")
    coming = publish("second", at=later(days=1))
    assert live(ledger, later(hours=23)) == "first"
    assert live(ledger, later(days=1)) == "second"
    assert states(ledger, NOW)[-1] == "approved scheduled"
    publishing.withdraw(ledger, coming.number, by="bob", why="too early", now=later(hours=1))
    assert live(ledger, later(days=1)) == "first"
    assert states(ledger, NOW)[-2:] == ["approved withdrawn", "withdrawn -"]
    publish("second", now=later(hours=2))
    assert live(ledger, later(hours=2)) == "second", "it may be handed in again"


REFUSED: list[tuple[str, Callable[[Ledger, dict[str, Checked]], object], str]] = [
    (
        "own rules",
        lambda ledger, v: publishing.publish(ledger, v["second"], author="Ann", approver=" ann ", now=NOW),
        "cannot approve their own",
    ),
    ("nobody", lambda ledger, v: publishing.submit(ledger, v["second"], author=" ", now=NOW), "Say who submits"),
    (
        "the past",
        lambda ledger, v: publishing.publish(
            ledger, v["second"], author="ann", approver="bob", at=later(seconds=-1), now=NOW
        ),
        "is past",
    ),
    (
        "what is live",
        lambda ledger, v: publishing.publish(ledger, v["first"], author="ann", approver="bob", now=NOW),
        "is live already",
    ),
    ("no submission", lambda ledger, v: publishing.approve(ledger, 2, approver="cy", now=NOW), "is no submission"),
    ("what took effect", lambda ledger, v: publishing.withdraw(ledger, 2, by="ann", why="", now=NOW), "rolled back"),
    (
        "nothing to go back to",
        lambda ledger, v: publishing.roll_back(ledger, author="ann", approver="bob", why="no", now=NOW),
        "No other rulebook",
    ),
    (
        "an unknown label",
        lambda ledger, v: publishing.roll_back(ledger, author="ann", approver="bob", why="no", to="abc", now=NOW),
        "No rulebook abc",
    ),
    (
        "no reason",
        lambda ledger, v: publishing.roll_back(ledger, author="ann", approver="bob", why=" ", now=NOW),
        "Say why",
    ),
]


@pytest.mark.parametrize(("act", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused_and_nothing_recorded(
    ledger: Ledger, publish: Publish, versions: dict[str, Checked], act: Callable[..., object], words: str
) -> None:
    publish("first")
    before = ledger.publications()
    with pytest.raises(RulebookError, match=words):
        act(ledger, versions)
    assert ledger.publications() == before


def test_the_approver_is_another_than_the_author_also_apart(
    ledger: Ledger, publish: Publish, versions: dict[str, Checked]
) -> None:
    publish("first")
    submitted = publishing.submit(ledger, versions["second"], author="ann", now=NOW)
    with pytest.raises(RulebookError, match="submitted already, as number 3"):
        publishing.submit(ledger, versions["second"], author="cy", now=NOW)
    with pytest.raises(RulebookError, match="cannot approve their own"):
        publishing.approve(ledger, submitted.number, approver="ANN", now=NOW)
    publishing.withdraw(ledger, submitted.number, by="ann", why="a slip", now=NOW)
    with pytest.raises(RulebookError, match="is no submission"):
        publishing.approve(ledger, submitted.number, approver="bob", now=NOW)


def test_an_act_that_is_altered_or_slipped_in_shows(ledger: Ledger, publish: Publish, tmp_path: Path) -> None:
    publish("first")
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection, connection:
        connection.execute("UPDATE publication SET actor = 'eve' WHERE number = 2")
        connection.execute(
            "INSERT INTO publication SELECT 3, act, rulebook_hash, label, actor, author, at, effective_at, about,"
            " checks, note FROM publication WHERE number = 2"
        )
    assert ledger.verify() == [
        "event 2: publication 2 is not what was recorded",
        "publication 3: no event vouches for it",
    ]


def test_a_worker_switches_when_it_looks_and_never_to_garbage(
    ledger: Ledger, publish: Publish, tmp_path: Path, versions: dict[str, Checked]
) -> None:
    publish("first")
    moment = [NOW]
    keeper = PublishedKeeper(ledger, interval=0, clock=lambda: moment[0])
    before = keeper.current
    assert not keeper.refresh()
    publish("second")
    assert keeper.refresh()
    assert (keeper.current.hash, before.hash) == tuple(versions[each].rulebook.hash for each in ("second", "first"))
    publish("third", at=later(minutes=1))
    assert not keeper.refresh(), "not yet live"
    keeper.prepare()
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection, connection:
        connection.execute("UPDATE rulebook SET files = x'00'")
    moment[0] = later(minutes=1)
    assert keeper.refresh(), "it was at hand"
    assert not keeper.refresh()
    assert keeper.current.hash == versions["third"].rulebook.hash


def test_what_may_go_live_soon_is_at_hand(
    ledger: Ledger, publish: Publish, versions: dict[str, Checked], monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []
    stored = stored_rulebook

    def counted(of: Ledger, rulebook_hash: str) -> Rulebook:
        book = stored(of, rulebook_hash)
        built.append(book.label)
        return book

    publish("first")
    monkeypatch.setattr("app.crd.published.stored_rulebook", counted)
    keeper = PublishedKeeper(ledger, interval=0, clock=lambda: NOW)
    submitted = publishing.submit(ledger, versions["second"], author="ann", now=NOW)
    assert not keeper.refresh()
    keeper.prepare()
    first, second = (versions[name].rulebook.label for name in ("first", "second"))
    assert built == [first, second], "a draft is loaded when it is handed in"
    publishing.approve(ledger, submitted.number, approver="bob", now=NOW)
    assert keeper.refresh()
    publishing.roll_back(ledger, author="ann", approver="bob", why="no", now=NOW)
    assert keeper.refresh()
    assert (keeper.current.label, built) == (first, [first, second]), "neither switch built anything"
    restarted = PublishedKeeper(ledger, interval=0, clock=lambda: NOW)
    restarted.prepare()
    restarted.prepare()
    assert built[2:] == [first, second], "a new worker has at hand what it may be rolled back to, once"


@pytest.mark.parametrize(
    ("ahead", "expected"),
    [
        pytest.param({"minutes": 59}, "third", id="due soon"),
        pytest.param({"minutes": 61}, "second", id="due later: somebody may approve the other first"),
    ],
)
def test_beside_a_large_rulebook_only_the_likeliest_is_at_hand(
    ledger: Ledger,
    publish: Publish,
    versions: dict[str, Checked],
    monkeypatch: pytest.MonkeyPatch,
    ahead: dict[str, int],
    expected: str,
) -> None:
    publish("first")
    publish("third", at=later(**ahead))
    publishing.submit(ledger, versions["second"], author="ann", now=NOW)
    built: list[str] = []
    stored = stored_rulebook

    def counted(of: Ledger, rulebook_hash: str) -> Rulebook:
        built.append(rulebook_hash)
        return stored(of, rulebook_hash)

    monkeypatch.setattr("app.crd.published.stored_rulebook", counted)
    monkeypatch.setattr("app.crd.published.LARGE", 1000)
    keeper = PublishedKeeper(ledger, interval=0, clock=lambda: NOW)
    keeper.prepare()
    keeper.prepare()
    assert built == [versions["first"].rulebook.hash, versions[expected].rulebook.hash]


def test_a_rulebook_found_bad_beforehand_is_told_when_it_should_be_live(
    ledger: Ledger, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish("first")
    moment = [NOW]
    keeper = PublishedKeeper(ledger, interval=0, clock=lambda: moment[0])
    publish("second", at=later(minutes=1))
    monkeypatch.setattr("app.crd.replay.build", lambda _: build({}))
    keeper.refresh()
    keeper.prepare()
    assert keeper.rejected == (), "it is not live yet"
    moment[0] = later(minutes=1)
    assert not keeper.refresh()
    assert any("does not load" in words for words in keeper.rejected)
    monkeypatch.undo()
    publishing.roll_back(ledger, author="ann", approver="bob", why="broken", now=later(minutes=2))
    moment[0] = later(minutes=2)
    assert not keeper.refresh()
    assert keeper.rejected == (), "what runs is what is live"


def test_a_rulebook_that_does_not_load_stays_out(
    ledger: Ledger, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish("first")
    keeper = PublishedKeeper(ledger, interval=0, clock=lambda: NOW)
    publish("second")
    monkeypatch.setattr("app.crd.replay.build", lambda _: build({}))
    assert not keeper.refresh()
    assert any("does not load" in words for words in keeper.rejected)
    assert keeper.current.policies_about([("CPT", "72148")])[0].scope.title == "first"
    assert not keeper.refresh(), "nor is it tried again and again"


def test_nothing_published_yet(ledger: Ledger) -> None:
    with pytest.raises(RulebookError, match="signpost rules publish FOLDER"):
        PublishedKeeper(ledger, interval=0)
    with pytest.raises(RulebookError, match="none to roll back"):
        publishing.roll_back(ledger, author="ann", approver="bob", why="no", now=NOW)


@pytest.mark.parametrize(
    ("file", "before", "after", "words"),
    [
        ("policies/lumbar-mri.yaml", "pa: auth-needed", "pa: auth-neded", "policies/lumbar-mri.yaml:"),
        ("policies/lumbar-mri.yaml", ">= 4", ">= 2", "scenario mri-two-sessions: pa: expected"),
        ("scenarios/services-and-equipment.yaml", "scenarios:", "scenario:", "services-and-equipment.yaml"),
    ],
    ids=["an error", "a scenario that fails", "a scenario file that is wrong"],
)
def test_what_is_wrong_is_not_submitted(tmp_path: Path, file: str, before: str, after: str, words: str) -> None:
    rules = Path(shutil.copytree(ROOT / "rules", tmp_path / "rules"))
    path = rules / file
    path.write_text(path.read_text().replace(before, after))
    with pytest.raises(RulebookError, match=words):
        publishing.check(rules, ROOT / "questionnaires", rules / "members" / "roster.csv")


@pytest.mark.embedded  # it looks into a file of its own
def test_the_service_answers_with_what_is_published(
    publish: Publish, tmp_path: Path, versions: dict[str, Checked]
) -> None:
    """The invocation names the version, and one call is never between two."""
    publish("first")
    app = create_app(Settings(sandbox=True, data_dir=tmp_path, rules_from="published", rules_interval=0))
    ehr = EhrActions(app.test_client())
    for name in ("first", "second"):
        if name == "second":
            publish("second")
            assert app.extensions["rulebook"].refresh()
        assert ehr.sign(example("mri")).status == 200
        assert app.extensions["ledger"].recent(1)[0].rulebook_hash == versions[name].rulebook.hash
    assert app.extensions["ledger"].verify() == []
    app.extensions["ledger"].close()
