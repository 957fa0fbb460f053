"""Telephone calls on the handset page, as a person makes them: in Debian's Chromium, by clicks and by keys."""

from collections.abc import Callable, Iterator

import pytest
import requests
from flask import Flask, Response
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from channels.sandbox import Server
from channels.sandbox.recordings import tone
from tests.channels.test_calls import ACCOUNT, AUTH_TOKEN, SERVICE, TWILIO, answering, call_by_twilio, frames
from tests.channels.test_calls import Caller as Telephone
from tests.channels.test_sandbox import PHONE, Running, a_running_operator, until
from tests.chromium import chromium_path, must_run
from tests.walks.test_handset import FLAGS, direction, open_handset, press

pytestmark = pytest.mark.browser

MICROPHONE = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
WELCOME = "مرحبا بكم في السجل الاجتماعي الموحد. للعربية اضغطوا على 1."
FRENCH = "Bienvenue au registre social unifié."
MENU = (
    f"<Gather numDigits='1' action='/voice/twilio/one' timeout='60'><Say language='arb'>{WELCOME}</Say>"
    f"<Say language='fr-FR'>{FRENCH}</Say></Gather>"
)
MESSAGE = "<Say language='arb'>اتركوا رسالتكم بعد الصفارة.</Say><Record action='/voice/twilio/done' maxLength='30'/>"
FAREWELL = "<Say language='arb'>شكرا لكم.</Say>"
SERVICE_SAYS = {TWILIO: MENU, "/voice/twilio/one": MESSAGE, "/voice/twilio/done": FAREWELL}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium on a machine with a microphone."""
    path = chromium_path()
    if path is None:
        (pytest.fail if must_run() else pytest.skip)("no Chromium (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=(*FLAGS, *MICROPHONE))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def deaf_browser(browser: Browser) -> Iterator[Browser]:
    """Chromium on a machine without one."""
    deaf = browser.browser_type.launch(executable_path=chromium_path(), args=FLAGS)
    yield deaf
    deaf.close()


@pytest.fixture
def running() -> Iterator[Running]:
    with a_running_operator() as running:
        running.gateway.answer = answering(SERVICE_SAYS)
        yield running


@pytest.fixture
def handset(browser: Browser, running: Running) -> Iterator[Page]:
    with open_handset(browser, running.url, PHONE) as page:
        yield page


def captions(page: Page) -> Locator:
    return page.locator("#captions li")


def hint(page: Page) -> Locator:
    return page.locator("#hint")


def until_here(page: Page, condition: Callable[[], object]) -> None:
    """Wait for what the page's own thread brings about."""
    for _ in range(1000):
        if condition():
            return
        page.wait_for_timeout(10)
    pytest.fail("it never came")


def next_round(page: Page) -> None:
    """Wait until the page has asked the operator anew, and shown what it learned."""
    for _ in range(2):
        with page.expect_response(lambda answer: answer.url.endswith("/call") and answer.request.method == "GET"):
            pass


def digits(running: Running) -> list[str]:
    return [heard.form["Digits"] for heard in running.gateway.calls if "Digits" in heard.form]


def test_a_call_by_clicks_is_read_as_it_is_heard_and_ended_by_the_service(handset, running):
    handset.locator("#service").click()
    expect(captions(handset)).to_have_text([WELCOME, FRENCH])
    assert [direction(caption) for caption in captions(handset).all()] == ["rtl", "ltr"]
    expect(captions(handset).first).to_have_attribute("lang", "ar-MA")
    expect(handset.locator("#status")).to_contain_text("في مكالمة")
    expect(handset.locator("#other")).to_have_text(SERVICE)
    expect(hint(handset)).to_contain_text("اضغط على الأزرار")
    press(handset, "1")
    expect(captions(handset)).to_have_count(3)
    expect(hint(handset)).to_contain_text("تكلم بعد الصفارة")
    expect(handset.locator("#number")).to_have_value("1")
    press(handset, "#")
    expect(handset.locator("#status")).to_contain_text("انتهت المكالمة")
    handset.locator("#over").click()
    expect(handset.locator("#voice")).to_be_hidden()
    expect(handset.locator("#number")).to_be_focused()
    expect(handset.locator("#number")).to_have_value("")
    assert digits(running) == ["1"]


