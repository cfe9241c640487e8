"""A past answer comes out byte for byte, whatever changed since; or it is said exactly what is no longer there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask

from app import create_app
from app.cli import main
from app.crd.basis import RememberedReads, _covers
from app.crd.replay import PastCall, replay, stored_rulebook
from app.errors import ReplayError
from app.fhir.ehr import Read, Search
from app.ledger import Ledger, RulebookRecord, StoredInvocation
from app.settings import ROOT, Settings
from tests.ehr_actions import EhrActions, example, order_of, with_orders
from tests.fhir.ehr_server import EhrServer
from tests.web.test_ehr_reads import fhir as fhir  # noqa: PLC0414  # a fixture
from tests.web.test_ehr_reads import live, serve_record
from tests.web.test_standing import assertion


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    shutil.copytree(ROOT / "rules", tmp_path / "rules")
    return Settings(sandbox=True, data_dir=tmp_path / "data", rules=tmp_path / "rules", rules_interval=0)


def newest(app: Flask) -> StoredInvocation:
    found: StoredInvocation = app.extensions["ledger"].recent(1)[0]
    return found


def several(ehr: EhrActions) -> None:
    both = with_orders(example("infusion"), order_of(example("infusion")), order_of(example("mri")))
    both["prefetch"]["procedures"] = example("mri")["prefetch"]["procedures"]
    ehr.sign(both)


def selected_then_signed(ehr: EhrActions) -> None:
    """Signing leaves out the cards that selecting showed."""
    request = example("mri")
    first = ehr.select(request, f"ServiceRequest/{order_of(request)['id']}")
    assert first.json["cards"]
    assert ehr.sign(request).json["cards"] == []


def signed_twice(ehr: EhrActions) -> None:
    """The second answer is the first, given again."""
    assert assertion(ehr.sign(example("infusion"))) == assertion(ehr.sign(example("infusion")))


def signed_then_changed(ehr: EhrActions) -> None:
    """The second answer takes the place of the first."""
    ehr.sign(example("infusion"))
    request = example("infusion")
    order_of(request)["dosageInstruction"].append({"text": "twice"})
    ehr.sign(request)


def unknown_member(ehr: EhrActions) -> None:
    request = example("infusion")
    request["prefetch"]["coverage"]["entry"][0]["resource"]["subscriberId"] = "nobody"
    ehr.sign(request)


def in_crd_2_0(ehr: EhrActions) -> None:
    ehr.sign({**example("infusion"), "extension": {"davinci-crd.requestedVersion": "2.0"}})


@pytest.mark.parametrize(
    "calls",
    [several, selected_then_signed, signed_twice, signed_then_changed, unknown_member, in_crd_2_0],
    ids=lambda calls: calls.__name__,
)
def test_every_answer_of_a_session_comes_out_again(
    app: Flask, ehr: EhrActions, settings: Settings, calls: Callable[[EhrActions], None]
) -> None:
    """Also after the roster is gone, the rules have changed and the same orders were answered again."""
    calls(ehr)
    ledger: Ledger = app.extensions["ledger"]
    told = ledger.recent(10)
    for path in (settings.rules / "members").iterdir():
        path.unlink()
    (settings.rules / "payer.yaml").write_text("payer: gone", encoding="utf-8")
    signed_twice(ehr)
    for call in told:
        replayed = replay(ledger, call.invocation_id)
        assert replayed.differences == ()
        assert replayed.same
    assert ledger.verify() == []


def test_what_the_ehr_said_is_remembered(app: Flask, ehr: EhrActions, fhir: EhrServer) -> None:  # noqa: F811
    """Records read during the call, and one that could not be read."""
    request = live(fhir, "mri")
    serve_record(fhir, example("mri"))
    fhir.on["/Procedure"] = 500
    ehr.sign(request)
    fhir.on.clear()
    replayed = replay(app.extensions["ledger"], newest(app).invocation_id)
    assert replayed.same
    (decided,) = replayed.decided[0]
    assert any(
        "procedures could not be read" in words for case in decided.determination.tried for words in case.lacking
    )


def test_an_assertion_names_its_call(app: Flask, ehr: EhrActions) -> None:
    given = assertion(ehr.sign(example("infusion")))
    replayed = replay(app.extensions["ledger"], given)
    assert (replayed.call.invocation_id, replayed.honoured) == (newest(app).invocation_id, ())
    ehr.sign(example("infusion"))
    assert replay(app.extensions["ledger"], newest(app).invocation_id).honoured == (given,)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"status": 422}, "refused"),
        ({"request": None}, "too large"),
        ({"basis": None}, "did not keep"),
        ({"basis": None, "hook": "routing"}, "asked which benefit pays"),
        ({"basis": b'{"options": 1}'}, "another form"),
    ],
)
def test_what_was_not_kept_is_said(app: Flask, ehr: EhrActions, changed: dict[str, Any], words: str) -> None:
    ehr.sign(example("infusion"))
    ledger: Ledger = app.extensions["ledger"]
    call = newest(app)
    rulebook = stored_rulebook(ledger, call.rulebook_hash)
    with pytest.raises(ReplayError, match=words):
        PastCall(replace(call, **changed), rulebook, ledger.assertion)


def test_an_earlier_answer_that_is_gone_is_said(app: Flask, ehr: EhrActions) -> None:
    signed_twice(ehr)
    ledger: Ledger = app.extensions["ledger"]
    past = PastCall(newest(app), stored_rulebook(ledger, newest(app).rulebook_hash), lambda _: None)
    with pytest.raises(ReplayError, match="which this call took into account, is no longer there"):
        past.answer()


def test_a_call_that_would_be_refused_now_is_said(app: Flask, ehr: EhrActions) -> None:
    ehr.sign(example("infusion"))
    ledger: Ledger = app.extensions["ledger"]
    call = replace(newest(app), request=b"{}")
    with pytest.raises(ReplayError, match="would be refused now"):
        PastCall(call, stored_rulebook(ledger, call.rulebook_hash), ledger.assertion).decide()


class Kept:
    """A ledger that kept one rulebook."""

    def __init__(self, record: RulebookRecord | None) -> None:
        self._record = record

    def rulebook(self, _: str) -> RulebookRecord | None:
        return self._record


@pytest.mark.parametrize(
    ("files", "words"),
    [(None, "is not in the ledger"), (b"[]", "cannot be read"), (b"{}", "does not load"), (b"altered", "not those")],
)
def test_a_rulebook_that_is_gone_is_said(app: Flask, ehr: EhrActions, files: bytes | None, words: str) -> None:
    ehr.sign(example("infusion"))
    record = app.extensions["ledger"].rulebook(newest(app).rulebook_hash)
    if files == b"altered":
        texts = json.loads(record.files)
        files = json.dumps({**texts, "payer.yaml": texts["payer.yaml"] + "# altered\n"}).encode()
    kept = Kept(replace(record, files=files) if files is not None else None)
    with pytest.raises(ReplayError, match=words):
        stored_rulebook(kept, record.hash)  # type: ignore[arg-type]


@pytest.fixture
def ledger_folder(settings: Settings) -> Iterator[tuple[str, EhrActions, Flask]]:
    app = create_app(settings)
    yield str(settings.data_dir), EhrActions(app.test_client()), app
    app.extensions["ledger"].close()


def test_the_command(ledger_folder: tuple[str, EhrActions, Flask], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, ehr, app = ledger_folder
    given = assertion(ehr.sign(example("infusion")))
    ehr.sign(example("infusion"))
    again = newest(app).invocation_id
    for answer_id in (given, again):
        result = CliRunner().invoke(main, ["replay", answer_id, "--data-dir", folder])
        assert result.exit_code == 0, result.output
        assert "The same answer, byte for byte" in result.output
    assert f"Given again {given}" in result.output
    told = CliRunner().invoke(main, ["replay", given, "--data-dir", folder, "--response"]).output
    assert '"systemActions"' in told
    unknown = CliRunner().invoke(main, ["replay", "nothing", "--data-dir", folder])
    assert (unknown.exit_code, "no call has that id" in unknown.output) == (2, True)

    monkeypatch.setattr("app.crd.replay.PROGRAM", "0.0")
    monkeypatch.setattr("app.crd.respond.encode", lambda value: json.dumps({**value, "more": 1}, default=str).encode())
    other = CliRunner().invoke(main, ["replay", given, "--data-dir", folder])
    assert other.exit_code == 1
    assert "more: nothing then, 1 now" in other.output
    assert "this is 0.0" in other.output


@pytest.mark.parametrize(
    ("asked", "wanted", "covers"),
    [
        (("patient", "p1"), (("patient", "p1"), ("code", "a|1")), True),
        (("code", "a|1,a|2"), (("code", "a|2"),), True),
        (("code", "a|1"), (("code", "a|1,a|2"),), False),
        (("code", "a|1"), (), False),
        (("patient", "p1"), (("patient", "p2"),), False),
    ],
)
def test_a_wider_search_of_then_answers_a_narrower_one(
    asked: tuple[str, str], wanted: tuple[tuple[str, str], ...], covers: bool
) -> None:
    assert _covers(Search("Condition", (asked,)), Search("Condition", wanted)) is covers
    assert not _covers(Search("Procedure", (asked,)), Search("Condition", wanted))


def test_what_was_never_asked_is_unknown() -> None:
    reads = RememberedReads(None)
    found = reads.fetch([Read("Patient", "p1")])
    assert not found[Read("Patient", "p1")].complete
    assert reads.unread == ["Patient"]
