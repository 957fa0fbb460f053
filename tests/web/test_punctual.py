"""Punctual: who waits too long is told so in time, and by a text when it has come to an end."""

from __future__ import annotations

import logging
from threading import Event

import pytest

from channels.text import USSD as BUDGET
from channels.text import fits
from gateway.outbox import Message
from gateway.registry.complaint import Complaint
from gateway.web import ussd
from gateway.web.punctual import Late, Punctual
from gateway.words import SCREENS
from tests.web.desk import CODE, PHONE, Handset, client, rows

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
SOON_S = 0.05


def test_what_is_answered_in_time_is_answered():
    assert Punctual().answer(lambda: "a screen", lambda: pytest.fail("nobody was late")) == "a screen"


def test_an_error_in_time_is_the_works_own_be_it_a_timeout():
    for error in (ZeroDivisionError, TimeoutError):
        def work(error=error):
            raise error

        with pytest.raises(error):
            Punctual().answer(work, lambda: pytest.fail("nobody was late"))


def test_what_comes_late_goes_on_and_is_followed():
    go_on, followed, done = Event(), Event(), []

    def work():
        go_on.wait()
        done.append("done")

    with pytest.raises(Late):
        Punctual(SOON_S).answer(work, followed.set)
    assert not followed.is_set()
    go_on.set()
    assert followed.wait(10)
    assert done == ["done"]


def test_what_fails_late_is_logged_and_followed_all_the_same(caplog):
    go_on, followed = Event(), Event()

    def work():
        go_on.wait()
        raise ZeroDivisionError

    with pytest.raises(Late):
        Punctual(SOON_S).answer(work, followed.set)
    with caplog.at_level(logging.ERROR):
        go_on.set()
        assert followed.wait(10)
    assert "a turn failed after its caller was answered" in caplog.text


@pytest.fixture
def slow(runtime, monkeypatch):
    """A house whose turns wait until they may go on, and which answers soon; French was chosen before."""
    handset = Handset(client(runtime))
    handset.dial()
    handset.type("2")
    handset.dial()
    handset.type("5", "1", "6", "1")
    go_on, told = Event(), Event()

    def converse(runtime, turn):
        go_on.wait()
        return conversation(runtime, turn)

    def text_follows(runtime, turn):
        follows(runtime, turn)
        told.set()

    conversation, follows = ussd.converse, ussd.text_follows
    monkeypatch.setattr(ussd, "converse", converse)
    monkeypatch.setattr(ussd, "text_follows", text_follows)
    monkeypatch.setattr(ussd, "Punctual", lambda: Punctual(SOON_S))
    handset.web = client(runtime)
    return handset, go_on, told


@one_kind
def test_a_late_answer_says_that_a_text_follows_and_what_was_asked_for_is_done(runtime, slow):
    handset, go_on, told = slow
    assert handset.type("1") == "END " + runtime.words.say("ar-MA", "late.text")
    assert rows(runtime, Complaint) == []
    go_on.set()
    assert told.wait(10)
    assert len(rows(runtime, Complaint)) == 1
    text, = [message for message in rows(runtime, Message) if message.notice == "call_again"]
    assert text.locale == "fr-MA"
    assert ("ussd_late", {}, 1) in runtime.counts()


@one_kind
def test_the_network_that_asks_again_gets_the_answer_and_one_text_goes(runtime, slow):
    handset, go_on, told = slow
    handset.type("1")
    handset.again()
    go_on.set()
    assert told.wait(10)
    assert handset.again().startswith(("END", "CON"))
    assert len(rows(runtime, Complaint)) == 1
    assert [message.notice for message in rows(runtime, Message)].count("call_again") == 1


@one_kind
def test_what_is_said_in_haste_fits_a_screen_in_every_language_and_names_no_number(runtime):
    for locale in SCREENS:
        for name in ("late.text", "sorry.text"):
            said = runtime.words.say(locale, name, service_code=CODE)
            assert fits(said, BUDGET)
            assert PHONE not in said
