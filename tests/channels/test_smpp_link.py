"""The bind to an SMSC under every fault: nothing accepted is lost, and nothing is said to be certain that is not."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import socket
import threading
from contextlib import contextmanager, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.base import Accepted, Misconfigured, Outbound, SendError, Throttled, Unavailable, Unknown
from channels.sms.smpp import SmppSms, receipt
from channels.sms.smpp.assembly import Assembly
from channels.sms.smpp.line import Pdu, Server, Unreadable, delivery
from channels.sms.smpp.link import Account, Link
from channels.sms.smpp.status import RX_T_APPN
from tests.contract.provider import MESSAGE
from tests.contract.smsc import (
    ACCOUNT,
    BIND_RESP,
    ENQUIRE_LINK_RESP,
    QUICK,
    SUBMIT_SM_RESP,
    Gateway,
    Smsc,
    accepts,
    after,
    bound,
    command_of,
    cuts,
    eventually,
    free_port,
    keeps_silent,
    refuses,
    with_status,
)

ENQUIRE_LINK, UNBIND, GENERIC_NACK = 0x15, 0x06, 0x80000000


@pytest.fixture
def smsc():
    with Smsc() as smsc:
        yield smsc


def sent(channel: SmppSms, *messages: Outbound) -> list[Accepted | SendError]:
    """How each of them ended, all at once in a loop of their own."""
    async def together():
        return await asyncio.gather(*(channel.send(message) for message in messages or (MESSAGE,)),
                                    return_exceptions=True)
    return asyncio.run(together())


def many(count: int) -> list[Outbound]:
    return [dataclasses.replace(MESSAGE, token=f"tok-{number}") for number in range(count)]


def kinds(results) -> dict[str, int]:
    names = [type(result).__name__ for result in results]
    return {name: names.count(name) for name in set(names)}


def frame(command: int, sequence: int, body: bytes = b"", status: int = 0) -> bytes:
    return b"".join(number.to_bytes(4, "big") for number in (16 + len(body), command, status, sequence)) + body


@contextmanager
def unstarted(url: str, **account):
    """A channel that may never be bound."""
    channel = SmppSms(**{**ACCOUNT, "base_url": url, **account}, pace=QUICK, deadline_s=1.0)
    try:
        yield channel
    finally:
        channel.stop(1.0)


def begun(channel: SmppSms, gateway: Gateway | None = None) -> SmppSms:
    gateway = gateway or Gateway()
    channel.start(gateway.on_receipts, gateway.on_inbound)
    return channel


def test_no_more_is_unanswered_than_the_window_has_places(smsc):
    waiting = []

    def holds(smsc, event):
        waiting.append(len(smsc.seen) - answered[0])
        smsc.later(0.02, answers, event)

    def answers(smsc, event):
        answered[0] += 1
        event.accept(f"{answered[0]}")

    answered = [0]
    smsc.does(holds)
    with bound(smsc, window=7) as channel:
        assert kinds(sent(channel, *many(60))) == {"Accepted": 60}
    assert max(waiting) == 7


def test_answers_in_another_order_find_their_messages(smsc):
    def answers_the_last_first(smsc, event):
        number = int(event.destination_addr[-1])
        smsc.later(0.05 * (9 - number), accepts(f"to-{number}"), event)

    smsc.does(answers_the_last_first)
    with bound(smsc) as channel:
        results = sent(channel, *(dataclasses.replace(MESSAGE, msisdn=f"+21261200041{number}") for number in range(9)))
    assert [result.provider_id for result in results] == [f"to-{number}" for number in range(9)]


def test_texts_are_sent_from_several_loops_at_once(smsc):
    results = []
    with bound(smsc, pace=dataclasses.replace(QUICK, answer_s=30.0)) as channel:
        loops = [threading.Thread(target=lambda: results.extend(sent(channel, *many(20)))) for _ in range(4)]
        for loop in loops:
            loop.start()
        for loop in loops:
            loop.join()
    assert kinds(results) == {"Accepted": 80}
    assert len({result.provider_id for result in results}) == 80


def test_a_line_that_breaks_in_mid_window_leaves_the_submitted_unknown_and_the_others_unsent(smsc):
    smsc.does(accepts(), keeps_silent, keeps_silent, cuts)
    with bound(smsc, window=4) as channel:
        results = sent(channel, *many(20))
        taken = len(smsc.seen)
        assert kinds(results)["Unavailable"] == 20 - kinds(results)["Accepted"] - kinds(results)["Unknown"]
        assert kinds(results)["Accepted"] + kinds(results)["Unknown"] >= taken
        assert kinds(results)["Unknown"] <= 4
        smsc.does(accepts())
        eventually(lambda: smsc.binds == 2 and channel.bound)
        assert kinds(sent(channel)) == {"Accepted": 1}


@pytest.mark.parametrize("seed", range(3))
def test_through_any_weather_what_is_called_accepted_was_and_what_is_called_unsent_was_not(smsc, seed):
    weather = random.Random(seed)
    taken: set[str] = set()

    def does(smsc, event):
        fate = weather.random()
        if fate < 0.1:
            event.reject(0x58)
            return
        taken.add(event.destination_addr)
        if fate < 0.15:
            keeps_silent(smsc, event)
        else:
            smsc.later(weather.random() / 50, accepts(), event)
        if fate > 0.97:
            smsc.cut()

    async def patient(channel: SmppSms, message: Outbound):
        await asyncio.sleep(weather.random())
        try:
            return await channel.send(message)
        except SendError as error:
            return error

    async def together(channel: SmppSms):
        return await asyncio.gather(*(patient(channel, message) for message in messages))

    messages = [dataclasses.replace(MESSAGE, msisdn=f"+2126{number:08}") for number in range(300)]
    smsc.does(does)
    with bound(smsc, window=20, pace=dataclasses.replace(QUICK, answer_s=0.3)) as channel:
        results = asyncio.run(together(channel))
    told = dict(zip((message.msisdn[1:] for message in messages), results, strict=True))
    assert {number for number, result in told.items() if isinstance(result, Accepted)} <= taken
    assert not {number for number, result in told.items() if isinstance(result, Unavailable | Throttled)} & taken
    assert set(kinds(results)) <= {"Accepted", "Unavailable", "Throttled", "Unknown"}
    assert smsc.binds > 1


def test_an_answer_that_is_lost_leaves_the_message_unknown_and_its_place_free(smsc):
    smsc.down = lambda pdu: None if command_of(pdu) == SUBMIT_SM_RESP else pdu
    with bound(smsc, window=1, pace=dataclasses.replace(QUICK, answer_s=0.2)) as channel:
        (result,) = sent(channel)
        assert (type(result), result.code) == (Unknown, "no_answer")
        smsc.down = lambda pdu: pdu
        assert kinds(sent(channel)) == {"Accepted": 1}
    assert smsc.binds == 1


def test_an_answer_that_comes_too_late_is_nobodys(smsc):
    smsc.does(after(0.4, accepts("late")), after(0.3, accepts("its own")))
    with bound(smsc, pace=dataclasses.replace(QUICK, answer_s=0.35)) as channel:
        assert kinds(sent(channel)) == {"Unknown": 1}
        (second,) = sent(channel)
        assert second.provider_id == "its own"


def test_who_finds_no_place_in_the_window_was_never_sent(smsc):
    smsc.does(keeps_silent)
    with bound(smsc, window=1, deadline_s=0.2, pace=dataclasses.replace(QUICK, answer_s=0.6)) as channel:
        first, second = sent(channel, *many(2))
    assert (type(first), type(second), second.code) == (Unknown, Throttled, "window_full")
    assert len(smsc.seen) == 1


def test_a_line_that_has_died_without_a_word_is_risked_one_window_and_no_more(smsc):
    smsc.does(keeps_silent)
    smsc.down = lambda pdu: None if command_of(pdu) == ENQUIRE_LINK_RESP else pdu
    with bound(smsc, window=3, pace=dataclasses.replace(QUICK, answer_s=0.2)) as channel:
        results = sent(channel, *many(10))
    assert kinds(results) == {"Unknown": 3, "Unavailable": 7}
    assert len(smsc.seen) == 3


def test_a_text_that_nobody_waits_for_any_more_is_not_sent(smsc):
    smsc.does(after(0.2, accepts()))

    async def impatient(channel: SmppSms) -> None:
        first, second = (asyncio.create_task(channel.send(message)) for message in many(2))
        await asyncio.sleep(0.05)
        second.cancel()
        await first

    with bound(smsc, window=1) as channel:
        asyncio.run(impatient(channel))
        assert kinds(sent(channel)) == {"Accepted": 1}
    assert len(smsc.seen) == 2


def test_what_there_is_no_room_for_must_come_again(smsc):
    link = Link(Server("127.0.0.1", smsc.port), Account("rsu", "a-word"), QUICK, lambda _: False, lambda: True)
    link.start()
    try:
        eventually(lambda: smsc.binds and link.bound)
        assert smsc.deliver(b"STOP") == RX_T_APPN
    finally:
        link.stop(1.0)


@pytest.mark.parametrize(("status", "code"), [(0x58, "0x58"), (0x14, "0x14")])
def test_too_fast_is_certainly_not_sent(smsc, status, code):
    smsc.does(refuses(status), accepts())
    with bound(smsc) as channel:
        first, second = sent(channel)[0], sent(channel)[0]
    assert (type(first), first.code) == (Throttled, code)
    assert type(second) is Accepted


@pytest.mark.parametrize(("status", "kind", "code"), [
    (0x0E, Misconfigured, "0x0E"), (0x0F, Misconfigured, "0x0F"), (0x05, Unavailable, "0x05"),
    (0x0D, Unavailable, "0x0D"), (0x66, Unavailable, "0x66"), (0xFF, Unavailable, "0xFF"), (0x58, Unavailable, "0x58"),
])
def test_a_bind_that_is_refused_burns_no_message_and_is_tried_again(smsc, status, kind, code):
    refused = []

    def refuse(pdu):
        if command_of(pdu) != BIND_RESP or len(refused) > 1:
            return pdu
        refused.append(pdu)
        return with_status(pdu, status)

    smsc.down = refuse
    with unstarted(smsc.url) as channel:
        begun(channel)
        eventually(lambda: refused)
        eventually(lambda: (type(result := sent(channel)[0]), result.code) == (kind, code) or channel.bound)
        eventually(lambda: channel.bound)
    assert len(refused) == 2


def test_an_smsc_that_never_answers_a_bind_is_not_waited_for_for_ever(smsc):
    lost = []
    smsc.down = lambda pdu: lost.append(pdu) if not lost else pdu
    with unstarted(smsc.url) as channel:
        begun(channel)
        eventually(lambda: channel.bound)
    assert len(lost) == 1


def test_before_the_start_and_after_the_stop_nothing_is_sent(smsc):
    with unstarted(smsc.url) as channel:
        (early,) = sent(channel)
        assert (type(early), early.code, channel.bound) == (Unavailable, "not_started", False)
    with bound(smsc) as channel:
        pass
    (late,) = sent(channel)
    assert (type(late), late.code, channel.bound) == (Unavailable, "stopped", False)
    assert smsc.seen == []


def test_there_is_one_bind_and_no_second(smsc):
    with bound(smsc) as channel:
        with pytest.raises(RuntimeError):
            begun(channel)
        assert smsc.binds == 1
    with pytest.raises(RuntimeError):
        begun(channel)


def test_where_nobody_listens_nothing_is_sent_and_the_bind_comes_when_somebody_does():
    port = free_port()
    with unstarted(f"smpp://127.0.0.1:{port}") as channel:
        begun(channel)
        eventually(lambda: sent(channel)[0].code == "refused")
        with Smsc(port=port) as smsc:
            eventually(lambda: channel.bound)
            assert kinds(sent(channel)) == {"Accepted": 1}
            channel.stop(1.0)
            eventually(lambda: smsc.unbinds == 1)


def test_a_host_that_does_not_exist_is_named_so():
    with unstarted("smpp://nowhere.invalid:2775") as channel:
        begun(channel)
        eventually(lambda: sent(channel)[0].code == "no_such_host")


@pytest.mark.parametrize("octets", [
    pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="another protocol"),
    pytest.param(b"\xff" * 64, id="a length of four gigabytes"),
    pytest.param(b"\x00\x00\x00\x04" * 8, id="a length below the header's"),
    pytest.param(frame(GENERIC_NACK, 0, status=3), id="we are not understood"),
    pytest.param(frame(UNBIND, 77), id="unbound by the SMSC"),
])
def test_a_line_that_makes_no_sense_is_left_and_made_anew(smsc, octets):
    smsc.does(keeps_silent)
    with bound(smsc) as channel:
        smsc.does(lambda smsc, event: (keeps_silent(smsc, event), smsc.garble(octets)))
        assert kinds(sent(channel)) == {"Unknown": 1}
        smsc.does(accepts())
        eventually(lambda: smsc.binds == 2 and channel.bound)
        assert kinds(sent(channel)) == {"Accepted": 1}


@pytest.mark.parametrize("octets", [
    pytest.param(frame(0x80000004, 9999, b"nobody's\0"), id="an answer to nothing"),
    pytest.param(frame(ENQUIRE_LINK_RESP, 5), id="a sign of life nobody asked for"),
    pytest.param(frame(0x00000102, 5, b"\0" * 6), id="alert_notification"),
    pytest.param(frame(GENERIC_NACK, 9999, status=3), id="a refusal of nothing"),
    pytest.param(frame(0x00000103, 5, b"\0" * 12), id="data_sm"),
    pytest.param(frame(0x0000FFFF, 5), id="a command of tomorrow"),
    pytest.param(frame(0x8000FFFF, 5), id="an answer of tomorrow"),
    pytest.param(frame(0x00000005, 5, b"\1"), id="a deliver_sm cut short"),
    pytest.param(frame(0x00000005, 5), id="a deliver_sm of nothing"),
    pytest.param(frame(0x00000005, 5, b"\0\1\1x\0\1\1y"), id="an address without its end"),
    pytest.param(frame(0x00000005, 5, b"\0\1\1x\0\1\1y\0\0\0"), id="addresses and no more"),
    pytest.param(frame(0x00000005, 5, b"\0\1\1x\0\1\1y" + b"\0" * 10 + b"\xff"), id="shorter than it says"),
    pytest.param(frame(0x00000005, 5, b"\0\1\1x\0\1\1y\0\0\0\0\0\0\0\0\0\0\0\x04\x27\0"), id="half an option"),
])
def test_what_is_odd_but_whole_does_not_break_the_line(smsc, octets):
    with bound(smsc) as channel:
        smsc.garble(octets)
        assert kinds(sent(channel)) == {"Accepted": 1}
    assert smsc.binds == 1


@given(st.binary(max_size=80), st.binary(max_size=40))
def test_a_deliver_sm_of_any_shape_is_read_or_refused(start, end):
    for body in (start, MOBILE_TEXT[:-5] + start, MOBILE_TEXT + end):
        with suppress(Unreadable):
            read = delivery(Pdu(0x00000005, 0, 5, body), 1)
            assert receipt.is_receipt(read) in (True, False)
            receipt.read(read, "smpp")
            held = Assembly().hold(read, 0.0)
            assert held.text() is not None


@pytest.mark.parametrize("command", [0x00000103, 0x0000FFFF])
def test_a_command_that_is_not_ours_to_take_is_answered(smsc, command):
    with bound(smsc):
        smsc.garble(frame(command, 5, b"\0" * 12))
        eventually(lambda: frame(GENERIC_NACK, 5, status=3) in smsc.up)


def test_the_other_sides_question_after_our_life_is_answered(smsc):
    with bound(smsc):
        smsc.garble(frame(ENQUIRE_LINK, 1234))
        eventually(lambda: frame(ENQUIRE_LINK_RESP, 1234) in smsc.up)


def test_an_smsc_that_is_silent_is_asked_and_one_that_stays_silent_is_left(smsc):
    pace = dataclasses.replace(QUICK, enquire_s=0.1, answer_s=0.2)
    with bound(smsc, pace=pace) as channel:
        eventually(lambda: sum(command_of(pdu) == ENQUIRE_LINK for pdu in smsc.up) > 2)
        assert smsc.binds == 1
        smsc.down = lambda pdu: None if command_of(pdu) == ENQUIRE_LINK_RESP else pdu
        eventually(lambda: smsc.binds == 2)
        smsc.down = lambda pdu: pdu
        eventually(lambda: channel.bound)
        assert kinds(sent(channel)) == {"Accepted": 1}


def test_pdus_that_come_octet_by_octet_are_read(smsc):
    """And what comes in one piece with the answer to the bind is not lost."""
    held = []

    def together(pdu):
        if command_of(pdu) == BIND_RESP:
            return pdu + frame(ENQUIRE_LINK, 4321) + frame(0x00000005, 4322, MOBILE_TEXT)
        held.extend(pdu[at:at + 1] for at in range(len(pdu)))
        for octet in held:
            smsc.garble(octet)
        held.clear()
        return None

    smsc.down = together
    gateway = Gateway()
    with bound(smsc, gateway) as channel:
        eventually(lambda: frame(ENQUIRE_LINK_RESP, 4321) in smsc.up)
        eventually(lambda: [text.body for text in gateway.texts] == ["STOP"])
        assert kinds(sent(channel)) == {"Accepted": 1}


# service_type, source, destination, seven octets of flags, data_coding 0, sm_default_msg_id, "STOP".
MOBILE_TEXT = b"\0\1\1212612000417\0\3\0" + b"580\0" + b"\0\0\0\0\0\0\0\0\0\4STOP"


def test_a_stop_waits_for_what_is_in_flight_and_unbinds(smsc):
    smsc.does(after(0.3, accepts()))
    results = []
    with bound(smsc, window=2) as channel:
        sending = threading.Thread(target=lambda: results.extend(sent(channel, *many(5))))
        sending.start()
        eventually(lambda: len(smsc.seen) == 2)
        channel.stop(5.0)
        sending.join()
    assert kinds(results) == {"Accepted": 2, "Unavailable": 3}
    eventually(lambda: smsc.unbinds == 1)
    assert command_of(smsc.up[-1]) == UNBIND
    assert len(smsc.seen) == 2


def test_a_stop_does_not_wait_for_ever(smsc):
    smsc.does(keeps_silent)
    results = []
    with bound(smsc, pace=dataclasses.replace(QUICK, answer_s=60.0)) as channel:
        sending = threading.Thread(target=lambda: results.extend(sent(channel)))
        sending.start()
        eventually(lambda: smsc.seen)
        channel.stop(0.2)
        sending.join()
    assert [(type(result), result.code) for result in results] == [(Unknown, "stopped")]


def test_a_stop_while_nobody_answers_the_door_ends():
    with unstarted(f"smpp://127.0.0.1:{free_port()}") as channel:
        begun(channel)
        channel.stop(0.5)
        assert not channel.bound


def test_a_submit_that_the_smsc_thinks_unbound_makes_a_new_bind(smsc):
    smsc.does(refuses(0x04), accepts())
    with bound(smsc) as channel:
        (result,) = sent(channel)
        assert type(result) is Unavailable
        eventually(lambda: smsc.binds == 2 and channel.bound)
        assert kinds(sent(channel)) == {"Accepted": 1}


@pytest.mark.parametrize("name", [b"\0", b"", b"9" * 65 + b"\0"])
def test_an_acceptance_without_a_name_is_unknown(smsc, name):
    def nameless(pdu):
        if command_of(pdu) != SUBMIT_SM_RESP:
            return pdu
        return frame(SUBMIT_SM_RESP, int.from_bytes(pdu[12:16], "big"), name)

    smsc.down = nameless
    with bound(smsc) as channel:
        (result,) = sent(channel)
    assert (type(result), result.code) == (Unknown, "no_id")


def test_an_answer_that_came_with_nonsense_behind_it_is_heard(smsc):
    smsc.down = lambda pdu: pdu + b"\xff" * 32 if command_of(pdu) == SUBMIT_SM_RESP else pdu
    with bound(smsc) as channel:
        assert kinds(sent(channel)) == {"Accepted": 1}
        eventually(lambda: smsc.binds == 2)


def test_an_answer_with_options_that_nobody_expects_is_read(smsc):
    smsc.down = lambda pdu: pdu if command_of(pdu) != SUBMIT_SM_RESP else frame(
        SUBMIT_SM_RESP, int.from_bytes(pdu[12:16], "big"), b"4D9\0\x14\x00\x00\x02ab\x04\x25\x00\x01\x00")
    with bound(smsc) as channel:
        assert sent(channel)[0].provider_id == "4d9"


def test_the_password_is_in_no_representation():
    channel = SmppSms(**ACCOUNT, base_url="smpp://127.0.0.1:1")
    assert ACCOUNT["password"] not in repr(vars(channel))


@pytest.mark.parametrize("changed", [
    {"password": "nine char"}, {"system_id": "s" * 16}, {"system_type": "t" * 13}, {"password": "é"}, {"sender": "?"},
    {"base_url": "https://127.0.0.1"}, {"base_url": "127.0.0.1:2775"}, {"base_url": "smpp://"}, {"window": "many"},
    {"base_url": "smpp://rsu:word@127.0.0.1"}, {"base_url": "smpp://127.0.0.1:99999"},
    {"base_url": "smpps://127.0.0.1", "ca_file": "/nowhere.pem"},
])
def test_an_account_that_cannot_be_one_is_refused_at_once(changed):
    with pytest.raises(ValueError):  # noqa: PT011
        SmppSms(**{**ACCOUNT, "base_url": "smpp://127.0.0.1:2775", **changed})


def test_a_peer_that_takes_the_line_and_says_nothing_is_sent_nothing():
    with socket.create_server(("127.0.0.1", 0)) as deaf, unstarted(
            f"smpp://127.0.0.1:{deaf.getsockname()[1]}") as channel:
        begun(channel)
        (result,) = sent(channel)
        assert type(result) is Unavailable
