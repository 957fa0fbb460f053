"""A text as octets: nothing of it is lost on the way, and no part is longer than the network takes."""

from __future__ import annotations

import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from channels.base import Rejected
from channels.sms.smpp.address import ALPHANUMERIC, INTERNATIONAL, NATIONAL, NETWORK_SPECIFIC, Address, msisdn, sender
from channels.sms.smpp.encoding import HAS_HEADER, Part, Place, decode, encode, placed
from channels.text import GSM7, encoding

anything = st.text() | st.text(st.sampled_from("مⵣ😀a€\u064b\u0301\u200d\n ç"), max_size=900)
cheap = st.text(st.sampled_from(sorted(GSM7)), max_size=900)


@given(anything | cheap, st.integers(0, 0xFFFF))
@example("a" * 151 + "€" * 3, 7)
@example("م" * 65 + "😀" * 3, 7)
def test_what_is_encoded_is_read_again_and_no_part_is_too_long(text, reference):
    parts = encode(text, reference)
    room = {0x00: 160, 0x08: 140}[parts[0].data_coding]
    for number, part in enumerate(parts, 1):
        place, rest = placed(part.octets, part.esm_class)
        assert place == (Place(reference, len(parts), number) if len(parts) > 1 else None)
        # Seven octets of header take the place of eight septets, the last of them only in part.
        assert len(rest) <= (room if place is None else 152 if room == 160 else 132)
    # Each read alone: a handset that joins none shows letters all the same.
    assert "".join(decode(placed(part.octets, part.esm_class)[1], part.data_coding) for part in parts) == text


@pytest.mark.parametrize(("text", "octets"), [
    ("RSU : 500 €", b"RSU : 500 \x1be"),
    ("été à Ñ§@_$\n", b"\x05t\x05 \x7f ]\x5f\x00\x11\x02\n"),
    ("{[|^~\\]}\f", b"\x1b(\x1b<\x1b@\x1b\x14\x1b=\x1b/\x1b>\x1b)\x1b\n"),
    ("ΔΦΓΛΩΠΨΣΘΞ", b"\x10\x12\x13\x14\x15\x16\x17\x18\x19\x1a"),
])
def test_gsm_letters_are_the_septets_of_the_standard_one_in_an_octet(text, octets):
    assert encode(text, 1) == [Part(octets, 0x00, 0)]


def test_the_letters_of_ascii_that_the_network_shares_stand_in_their_own_place():
    shared = [letter for letter in string.ascii_letters + string.digits + " !\"#%&'()*+,-./:;<=>?"]
    assert encode("".join(shared), 1)[0].octets == "".join(shared).encode("ascii")


def test_other_letters_are_code_units_with_the_high_octet_first():
    assert encode("مⵣ😀", 1) == [Part(b"\x06\x45\x2d\x63\xd8\x3d\xde\x00", 0x08, 0)]


def test_each_part_of_a_long_text_says_which_it_is():
    first, second, third = encode("م" * 140, 0xA1B2)
    assert first.octets[:7] == b"\x06\x08\x04\xa1\xb2\x03\x01"
    assert third.octets[:7] == b"\x06\x08\x04\xa1\xb2\x03\x03"
    assert {part.esm_class for part in (first, second, third)} == {HAS_HEADER}
    assert [len(part.octets) - 7 for part in (first, second, third)] == [132, 132, 16]


