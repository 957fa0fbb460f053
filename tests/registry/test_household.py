"""Household: who answers to a telephone number, and where it may be texted."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from gateway.registry import household as households
from gateway.registry.household import SHARED_BY_AT_MOST, Contact
from tests.conftest import a_row, register
from tests.web.desk import homes

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
PHONE = "+212612345678"


def of(runtime, phone=PHONE):
    with runtime.database.read() as session:
        return {home.id for home in households.households_of(session, runtime.vault, phone)}


def texted(runtime):
    with runtime.database.read() as session:
        found = households.texted_at(session, runtime.vault, [home.id for home in homes(runtime)])
        return [found.get(home.id) for home in homes(runtime)]


def test_a_number_answers_for_every_household_that_it_is_bound_to(runtime):
    register(runtime, a_row("2900000001"), a_row("2900000002"), a_row("2900000003", "0712345678"))
    first, second, _ = homes(runtime)
    assert of(runtime) == {first.id, second.id}
    assert of(runtime, "+212699999999") == set()


def test_a_number_that_too_many_share_answers_for_none(runtime):
    register(runtime, *(a_row(f"290000000{position}") for position in range(SHARED_BY_AT_MOST)))
    assert len(of(runtime)) == SHARED_BY_AT_MOST
    register(runtime, a_row("2900000009"))
    assert of(runtime) == set()


@one_kind
def test_a_number_that_nobody_verified_answers_for_none(runtime):
    register(runtime, a_row())
    with runtime.database.write() as session:
        session.execute(sa.update(Contact).values(verified_at=None))
    assert of(runtime) == set()


@one_kind
def test_a_household_is_texted_at_its_first_mobile_that_agreed(runtime):
    def contacts(*given):
        return [{"phone": phone, "consent": consent} for phone, consent in given]

    register(runtime, a_row("2900000001", contacts=contacts(("0522123456", True), ("0612345678", True))),
             a_row("2900000002", contacts=contacts(("0612345678", False), ("0712345678", True))),
             a_row("2900000003", contacts=contacts(("0522123456", True))), a_row("2900000004", None),
             a_row("2900000005", contacts=contacts(("0711111111", True), ("0612345678", True))))
    assert texted(runtime) == ["+212612345678", "+212712345678", None, None, "+212711111111"]


@one_kind
def test_the_address_begins_with_the_declarant_in_the_households_own_script(runtime):
    register(runtime, a_row("2900000001"), a_row("2900000002", language="fr-MA"))
    given = a_row().household
    declarant = given["members"][given["declarant"] - 1]
    first, second = (households.address_of(runtime.vault, home).lines for home in homes(runtime))
    assert (first[0], second[0]) == (declarant["name_ar"], declarant["name_latin"])
    assert first[1:-1] == tuple(given["address"]["lines"])
    assert first[-1] == f"{given['address']['postal_code']} {given['address']['locality']}"
