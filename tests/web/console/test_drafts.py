"""From an edit in the browser to live rules and back: checked, seen as a picture, approved by a second person."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from flask import Flask
from pydantic import SecretStr

from app import create_app
from app.crd import publishing
from app.crd.publishing import Checked
from app.encryption import Encryption
from app.ledger import Ledger
from app.rulebook.rulebook import Rulebook
from app.settings import Settings
from tests.ehr_actions import EhrActions, example
from tests.web.console.conftest import Person

ROW = "infliximab"


@pytest.fixture(scope="module")
def app(
    request: pytest.FixtureRequest, sample_rulebook: Rulebook, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Flask]:
    """A service that answers with what is published: the sample rules. One for all tests, since it takes its time."""
    settings = Settings(
        sandbox=True, data_dir=tmp_path_factory.mktemp("published"), rules_interval=0, rules_from="published"
    )
    if request.config.getoption("--servers"):
        server = request.getfixturevalue("postgresql")
        server.sql("CREATE DATABASE drafts TEMPLATE template")
        key = SecretStr(base64.b64encode(bytes(32)).decode())
        settings = settings.model_copy(update={"database_url": server.url("drafts"), "encryption_keys": (key,)})
    ledger = Ledger.open(settings.ledger_url, Encryption.of_settings(settings))
    checked = Checked(sample_rulebook, "as delivered")
    publishing.publish(ledger, checked, author="ed", approver="ann", now=datetime.now(UTC))
    ledger.close()
    app = create_app(settings)
    yield app
    app.extensions["ledger"].close()
    app.extensions["state"].close()


@pytest.fixture(scope="module")
def ed(app: Flask) -> Person:
    person = Person(app.test_client())
    person.log_in("ed")
    return person


@pytest.fixture(scope="module")
def ann(app: Flask) -> Person:
    person = Person(app.test_client())
    person.log_in("ann")
    return person


@pytest.fixture
def draft(ed: Person) -> str:
    """The path of a new draft."""
    page = ed.post("/drafts", title="Change something")
    return page.request.path.removeprefix("/console")


def row_fields(ed: Person, draft: str, rule_id: str) -> dict[str, str]:
    """What the form of a row would send."""
    text = ed.get(f"{draft}/row", rule_id=rule_id).text
    version = re.search(r'name="version" value="(\d+)"', text)
    assert version is not None
    return {"version": version[1], "was": rule_id, "do": "keep"}


def test_a_wrong_cell_is_told_beside_it(ed: Person, draft: str) -> None:
    kept = ed.post(f"{draft}/row", **row_fields(ed, draft, ROW), route="intravenously", effective_from="soon")
    assert kept.status_code == 200
    assert "2 cells or rows are wrong" in kept.text
    form = ed.get(f"{draft}/row", rule_id=ROW).text
    beside = form.partition('id="h-route">')[2].partition("</p>")[0]
    assert "Did you mean &#39;intravenous&#39;?" in beside
    assert 'name="route" value="intravenously" aria-describedby="h-route" aria-invalid="true"' in form
    assert "It does not load" in ed.get(draft).text
    assert ed.post(f"{draft}/submit").status_code == 400
    assert ed.get(f"{draft}/effect").status_code == 400


def test_the_table_keeps_what_is_shown(ed: Person, draft: str) -> None:
    view = {"q": "infliximab", "columns": "for-whom"}
    kept = ed.post(f"{draft}/row", **row_fields(ed, draft, ROW), **view, title="Another", age_min="old")
    assert dict(kept.request.args) == {**view, "with": ROW}
    row = kept.text.partition(f'id="row-{ROW}"')[2].partition("</tr>")[0]
    assert "Another" not in row, "its column is not shown"
    assert '<td data-column="age_min" class="faulty"><span class="text">old</span><span class="was">was empty' in row
    assert 'id="row-adalimumab"' not in kept.text
    assert "Another" in ed.get(f"{draft}/rows", columns="all").text


def test_a_wrong_line_is_told_beside_it(ed: Person, draft: str) -> None:
    path = "policies/infliximab.yaml"
    page = ed.get(f"{draft}/file", path=path).text
    text = page.partition("data-source")[2].partition(">\n")[2].partition("</textarea>")[0]
    text = text.replace("&#39;", "'").replace("&#34;", '"').replace("&gt;", ">")
    wrong = text.replace("covered: covered", "covered: perhaps", 1)
    told = ed.post(f"{draft}/file", path=path, text=wrong.replace("\n", "\r\n"), version="1", do="keep").text
    line = wrong[: wrong.index("perhaps")].count("\n") + 1
    assert f'<span id="L{line}" class="faulty">' in told
    fixed = ed.post(f"{draft}/file", path=path, text=text.replace("\n", "\r\n"), version="2", do="keep").text
    assert "Nothing is wrong with this file." in fixed
    assert "Nothing yet." in ed.get(draft).text, "CR LF of browsers is no change"


def test_scenarios_are_changed_with_the_rules_they_hold(app: Flask, ed: Person, ann: Person, draft: str) -> None:
    """One that does not hold is told of, stops the submission, and goes with the rules when it is mended."""
    ed.post(f"{draft}/row", **row_fields(ed, draft, ROW), title="Renamed")
    path = "scenarios/of-the-draft.yaml"
    scenario = """scenarios:
  - id: draft-mri
    title: a plain film
    on: 2026-06-01
    member: {line: commercial, plan: gold-ppo}
    order: {type: ServiceRequest, codes: [CPT 72148]}
    expect: {covered: not-covered}