def test_a_call_by_keyboard_alone(handset, running):
    handset.keyboard.type(SERVICE)
    handset.keyboard.press("Enter")
    expect(captions(handset)).to_have_text([WELCOME, FRENCH])
    expect(handset.locator("#captions")).to_be_focused()
    handset.keyboard.press("1")
    expect(captions(handset)).to_have_count(3)
    expect(handset.locator("#speak")).to_be_focused()
    handset.keyboard.press("Shift+Tab")
    handset.keyboard.press("Tab")
    expect(handset.locator("#speak")).to_be_focused()
    handset.keyboard.press("Enter")
    expect(handset.locator("#spoken")).to_be_focused()
    handset.wait_for_timeout(1200)
    handset.keyboard.press("Enter")
    expect(captions(handset)).to_have_count(4)
    expect(handset.locator("#over")).to_be_focused()
    handset.keyboard.press("Escape")
    expect(handset.locator("#number")).to_be_focused()


def a_recording(running: Running) -> tuple[int, bytes]:
    """How long the gateway was told that it lasts, and the file."""
    until(lambda: running.gateway.heard("/voice/twilio/done"))
    told = running.gateway.heard("/voice/twilio/done")[0]
    sound = requests.get(told["RecordingUrl"], auth=(ACCOUNT, AUTH_TOKEN), timeout=10).content
    return int(told["RecordingDuration"]), sound


def test_what_the_microphone_hears_is_the_message(handset, running):
    running.gateway.answer = answering({**SERVICE_SAYS, TWILIO: MESSAGE})
    handset.locator("#service").click()
    handset.locator("#speak").click()
    expect(hint(handset)).to_contain_text("جار التسجيل")
    handset.wait_for_timeout(1200)
    handset.locator("#spoken").click()
    expect(captions(handset)).to_have_count(2)
    seconds, sound = a_recording(running)
    assert (seconds - 1) * 8000 < frames(sound) <= seconds * 8000
    assert len(set(sound[44:])) > 1


def test_a_key_ends_the_message_and_is_not_pressed_behind_it(handset, running):
    running.gateway.answer = answering({TWILIO: MESSAGE, "/voice/twilio/done": "<Gather numDigits='1' timeout='60'/>"})
    handset.locator("#service").click()
    handset.locator("#speak").click()
    expect(hint(handset)).to_contain_text("جار التسجيل")
    handset.wait_for_timeout(500)
    press(handset, "#")
    expect(hint(handset)).to_contain_text("اضغط على الأزرار")
    assert digits(running) == []


def test_without_a_microphone_a_tone_is_the_message(deaf_browser, running):
    running.gateway.answer = answering({**SERVICE_SAYS, TWILIO: MESSAGE})
    with open_handset(deaf_browser, running.url, PHONE) as page:
        page.locator("#service").click()
        page.locator("#speak").click()
        expect(captions(page)).to_have_count(2)
        assert a_recording(running) == (5, tone(5))


def test_silence_is_told_after_everything_was_heard(handset, running):
    again = "<Gather timeout='1'><Say language='arb'>نعم؟</Say></Gather><Say language='arb'>لا أسمعكم.</Say>"
    running.gateway.answer = answering({TWILIO: again})
    handset.locator("#service").click()
    expect(captions(handset)).to_have_text(["نعم؟", "لا أسمعكم."])
    expect(handset.locator("#over")).to_be_visible()


