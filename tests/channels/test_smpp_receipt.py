"""A receipt is read from its text or its optional parameters, whatever the SMSC made of the identifier."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.base import Receipt
from channels.sms.smpp.address import Address
from channels.sms.smpp.delivery import Delivery
from channels.sms.smpp.receipt import (
    MESSAGE_STATE,
    NETWORK_ERROR_CODE,
    RECEIPTED_MESSAGE_ID,
    is_receipt,
    read,
    spellings,
)

SOURCE, DESTINATION = Address(1, 1, "212612000417"), Address(5, 0, "RSU")
MSISDN = "+212612000417"


def handed(text: str | bytes = b"", options: dict[int, bytes] | None = None, esm_class: int = 0x04,
           data_coding: int = 0) -> Delivery:
    octets = text.encode() if isinstance(text, str) else text
    return Delivery(1, 1, SOURCE, DESTINATION, esm_class, data_coding, octets, options or {})


def told(stat: str, **words: str) -> str:
    words = {"id": "0a1b", "err": "000", **words}
    return (f"id:{words['id']} sub:001 dlvrd:001 submit date:2611210900 done date:2611210901 stat:{stat} "
            f"err:{words['err']} text:RSU : votre")


@pytest.mark.parametrize(("stat", "outcome"), [
    ("DELIVRD", "delivered"), ("EXPIRED", "failed"), ("DELETED", "failed"), ("UNDELIV", "failed"),
    ("REJECTD", "failed"), ("ENROUTE", None), ("ACCEPTD", None), ("UNKNOWN", None), ("SKIPPED", None),
])
def test_every_word_of_the_text_has_its_outcome_and_is_kept(stat, outcome):
    receipt = read(handed(told(stat)), "smpp")
    assert receipt == Receipt("smpp", "a1b", stat, outcome, MSISDN, also=("2587",))


@pytest.mark.parametrize(("state", "status", "outcome"), [
    (1, "ENROUTE", None), (2, "DELIVRD", "delivered"), (3, "EXPIRED", "failed"), (4, "DELETED", "failed"),
    (5, "UNDELIV", "failed"), (6, "ACCEPTD", None), (7, "UNKNOWN", None), (8, "REJECTD", "failed"), (9, "9", None),
])
def test_every_message_state_has_its_outcome(state, status, outcome):
    receipt = read(handed(options={RECEIPTED_MESSAGE_ID: b"ref-1\0", MESSAGE_STATE: bytes([state])}), "smpp")
    assert receipt == Receipt("smpp", "ref-1", status, outcome, MSISDN)


def test_the_optional_parameters_are_believed_before_the_text():
    receipt = read(handed(told("DELIVRD", id="77"), {RECEIPTED_MESSAGE_ID: b"4D\0", MESSAGE_STATE: b"\x05"}), "smpp")
    assert (receipt.provider_id, receipt.status) == ("4d", "UNDELIV")
    assert set(receipt.also) == {"77", "119"}


def test_a_receipt_whose_ends_were_not_turned_round_names_the_telephone_all_the_same():
    receipt = read(Delivery(1, 1, DESTINATION, SOURCE, 0x04, 0, told("DELIVRD").encode(), {}), "smpp")
    assert receipt.msisdn == MSISDN


def test_an_identifier_without_its_nul_is_whole():
    assert read(handed(told("DELIVRD"), {RECEIPTED_MESSAGE_ID: b"4D9"}), "smpp").provider_id == "4d9"


@pytest.mark.parametrize("text", [
    "id:0a1b stat:DELIVRD", "ID:0A1B SUB:001 DLVRD:001 STAT:delivrd ERR:0", "garbage id:0a1b\nstat:DELIVRD\ntext:x",
    "id:0a1b submit date:261121090000 done date:261121090100 stat:DELIVRD err:0",
])
def test_a_text_is_read_in_each_dress_it_comes_in(text):
    assert read(handed(text), "smpp") == Receipt("smpp", "a1b", "DELIVRD", "delivered", MSISDN, also=("2587",))
    wide = handed(text.encode("utf-16-be"), data_coding=8)
    assert read(wide, "smpp") == read(handed(text), "smpp")


@pytest.mark.parametrize(("text", "options"), [
    ("", {}), ("stat:DELIVRD", {}), ("id:1 stat:", {}), ("id:1", {}), ("", {MESSAGE_STATE: b"\x02"}),
    ("", {RECEIPTED_MESSAGE_ID: b"1\0"}), ("", {RECEIPTED_MESSAGE_ID: b"\0", MESSAGE_STATE: b"\x02"}),
    ("id:" + "9" * 66 + " stat:DELIVRD", {}),
])
def test_what_names_no_message_or_no_state_settles_nothing(text, options):
    assert read(handed(text, options), "smpp") is None


@pytest.mark.parametrize(("err", "network", "error", "permanent"), [
    ("000", b"", None, False), ("0", b"", None, False), ("01A", b"", "01A", False), ("100", b"", "100", False),
    ("000", b"\x03\x00\x01", "1", True), ("005", b"\x03\x00\x1b", "27", False), ("000", b"\x03\x00\x09", "9", True),
    ("000", b"\x02\x00\x01", None, False), ("007", b"\x03\x00\x00", "007", False), ("000", b"\x03", None, False),
])
def test_only_the_networks_own_error_says_that_a_number_is_no_more(err, network, error, permanent):
    receipt = read(handed(told("UNDELIV", err=err), {NETWORK_ERROR_CODE: network}), "smpp")
    assert (receipt.error, receipt.permanent) == (error, permanent)


def test_a_delivered_text_is_no_dead_number_whatever_the_error():
    assert not read(handed(told("DELIVRD"), {NETWORK_ERROR_CODE: b"\x03\x00\x01"}), "smpp").permanent


@pytest.mark.parametrize(("esm_class", "options", "receipt"), [
    (0x04, {}, True), (0x44, {}, True), (0x20, {}, True), (0x00, {RECEIPTED_MESSAGE_ID: b"1"}, True),
    (0x00, {}, False), (0x40, {}, False), (0x08, {}, False), (0x80, {MESSAGE_STATE: b"\x02"}, False),
])
def test_a_person_cannot_text_a_receipt(esm_class, options, receipt):
    assert is_receipt(handed(told("DELIVRD"), options, esm_class)) is receipt


SPELT = [
    ("1A2B3C", "001A2B3C"), ("1715004", "1A2B3C"), ("1A2B3C", "1715004"), ("0001715004", "1a2b3c"),
    ("12345", "0012345"), ("12345", "74565"), ("74565", "12345"), ("0", "0000"), ("8f14e45f-ceea", "8f14e45f-ceea"),
]


@pytest.mark.parametrize(("answered", "receipted"), SPELT)
def test_an_identifier_is_known_again_in_hexadecimal_in_decimal_and_padded(answered, receipted):
    assert spellings(answered)[0] in spellings(receipted)


def test_an_identifier_that_is_no_number_stays_as_it_is():
    assert spellings("Ref-00A") == ["Ref-00A"]


@given(st.integers(0, 10 ** 20), st.sampled_from(["{:d}", "{:x}", "{:X}", "{:012d}", "{:012X}"]),
       st.sampled_from(["{:d}", "{:x}", "{:X}", "{:012d}", "{:012X}"]))
def test_any_number_is_known_again_in_any_two_dresses(number, answered, receipted):
    assert spellings(answered.format(number))[0] in spellings(receipted.format(number))


@given(st.text(max_size=65))
def test_a_spelling_has_room_where_it_is_kept(name):
    assert all(len(spelt) <= 80 for spelt in spellings(name))


@given(st.binary(max_size=300), st.dictionaries(
    st.sampled_from([RECEIPTED_MESSAGE_ID, MESSAGE_STATE, NETWORK_ERROR_CODE]), st.binary(max_size=80)),
    st.sampled_from([0, 3, 8, 0xF0]))
def test_a_receipt_of_any_shape_is_read_or_settles_nothing(octets, options, data_coding):
    receipt = read(handed(octets, options, data_coding=data_coding), "smpp")
    assert receipt is None or (receipt.provider_id and receipt.status)
