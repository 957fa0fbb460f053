"""Telephone numbers as people write them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.registry.phones import NotATelephone, Telephone, national, telephone

EASTERN = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
PERSIAN = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")
national_digits = st.from_regex(r"[67][0-9]{8}", fullmatch=True)


@pytest.mark.parametrize("written", [
    "0612345678", "06 12 34 56 78", "06-12-34-56-78", "06.12.34.56.78", "+212612345678", "+212 6 12 34 56 78",
    "00212612345678", "00 212 612 345 678", "212612345678", "+212 (0)612345678", "٠٦١٢٣٤٥٦٧٨", "۰۶۱۲۳۴۵۶۷۸",
    "\u202a+212612345678\u202c", "\u200f0612345678", "06\u00a012\u00a034\u00a056\u00a078", "٠٦ ١٢ ٣٤ ٥٦ ٧٨",
])
def test_a_mobile_is_read_however_it_is_written(written):
    assert telephone(written) == Telephone("+212612345678", "mobile")


@given(national_digits, st.sampled_from(["0", "+212", "00212", "212"]), st.sampled_from(["", " ", "-", "."]),
       st.sampled_from([{}, EASTERN, PERSIAN]))
def test_every_mobile_of_the_plan_is_read_in_every_writing(digits, prefix, between, script):
    written = between.join([prefix, digits[:3], digits[3:6], digits[6:]]).translate(script)
    assert telephone(written).msisdn == f"+212{digits}"


@pytest.mark.parametrize("written", ["0522123456", "05 37 12 34 56", "+212528123456"])
def test_a_landline_is_known_as_one(written):
    assert telephone(written).kind == "landline"


def test_a_range_opened_after_the_library_was_made_is_still_a_mobile():
    assert telephone("0683000000").kind == "mobile"


@pytest.mark.parametrize("written", ["+33612345678", "0033 6 12 34 56 78", "+213551234567"])
def test_a_foreign_number_is_refused_as_foreign(written):
    with pytest.raises(NotATelephone) as refused:
        telephone(written)
    assert "foreign" in refused.value.reason


@pytest.mark.parametrize("written", [
    "", " ", "+", "06 12 3", "061234567", "06123456789", "612345678", "33612345678", "0801234567", "0890000000",
    "19", "112", "0012", "0612345678 ext 3", "0612345678/0698765432", "tel:0612345678", "06ABCDEFGH",
    "0612345678;phone-context=+33", "0912345678", "06O2345678", "pas de téléphone", "لا يوجد", "+٠",
    "++212612345678",
])
def test_anything_else_is_refused_with_a_reason_that_holds_no_digit_of_it(written):
    with pytest.raises(NotATelephone) as refused:
        telephone(written)
    assert refused.value.reason.endswith(".")
    assert not any(character.isdigit() for character in refused.value.reason)


@given(st.text() | st.from_regex(r"[+0-9 ().٠-٩-]{0,20}", fullmatch=True))
def test_no_text_at_all_raises_anything_else(text):
    with contextlib.suppress(NotATelephone):
        found = telephone(text)
        assert telephone(found.msisdn) == found


@given(national_digits)
def test_a_number_is_shown_as_it_is_dialled_and_read_back(digits):
    msisdn = f"+212{digits}"
    assert national(msisdn) == f"0{digits}"
    assert telephone(national(msisdn)).msisdn == msisdn


def test_a_telephone_does_not_show_its_number_in_a_log():
    assert "612345678" not in repr(telephone("0612345678"))
