"""The main walk, as a household lives it: a text in the inbox, a code dialled, a letter with the PIN, a review."""

import re

import pytest
from playwright.sync_api import Page, expect

from gateway import paper
from gateway.sheets import pin_on_sheet
from jobs.receipts import settle_receipts
from tests.channels.test_sandbox import until
from tests.conftest import a_row, register
from tests.walks.neighbourhood import a_neighbourhood
from tests.walks.test_handset import browser, dial, direction, open_handset, press, screen

__all__ = ["browser"]
pytestmark = pytest.mark.browser

NUMBERS = {"ar-MA": "+212612345678", "fr-MA": "+212661234567"}
CHOICE = {"ar-MA": "1", "fr-MA": "2"}
INDEX_SAYS = {"ar-MA": "مؤشركم", "fr-MA": "Votre indice"}


@pytest.fixture
def neighbourhood(database_url, redis_url, tmp_path, clock):
    with a_neighbourhood(database_url, redis_url, tmp_path, clock) as opened:
        yield opened


def answer(page: Page, keys: str) -> None:
    """Type, send, and wait for the answer."""
    session = page.locator("#session")
    expect(session).to_have_attribute("data-state", "asking")
    press(page, keys)
    page.locator("#send").click()
    expect(session).to_have_attribute("data-state", re.compile("asking|ended"))


@pytest.mark.parametrize(("database_url", "locale"), [("postgresql", "ar-MA"), ("sqlite", "fr-MA")],
                         indirect=["database_url"])
def test_a_household_is_told_by_text_learns_its_index_and_asks_for_a_review(browser, neighbourhood, locale, tmp_path):
    house, msisdn = neighbourhood, NUMBERS[locale]
    register(house.runtime, a_row(phone=msisdn, language=locale))
    house.work()
    with open_handset(browser, house.operator_url, msisdn) as page:
        text = page.locator("#inbox li p").first
        expect(text).to_contain_text("*580#")
        expect(text).not_to_contain_text(re.compile(r"[0-9],[0-9]{4}|http"))
        assert direction(text) == ("rtl" if locale == "ar-MA" else "ltr")

        dial(page, "*580#")
        for key in (CHOICE[locale], "8", "2", "2", "1"):
            answer(page, key)
        page.locator("#close").click()
        assert paper.print_due(house.runtime) == 1
        (letter,) = house.runtime.tray.runs()[0].letters
        pin = pin_on_sheet(house.runtime.tray, letter.number)

        dial(page, "*580#")
        answer(page, "2")
        answer(page, "000000")
        answer(page, pin)
        expect(screen(page)).to_contain_text(INDEX_SAYS[locale])
        expect(screen(page)).to_contain_text(re.compile(r"[0-9],[0-9]{7}"))
        assert direction(screen(page)) == ("rtl" if locale == "ar-MA" else "ltr")
        page.screenshot(path=tmp_path / f"index-{locale}.png")
        page.locator("#cancel").click()
        expect(page.locator("#session")).to_be_hidden()

        until(lambda: _told(house.runtime))
        page.locator("#call").click()
        for key in ("00", "4", pin, "9", "1"):
            answer(page, key)
        expect(screen(page)).to_contain_text(re.compile(r"2[0-9]{8}"))
        house.work()
        expect(page.locator("#inbox li p").first).to_contain_text(re.compile(r"2[0-9]{8}"))


def _told(runtime):
    """Whether the receipt has come and is settled, as the clock would have it done."""
    from gateway.registry.score import Notification

    settle_receipts(runtime)
    with runtime.database.read() as session:
        return session.query(Notification).count() == 1
