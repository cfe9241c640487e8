"""The console in a real Chromium: the main path of each page, on a phone and in the dark, and what axe-core says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app.console.accounts import SAMPLE_PASSWORD
from app.settings import ROOT
from tests.ehr_actions import EhrActions, example

AXE = ROOT / "tools" / "axe" / "dist" / "axe.min.js"


@pytest.fixture
def calls(ehr: EhrActions) -> str:
    """A few orders answered; the id of an answer about brand infliximab."""
    found: str = ehr.sign(example("infusion")).parts()["coverage-assertion-id"][0]
    for name in ("self-injected", "mri", "self-injected"):
        ehr.sign(example(name))
    return found


def log_in(page: Any, address: str, name: str) -> None:
    page.goto(f"{address}/console/login")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(SAMPLE_PASSWORD)
    page.get_by_role("button", name="Log in").click()


def look_at(page: Any) -> None:
    """What axe-core finds serious fails the test."""
    if not AXE.exists():
        pytest.skip("axe-core is not there: tools/axe/fetch")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run().then(found => found.violations)")
    serious = [
        (each["id"], [node["html"][:160] for node in each["nodes"][:3]])
        for each in found
        if each["impact"] in ("serious", "critical")
    ]
    assert serious == [], page.url


def test_search_why_and_figures(page: Any, app: Flask, address: str, calls: str, keep: Callable[[str], Path]) -> None:
    log_in(page, address, "ed")
    page.get_by_label("Drug, code, policy or words").fill("J1745")
    page.get_by_role("button", name="Search").click()
    assert page.get_by_role("link", name="Infliximab and biosimilars, infusion").is_visible()
    page.screenshot(path=keep("console-search.png"))
    look_at(page)
    page.get_by_role("link", name="Infliximab and biosimilars, infusion").click()
    assert page.get_by_text("pharmacy.director").is_visible()
    look_at(page)
    page.get_by_role("link", name="Why").click()
    page.get_by_label("Id of an answer or call").fill(calls)
    page.get_by_role("button", name="Find").click()
    assert page.get_by_text("the same, byte for byte").is_visible()
    page.screenshot(path=keep("console-why.png"), full_page=False)
    page.get_by_label("plan").select_option("silver-hmo (commercial)")
    page.get_by_role("button", name="See the answer").click()
    assert page.locator("#suppose .track-pharmacy").is_visible()
    look_at(page)
    page.get_by_role("link", name="Figures").click()
    page.screenshot(path=keep("console-figures.png"))
    look_at(page)


def test_a_draft_from_a_wrong_cell_to_its_picture(
    page: Any, app: Flask, address: str, calls: str, keep: Callable[[str], Path]
) -> None:
    log_in(page, address, "ed")
    page.get_by_role("link", name="Drafts").click()
    page.get_by_label("What is to change").fill("Infliximab moves to the pharmacy benefit")
    page.get_by_role("button", name="Begin a draft").click()
    page.get_by_role("link", name="Edit the routing table").click()
    page.get_by_label("Only rows with these words").fill("infliximab")
    page.get_by_role("button", name="Show").click()
    page.locator("#row-infliximab a").click()
    page.locator("#c-route").fill("intravenously")
    page.get_by_role("button", name="Keep the row").click()
    page.locator("#row-infliximab a").click()
    assert "Did you mean 'intravenous'?" in page.locator("#h-route").inner_text()
    look_at(page)
    page.locator("#c-route").fill("intravenous")
    page.locator("#c-track").select_option("pharmacy")
    page.locator("#c-handoff").fill("meadowlark-rx")
    page.get_by_role("button", name="Keep the row").click()
    page.goto(page.url.partition("/rows")[0] + "/effect")
    assert page.locator("svg[aria-label='Drugs that change benefit']").is_visible()
    page.screenshot(path=keep("console-effect.png"))
    look_at(page)


def test_on_a_phone_in_the_dark(chromium: Any, address: str, calls: str) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 800}, color_scheme="dark")
    page = context.new_page()
    log_in(page, address, "otto")
    for path in ("/?q=infliximab", "/rows/infliximab", f"/why/{calls}", "/publications", "/figures", "/reads"):
        page.goto(f"{address}/console{path}")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 390, f"{path} is {wide} wide"
        look_at(page)
    context.close()


def test_with_the_keyboard_alone(page: Any, address: str) -> None:
    page.goto(f"{address}/console/login")
    page.keyboard.type("vera")
    page.keyboard.press("Tab")
    page.keyboard.type(SAMPLE_PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/")
    page.keyboard.type("lumbar-mri")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=lumbar-mri**")
    assert page.get_by_role("heading", name="Policies").is_visible()
