"""The sandbox EHR in a real browser: orders, hooks, cards, forms, the handoff, scenarios and one's own requests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app.settings import ROOT

pytestmark = pytest.mark.embedded

WITHIN = 15_000  # milliseconds, on a machine that does other things too


@pytest.fixture
def ehr(page: Any, address: str) -> Any:
    """The page, ready."""
    page.set_default_timeout(WITHIN)
    page.goto(f"{address}/sandbox")
    page.wait_for_selector("html[data-ready]")
    return page


def order(ehr: Any, patient: str, name: str, **said: str) -> None:
    """Choose a patient and an order, and wait for what the payer says at once."""
    if ehr.locator("#patient").input_value() != patient:
        ehr.select_option("#patient", patient)
    ehr.select_option("#order", name)
    for what, value in said.items():
        ehr.select_option(f"#{what}", value)
    ehr.click("#order-form button[type=submit]")
    ehr.wait_for_selector(".time:has-text('order-select-crd')")


def sign(ehr: Any) -> None:
    ehr.click("#sign")
    ehr.wait_for_selector(".time:has-text('order-sign-crd')")


def test_an_infusion_is_changed_as_the_card_proposes(ehr: Any, keep: Any) -> None:
    order(ehr, "robin", "infliximab")
    sign(ehr)
    answer = ehr.locator("article.order").inner_text()
    assert "prior authorization needed" in answer
    assert "medical benefit" in answer
    ehr.screenshot(path=keep("sandbox-infusion.png"), full_page=True)
    ehr.click("button:has-text('Order infliximab-dyyb')")
    ehr.wait_for_selector("#status:has-text('Accepted')")
    assert "infliximab-dyyb" in ehr.locator("#drafts").inner_text()
    sign(ehr)
    ehr.wait_for_selector("article.order:has-text('no authorization needed')")


def test_a_card_is_dismissed_and_the_payer_hears_of_it(ehr: Any, app: Flask) -> None:
    order(ehr, "robin", "infliximab")
    ehr.click("button:has-text('Dismiss')")
    ehr.wait_for_selector("#status:has-text('Dismissed')")
    assert [line.overridden for line in app.extensions["ledger"].feedback_report(None)] == [1]


def test_a_completed_form_betters_the_answer(ehr: Any, keep: Any) -> None:
    order(ehr, "max", "pump")
    sign(ehr)
    assert "authorization by the performer" in ehr.locator("article.order").inner_text()
    ehr.click("button:has-text('Open the form')")
    ehr.locator("#form-dialog").get_by_label("Drug in the pump").fill("insulin lispro")
    for question in ("trained to use the pump", "answers are true"):
        ehr.locator(f"#form-dialog fieldset:has(> legend:has-text('{question}'))").last.get_by_label("Yes").check()
    ehr.click("#form-dialog button[type=submit]")
    ehr.wait_for_selector("#form-dialog .wrong:has-text('Treatment so far')")  # asked for, and not answered
    ehr.locator("#form-dialog").get_by_label("Treatment so far").fill("Multiple daily injections for two years.")
    ehr.screenshot(path=keep("sandbox-form.png"))
    ehr.click("#form-dialog button[type=submit]")
    ehr.wait_for_selector("#status:has-text('The form is with the payer')")
    sign(ehr)
    ehr.wait_for_selector("article.order:has-text('no authorization needed')")


def test_what_was_found_is_marked_with_its_origin(ehr: Any, keep: Any) -> None:
    order(ehr, "robin", "infliximab")
    sign(ehr)
    ehr.click("button:has-text('Open the form')")
    ehr.wait_for_selector("#form-dialog .origin:has-text('filled in by the payer')")
    ehr.screenshot(path=keep("sandbox-prefilled.png"))


def test_a_pen_goes_to_the_pharmacy(ehr: Any, keep: Any) -> None:
    order(ehr, "robin", "adalimumab")
    sign(ehr)
    handoff = ehr.locator(".handoff").inner_text()
    assert "Meadowlark Pharmacy Services" in handoff
    assert "NCPDP SCRIPT" in handoff
    assert ehr.locator("button:has-text('Open the form')").count() == 0
    ehr.screenshot(path=keep("sandbox-pharmacy.png"), full_page=True)


def test_without_prefetch_the_payer_reads_with_the_token(ehr: Any) -> None:
    ehr.uncheck("#prefetch")
    order(ehr, "sam", "oxygen")
    sign(ehr)
    ehr.wait_for_selector("article.order:has-text('no authorization needed')")


def test_what_is_missing_is_said(ehr: Any) -> None:
    order(ehr, "robin", "ustekinumab", route="")
    sign(ehr)
    assert "benefit not settled" in ehr.locator("article.order").inner_text()


def test_several_orders_are_signed_together(ehr: Any) -> None:
    order(ehr, "robin", "infliximab-biosimilar")
    order(ehr, "robin", "pap")
    sign(ehr)
    assert ehr.locator("article.order").count() == 2


def test_signing_at_once_shows_the_answer_to_signing(ehr: Any) -> None:
    """The answer to choosing comes later than a person signs."""
    ehr.evaluate("""() => {
      const asked = window.fetch;
      window.fetch = async (...what) => {
        const answer = await asked(...what);
        if (String(what[0]).includes("order-select")) await new Promise((go) => setTimeout(go, 1500));
        return answer;
      };
    }""")
    ehr.select_option("#order", "adalimumab")
    ehr.click("#order-form button[type=submit]")
    ehr.click("#sign")
    ehr.wait_for_selector(".time:has-text('order-sign-crd')")
    ehr.wait_for_timeout(2000)
    assert ehr.locator(".time:has-text('order-sign-crd')").is_visible()
    assert ehr.locator("#status").inner_text() == "Answered."


def test_a_scenario_is_fired(ehr: Any, keep: Any) -> None:
    ehr.click("nav a[href='#scenario']")
    ehr.fill("#scenario-find", "mammography")
    ehr.click("#scenario-form button[type=submit]")
    ehr.wait_for_selector("article.order")
    assert not ehr.locator("#scenario-unlike").is_visible()
    ehr.screenshot(path=keep("sandbox-scenario.png"), full_page=True)
    ehr.fill("#scenario-find", "T50")
    assert "does not know the member" in ehr.locator("#scenario-unlike").inner_text()


def test_a_request_of_ones_own_is_fired(ehr: Any) -> None:
    ehr.click("nav a[href='#own']")
    ehr.fill("#own-text", (ROOT / "docs" / "examples" / "order-sign-mri.json").read_text())
    ehr.click("#own-form button[type=submit]")
    ehr.wait_for_selector("article.order:has-text('MRI of the lumbar spine')")
    ehr.click("summary:has-text('Response as it came')")
    told = json.loads(ehr.locator("pre[aria-label='Response as it came']").inner_text())
    assert told["systemActions"]
    for wrong, told in (("{", "not JSON"), ("null", "no CDS Hooks request"), ('{"hook": "none"}', "no CDS service")):
        ehr.fill("#own-text", wrong)
        ehr.click("#own-form button[type=submit]")
        ehr.wait_for_selector(f"#status:has-text('{told}')")


@pytest.mark.parametrize(
    ("name", "scheme", "width"), [("light", "light", 1100), ("dark", "dark", 1100), ("phone", "light", 390)]
)
def test_it_is_seen_in_every_light(ehr: Any, keep: Any, name: str, scheme: str, width: int) -> None:
    ehr.emulate_media(color_scheme=scheme)
    ehr.set_viewport_size({"width": width, "height": 844})
    order(ehr, "alex", "infliximab")
    sign(ehr)
    assert ehr.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "it scrolls sideways"
    ehr.screenshot(path=keep(f"sandbox-{name}.png"), full_page=True)


AXE = ROOT / "tools" / "axe" / "dist" / "axe.min.js"


def test_nothing_serious_stands_in_the_way_of_a_screen_reader(ehr: Any, chromium: Any, address: str) -> None:
    if not Path(AXE).is_file():
        pytest.skip("axe-core is not there: tools/axe/fetch")
    opened = chromium.new_context(bypass_csp=True).new_page()  # the page forbids scripts of others, which axe is
    opened.set_default_timeout(WITHIN)
    opened.goto(f"{address}/sandbox")
    opened.wait_for_selector("html[data-ready]")
    order(opened, "robin", "infliximab")
    sign(opened)
    opened.add_script_tag(path=str(AXE))
    for scheme in ("light", "dark"):
        opened.emulate_media(color_scheme=scheme)
        found = opened.evaluate("async () => (await axe.run()).violations")
        assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []
    opened.context.close()