"""
    told = ed.post(f"{draft}/file", path=path, text=scenario, version="2", do="keep").text
    assert '<span id="L2" class="faulty">' in told
    assert "draft-mri does not hold" in told
    assert re.search(r"1 of \d+ scenarios would not get the answer they must get", ed.get(draft).text)
    assert ed.post(f"{draft}/submit").status_code == 400
    ed.post(f"{draft}/file", path=path, text=scenario.replace("not-covered", "covered"), version="3", do="keep")
    assert re.search(r"All \d+ scenarios hold", ed.get(draft).text)
    number = ed.post(f"{draft}/submit").request.path.rpartition("/")[2]
    ann.post(f"/publications/{number}/approve")
    client = app.test_client()
    assert client.get("/sandbox/scenarios/draft-mri").status_code == 200, "it is a demo order now"
    later = ed.post("/drafts", title="Later").request.path.removeprefix("/console")
    assert "a plain film" in ed.get(later).text
    ed.post(f"{later}/file", path=path, do="remove", version="1")
    assert "No rule is changed" in ed.post(f"{later}/submit").text


def test_what_needs_authorization_is_drawn(ed: Person, draft: str) -> None:
    ed.post(f"{draft}/row", **row_fields(ed, draft, "adalimumab"), pa="no")
    picture = ed.get(f"{draft}/effect").text
    drawn = picture.partition('aria-label="Drugs and services whose authorization changes"')[2].partition("</svg>")[0]
    assert "needed to not needed: 1" in drawn


def test_from_draft_to_live_and_back(app: Flask, ed: Person, ann: Person, draft: str) -> None:
    ehr = EhrActions(app.test_client())
    before = ehr.sign(example("infusion")).parts()["reason"]
    path = "policies/infliximab.yaml"
    text = app.extensions["rulebook"].current.files[path].replace("before brand infliximab", "first")
    ed.post(f"{draft}/file", path=path, text=text, version="1", do="keep")
    page = ed.get(draft).text
    assert "It does not load" not in page
    assert "biosimilar has to be tried first" in page
    picture = ed.get(f"{draft}/effect").text
    assert "<strong>1</strong> past call, <strong>1</strong> order of" in picture
    submitted = ed.post(f"{draft}/submit", note="As the committee decided")
    assert "It waits for somebody else" in submitted.text, submitted.text
    number = submitted.request.path.rpartition("/")[2]
    assert ed.get(draft).status_code == 404, "the draft became a submission"
    assert ed.post(f"/publications/{number}/approve").status_code == 403
    assert ehr.sign(example("infusion")).parts()["reason"] == before
    assert "live" in ann.post(f"/publications/{number}/approve", note="Seen").text
    after = ehr.sign(example("infusion")).parts()["reason"]
    assert "biosimilar has to be tried first" in str(after)
    policy = ed.get("/files/policies/infliximab").text
    assert "by ed, approved by ann: Seen" in policy
    assert "biosimilar has to be tried first" in policy.partition("What changed")[2]
    first = next(each.act.number for each in publishing.history(app.extensions["ledger"], datetime.now(UTC))[::-1][1:2])
    assert ed.post(f"/publications/{first}/again", why="").status_code == 400
    asked = ed.post(f"/publications/{first}/again", why="A mistake").request.path.rpartition("/")[2]
    ann.post(f"/publications/{asked}/approve")
    assert ehr.sign(example("infusion")).parts()["reason"] == before
    history = ed.get("/publications").text
    assert f"Roll back to number {first}: A mistake" in history
    assert app.extensions["ledger"].verify() == []


def test_scheduled_and_withdrawn(ed: Person, ann: Person, draft: str) -> None:
    ed.post(f"{draft}/row", **row_fields(ed, draft, ROW), title="Later")
    number = ed.post(f"{draft}/submit").request.path.rpartition("/")[2]
    assert ann.post(f"/publications/{number}/approve", at="2020-01-01T00:00").status_code == 400
    coming = ann.post(f"/publications/{number}/approve", at="2999-01-01T00:00")
    assert "state-scheduled" in coming.text
    assert "Later" not in ed.get(f"/rows/{ROW}").text.partition("<section><h2>History")[0]
    approved = coming.request.path.rpartition("/")[2]
    ann.post(f"/publications/{approved}/withdraw", why="No longer")
    assert "state-withdrawn" in ann.get(f"/publications/{approved}").text


def test_nobody_approves_their_own_rules(app: Flask, draft: str, ed: Person) -> None:
    app.extensions["console"].accounts._others.put("kim", frozenset({"editor", "approver"}), "a long password")
    kim = Person(app.test_client())
    kim.log_in("kim", "a long password")
    own = kim.post("/drafts", title="My own").request.path.removeprefix("/console")
    kim.post(f"{own}/row", **row_fields(kim, own, ROW), title="Mine")
    number = kim.post(f"{own}/submit").request.path.rpartition("/")[2]
    refused = kim.post(f"/publications/{number}/approve")
    assert (refused.status_code, "Another person has to" in refused.text) == (400, True)
    assert kim.post(f"{draft}/row", **row_fields(kim, draft, ROW), title="Not mine").status_code == 400
    assert kim.post(f"{draft}/delete").status_code == 400
    assert kim.post(f"{draft}/submit").status_code == 400


def test_rows_added_and_taken_out(ed: Person, draft: str) -> None:
    form = ed.get(f"{draft}/row", like=ROW).text
    assert 'name="rule_id" value=""' in form
    assert ed.post(f"{draft}/row", version="1", was="", do="keep", rule_id=ROW).status_code == 400, "it is there"
    ed.post(f"{draft}/row", version="1", was="", do="keep", rule_id="new-row", title="New")
    assert "new-row" in ed.get(f"{draft}/rows", q="new-row").text
    gone = ed.post(f"{draft}/row", version="2", was="new-row", do="remove")
    assert 'id="row-new-row"' not in gone.text
    assert ed.get(f"{draft}/row", rule_id="new-row").status_code == 404


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"path": "../payer.yaml", "text": "x", "version": "1"}, "no file of the rules"),
        ({"path": "policies/UPPER.yaml", "text": "x", "version": "1"}, "no file of the rules"),
        ({"path": "payer.yaml", "do": "remove", "version": "1"}, "no rules without"),
        ({"path": "policies/new.yaml", "text": "x", "version": "9"}, "changed meanwhile"),
        ({"path": "policies/new.yaml", "text": "x"}, "not whole"),
    ],
)
def test_what_a_draft_refuses(ed: Person, draft: str, fields: dict[str, str], said: str) -> None:
    refused = ed.post(f"{draft}/file", **fields)
    assert (refused.status_code, said in refused.text) == (400, True)


def test_a_draft_behind_the_live_rules_is_put_on_them(app: Flask, ed: Person, ann: Person, draft: str) -> None:
    other = ed.post("/drafts", title="Overtakes").request.path.removeprefix("/console")
    ed.post(f"{other}/row", **row_fields(ed, other, ROW), title="Overtaken")
    ann.post(f"/publications/{ed.post(f'{other}/submit').request.path.rpartition('/')[2]}/approve")
    text = "system,code,display\nHCPCS,J1745,infliximab\n"
    ed.post(f"{draft}/file", path="lists/spare.csv", text=text, version="1", do="keep")
    assert "The live rules have changed since." in ed.get(draft).text
    assert ed.post(f"{draft}/submit").status_code == 400
    assert "The live rules have changed since." not in ed.post(f"{draft}/rebase").text
    ed.post(f"{draft}/delete")
    assert ed.get(draft).status_code == 404
    assert ed.post("/drafts", title=" ").status_code == 400
