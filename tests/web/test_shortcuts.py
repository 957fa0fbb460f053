"""Shortcuts: what is printed on letters leads where it says, however the network passes it on."""

from __future__ import annotations

import pytest

from gateway.dialogue.household import HOUSEHOLD
from gateway.dialogue.states import Question
from gateway.registry.complaint import Complaint
from tests.conftest import a_row, register
from tests.web.desk import CODE, PIN, Handset, client, give_pin, rows

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
DIALLED = f"{CODE[:-1]}*{{}}#"
# Where the file is, is done at once, and differs from caller to caller.
SHORTCUTS = [shortcut for shortcut, state in HOUSEHOLD.shortcuts.items() if state != "file.look"]


@pytest.fixture
def handset(runtime):
    handset = Handset(client(runtime))
    handset.dial()
    handset.type("2")
    return handset


def text_of(runtime, shortcut, locale="fr-MA"):
    state = HOUSEHOLD.shortcuts[shortcut]
    return runtime.words.say(locale, f"{HOUSEHOLD.says(state)}.text", service_code=CODE)


@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_a_shortcut_leads_there_in_the_code_and_in_what_was_typed(handset, runtime, shortcut):
    in_text = handset.dial(shortcut)
    assert text_of(runtime, shortcut) in in_text
    handset.dial("00")
    in_code = handset.send(sessionId=f"dialled {shortcut}", serviceCode=DIALLED.format(shortcut))
    assert in_code == in_text


def test_the_file_is_one_code_away(runtime, handset):
    register(runtime, a_row())
    shown = handset.dial("1")
    assert runtime.words.say("fr-MA", "file.options.index") in shown + handset.type("98")


@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_before_a_language_is_chosen_a_shortcut_waits_for_it(runtime, shortcut):
    web = client(runtime)
    for phone, fields in (("+212611111111", {"text": shortcut}),
                          ("+212622222222", {"serviceCode": DIALLED.format(shortcut)})):
        handset = Handset(web, phone)
        handset.dial()
        handset.session_id += "again"
        assert "Français" in handset.send(**fields)
        typed = "*".join(filter(None, [fields.get("text"), "2"]))
        assert text_of(runtime, shortcut) in handset.send(**{**fields, "text": typed})


@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_a_shortcut_that_redis_forgot_means_what_it_meant(handset, runtime, shortcut):
    handset.dial(shortcut)
    on = handset.type("0")
    handset.dial(shortcut)
    runtime.redis.flushall()
    assert handset.type("0") == on


@pytest.mark.parametrize("unknown", ["77", "580", "9", "*", "00", "x"])
def test_a_code_that_leads_nowhere_leads_home(handset, runtime, unknown):
    assert runtime.words.say("fr-MA", "home.text") in handset.dial(unknown)


def test_a_retired_shortcut_leads_home(handset, runtime, monkeypatch):
    """The dialogue is frozen: what is retired in it is changed for this test alone."""
    monkeypatch.setitem(HOUSEHOLD.__dict__, "retired", frozenset({"44"}))
    assert handset.dial("44") == handset.dial()
    assert runtime.words.say("fr-MA", "complaint.text") in handset.dial("44", "5")


def test_keys_behind_a_shortcut_are_pressed_there(handset, runtime):
    assert runtime.words.say("fr-MA", "complaint.about.text") in handset.dial("5", "1")
    assert text_of(runtime, "55") in handset.send(sessionId="another", serviceCode=DIALLED.format("5*2"))
    handset.dial("5", "1", "6", "1", "1")
    assert [one.category for one in rows(runtime, Complaint)] == ["payment_not_received"]


def test_no_shortcut_leads_past_the_pin(handset, runtime):
    register(runtime, a_row())
    give_pin(runtime)
    for shortcut, name in HOUSEHOLD.shortcuts.items():
        state = HOUSEHOLD.states[name]
        if isinstance(state, Question) and state.kind == "pin":
            assert runtime.words.say("fr-MA", "pin.ask.text") in handset.dial(shortcut)
            assert runtime.words.say("fr-MA", "pin.again.text") in handset.type("111222")
    assert "CON" in handset.dial("2", PIN)
