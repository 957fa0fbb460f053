"""Bundles: letters as the post's tariff asks for them, in files of no more pages than memory is meant for."""

import pytest

from channels.letter.bundle import COVER, MOST_PAGES, by_tariff, cut, postal_code

RABAT = ("Zineb ALAOUI", "Rue 1", "10000 Rabat")
SALE = ("Zineb ALAOUI", "Rue 1", "11000 Salé")
ROOM = MOST_PAGES - COVER


def in_order(*addresses: tuple[str, ...], commune: str = "01.1") -> list[tuple[str, ...]]:
    return sorted(addresses, key=lambda address: by_tariff(address, commune))


def ends(codes: list[str], sheets: list[int] | None = None) -> list[int]:
    return [one.stop for one in cut(codes, sheets or [1] * len(codes))]


def test_letters_lie_by_postal_code_then_locality_then_the_rest_of_the_address_and_the_name_last():
    agdal, street_2, somebody_else = ("Ali", "Rue 9", "10000 Agdal"), ("Ali", "Rue 2", "10000 Rabat"), (
        "Ali", "Rue 1", "10000 Rabat")
    assert in_order(SALE, street_2, RABAT, somebody_else, agdal) == [agdal, somebody_else, RABAT, street_2, SALE]


def test_what_has_no_postal_code_lies_together_at_the_end_by_commune():
    letters = [(("A", "x", "Zagora"), "01"), (("B", "x", "Agdez"), "02"), (SALE, "09"), (("C", "x", "Agdez"), "01")]
    in_their_order = sorted(letters, key=lambda letter: by_tariff(*letter))
    assert [address[0] for address, _ in in_their_order] == ["Zineb ALAOUI", "C", "A", "B"]


@pytest.mark.parametrize("address", [(), ("",), ("Ali",), ("Ali", ""), ("Ali", "1234 Rabat"), ("Ali", "123456 Rabat"),
                                     ("Ali", "١٠٠٠٠ الرباط"), ("10000 Rabat", "Ali")])
def test_an_address_without_five_digits_in_its_last_line_has_no_postal_code(address):
    assert postal_code(address) == ""
    assert by_tariff(address, "01") > by_tariff(SALE, "01")


def test_what_fits_into_one_file_is_not_cut_and_needs_no_room_for_a_cover():
    assert ends(["1", "2"] * (MOST_PAGES // 2)) == [MOST_PAGES]


def test_no_bundle_has_more_sheets_than_one_may_and_none_is_lost():
    assert ends(["1"] * 1000) == [*range(ROOM, 1000, ROOM), 1000]


def test_a_bundle_ends_where_the_postal_code_changes_if_it_is_nearly_full_by_then():
    assert ends(["1"] * 90 + ["2"] * 110) == [90, 90 + ROOM, 200]
    assert ends(["1"] * 40 + ["2"] * 160) == [ROOM, 2 * ROOM, 200]
    assert ends(["1"] * 85 + ["2"] * 10 + ["3"] * 50) == [95, 145]


def test_a_letter_of_several_sheets_counts_as_many_and_is_never_torn():
    assert ends(["1"] * 100, [2] * 100) == [49, 98, 100]
    assert ends(["1"] * 3, [1, 2 * MOST_PAGES, 1]) == [1, 2, 3]
