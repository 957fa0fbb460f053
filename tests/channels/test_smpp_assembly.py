"""The parts of a person's text: joined whatever their order, acknowledged once, told once."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.sms.smpp import assembly
from channels.sms.smpp.address import Address
from channels.sms.smpp.assembly import (
    ANSWER_S,
    GAP,
    KEEP_S,
    MOST_OPEN,
    REPEAT_S,
    SAR_NUMBER,
    SAR_REFERENCE,
    SAR_TOTAL,
    Assembly,
)
from channels.sms.smpp.delivery import Delivery
from channels.sms.smpp.encoding import encode

LETTER = "السلام عليكم، توصلت برسالة بخصوص المؤشر ديالي وما فهمتش علاش تبدل 😀. " * 3
numbers = itertools.count(1)


def handed(octets: bytes, *, esm_class: int = 0x40, coding: int = 0, source: str = "212612000417", line: int = 1,
           options: dict[int, bytes] | None = None) -> Delivery:
    return Delivery(line, next(numbers), Address(1, 1, source), Address(3, 0, "580"), esm_class, coding, octets,
                    options or {})


def parts_of(text: str, reference: int = 7, **fields: object) -> list[Delivery]:
    return [handed(part.octets, esm_class=part.esm_class, coding=part.data_coding, **fields)
            for part in encode(text, reference)]


def by_options(text: str, reference: int = 7) -> list[Delivery]:
    """The same without a header, as some SMSCs hand it over."""
    parts = [text[at:at + 60] for at in range(0, len(text), 60)]
    return [handed(part.encode("utf-16-be"), esm_class=0, coding=8, options={
        SAR_REFERENCE: reference.to_bytes(2, "big"), SAR_TOTAL: bytes([len(parts)]), SAR_NUMBER: bytes([number])})
        for number, part in enumerate(parts, 1)]


def with_eight_bits(text: str, reference: int = 7) -> list[Delivery]:
    parts = [text[at:at + 60] for at in range(0, len(text), 60)]
    return [handed(bytes([5, 0, 3, reference, len(parts), number]) + part.encode("utf-16-be"), coding=8)
            for number, part in enumerate(parts, 1)]


@pytest.mark.parametrize("parts", [parts_of(LETTER), with_eight_bits(LETTER), by_options(LETTER)],
                         ids=["16 bits", "8 bits", "options"])
def test_a_long_text_is_joined_in_whichever_order_its_parts_come(parts):
    for order in itertools.permutations(parts):
        whole = Assembly()
        early = [whole.hold(part, 0.0).whole for part in order[:-1]]
        held = whole.hold(order[-1], 0.0)
        assert not any(early)
        assert held.whole
        assert held.text() == LETTER


def test_a_letter_that_stands_across_two_parts_is_read():
    octets = "ab😀".encode("utf-16-be")
    whole = Assembly()
    whole.hold(handed(b"\x05\x00\x03\x01\x02\x01" + octets[:6], coding=8), 0.0)
    assert whole.hold(handed(b"\x05\x00\x03\x01\x02\x02" + octets[6:], coding=8), 0.0).text() == "ab😀"


def test_parts_in_two_codings_are_each_read_in_their_own():
    whole = Assembly()
    whole.hold(handed(b"\x05\x00\x03\x01\x02\x01caf\x05 "), 0.0)
    held = whole.hold(handed(b"\x05\x00\x03\x01\x02\x02" + "قف".encode("utf-16-be"), coding=8), 0.0)
    assert held.text() == "café قف"


def test_texts_of_two_people_with_the_same_reference_are_two():
    whole = Assembly()
    ours, theirs = parts_of(LETTER), parts_of(LETTER[::-1], source="212612000418")
    for one, other in zip(ours, theirs, strict=True):
        mine, yours = whole.hold(one, 0.0), whole.hold(other, 0.0)
    assert (mine.text(), yours.text()) == (LETTER, LETTER[::-1])


def test_references_of_eight_and_of_sixteen_bits_are_two():
    whole = Assembly()
    assert whole.hold(parts_of(LETTER)[0], 0.0) is not whole.hold(with_eight_bits(LETTER)[0], 0.0)


def test_no_part_is_acknowledged_before_the_text_is_kept():
    whole, (first, *_, last) = Assembly(), parts_of("a" * 200)
    held = whole.hold(first, 0.0)
    assert list(whole.tired(ANSWER_S / 2)) == []
    assert whole.hold(last, 1.0) is held
    assert whole.kept(held, 1.0) == [first, last]


def test_a_part_that_waits_too_long_is_told_to_come_again_and_held_all_the_same():
    whole, (first, last) = Assembly(), parts_of("a" * 200)
    whole.hold(first, 0.0)
    assert list(whole.tired(ANSWER_S)) == [first]
    assert list(whole.tired(ANSWER_S)) == []
    held = whole.hold(last, 60.0)
    assert held.text() == "a" * 200
    assert whole.kept(held, 60.0) == [last]
    again = whole.hold(parts_of("a" * 200)[0], 90.0)
    assert not again.parts
    assert len(whole.kept(again, 90.0)) == 1


def test_a_text_that_could_not_be_kept_goes_by_the_same_name_when_it_comes_again():
    whole, one = Assembly(), handed(b"STOP", esm_class=0)
    held = whole.hold(one, 0.0)
    name = held.name
    assert whole.refused(held, 0.0) == [one]
    again = whole.hold(handed(b"STOP", esm_class=0), 5.0)
    assert (again.whole, again.name) == (True, name)


def test_the_same_text_twice_on_one_line_is_two_texts_and_on_another_line_a_repetition():
    """A person texts "1", and "1" again. An SMSC whose line broke before our answer hands the same one over anew."""
    whole = Assembly()
    first = whole.hold(handed(b"1", esm_class=0), 0.0)
    whole.kept(first, 0.0)
    second = whole.hold(handed(b"1", esm_class=0), 2.0)
    assert second.whole
    assert second.name != first.name
    whole.kept(second, 2.0)
    repeated = whole.hold(handed(b"1", esm_class=0, line=2), 4.0)
    assert not repeated.parts
    whole.kept(repeated, 4.0)
    third = whole.hold(handed(b"1", esm_class=0, line=2), 6.0)
    assert third.whole


def test_the_same_text_long_after_the_first_is_a_second_whichever_the_line():
    whole = Assembly()
    whole.kept(whole.hold(handed(b"1", esm_class=0), 0.0), 0.0)
    assert whole.hold(handed(b"1", esm_class=0, line=2), REPEAT_S).whole


def test_another_text_of_the_same_telephone_is_no_repetition():
    whole = Assembly()
    whole.kept(whole.hold(handed(b"1", esm_class=0), 0.0), 0.0)
    assert whole.hold(handed(b"2", esm_class=0, line=2), 1.0).text() == "2"


def test_a_part_that_was_to_come_again_may_do_so_for_an_hour():
    for later, repeats in ((KEEP_S - 1, True), (KEEP_S, False)):
        whole, (first, last) = Assembly(), parts_of("a" * 200)
        whole.hold(first, 0.0)
        list(whole.tired(ANSWER_S))
        whole.kept(whole.hold(last, ANSWER_S), ANSWER_S)
        assert (not whole.hold(first, ANSWER_S + later).parts) is repeats


def test_a_long_text_under_the_reference_of_one_that_is_done_is_a_second():
    whole = Assembly()
    for text in ("a" * 200, "b" * 200):
        held = [whole.hold(part, 0.0) for part in parts_of(text)][-1]
        assert held.text() == text
        whole.kept(held, 0.0)


@pytest.mark.parametrize(("missing", "text"), [
    ({0}, GAP + "b" * 152 + "c" * 9), ({1}, "a" * 152 + GAP + "c" * 9), ({2}, "a" * 152 + "b" * 152 + GAP),
    ({0, 1}, GAP + "c" * 9),
])
def test_a_text_of_which_a_part_never_comes_is_told_with_a_gap(missing, text):
    whole = Assembly()
    for at, part in enumerate(parts_of("a" * 152 + "b" * 152 + "c" * 9)):
        if at not in missing:
            held = whole.hold(part, 0.0)
    assert whole.overdue(KEEP_S - 1) == []
    assert whole.overdue(KEEP_S) == [held]
    assert held.text() == text
    list(whole.tired(KEEP_S))
    whole.kept(held, KEEP_S)
    assert whole.overdue(3 * KEEP_S) == []


def test_no_more_texts_are_begun_than_there_is_room_for_and_those_begun_are_finished():
    whole, (first, last) = Assembly(), parts_of("a" * 200)
    whole.hold(first, 0.0)
    for number in range(MOST_OPEN - 1):
        assert whole.hold(parts_of("a" * 200, source=str(212600000000 + number))[0], 0.0)
    assert whole.hold(parts_of("a" * 200, source="212699999999")[0], 0.0) is None
    assert whole.hold(last, 0.0).whole


def test_what_is_remembered_of_the_past_is_bounded():
    whole = Assembly()
    for number in range(assembly.MOST_DONE + 10):
        whole.kept(whole.hold(handed(b"1", esm_class=0, source=str(212600000000 + number)), 0.0), 0.0)
    assert len(whole._done) == assembly.MOST_DONE


@given(st.text(min_size=1, max_size=400), st.randoms(use_true_random=False))
def test_whatever_is_written_is_read(text, order):
    parts = parts_of(text)
    order.shuffle(parts)
    whole = Assembly()
    held = [whole.hold(part, 0.0) for part in parts][-1]
    assert held.text() == text
    assert len(whole.kept(held, 0.0)) == len(parts)
