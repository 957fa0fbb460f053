"""USSD over HTTP: whatever the network does to a session, the caller gets a screen and an effect happens once."""

from __future__ import annotations

import logging
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from threading import Barrier

import pytest
import sqlalchemy as sa

from channels.base import Turn
from channels.text import USSD as BUDGET
from channels.text import fits
from gateway import logs
from gateway.dialogue.access import Lock
from gateway.dialogue.household import HOUSEHOLD
from gateway.dialogue.states import options
from gateway.outbox import Message
from gateway.registry.complaint import Complaint
from gateway.registry.numbers import kind_of
from gateway.registry.review import Review
from gateway.registry.score import IndexScore
from gateway.registry.update import DataUpdate
from gateway.web.conversation import converse
from gateway.web.doors import LARGEST_FORM
from gateway.words import LOCALES
from tests.conftest import a_row, register
from tests.web.desk import CODE, PHONE, PIN, TOKEN, USSD, Handset, client, contents, give_pin, rows, told

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
LANGUAGES = {option.label: option.key for option in options(HOUSEHOLD.states["language"])}
NUMBER = re.compile(r"[0-9]{9}")
INDEX = re.compile(r"(?<![0-9])[0-9]{1,2},[0-9]{7}(?![0-9])")
# A fifth and last wrong one is what locks.
WRONG = [f"{number:06}" for number in range(4)]
COMPLAINT = ("5", "1", "3", "1", "1")
REVIEW = ("4", PIN, "9", "1")


@pytest.fixture
def web(runtime):
    return client(runtime)


@pytest.fixture
def handset(runtime, web):
    """The telephone of a household that was told its index and has a PIN; French was chosen before."""
    register(runtime, a_row())
    give_pin(runtime)
    told(runtime, date(2026, 11, 22))
    handset = Handset(web)
    handset.dial()
    handset.type("2")
    return handset


@pytest.fixture
def form():
    """A first callback."""
    return {"sessionId": "ATUid_1", "phoneNumber": PHONE, "networkCode": "60401", "serviceCode": CODE, "text": ""}


# Who may speak to this door


@one_kind
@pytest.mark.parametrize("path", [f"/ussd/africastalking/{TOKEN[:-1]}x", "/ussd/africastalking/x",
                                  f"/ussd/africastalking/{TOKEN}x", "/ussd/africastalking/%D9%A3"])
def test_a_wrong_token_is_refused_and_changes_nothing(runtime, web, form, path):
    register(runtime, a_row())
    before = contents(runtime), set(runtime.redis.keys())
    for callback, fields in ((path, form), (f"{path}/ended", {**form, "status": "Success"})):
        assert web.post(callback, data=fields).status_code == 403
    assert (contents(runtime), set(runtime.redis.keys()) - {b"figures"}) == before


@one_kind
@pytest.mark.parametrize("code", ["*581#", "*5801#", "*58#", "580", "*#", "#"])
def test_another_services_code_is_refused_and_changes_nothing(runtime, web, form, code):
    before = contents(runtime)
    assert web.post(USSD, data={**form, "serviceCode": code, "text": "1"}).status_code == 403
    assert contents(runtime) == before


@one_kind
@pytest.mark.parametrize("field", ["sessionId", "phoneNumber", "networkCode", "serviceCode", "text"])
def test_a_repeated_field_is_refused(web, form, field):
    answer = web.post(USSD, data={**form, field: [form[field], form[field]]})
    assert answer.status_code == 403
    assert PHONE not in answer.text


@one_kind
@pytest.mark.parametrize("field", ["sessionId", "phoneNumber", "serviceCode"])
def test_a_missing_or_empty_field_is_refused(web, form, field):
    assert web.post(USSD, data={**form, field: ""}).status_code == 403
    assert web.post(USSD, data={key: value for key, value in form.items() if key != field}).status_code == 403


@one_kind
@pytest.mark.parametrize("phone", ["0612345678", "212612345678", "+2126", "+212 612345678", "+212612345678\n", "x"])
def test_a_number_that_is_not_international_is_refused(web, form, phone):
    assert web.post(USSD, data={**form, "phoneNumber": phone}).status_code == 403


@one_kind
def test_what_no_database_can_keep_is_refused(web, form):
    assert web.post(USSD, data={**form, "sessionId": "a\x00b"}).status_code == 403


@one_kind
def test_a_body_that_is_too_large_is_refused_unread(runtime, web, form):
    before = contents(runtime)
    assert web.post(USSD, data={**form, "text": "1" * LARGEST_FORM}).status_code == 413
    assert web.post(USSD, data={**form, "text": "1" * 2000}).status_code == 200
    assert contents(runtime) == before