def test_a_pause_between_two_keys_does_not_lose_the_first(handset, running):
    four = "<Gather numDigits='4' timeout='1' action='/told'/>"
    running.gateway.answer = answering({TWILIO: four, "/told": FAREWELL})
    handset.locator("#service").click()
    expect(hint(handset)).to_contain_text("اضغط على الأزرار")
    press(handset, "12")
    expect(handset.locator("#over")).to_be_visible()
    assert digits(running) == ["12"]


@pytest.mark.parametrize("way", ["click", "Escape"])
def test_hanging_up_ends_the_call_and_frees_the_line(handset, running, way):
    handset.locator("#service").click()
    expect(captions(handset)).to_have_count(2)
    if way == "click":
        handset.locator("#leave").click()
    else:
        handset.keyboard.press("Escape")
    expect(handset.locator("#voice")).to_be_hidden()
    until_here(handset, lambda: len(running.gateway.heard(TWILIO)) == 2)
    assert running.gateway.heard(TWILIO)[1]["CallStatus"] == "completed"
    next_round(handset)
    expect(handset.locator("#voice")).to_be_hidden()
    handset.locator("#service").click()
    expect(captions(handset)).to_have_count(2)


@pytest.mark.parametrize("way", ["take", "refuse"])
def test_a_call_from_the_service_rings_and_is_answered_or_refused(handset, running, way):
    running.gateway.answer = answering({"/call/one": FAREWELL})
    call_by_twilio(Telephone(running))
    expect(handset.locator("#status")).to_contain_text("مكالمة واردة")
    expect(handset.locator("#take")).to_be_focused()
    handset.locator(f"#{way}").click()
    until_here(handset, lambda: running.gateway.heard("/status"))
    assert running.gateway.heard("/status")[0]["CallStatus"] == {"take": "completed", "refuse": "busy"}[way]
    if way == "take":
        expect(captions(handset)).to_have_text(["شكرا لكم."])
    else:
        expect(handset.locator("#voice")).to_be_hidden()


def test_a_recording_is_fetched_through_the_operator_and_nothing_from_elsewhere(browser, running):
    shelf = Flask("shelf")
    asked: list[str] = []
    shelf.get("/<name>")(lambda name: asked.append(name) or Response(tone(1), content_type="audio/wav"))
    server = Server(shelf)
    server.start()
    running.gateway.answer = answering({TWILIO: f"<Play>{server.url}/azul.wav</Play><Gather timeout='60'/>"})
    fetched: list[str] = []
    with open_handset(browser, running.url, PHONE) as page:
        page.on("request", lambda request: fetched.append(request.url))
        page.locator("#service").click()
        expect(captions(page)).to_have_text(["♪ azul.wav"])
        until_here(page, lambda: asked)
        assert any(url.endswith("/call/heard/0") for url in fetched)
        assert {url for url in fetched if not url.startswith((running.url, "data:"))} == set()
    server.stop()


def test_an_error_in_a_document_is_told_in_arabic_and_named_for_its_author(handset, running):
    running.gateway.answer = answering({TWILIO: "<Sya>x</Sya>"})
    handset.locator("#service").click()
    expect(hint(handset)).to_have_text("حدث خطأ في الخدمة، فانقطعت المكالمة.")
    expect(handset.locator("#detail")).to_have_text("Response: no verb Sya")
    handset.locator("#over").click()
    press(handset, "0612345678")
    handset.locator("#call").click()
    expect(hint(handset)).to_have_text("هذا الرقم غير معروف.")
    handset.locator("#over").click()
    next_round(handset)
    expect(handset.locator("#voice")).to_be_hidden()


def test_a_page_opened_in_the_middle_of_a_call_goes_on_with_it(handset, running):
    handset.locator("#service").click()
    expect(captions(handset)).to_have_count(2)
    handset.reload()
    expect(captions(handset)).to_have_text([WELCOME, FRENCH])
    press(handset, "1")
    expect(captions(handset)).to_have_count(3)
