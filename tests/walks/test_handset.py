"""The handset page, driven as a person would drive it: in Debian's Chromium, by clicks and by keyboard."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.channels.test_sandbox import PHONE, USSD, Gateway, Heard, Running, a_running_operator, until
from tests.chromium import chromium_path, must_run

pytestmark = pytest.mark.browser

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)
WELCOME = "مرحبا بكم في السجل الاجتماعي الموحد\n1. العربية\n2. Français"
MENU = "1. مؤشر أسرتي\n2. طلب مراجعة\n3. شكاية\n0. رجوع"
FAREWELL = "شكرا لكم"
SMS = "السجل الاجتماعي الموحد: تم احتساب مؤشر أسرتكم. للاستفسار اتصلوا بالرقم المعروف."


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, or a skipped test; with CI=true it must be there."""
    path = chromium_path()
    if path is None:
        (pytest.fail if must_run() else pytest.skip)("no Chromium (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def running() -> Iterator[Running]:
    with a_running_operator() as running:
        running.gateway.answer = arabic_service
        yield running


@pytest.fixture
def handset(browser: Browser, running: Running) -> Iterator[Page]:
    with open_handset(browser, running.url, PHONE) as page:
        yield page


class open_handset:  # noqa: N801
    """A handset's page in a window of its own. Any error in its console fails the test."""

    def __init__(self, browser: Browser, operator_url: str, msisdn: str) -> None:
        self.errors: list[str] = []
        self.page = browser.new_page(viewport={"width": 440, "height": 960}, device_scale_factor=2)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda line: line.type == "error" and self.errors.append(line.text))
        self.page.goto(f"{operator_url}/handset/{msisdn}")

    def __enter__(self) -> Page:
        return self.page

    def __exit__(self, *_: object) -> None:
        self.page.close()
        assert self.errors == []


def arabic_service(heard: Heard) -> tuple[str, int]:
    """A gateway that welcomes, shows a menu, and says goodbye."""
    if heard.path != USSD:
        return "", 200
    screens = {"": f"CON {WELCOME}", "1": f"CON {MENU}"}
    return screens.get(heard.form["text"], f"END {FAREWELL}"), 200


def press(page: Page, keys: str) -> None:
    """Press keys of the handset's own dial pad."""
    for key in keys:
        page.get_by_role("button", name=key, exact=True).click()


def dial(page: Page, code: str) -> None:
    press(page, code)
    page.locator("#call").click()


def answer(page: Page, keys: str) -> None:
    press(page, keys)
    page.locator("#send").click()


def screen(page: Page) -> Locator:
    """The text of the USSD session."""
    return page.locator("#ussd")


def direction(element: Locator) -> str:
    return element.evaluate("element => getComputedStyle(element).direction")


def typed(gateway: Gateway) -> list[str]:
    return [turn["text"] for turn in gateway.heard(USSD)]


def test_a_text_appears_in_the_inbox_by_itself_and_reads_from_right_to_left(handset, running):
    expect(handset.locator("#empty")).to_be_visible()
    running.send(body=SMS)
    text = handset.locator("#inbox li p")
    expect(text).to_have_text(SMS)
    expect(text).to_have_attribute("lang", "ar-MA")
    assert direction(text) == "rtl"
    expect(handset.locator("#inbox bdi")).to_have_text("RSU")
    expect(handset.locator("#inbox time")).to_have_text(re.compile(r"^[0-9/ :à,]+$"))
    expect(handset.locator("#empty")).to_be_hidden()


def test_the_newest_text_is_on_top_and_french_reads_from_left_to_right(handset, running):
    running.send(body=SMS)
    expect(handset.locator("#inbox li")).to_have_count(1)
    running.send(body="Registre social unifié")
    texts = handset.locator("#inbox li p")
    expect(texts).to_have_text(["Registre social unifié", SMS])
    assert [direction(text) for text in texts.all()] == ["ltr", "rtl"]


def test_a_text_is_shown_as_text_whatever_it_holds(handset, running):
    running.send(body="<img src=x onerror=alert(1)>")
    expect(handset.locator("#inbox li p")).to_have_text("<img src=x onerror=alert(1)>")
    expect(handset.locator("#inbox img")).to_have_count(0)


