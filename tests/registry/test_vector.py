"""Rules of the vector: every count in its place, and what is not known is not a number."""

from __future__ import annotations

from datetime import date

import pytest

from gateway.registry import vector
from gateway.registry.measures import MEASURES
from gateway.registry.vector import LAYOUT, UNKNOWN, WIDTH
from tests.registry.masses import sampled
from tests.registry.test_measures import ON, a_household, a_member, measured


def counts(facts, on=ON):
    columns = vector.columns(vector.pack(facts, on))
    return {name: int(columns[name][0]) for name in LAYOUT}


def test_what_is_packed_is_what_each_measure_counts():
    family = a_household(a_member(45, "head"), a_member(40, "spouse"), a_member(10), a_member(7),
                         equipment={"mobile_phones": 2}, spending={"butane": "50.50"})
    found = counts(family)
    assert (found["size"], found["aged_15"], found["mobile_phones"]) == (4, 2, 2)
    # Centimes a month: 12/100 of it over the members is the measure itself.
    assert found["yearly_butane_per_member"] == 5050
    assert measured("yearly_butane_per_member", family) == 5050 * 12 / (100 * 4)


@pytest.mark.parametrize("name", [name for name, measure in MEASURES.items() if measure.per == "one"])
def test_an_undivided_measure_is_its_count(name):
    for row in sampled(20):
        facts, on = row.household, date.fromisoformat(row.household["registered_on"])
        if counts(facts, on)[name] != UNKNOWN:
            assert counts(facts, on)[name] == measured(name, facts, on)


def test_what_cannot_be_read_is_unknown_and_the_rest_is_counted():
    facts = a_household()
    del facts["spending"]["butane"]
    found = counts(facts)
    assert found["yearly_butane_per_member"] == UNKNOWN
    assert found["yearly_water_electricity_per_member"] == 0


@pytest.mark.parametrize("cows", [-1, -2, 2**31, 10**30])
def test_what_four_bytes_cannot_hold_is_unknown(cows):
    assert counts(a_household(property={"cows": cows}))["cows"] == UNKNOWN


def test_without_ages_nothing_is_said_of_ages():
    facts = a_household(a_member(45, "head", born="2024-07-01"))
    assert counts(facts)["aged_15"] == UNKNOWN
    assert counts(facts)["size"] == 1


def test_a_row_of_fewer_measures_does_not_know_the_new_ones():
    old = vector.pack(a_household(), ON)[:-8]
    columns = vector.columns(vector.full_width(old))
    assert [int(columns[name][0]) for name in LAYOUT[-3:]][1:] == [UNKNOWN, UNKNOWN]
    assert int(columns["size"][0]) == 4
    assert len(vector.full_width(old)) == WIDTH


def test_rows_one_after_the_other_are_columns():
    packed = b"".join(vector.pack(a_household(*[a_member(30, "head")] * size), ON) for size in (1, 2, 3))
    assert vector.columns(packed)["size"].tolist() == [1, 2, 3]
