"""A call that broke off goes on where it was, for half an hour, up to the first thing that was asked or done."""

from __future__ import annotations

from datetime import date

import pytest

from gateway.dialogue.memory import BROKEN_OFF_S
from gateway.registry.complaint import Complaint
from gateway.registry.review import Review
from gateway.words import SCREENS
from tests.conftest import a_row, register
from tests.web.desk import PIN, Handset, client, contents, give_pin, rows, told

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def handset(runtime):
    """The telephone of a household that was told its index and has a PIN; French was chosen before."""
    register(runtime, a_row())
    give_pin(runtime)
    told(runtime, date(2026, 11, 22))
    handset = Handset(client(runtime))
    handset.dial()
    handset.type("2")
    return handset


@pytest.fixture
def say(runtime):
    return lambda name: runtime.words.say("fr-MA", name, service_code="*580#")


def test_who_calls_back_goes_on_where_the_call_broke_off(handset, say):
    handset.dial()
    handset.type("5", "1")
    before = handset.type("6")
    assert say("resume.text") in handset.dial()
    assert handset.type("9") == before


def test_a_call_breaks_off_as_often_as_it_likes(handset):
    handset.dial()
    before = handset.type("5", "1")
    for _ in range(3):
        offer = handset.dial()
        assert handset.dial() == offer, "it broke off again while it was offered"
        assert handset.type("9") == before
    after = handset.type("6")
    handset.dial()
    assert handset.type("9") == after


def test_who_does_not_go_on_is_at_home_and_is_not_asked_again(handset, say):
    handset.dial()
    handset.type("5", "1")
    handset.dial()
    assert say("home.text") in handset.type("00")
    assert say("home.text") in handset.dial()


@pytest.mark.parametrize("typed", [["2", PIN], ["4", PIN, "1"], ["3", "2", PIN], ["8", "2", "1", PIN, "825193"]])
def test_nobody_goes_on_past_the_pin_and_nothing_is_done_again(handset, runtime, say, typed):
    handset.dial()
    handset.type(*typed)
    before = contents(runtime)
    handset.dial()
    assert say("pin.ask.text") in handset.type("9")
    assert contents(runtime) == before


@pytest.mark.parametrize("typed", [["4", PIN, "9", "1"], ["6", "2", "1", PIN]])
def test_a_call_that_came_to_its_end_is_not_gone_on_with(handset, say, typed):
    handset.dial()
    assert handset.type(*typed).startswith("END")
    assert say("home.text") in handset.dial()


def test_a_complaint_is_not_filed_by_going_on(handset, runtime, say):
    handset.dial()
    handset.type("5", "1", "6", "1")
    handset.dial()
    assert say("complaint.sure.options.yes") in handset.type("9")
    assert rows(runtime, Complaint) == []
    handset.type("1")
    assert len(rows(runtime, Complaint)) == 1
    assert say("home.text") in handset.dial()


@pytest.mark.parametrize("locale", SCREENS)
def test_the_offer_is_the_same_whatever_the_call_was_about(handset, runtime, locale):
    handset.dial()
    handset.type("8", "1", str(SCREENS.index(locale) + 1))
    offers = set()
    for typed in (["5", "1", "8"], ["4"], ["2", PIN], ["7"]):
        handset.dial()
        handset.type("00", *typed)
        offers.add(handset.dial())
    assert len(offers) == 1


def test_after_half_an_hour_it_is_over(handset, runtime, say):
    handset.dial()
    handset.type("5", "1")
    left, = runtime.redis.scan_iter("left:*")
    assert 0 < runtime.redis.ttl(left) <= BROKEN_OFF_S == 30 * 60
    runtime.redis.delete(left)
    assert say("home.text") in handset.dial()


def test_another_telephone_does_not_go_on_with_this_ones_call(handset, say):
    handset.dial()
    handset.type("5", "1")
    stranger = Handset(handset.web, "+212699999999")
    stranger.dial()
    assert say("home.text") in stranger.type("2")
    assert say("home.text") in stranger.dial()


def test_a_shortcut_is_not_held_up_by_a_call_that_broke_off(handset, say):
    handset.dial()
    handset.type("5", "1")
    assert say("message.text") in handset.dial("7")


def test_a_call_that_began_by_a_shortcut_is_dialled_again(handset, say):
    handset.dial("5")
    handset.type("2")
    assert say("home.text") in handset.dial()


@pytest.mark.parametrize("after", [[], ["1"], ["6"], ["1", "6", "1", "1"], ["4", PIN, "9", "1"], ["00", "5"]])
def test_when_redis_is_emptied_after_going_on_nothing_is_misread_and_nothing_done(handset, runtime, say, after):
    """The history tells that it was gone on, but not where to: home is the only place that is safe."""
    handset.dial()
    handset.type("5", "1")
    handset.dial()
    for key in ("9", *after):
        handset.typed.append(key)
    before = contents(runtime)
    runtime.redis.flushall()
    assert say("home.text") in handset.again()
    assert contents(runtime) == before
    assert say("complaint.text") in handset.type("5"), "and from home on each key is what it is"


def test_when_redis_is_emptied_while_it_is_offered_the_call_begins_at_home(handset, runtime, say):
    handset.dial()
    handset.type("5", "1")
    handset.dial()
    runtime.redis.flushall()
    assert say("home.text") in handset.again()
    assert say("home.text") in handset.type("9")


def test_a_callback_of_going_on_that_comes_again_is_answered_alike(handset, runtime):
    handset.dial()
    handset.type("5", "1", "6", "1")
    first = handset.dial()
    assert handset.again() == first
    on = handset.type("9")
    assert handset.again() == on
    done = handset.type("1")
    assert [handset.again(), handset.again()] == [done, done]
    assert (len(rows(runtime, Complaint)), rows(runtime, Review)) == (1, [])