@pytest.mark.parametrize(("text", "sizes"), [
    ("a" * 160, [160]), ("a" * 161, [152, 9]), ("a" * 151 + "€" + "a" * 20, [151, 22]),
    ("م" * 70, [70]), ("م" * 71, [66, 5]), ("م" * 65 + "😀" + "م" * 5, [65, 7]),
    ("م" * 65 + "🇲🇦" + "م" * 5, [65, 9]), ("م" * 64 + "👍🏽" + "م" * 5, [64, 9]), ("م" * 65 + "بُ" + "م" * 5, [65, 7]),
    ("م" * 64 + "👩\u200d🌾" + "م" * 5, [64, 10]), ("a" * 151 + "\r\n" + "a" * 20, [151, 22]),
])
def test_no_escape_pair_surrogate_pair_or_letter_is_parted(text, sizes):
    parts = [placed(part.octets, part.esm_class)[1] for part in encode(text, 1)]
    assert [len(part) // (1 if encoding(text) == "gsm7" else 2) for part in parts] == sizes


def test_a_text_longer_than_parts_can_be_counted_is_never_sent():
    assert len(encode("a" * 152 * 255, 1)) == 255
    with pytest.raises(Rejected, match="too_long"):
        encode("a" * 152 * 255 + "a", 1)


def test_half_a_letter_is_never_sent_and_quoted_nowhere():
    with pytest.raises(Rejected, match="unencodable") as caught:
        encode("secret \ud800", 1)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(("octets", "coding", "text"), [
    (b"caf\x05", 0x00, "café"), (b"caf\xe9", 0x03, "café"), (b"caf\xe9", 0x00, "café"), (b"caf\x05", 0xF1, "café"),
    (b"cafe", 0x01, "cafe"), (b"caf\xe9", 0x01, "caf\ufffd"), ("قف".encode("utf-16-be"), 0x08, "قف"),
    (b"\x06\x42\x06", 0x08, "ق\ufffd"), (b"\x00\xff", 0x04, "\x00ÿ"), (b"x\x1b", 0x00, "x"), (b"\x1b\x1be", 0x00, "e"),
    (b"\x1bz", 0x00, "z"), (b"", 0x08, ""),
])
def test_a_text_is_read_by_its_coding_and_what_is_illegible_is_shown(octets, coding, text):
    assert decode(octets, coding) == text


@given(st.binary(max_size=200), st.integers(0, 255), st.integers(0, 255))
def test_octets_of_any_shape_are_read(octets, coding, esm_class):
    _, rest = placed(octets, esm_class)
    assert isinstance(decode(rest, coding), str)


@pytest.mark.parametrize(("octets", "place", "rest"), [
    (b"\x05\x00\x03\x2a\x02\x01hi", Place(0x2A, 2, 1, 8), b"hi"),
    (b"\x06\x08\x04\x2a\x2b\x02\x02hi", Place(0x2A2B, 2, 2), b"hi"),
    # A port beside it (9.2.3.24.4), and a header that says nothing of parts.
    (b"\x0b\x05\x04\x0b\x84\x00\x00\x00\x03\x2a\x02\x01hi", Place(0x2A, 2, 1, 8), b"hi"),
    (b"\x06\x05\x04\x0b\x84\x00\x00hi", None, b"hi"),
    (b"\x05\x00\x03\x2a\x02\x03hi", None, b"hi"),
    (b"\x05\x00\x03\x2a\x02\x00hi", None, b"hi"),
    (b"\x05\x00\x09\x2a\x02\x01hi", None, b"hi"),
    (b"\x20hi", None, b"\x20hi"),
    (b"", None, b""),
])
def test_a_header_is_read_and_a_broken_one_is_no_place(octets, place, rest):
    assert placed(octets, HAS_HEADER) == (place, rest)


def test_octets_without_a_header_are_not_read_as_one():
    assert placed(b"\x05\x00\x03\x2a\x02\x01hi", 0) == (None, b"\x05\x00\x03\x2a\x02\x01hi")


@pytest.mark.parametrize(("name", "address"), [
    ("RSU", Address(5, 0, "RSU")), ("RSU Maroc", Address(5, 0, "RSU Maroc")), ("3RSU", Address(5, 0, "3RSU")),
    ("+212600000000", Address(1, 1, "212600000000")), ("580", Address(3, 0, "580")), ("24424", Address(3, 0, "24424")),
])
def test_a_sender_has_the_type_of_its_kind(name, address):
    assert sender(name) == address


@pytest.mark.parametrize("name", ["", "TWELVELETTER", "Régistre", "RSU\n", "+0612", "0612000417", "12", "+", "   "])
def test_what_is_no_sender_is_refused(name):
    with pytest.raises(ValueError, match="sender"):
        sender(name)


@pytest.mark.parametrize(("ton", "digits", "found"), [
    (INTERNATIONAL, "212612000417", "+212612000417"), (INTERNATIONAL, "+212612000417", "+212612000417"),
    (0, "212612000417", "+212612000417"), (0, "0612000417", "+212612000417"), (NATIONAL, "612000417", "+212612000417"),
    (NATIONAL, "0612000417", "+212612000417"), (0, "00212612000417", "+212612000417"),
    (ALPHANUMERIC, "Operator", ""), (0, "Operator", ""), (NETWORK_SPECIFIC, "580", ""), (0, "580", ""), (0, "", ""),
    (1, "\u0662\u0661\u0662", ""), (INTERNATIONAL, "2" * 20, ""),
])
def test_a_telephone_is_read_however_the_smsc_writes_it(ton, digits, found):
    assert msisdn(Address(ton, 1, digits)) == found