def test_a_session_by_clicking_keys(handset, running):
    dial(handset, "*580#")
    expect(screen(handset)).to_have_text(WELCOME, use_inner_text=True)
    expect(screen(handset)).to_have_attribute("lang", "ar-MA")
    assert direction(screen(handset)) == "rtl"
    answer(handset, "1")
    expect(screen(handset)).to_have_text(MENU, use_inner_text=True)
    answer(handset, "2")
    expect(screen(handset)).to_have_text(FAREWELL)
    expect(handset.locator("#typed")).to_be_hidden()
    handset.locator("#close").click()
    expect(handset.locator("#session")).to_be_hidden()
    assert typed(running.gateway) == ["", "1", "1*2"]


def test_a_session_by_keyboard_alone(handset, running):
    handset.keyboard.type("*580#")
    handset.keyboard.press("Enter")
    expect(screen(handset)).to_have_text(WELCOME, use_inner_text=True)
    expect(handset.locator("#typed")).to_be_focused()
    handset.keyboard.type("12")
    handset.keyboard.press("Backspace")
    handset.keyboard.press("Enter")
    expect(screen(handset)).to_have_text(MENU, use_inner_text=True)
    expect(handset.locator("#typed")).to_be_focused()
    handset.keyboard.type("3")
    handset.keyboard.press("Enter")
    expect(screen(handset)).to_have_text(FAREWELL)
    expect(handset.locator("#close")).to_be_focused()
    handset.keyboard.press("Enter")
    expect(handset.locator("#session")).to_be_hidden()
    expect(handset.locator("#number")).to_be_focused()
    assert typed(running.gateway) == ["", "1", "1*3"]


@pytest.mark.parametrize("way", ["click", "Escape"])
def test_hanging_up_ends_the_session_and_frees_the_line(handset, running, way):
    dial(handset, "*580#")
    expect(screen(handset)).to_have_text(WELCOME, use_inner_text=True)
    if way == "click":
        handset.locator("#cancel").click()
    else:
        handset.keyboard.press("Escape")
    expect(handset.locator("#session")).to_be_hidden()
    until(lambda: running.gateway.heard(f"{USSD}/ended"))
    assert running.gateway.heard(f"{USSD}/ended")[0]["status"] == "Incomplete"
    handset.locator("#call").click()
    expect(screen(handset)).to_have_text(WELCOME, use_inner_text=True)


def test_what_was_dialled_can_be_erased_and_dialled_with_a_choice(handset, running):
    press(handset, "*580*2")
    handset.locator("#erase").click()
    press(handset, "1#")
    handset.keyboard.press("Enter")
    expect(screen(handset)).to_have_text(MENU, use_inner_text=True)
    assert typed(running.gateway) == ["1"]


def test_a_problem_is_told_in_arabic_and_not_as_a_blank_screen(handset, running):
    dial(handset, "*999#")
    expect(screen(handset)).to_have_text("هذا الرمز غير معروف.")
    handset.keyboard.press("Escape")
    running.gateway.answer = lambda heard: ("", 503)
    dial(handset, "*580#")
    expect(screen(handset)).to_have_text("لم تجب الخدمة. أعد المحاولة لاحقا.")


def test_the_list_leads_to_a_handset_and_any_number_can_be_opened(browser, running):
    running.send(body=SMS)
    until(running.inbox)
    page = browser.new_page()
    page.goto(running.url)
    page.get_by_role("link", name=PHONE).click()
    expect(page.locator("#inbox li p")).to_have_text(SMS)
    page.goto(running.url)
    page.get_by_label("Open any number").fill("06 61 23 45 67")
    page.keyboard.press("Enter")
    expect(page.locator("#owner")).to_have_text("+212661234567")
    page.close()


def test_the_handset_takes_nothing_from_elsewhere(browser, running):
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{running.url}/handset/{PHONE}")
    expect(page.locator("#empty")).to_be_visible()
    assert asked
    assert {url for url in asked if not url.startswith((running.url, "data:"))} == set()
    page.close()
