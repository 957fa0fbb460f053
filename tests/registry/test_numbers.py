"""Numbers that are read aloud and typed."""

import random
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import damm

from gateway.registry.numbers import FIRST_DIGITS, kind_of, new_number, read_number, spaced

KINDS = sorted(FIRST_DIGITS)
numbers = st.builds(lambda kind, seed: new_number(kind, random.Random(seed)),
                    st.sampled_from(KINDS), st.integers())


@given(numbers)
def test_a_number_has_nine_digits_and_none_that_is_hard_to_say(number):
    assert len(number) == 9
    assert number.isascii()
    assert number.isdigit()
    assert number[0] != "0"
    assert not any(number[at] == number[at + 1] == number[at + 2] for at in range(7))
    assert "786" not in number
    assert "666" not in number


@given(st.sampled_from(KINDS))
def test_a_number_tells_its_kind(kind):
    assert kind_of(new_number(kind, secrets.SystemRandom())) == kind


@given(numbers, st.integers(0, 8), st.integers(1, 9))
def test_one_wrong_digit_is_always_found(number, place, by):
    wrong = number[:place] + str((int(number[place]) + by) % 10) + number[place + 1:]
    assert kind_of(wrong) is None


@given(numbers, st.integers(0, 7))
def test_two_neighbours_swapped_are_always_found(number, place):
    swapped = number[:place] + number[place + 1] + number[place] + number[place + 2:]
    assert swapped == number or kind_of(swapped) is None


@given(numbers, st.integers(0, 8))
def test_a_digit_left_out_or_typed_twice_is_always_found(number, place):
    assert read_number(number[:place] + number[place + 1:]) is None
    assert read_number(number[:place] + number[place] + number[place:]) is None


@given(numbers, st.sampled_from(["٠١٢٣٤٥٦٧٨٩", "۰۱۲۳۴۵۶۷۸۹", "0123456789"]),
       st.sampled_from([" ", ".", "-", "\u200f"]))
def test_a_number_is_read_however_a_person_types_it(number, digits, between):
    typed = spaced(number).replace(" ", between).translate(str.maketrans("0123456789", digits))
    assert read_number(f" {typed}\u200e ") == number


@given(st.text())
def test_anything_else_that_is_typed_is_no_number(typed):
    read = read_number(typed)
    assert read is None or kind_of(read) is not None


def test_a_number_of_no_kind_is_refused_even_with_a_right_check_digit():
    number = "01765432" + str(damm.calc_check_digit("01765432"))
    assert damm.is_valid(number)
    assert kind_of(number) is None


def test_a_number_is_shown_in_threes():
    assert spaced("312345678") == "312 345 678"


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_do_not_follow_one_another(kind):
    rng = random.Random(1)
    drawn = [int(new_number(kind, rng)) for _ in range(200)]
    assert len(set(drawn)) == 200
    assert sorted(drawn) != drawn