@one_kind
@pytest.mark.parametrize("method", ["get", "put", "delete", "patch"])
def test_only_a_post_is_a_turn(web, method):
    assert getattr(web, method)(USSD).status_code == 405


@one_kind
def test_the_end_of_a_session_is_counted_and_keeps_nothing_of_it(runtime, web, form):
    before = contents(runtime)
    ended = {**form, "status": "Success", "hopsCount": "3", "durationInMillis": "9", "input": f"1*{PIN}",
             "lastAppResponse": "END 9,6087075"}
    assert web.post(f"{USSD}/ended", data=ended).status_code == 200
    assert contents(runtime) == before
    assert {name for name, _, _ in runtime.counts()} == {"sessions_left", "session_hops", "session_seconds"}


# Whole walks


@pytest.mark.parametrize("locale", LANGUAGES)
def test_a_caller_walks_through_everything(runtime, web, locale):
    # Whoever reads Arabic in Latin letters is written to in Arabic.
    register(runtime, a_row(language=locale if locale in LOCALES else LOCALES[0]))
    give_pin(runtime)
    told(runtime, date(2026, 11, 22))
    handset, words = Handset(web), runtime.words
    shown = [handset.dial()]

    def press(*keys: str) -> str:
        """Each key, and every further page of what it leads to."""
        for key in keys:
            shown.append(page := handset.type(key))
            while re.search("(?m)^98 ", shown[-1]) and (another := handset.type("98")) != page:
                shown.append(another)
        return shown[-1]

    assert words.say(locale, "home.text") in press(LANGUAGES[locale]) + shown[1]
    press("2", PIN)
    score, = rows(runtime, IndexScore)
    assert set(INDEX.findall("".join(shown))) == {f"{score.displayed:.7f}".replace(".", ",")}
    press("1", "0", "2", "0", "3", "1", "00", "4")
    assert "21/01/2027" in "".join(shown)
    review, = NUMBER.findall(press("1", "1"))
    assert (shown[-1][:3], kind_of(review), "23/12/2026" in shown[-1]) == ("END", "review", True)
    shown.append(handset.dial())
    press("1")
    press("00", "5", "1", "6", "2", "Rien n'est venu depuis mars")
    said = shown[-1]
    ticket, = NUMBER.findall(press("1"))
    assert "Rien n'est venu" in said or "Rien n'est venu" in shown[-3]
    assert (shown[-1][:3], kind_of(ticket)) == ("END", "complaint")
    shown.append(handset.dial())
    change, = NUMBER.findall(press("6", "2", "1", PIN))
    assert kind_of(change) == "update"
    for number in (review, ticket, change):
        shown.append(handset.dial())
        assert "23/11/2026" in press("00", "5", "2", number) + shown[-2]
    assert all(fits(screen[4:], BUDGET) for screen in shown)
    assert [[one.number for one in rows(runtime, model)] for model in (Review, Complaint, DataUpdate)] == [
        [review], [ticket], [change]]
    assert rows(runtime, Complaint)[0].category == "payment_not_received"
    assert sorted(message.notice for message in rows(runtime, Message)) == [
        "complaint_received", "index_assigned", "review_received", "update_received"]


@one_kind
def test_an_unknown_telephone_sees_the_same_screens_up_to_the_wrong_pin(runtime, web):
    register(runtime, a_row())
    give_pin(runtime)
    seen = []
    for phone in (PHONE, "+212699999999"):
        handset = Handset(web, phone)
        seen.append([handset.dial(), *(handset.type(one) for one in ("2", "2", *WRONG, "444444", "555555"))])
    assert seen[0] == seen[1]
    assert seen[0][-1].startswith("END")


@one_kind
def test_a_pin_letter_is_promised_alike_and_sent_once_to_who_is_known(runtime, handset, web):
    known = [handset.dial(), handset.type("8", "2", "2", "1")]
    handset.dial()
    handset.type("8", "2", "2", "1")
    stranger = Handset(web, "+212699999999")
    stranger.dial()
    stranger.type("2")
    assert [stranger.dial(), stranger.type("8", "2", "2", "1")] == known
    assert [message.notice for message in rows(runtime, Message)].count("pin") == 1


@one_kind
def test_the_language_of_a_telephone_is_asked_once(handset, runtime):
    assert runtime.words.say("fr-MA", "home.text") in handset.dial()
    handset.type("8", "1", "1")
    assert runtime.words.say("ar-MA", "home.text") in handset.dial()


