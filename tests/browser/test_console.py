"""The console in a real Chromium: the main path of each page, on a phone and in the dark, and what axe-core says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.console.accounts import SAMPLE_PASSWORD
from app.settings import ROOT
from tests.ehr_actions import EhrActions, example

AXE = ROOT / "tools" / "axe" / "dist" / "axe.min.js"


pytestmark = pytest.mark.embedded


@pytest.fixture(scope="module")
def answered(calls: EhrActions) -> str:
    """A few orders answered; the id of an answer about brand infliximab."""
    found: str = calls.sign(example("infusion")).parts()["coverage-assertion-id"][0]
    for name in ("self-injected", "mri", "self-injected"):
        calls.sign(example(name))
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


def test_search_why_and_figures(page: Any, address: str, answered: str, keep: Callable[[str], Path]) -> None:
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
    page.get_by_label("Id of an answer or call").fill(answered)
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
    page.emulate_media(color_scheme="dark")
    page.screenshot(path=keep("console-dark.png"))
    look_at(page)


def test_a_draft_from_a_wrong_cell_to_its_picture(
    page: Any, address: str, answered: str, keep: Callable[[str], Path]
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
    page.goto(page.url.partition("/rows")[0])
    assert page.get_by_text("would not get the answer they must get").is_visible(), "its scenarios say so"
    look_at(page)
    page.get_by_role("link", name="See what it would change").click()
    assert page.locator("svg[aria-label='Drugs that change benefit']").is_visible()
    page.screenshot(path=keep("console-effect.png"))
    look_at(page)


def test_cells_are_changed_where_they_stand(page: Any, address: str, keep: Callable[[str], Path]) -> None:
    """With the keyboard alone, as in a spreadsheet."""
    log_in(page, address, "ed")
    page.get_by_role("link", name="Drafts").click()
    page.get_by_label("What is to change").fill("Infliximab by infusion only")
    page.get_by_role("button", name="Begin a draft").click()
    page.get_by_role("link", name="Edit the routing table").click()
    page.get_by_label("Only rows with these words").fill("infliximab")
    page.get_by_role("button", name="Show").click()
    page.locator("#row-infliximab td[data-column=match_code]").focus()
    for key in ("ArrowRight", "Enter"):
        page.keyboard.press(key)
    page.keyboard.type("intravenously")
    page.keyboard.press("Enter")
    page.wait_for_selector("#said:has-text('Did you mean')")
    route = page.locator("#row-infliximab td[data-column=route]")
    assert "Did you mean 'intravenous'?" in route.inner_text(), "beside the cell"
    assert page.evaluate("document.activeElement.dataset.column") == "route", "where it is mended"
    page.screenshot(path=keep("console-table.png"))
    look_at(page)
    page.keyboard.press("F2")
    page.keyboard.press("Escape")
    assert "intravenously" in route.inner_text(), "left as it was"
    page.keyboard.type("intravenous")
    page.keyboard.press("Tab")
    page.wait_for_selector("#said:has-text('Nothing is wrong')")
    assert page.evaluate("document.activeElement.dataset.column") == "site_pos"
    page.keyboard.press("Shift+Tab")
    assert not page.evaluate("document.activeElement.dataset.column"), "Tab leaves the table"
    page.locator("#row-infliximab td[data-column=status]").click()
    page.locator("td.editing select").select_option("retired")
    page.get_by_role("heading", name="Routing table").click()
    page.wait_for_selector("#row-infliximab td[data-column=status].altered")
    assert "was approved" in page.locator("#row-infliximab").inner_text()
    other = page.context.new_page()
    other.goto(page.url)
    change_title(other, "Written in another window")
    change_title(page, "Written later")
    page.wait_for_selector("#said:has-text('Not kept')")
    assert "changed meanwhile" in page.locator("#said").inner_text()


def change_title(page: Any, title: str) -> None:
    page.locator("#row-infliximab td[data-column=title]").click()
    page.locator("td.editing input").fill(title)
    page.keyboard.press("Enter")
    page.wait_for_selector("#said:not(:empty)")


def test_on_a_phone_in_the_dark(chromium: Any, address: str, answered: str, keep: Callable[[str], Path]) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 800}, color_scheme="dark")
    page = context.new_page()
    log_in(page, address, "otto")
    for path in (
        "/?q=infliximab",
        "/rows/infliximab",
        f"/why/{answered}",
        "/publications",
        "/figures",
        "/reads",
        "/none",
    ):
        page.goto(f"{address}/console{path}")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 390, f"{path} is {wide} wide"
        if path.startswith("/why"):
            page.screenshot(path=keep("console-phone.png"))
        look_at(page)
    context.close()


def test_with_the_keyboard_alone(page: Any, address: str) -> None:
    page.goto(f"{address}/console/login")
    page.wait_for_selector("[name=name]:focus")
    page.keyboard.type("vera")
    page.keyboard.press("Tab")
    page.keyboard.type(SAMPLE_PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/")
    page.wait_for_selector("[name=q]:focus")
    page.keyboard.type("lumbar-mri")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=lumbar-mri**")
    assert page.get_by_role("heading", name="Policies").is_visible()


def test_published_rules_answer_in_the_sandbox_and_are_rolled_back(person: Any, address: str) -> None:
    """The main path of the console: edited by one, approved by another, answered with, and taken back."""
    ed, ann = person("ed"), person("ann")
    ward = person(None)
    before, after = "Self-injected with a pen, so the pharmacy benefit pays.", "The pen is for use at home."
    assert before in pen(ward, address)
    ed.get_by_role("link", name="Drafts").click()
    ed.get_by_label("What is to change").fill("Plainer words about pens")
    ed.get_by_role("button", name="Begin a draft").click()
    ed.get_by_role("link", name="Edit the routing table").click()
    ed.locator("#row-adalimumab a").click()
    ed.locator("#c-explanation_text").fill(after)
    ed.get_by_role("button", name="Keep the row").click()
    ed.get_by_role("link", name="Plainer words about pens").click()
    ed.get_by_label("Words for whoever approves it").fill("As asked by the pharmacists")
    ed.get_by_role("button", name="Submit for approval").click()
    assert ed.get_by_text("It waits for somebody else to approve it.").is_visible()
    assert before in pen(ward, address), "submitted is not live"
    approve(ann, address)
    assert after in pen(ward, address)
    ed.goto(f"{address}/console/publications")
    ed.locator("tr:has(.state-past) a").first.click()
    ed.get_by_label("Why these rules should be live again").fill("The words are too plain")
    ed.get_by_role("button", name="Ask to roll back to these").click()
    approve(ann, address)
    assert before in pen(ward, address)


def approve(page: Any, address: str) -> None:
    """Approve what waits, now."""
    page.goto(f"{address}/console/publications")
    page.locator("tr:has(.state-waiting) a").first.click()
    page.get_by_label("Words for the record").fill("Read and agreed")
    page.get_by_role("button", name="Approve").click()
    assert page.locator(".state-live").is_visible()


def pen(page: Any, address: str) -> str:
    """What the sandbox shows of a pen that is ordered and signed."""
    page.goto(f"{address}/sandbox")
    page.wait_for_selector("html[data-ready]")
    page.select_option("#order", "adalimumab")
    page.click("#order-form button[type=submit]")
    page.click("#sign")
    page.wait_for_selector(".time:has-text('order-sign-crd')")
    return str(page.locator("article.order").inner_text())


@pytest.fixture
def person(chromium: Any, address: str) -> Iterator[Callable[[str | None], Any]]:
    """A page of somebody who is logged in, in a browser of their own."""
    contexts = []

    def enter(name: str | None) -> Any:
        contexts.append(chromium.new_context(viewport={"width": 1100, "height": 900}))
        page = contexts[-1].new_page()
        page.set_default_timeout(15_000)
        if name is not None:
            log_in(page, address, name)
        return page

    yield enter
    for context in contexts:
        context.close()
