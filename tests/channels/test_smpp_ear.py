"""What is heard is handed on in a thread of its own, and answered once it is kept."""

from __future__ import annotations

import threading

import pytest

from channels.sms.smpp.address import Address
from channels.sms.smpp.assembly import GAP, KEEP_S
from channels.sms.smpp.delivery import Delivery
from channels.sms.smpp.ear import MOST_AT_ONCE, MOST_WAITING, Ear
from channels.sms.smpp.status import OK, RX_T_APPN
from tests.contract.smsc import Gateway, eventually

FIRST_OF_TWO = b"\x05\x00\x03\x2a\x02\x01Salam "


class Heard(Gateway):
    """The gateway, a clock that moves when it is told to, and the answers."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.answers: list[tuple[int, int]] = []
        self.batches: list[int] = []
        self.ear = Ear("smpp", self.answer, self.on_receipts, self.on_inbound, lambda: self.now)

    def answer(self, delivery: Delivery, status: int) -> None:
        self.answers.append((delivery.sequence, status))

    def on_receipts(self, receipts) -> None:
        self.batches.append(len(receipts))
        super().on_receipts(receipts)


@pytest.fixture
def heard():
    heard = Heard()
    yield heard
    if heard.ear._thread.ident:
        heard.ear.stop(5.0)


def handed(octets: bytes, sequence: int = 1, esm_class: int = 0) -> Delivery:
    return Delivery(1, sequence, Address(1, 1, "212612000417"), Address(3, 0, "580"), esm_class, 0, octets, {})


def told(number: int) -> Delivery:
    return handed(b"id:%d stat:DELIVRD" % number, number, 0x04)


def test_no_more_is_taken_than_there_is_room_for(heard):
    assert [heard.ear.hear(told(number)) for number in range(1, MOST_WAITING + 2)] == [True] * MOST_WAITING + [False]
    assert not heard.ear.idle()
    heard.ear.start()
    eventually(heard.ear.idle)
    assert heard.batches == [MOST_AT_ONCE] * (MOST_WAITING // MOST_AT_ONCE)
    assert heard.answers == [(number, OK) for number in range(1, MOST_WAITING + 1)]


def test_a_text_of_which_a_part_never_comes_is_told_with_a_gap_in_the_end(heard):
    heard.ear.start()
    heard.ear.hear(handed(FIRST_OF_TWO, esm_class=0x40))
    eventually(heard.ear.idle)
    heard.now = 60.0
    eventually(lambda: heard.answers == [(1, RX_T_APPN)])
    heard.now = KEEP_S
    eventually(lambda: [text.body for text in heard.texts] == ["Salam " + GAP])
    heard.ear.hear(handed(FIRST_OF_TWO, 2, esm_class=0x40))
    eventually(lambda: heard.answers == [(1, RX_T_APPN), (2, OK)])
    assert len(heard.texts) == 1


def test_a_text_that_was_not_kept_and_did_not_come_again_is_told_again_by_us(heard):
    heard.ear.start()
    heard.broken = True
    heard.ear.hear(handed(b"STOP"))
    eventually(lambda: heard.answers == [(1, RX_T_APPN)])
    heard.broken, heard.now = False, KEEP_S
    eventually(lambda: [text.body for text in heard.texts] == ["STOP"])
    assert len({text.provider_id for text in heard.asked}) == 1


def test_what_cannot_be_understood_does_not_end_the_hearing(heard):
    heard.ear.start()
    heard.ear.hear(Delivery(1, 7, None, None, 0, 0, b"", {}))
    eventually(lambda: heard.answers == [(7, RX_T_APPN)])
    heard.ear.hear(handed(b"STOP", 8))
    eventually(lambda: heard.answers[1:] == [(8, OK)])


def test_what_waits_when_it_is_stopped_is_handed_on(heard):
    may_go = threading.Event()
    heard.ear._on_inbound = lambda text: (may_go.wait(5.0), heard.on_inbound(text))
    heard.ear.start()
    for number in range(3):
        heard.ear.hear(handed(b"%d" % number, number))
    threading.Timer(0.05, may_go.set).start()
    heard.ear.stop(5.0)
    assert [text.body for text in heard.texts] == ["0", "1", "2"]