@one_kind
def test_a_network_that_takes_longer_screens_gets_fewer_of_them(runtime):
    wider = replace(runtime, settings=replace(runtime.settings, ussd_budgets={"60401": (182, 80)}))

    def pages(house, network: str, caller: int) -> int:
        texts = ["", "1", *(f"1*5*1{'*98' * more}" for more in range(8))]
        shown = [converse(house, Turn("africastalking", f"s-{caller}", CODE, f"+21261234567{caller}", text, network))
                 for text in texts]
        return len({screen.text for screen in shown[2:]})

    assert (pages(runtime, "60401", 1), pages(wider, "60402", 2), pages(wider, "60401", 3)) == (5, 5, 4)


@one_kind
def test_pins_dialled_in_one_go_lock_like_any_others(handset, runtime):
    assert handset.dial("2", *WRONG, "444444", "555555", PIN).startswith("END")
    handset.dial()
    assert runtime.words.say("fr-MA", "pin.locked.text") in handset.type("2", PIN)


# What the network does to a session


def test_a_callback_that_comes_again_gets_the_same_bytes_and_acts_once(handset, runtime):
    handset.dial()
    for typed in ("2", PIN, "98", "4", "9", "1"):
        first = handset.type(typed)
        assert [handset.again(), handset.again()] == [first, first]
    assert len(rows(runtime, Review)) == 1
    handset.dial()
    for typed in COMPLAINT:
        first = handset.type(typed)
        assert [handset.again(), handset.again()] == [first, first]
    assert len(rows(runtime, Complaint)) == 1


@one_kind
def test_a_wrong_pin_that_comes_again_counts_once(handset):
    handset.dial()
    handset.type("2")
    for pin in WRONG:
        handset.type(pin)
        handset.again()
        handset.again()
    assert INDEX.search(handset.type(PIN) + handset.type("98"))


def test_the_same_turn_from_two_threads_is_answered_alike_and_acts_once(handset, runtime):
    handset.dial()
    handset.type(*COMPLAINT[:-1])
    handset.typed.append("1")
    together = Barrier(6)

    def at_once(_):
        together.wait()
        return handset.again()

    with ThreadPoolExecutor(6) as network:
        screens = set(network.map(at_once, range(6)))
    assert len(screens) == len(rows(runtime, Complaint)) == 1
    assert rows(runtime, Complaint)[0].number in screens.pop()


def test_two_telephones_that_ask_for_the_review_at_once_are_told_one_number(runtime, web):
    phones = [PHONE, "+212712345678"]
    register(runtime, a_row(contacts=[{"phone": phone, "consent": True} for phone in phones]))
    give_pin(runtime)
    told(runtime, date(2026, 11, 22))
    handsets = [Handset(web, phone) for phone in phones]
    for handset in handsets:
        handset.dial()
        handset.type("2", *REVIEW[:-1])
    together = Barrier(2)

    def at_once(handset):
        together.wait()
        return handset.type("1")

    with ThreadPoolExecutor(2) as network:
        screens = list(network.map(at_once, handsets))
    asked, = rows(runtime, Review)
    assert [NUMBER.findall(screen) for screen in screens] == [[asked.number]] * 2


@one_kind
@pytest.mark.parametrize("typed", [["1"], ["2"], ["2", PIN], ["4", PIN], ["4", PIN, "1"], ["5"], ["5", "1", "98"],
                                   ["5", "2"], ["5", "1", "6", "2", "Rien ne va"], ["8", "1"], ["3", "1", "x", "0"],
                                   ["5*1*11"], ["5", "", "1", "11"], ["*5**1*11*"], ["x"], ["9"], ["2", PIN, "00", "6"],
                                   ["8", "2", "1", PIN, "825193"]])
def test_a_session_that_redis_forgot_goes_on_from_all_that_was_typed(handset, runtime, typed):
    handset.dial()
    handset.type(*typed)
    going_on = handset.type("0")
    handset.dial()
    handset.type(*typed)
    runtime.redis.flushall()
    assert handset.type("0") == going_on


@pytest.mark.parametrize("locale", LANGUAGES)
def test_a_first_session_that_redis_forgot_means_what_it_meant(runtime, web, locale):
    """The choice of language is in what was typed, and by then it has been made."""
    handset = Handset(web)
    handset.dial()
    handset.type(LANGUAGES[locale], "5", "1", "1", "1")
    runtime.redis.flushall()
    shown = handset.type("1")
    filed, = rows(runtime, Complaint)
    assert filed.category == "notice_not_received"
    assert runtime.words.say(locale, "complaint.done.text", number=filed.number, service_code=CODE) in shown


