"""USSD through Africa's Talking: turns as they come, and what was typed since."""

from __future__ import annotations

import dataclasses
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.base import BadCallback, CallbackRequest, Ended, Screen, Turn
from channels.ussd.africastalking import AfricasTalkingUssd, typed
from tests.contract.provider import MSISDN, form

PIN, IDENTIFIER = "493027", "8140276395"
TURN = {"sessionId": "ATUid_" + "9e" * 16, "phoneNumber": MSISDN, "networkCode": "60401", "serviceCode": "*580#",
        "text": f"1*2*{PIN}"}
ENDED = {"date": "2026-11-21 09:00:00", "sessionId": TURN["sessionId"], "serviceCode": "*580#",
         "networkCode": "60401", "phoneNumber": MSISDN, "status": "Success", "cost": "0.35",
         "durationInMillis": "41250", "hopsCount": "4", "hopsMetadata": "", "input": f"1*{IDENTIFIER}*{PIN}",
         "lastAppResponse": "END 9.7431"}


def a_request(fields: dict[str, str]) -> CallbackRequest:
    return CallbackRequest("/ussd/africastalking/" + "s" * 40, {}, form(fields), "s" * 40)


def test_a_turn_is_read():
    assert AfricasTalkingUssd().turn(a_request(TURN)) == Turn(
        "africastalking", TURN["sessionId"], "*580#", MSISDN, TURN["text"], "60401")


def test_nothing_is_typed_at_first():
    assert AfricasTalkingUssd().turn(a_request({**TURN, "text": ""})).text == ""


@pytest.mark.parametrize("changes", [
    {"phoneNumber": ""}, {"phoneNumber": "212612000417"}, {"phoneNumber": f"{MSISDN}\n"}, {"phoneNumber": "*580#"},
    {"sessionId": ""}, {"serviceCode": ""},
])
def test_a_turn_without_its_caller_or_session_is_refused(changes):
    with pytest.raises(BadCallback):
        AfricasTalkingUssd().turn(a_request({**TURN, **changes}))


@pytest.mark.parametrize(("screen", "body"), [
    (Screen("مرحبا\n1. العربية"), "CON مرحبا\n1. العربية"),
    (Screen("Au revoir", final=True), "END Au revoir"),
])
def test_a_screen_begins_with_the_providers_word(screen, body):
    provider = AfricasTalkingUssd()
    assert provider.answer(screen, provider.turn(a_request(TURN))) == (
        body, {"Content-Type": "text/plain; charset=utf-8"})


def test_an_ended_session_is_known_by_its_figures():
    assert AfricasTalkingUssd().ended(a_request(ENDED)) == Ended(
        "africastalking", TURN["sessionId"], MSISDN, "Success", "60401", 4, 41250, "0.35")


def test_an_ended_session_holds_nothing_of_what_was_typed_or_shown():
    ended = AfricasTalkingUssd().ended(a_request(ENDED))
    assert not any(secret in repr(dataclasses.asdict(ended)) for secret in (PIN, IDENTIFIER, "9.7431"))
    assert MSISDN not in repr(ended)


@pytest.mark.parametrize("changes", [{"status": PIN}, {"cost": f"KES {PIN} {IDENTIFIER}"}, {"sessionId": ""},
                                     {"phoneNumber": ""}, {"phoneNumber": "0612000417"}])
def test_an_ended_session_takes_no_other_words(changes):
    with pytest.raises(BadCallback):
        AfricasTalkingUssd().ended(a_request({**ENDED, **changes}))


def test_a_figure_that_the_provider_does_not_give_is_none():
    fields = {**ENDED, "hopsCount": "many"}
    del fields["durationInMillis"]
    ended = AfricasTalkingUssd().ended(a_request(fields))
    assert (ended.hops, ended.duration_ms) == (None, None)


@given(st.dictionaries(st.sampled_from([*ENDED, *TURN]) | st.text(max_size=5),
                       st.lists(st.text(st.characters(codec=None, exclude_categories=()), max_size=20),
                                max_size=2).map(tuple)), st.booleans())
def test_a_callback_of_any_shape_is_read_or_refused(fields, known):
    request = CallbackRequest("/", {}, {**(form({**TURN, **ENDED}) if known else {}), **fields})
    for read in (AfricasTalkingUssd().turn, AfricasTalkingUssd().ended):
        with suppress(BadCallback):
            read(request)


@pytest.mark.parametrize(("previous", "text", "kind", "inputs"), [
    (None, "", "first", ()),
    (None, "3*1", "first", ("3", "1")),
    (None, "*3**1*", "first", ("3", "1")),
    ("", "1", "input", ("1",)),
    ("1", "1*2", "input", ("2",)),
    ("1", "1*", "input", ("",)),
    ("1*", "1**5", "input", ("5",)),
    ("1", "1*2*3", "input", ("2*3",)),
    ("", "2*3", "input", ("2*3",)),
    ("1*2", "1*2", "duplicate", ()),
    ("", "", "duplicate", ()),
    ("1*2", "1", "rewritten", ()),
    ("1*2", "", "rewritten", ()),
    ("1*2", "1*3", "rewritten", ()),
    ("1", "12", "rewritten", ()),
    ("3*1", "3*1*2", "input", ("2",)),
])
def test_what_was_typed_is_what_the_callback_adds(previous, text, kind, inputs):
    step = typed(previous, text)
    assert (step.kind, step.inputs) == (kind, inputs)


@given(st.lists(st.text(alphabet="0123456789*#", max_size=5), min_size=1, max_size=8))
def test_a_session_gives_back_what_was_typed_in_it(inputs):
    inputs[0] = inputs[0] or "1"  # an empty first input cannot be told from the first screen asked for again
    previous, got = "", []
    for index in range(len(inputs)):
        text = "*".join(inputs[:index + 1])
        got += typed(previous, text).inputs
        assert typed(text, text).kind == "duplicate"
        previous = text
    assert got == inputs


@given(st.none() | st.text(max_size=12), st.text(max_size=12))
def test_any_two_texts_have_a_reading(previous, text):
    assert typed(previous, text).kind in ("first", "input", "duplicate", "rewritten")


def test_what_was_typed_is_in_no_representation():
    assert PIN not in repr(typed("1", f"1*{PIN}"))
