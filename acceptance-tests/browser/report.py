"""Opens a report in HTML in a real Chromium, as who gets it by mail: nothing is loaded from elsewhere, nothing is complained of, filters and keyboard
work, axe-core finds nothing, also in the dark and on paper, and names from outside are text. Prints what is wrong; SCREENSHOTS is a directory for
pictures."""

import os
import pathlib
import sys
import time

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

URL = pathlib.Path(sys.argv[1]).resolve().as_uri()
SCREENSHOTS = os.environ.get("SCREENSHOTS")
WRONG: list[str] = []

# What is wider than the window, and in nothing that scrolls by itself.
TOO_WIDE = """() => Array.from(document.querySelectorAll("body *")).filter((one) => {
  for (let above = one; above; above = above.parentElement) if (getComputedStyle(above).overflowX !== "visible") return false;
  return one.getBoundingClientRect().right > innerWidth + 1;
}).slice(0, 5).map((one) => `${one.tagName} ${one.className}: ${one.textContent.slice(0, 60)}`)"""


def check(holds: bool, what: str) -> None:
    if not holds:
        WRONG.append(what)


def picture(page: Page, name: str) -> None:
    if SCREENSHOTS:
        page.screenshot(path=f"{SCREENSHOTS}/{name}.png", full_page=False)


def opened(browser: Browser, **settings: object) -> Page:
    page = browser.new_context(viewport={"width": 1280, "height": 900}, **settings).new_page()
    page.on("request", lambda request: check(request.url.split("#")[0] == URL, f"it asks for {request.url}"))
    page.on("console", lambda message: check(message.type not in ("error", "warning"), f"the console says: {message.text}"))
    page.on("pageerror", lambda error: check(False, f"an error of the script: {error}"))
    page.goto(URL)
    return page


def accessible(page: Page, where: str) -> None:
    """axe-core is run by the debugger, whom the policy of the page does not bind."""
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]})
    for one in found.response["violations"]:
        places = ", ".join(str(node["target"]) for node in one["nodes"][:3])
        check(False, f"axe in {where}: {one['id']}: {one['help']} ({places})")


def focused(page: Page) -> str:
    return page.evaluate("document.activeElement.id || document.activeElement.className || document.activeElement.tagName")


def keyboard(page: Page) -> None:
    page.keyboard.press("Tab")
    check(focused(page) == "skip", f"the first stop of the keyboard is {focused(page)}")
    page.keyboard.press("Enter")
    check(page.url.endswith("#answers"), "the first link does not lead to the answers")
    finding = page.locator("details.finding").first
    if finding.count():
        finding.locator("summary").focus()
        page.keyboard.press("Enter")
        check(finding.evaluate("(one) => one.open"), "a finding does not open by the keyboard")
        page.keyboard.press("Enter")


def filters(page: Page) -> None:
    for bar in page.locator(".filters").all():
        rows = page.locator(f"#{bar.get_attribute('data-of')} [data-state]")
        total = rows.count()
        search = bar.locator("input[type=search]")
        check(bar.locator("label").first.inner_text().strip() != "", "a search has no label")
        search.fill("no row has these words")
        bar.locator("output", has_text=f"0 of {total} shown").wait_for(timeout=10_000)
        check(rows.locator("visible=true").count() == 0, "a search that fits nothing leaves rows")
        search.fill("")
        bar.locator("output", has_text=f"{total} of {total} shown").wait_for(timeout=10_000)
        for box in bar.locator("input[type=checkbox]").all():
            state = box.get_attribute("value")
            box.uncheck()
            left = page.locator(f"#{bar.get_attribute('data-of')} [data-state='{state}']").locator("visible=true")
            check(left.count() == 0, f"rows in state {state} stay")
            box.check()


def main() -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ["CHROMIUM"], args=["--no-sandbox"])
        light = opened(browser, color_scheme="light")
        picture(light, "light")
        keyboard(light)
        filters(light)
        accessible(light, "the light")
        check(light.evaluate("window.harm") is None, "a name has run as a script")
        check(light.locator("main img, main iframe, main object").count() == 0, "a name has become markup")
        if SCREENSHOTS:
            light.evaluate("document.querySelectorAll('details').forEach((one, at) => { one.open = at < 3; })")
            light.screenshot(path=f"{SCREENSHOTS}/whole.png", full_page=True)
        dark = opened(browser, color_scheme="dark")
        picture(dark, "dark")
        accessible(dark, "the dark")
        small = opened(browser, color_scheme="light")
        small.set_viewport_size({"width": 380, "height": 800})
        picture(small, "small")
        check(small.evaluate("document.documentElement.scrollWidth <= innerWidth + 1"), f"a small screen scrolls sideways: {small.evaluate(TOO_WIDE)}")
        paper = opened(browser)
        paper.emulate_media(media="print")
        picture(paper, "paper")
        check(paper.locator(".filters").locator("visible=true").count() == 0, "the filters are printed")
        plain = opened(browser, java_script_enabled=False)
        check(plain.locator("[data-state]").locator("visible=true").count() > 0, "without scripts there are no rows")
        check(plain.locator(".filters").locator("visible=true").count() == 0, "without scripts there are filters that do nothing")
        begun = time.monotonic()
        opened(browser).locator("footer").wait_for()
        print(f"opened in {time.monotonic() - begun:.2f} s")
        browser.close()
    if WRONG:
        print("\n".join(dict.fromkeys(WRONG)))
        sys.exit(1)


main()