@one_kind
def test_redis_lost_after_an_effect_does_not_make_another(handset, runtime):
    handset.dial()
    last = handset.type(*COMPLAINT)
    runtime.redis.flushall()
    assert handset.again() == last
    handset.dial()
    handset.type(*REVIEW)
    runtime.redis.flushall()
    assert rows(runtime, Review)[0].number in handset.again()
    assert (len(rows(runtime, Complaint)), len(rows(runtime, Review))) == (1, 1)


@one_kind
def test_wrong_pins_of_a_session_that_redis_forgot_are_not_counted_again(handset, runtime):
    handset.dial()
    handset.type("2", *WRONG[:3])
    for _ in range(3):
        runtime.redis.flushall()
        handset.again()
    assert max(lock.failures for lock in rows(runtime, Lock)) == 3
    assert INDEX.search(handset.type(PIN) + handset.type("98"))


@one_kind
def test_a_text_cut_short_is_answered_as_far_as_it_goes(handset):
    handset.dial()
    at_complaint = handset.type("5")
    handset.type("1")
    handset.typed.pop()
    assert handset.again() == at_complaint


@one_kind
def test_a_rewritten_text_is_followed_from_its_beginning_and_acts_once(handset, runtime):
    handset.dial()
    ticket = handset.type(*COMPLAINT)
    handset.typed = [*COMPLAINT, "00"]
    handset.again()
    handset.typed = ["00", *COMPLAINT]
    assert handset.again() == ticket
    assert len(rows(runtime, Complaint)) == 1


@one_kind
def test_a_strange_answer_is_a_wrong_choice_and_an_empty_one_is_none(handset, runtime):
    for typed in ("x", "9" * 500, "⵿", "\r\n"):
        handset.dial()
        handset.type("5")
        assert runtime.words.say("fr-MA", "nav.wrong_choice") in handset.type(typed)
    handset.dial()
    menu = handset.type("5")
    assert [handset.type(nothing) for nothing in ("", "*", "*" * 500)] == [menu] * 3, "nothing typed is no mistake"


@one_kind
def test_another_telephone_or_session_does_not_enter_this_one(handset, web, runtime):
    handset.dial()
    handset.type("2", PIN)
    thief = Handset(web, "+212699999999")
    thief.session_id, thief.typed = handset.session_id, handset.typed
    assert not INDEX.search(thief.again() + thief.type("98"))
    assert not INDEX.search(handset.send(sessionId="ATUid_other", text="1"))


@one_kind
def test_numbers_cannot_be_tried_without_end(handset, runtime):
    handset.dial()
    ticket, = NUMBER.findall(handset.type(*COMPLAINT))
    others = [number for number in (str(tried) for tried in range(312_345_001, 312_346_001)) if kind_of(number)][:20]
    for number in others:
        handset.dial()
        handset.type("00", "5", "2", number)
    handset.dial()
    assert runtime.words.say("fr-MA", "request.unknown.text") in handset.type("00", "5", "2", ticket)


@one_kind
def test_ones_own_number_may_be_asked_for_again_and_again(handset):
    handset.dial()
    ticket, = NUMBER.findall(handset.type(*COMPLAINT))
    seen = set()
    for _ in range(25):
        handset.dial()
        seen.add(handset.type("00", "5", "2", ticket))
    assert len(seen) == 1
    assert "23/11/2026" in seen.pop()


# When something breaks inside


@pytest.fixture
def lines(caplog):
    """What the logs would say of the test, under the formatter of the house."""
    caplog.handler.setFormatter(logs.Redaction("%(levelname)s %(name)s %(message)s"))
    with caplog.at_level(logging.DEBUG):
        yield lambda: caplog.text


@one_kind
def test_an_error_inside_ends_politely_and_is_logged_without_the_person(handset, runtime, lines):
    with runtime.database.write() as session:
        session.execute(sa.text("UPDATE credential SET issued_at = 'a fault of ours'"))
    handset.dial()
    shown = handset.type("2", PIN)
    assert shown == "END " + runtime.words.say("ar-MA", "sorry.text", service_code=CODE)
    assert fits(shown[4:], BUDGET)
    assert "a USSD turn failed" in lines()
    assert not [secret for secret in (PHONE, PHONE[4:], PIN, TOKEN, handset.session_id) if secret in lines()]


@one_kind
def test_after_an_error_the_same_callback_is_answered_as_if_nothing_had_been(handset, runtime):
    with runtime.database.write() as session:
        session.execute(sa.text("ALTER TABLE complaint RENAME TO away"))
    handset.dial()
    assert handset.type(*COMPLAINT).startswith("END")
    with runtime.database.write() as session:
        session.execute(sa.text("ALTER TABLE away RENAME TO complaint"))
    assert NUMBER.search(handset.again())
    assert len(rows(runtime, Complaint)) == 1
