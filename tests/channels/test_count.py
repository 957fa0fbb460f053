"""The operator's own count: what a campaign is proved by."""

from collections.abc import Iterator
from contextlib import suppress
from json import JSONDecodeError

import pytest
from africastalking.Service import AfricasTalkingException

from channels.sandbox import AfricasTalkingLine
from tests.channels.test_sandbox import (
    API_KEY,
    BODY,
    DEAD,
    LANDLINE,
    OTHER,
    PHONE,
    RECEIPTS,
    Gateway,
    Running,
    a_config,
    a_running_operator,
    serving,
    until,
)

LONG = "ا" * 71
NOTHING = {
    "requests": 0, "accepted": 0, "delivered": 0, "failed": 0, "parts": 0, "duplicates": 0, "receipts_sent": 0,
    "receipts_unanswered": 0,
}


@pytest.fixture
def running() -> Iterator[Running]:
    with a_running_operator() as running:
        yield running


def counted(running: Running) -> dict:
    return running.get("/sandbox/count")


def settled(running: Running, receipts: int) -> dict:
    until(lambda: counted(running)["receipts_sent"] == receipts)
    return counted(running)


def test_an_operator_that_has_done_nothing_counts_nothing(running):
    assert counted(running) == {
        **NOTHING, "telephones": 0, "providers": {"twilio": NOTHING, "africastalking": NOTHING}
    }


def test_each_provider_is_counted_by_itself_and_both_together(running):
    running.send(PHONE, LONG)
    running.send(DEAD)
    running.africastalking().send(BODY, [PHONE, OTHER, LANDLINE])
    count = settled(running, receipts=8)
    twilio = {**NOTHING, "requests": 2, "accepted": 2, "delivered": 1, "failed": 1, "parts": 3, "receipts_sent": 4}
    africastalking = {**NOTHING, "requests": 1, "accepted": 2, "delivered": 2, "parts": 2, "receipts_sent": 4}
    assert count["providers"] == {"twilio": twilio, "africastalking": africastalking}
    assert {figure: count[figure] for figure in NOTHING} == {
        figure: twilio[figure] + africastalking[figure] for figure in NOTHING
    }
    assert count["telephones"] == 2


def test_a_duplicate_is_the_same_words_for_the_same_telephone_by_whichever_provider(running):
    for phone, body in ((PHONE, "one"), (OTHER, "one"), (PHONE, "two")):
        running.send(phone, body)
    assert counted(running)["duplicates"] == 0
    running.send(PHONE, "one")
    running.africastalking().send("two", [PHONE, PHONE])
    count = counted(running)
    assert (count["duplicates"], count["accepted"]) == (3, 6)
    assert count["providers"]["africastalking"]["duplicates"] == 2


def test_an_answer_to_a_person_who_asks_twice_is_no_duplicate(running):
    running.gateway.answer = lambda heard: ("<Response><Message>same</Message></Response>", 200)
    for _ in range(2):
        running.post(f"/sandbox/handset/{PHONE}/sms", body="?", via="twilio")
    count = counted(running)
    assert (count["accepted"], count["duplicates"], count["requests"]) == (2, 0, 0)


def test_a_request_counts_though_it_is_refused_throttled_or_broken_and_a_stranger_s_does_not(running):
    for behaviour in ("refuse", "throttle", "error_before", "error_after", "garbage_before"):
        running.behave("africastalking", reset=True, **{behaviour: 1})
        with suppress(AfricasTalkingException, JSONDecodeError):
            running.africastalking().send(BODY, [PHONE])
    with pytest.raises(AfricasTalkingException):
        running.africastalking(api_key="wrong").send(BODY, [PHONE])
    count = counted(running)
    assert (count["requests"], count["accepted"]) == (5, 1)


def test_a_receipt_that_the_gateway_does_not_take_stays_unanswered(running):
    running.gateway.answer = lambda heard: ("", 403)
    running.send()
    until(lambda: counted(running)["receipts_unanswered"] == 2)
    assert counted(running)["receipts_sent"] == 0
    running.gateway.answer = lambda heard: ("", 200)
    running.behave("twilio", duplicate_receipts=1)
    running.send(OTHER)
    assert settled(running, receipts=4)["receipts_unanswered"] == 2


def test_a_telephone_counts_once_it_has_received_a_text_and_only_once(running):
    running.send(DEAD)
    running.send(PHONE, "one")
    running.send(PHONE, "two")
    count = settled(running, receipts=6)
    assert (count["telephones"], count["delivered"], count["failed"]) == (1, 2, 1)


# One text to many, and what it costs


def test_one_request_carries_a_thousand_telephones_each_with_its_own_name_and_price(running):
    phones = [f"+21261{place:07d}" for place in range(1000)]
    recipients = running.africastalking().send(LONG, phones, "RSU")["SMSMessageData"]["Recipients"]
    assert [recipient["number"] for recipient in recipients] == phones
    assert len({recipient["messageId"] for recipient in recipients}) == 1000
    assert {recipient["cost"] for recipient in recipients} == {"MAD 0.5000"}
    dead = sum(phone.endswith("99") for phone in phones)
    count = settled(running, receipts=2000)
    assert (count["requests"], count["accepted"], count["parts"], count["failed"]) == (1, 1000, 2000, dead)
    assert {report["id"] for report in running.gateway.heard(RECEIPTS)} == {r["messageId"] for r in recipients}


def test_more_than_a_thousand_telephones_are_refused(running):
    phones = [f"+21261{place:07d}" for place in range(1001)]
    with pytest.raises(AfricasTalkingException, match="1000"):
        running.africastalking().send(BODY, phones)
    assert counted(running)["accepted"] == 0


def test_the_summary_prices_only_what_was_accepted(running):
    answer = running.africastalking().send(LONG, [PHONE, OTHER, LANDLINE])
    assert answer["SMSMessageData"]["Message"] == "Sent to 2/3 Total Cost: MAD 1.0000 Message parts: 2"


def test_a_sender_that_is_not_the_application_s_is_refused_with_the_whole_request():
    gateway = Gateway()
    line = AfricasTalkingLine("rsu", API_KEY, ("RSU",))
    with serving(a_config(gateway.url, africastalking=line)) as (operator, url):
        service = Running(operator, url, gateway).africastalking()
        assert service.send(BODY, [PHONE], "OTHER") == {
            "SMSMessageData": {"Message": "InvalidSenderId", "Recipients": []}
        }
        assert service.send(BODY, [PHONE], "RSU")["SMSMessageData"]["Recipients"][0]["statusCode"] == 102
    gateway.server.stop()


def test_twilio_tells_the_price_once_a_text_has_ended(running):
    sent = running.twilio().messages.create(to=PHONE, from_="RSU", body=LONG)
    assert (sent.price, sent.price_unit, sent.num_segments) == (None, None, "2")
    until(lambda: running.twilio().messages(sent.sid).fetch().status == "delivered")
    (listed,) = running.twilio().messages.list(to=PHONE)
    assert (listed.price, listed.price_unit) == ("-0.16000", "USD")


def test_a_text_of_a_messaging_service_is_counted_in_parts_once_it_was_sent(running):
    sent = running.twilio().messages.create(to=PHONE, messaging_service_sid="MG" + "0" * 32, body=LONG)
    assert sent.num_segments == "0"
    assert running.twilio().messages(sent.sid).fetch().num_segments == "2"
