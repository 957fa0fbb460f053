"""Rules of the batch: to the last digit what is computed one by one, or left to be computed one by one."""

from __future__ import annotations

import tomllib
from datetime import date
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.registry import index, vector
from gateway.registry.batch import Batch, shown, units
from gateway.registry.bulk import decimal
from gateway.registry.formula import AREAS, FOLDER, Formula
from gateway.registry.index import CannotCompute
from tests.registry.masses import DOCUMENT, a_formula, sampled
from tests.registry.test_measures import ON, a_household, a_member

FORMULA = Formula.load("rsu-2021")
thorough = settings(deadline=None, database=None, max_examples=150)


def batch(formula, homes, on=ON):
    """Each household's index by the batch as (value, displayed, packed contributions), or None where it is left."""
    counts = vector.columns(b"".join(vector.pack(facts, on) for facts in homes))
    scores = Batch(formula).score(counts, np.array([AREAS.index(facts["area"]) for facts in homes]),
                                  np.array([facts["region"] for facts in homes]))
    packed = {place: row.astype(">i8").tobytes() for places, rows in scores.amounts.values()
              for place, row in zip(places.tolist(), rows, strict=True)}
    return [(decimal(int(scores.values[place])), decimal(int(scores.displayed[place]), formula.decimals),
             packed[place]) if scores.settled[place] else None for place in range(len(homes))]


def one_by_one(formula, facts, on=ON):
    found = index.score(formula, facts, on)
    return found.value, formula.displayed(found.value), index.pack(found.contributions)


COEFFICIENTS = st.builds(lambda sign, whole, part: f"{sign}{whole}.{part:012d}", st.sampled_from(["", "-"]),
                         st.sampled_from([0, 0, 0, 1, 9, 99]), st.integers(0, 10**12 - 1))
MEMBERS = st.builds(
    lambda age, **facts: a_member(age, **facts), st.integers(0, 90),
    diploma=st.sampled_from(["none", "technical", "higher"]), literate=st.booleans(),
    activity=st.sampled_from(["employee", "inactive", "employer", "homemaker"]),
    schooling=st.sampled_from(["none", "private", "public"]), health_cover=st.sampled_from(["none", "other"]))
AMOUNTS = st.decimals(0, 99_999, places=2).map(str)
HOMES = st.builds(
    lambda head, others, **sections: a_household(a_member(head, "head"), *others, **sections),
    st.integers(15, 99), st.lists(MEMBERS, max_size=40), area=st.sampled_from(AREAS), region=st.integers(1, 12),
    dwelling=st.fixed_dictionaries({"rooms": st.integers(1, 20), "bath_or_shower": st.booleans()}),
    equipment=st.fixed_dictionaries({"cars": st.integers(0, 9), "mobile_phones": st.integers(0, 2**31 - 1)}),
    property=st.fixed_dictionaries({"cows": st.integers(0, 500)}),
    spending=st.fixed_dictionaries({"butane": AMOUNTS, "water_electricity": AMOUNTS, "phone_internet": AMOUNTS}))


@st.composite
def formulas(draw):
    changed = draw(st.dictionaries(st.sampled_from(
        [term["name"] for area in AREAS for term in DOCUMENT[area]["terms"]]), COEFFICIENTS, max_size=12))
    return a_formula(share_denominator=draw(st.sampled_from(["members", "aged_15"])),
                     decimals=draw(st.integers(0, 10)), urban=draw(COEFFICIENTS), **changed)


@thorough
@given(formulas(), st.lists(HOMES, min_size=1, max_size=4))
def test_whatever_the_batch_settles_is_the_same_one_by_one(formula, homes):
    for facts, batched in zip(homes, batch(formula, homes), strict=True):
        if batched is not None:
            assert batched == one_by_one(formula, facts)


@pytest.mark.parametrize("formula", [FORMULA, a_formula(share_denominator="aged_15")], ids=lambda each: each.id)
def test_no_household_like_those_of_the_country_is_left(formula):
    homes = [row.household for row in sampled(400)]
    days = [date.fromisoformat(facts["registered_on"]) for facts in homes]
    for facts, on in zip(homes, days, strict=True):
        [batched] = batch(formula, [facts], on)
        assert batched == one_by_one(formula, facts, on)


def test_a_formula_of_points_is_computed_too():
    formula = Formula.load("ppi-morocco-2013")
    homes = [a_household(a_member(45, "head"), *[a_member(30, literate=False)] * others, area=area,
                         dwelling={"rooms": 1 + others}, equipment={
                             "wash_basin": True, "washing_machine": False, "refrigerator": others > 1, "bicycles": 0,
                             "stove": "both", "television": "colour"}) for others in range(9) for area in AREAS]
    batched = batch(formula, homes)
    assert batched == [one_by_one(formula, facts) for facts in homes]
    assert len({value for value, _, _ in batched}) > 3


BANDS = [["0", "0.1"], ["0.5", "0.22"], ["150.000001", "-3"]]


@pytest.mark.parametrize(("measure", "homes"), [
    ("cows", [a_household(property={"cows": cows}) for cows in (0, 1, 150, 151)]),
    ("share_able_to_read_and_write", [a_household(a_member(45, "head", literate=True), *[a_member(30)] * others)
                                      for others in range(5)]),
    ("yearly_butane_per_member", [a_household(a_member(45, "head"), spending={"butane": text})
                                  for text in ("0", "0.04", "0.05", "12.50", "12.51", "99999")]),
])
def test_a_band_begins_at_its_number_whatever_is_counted(measure, homes):
    term = {"name": "B1", "measure": measure, "label": "a band", "bands": BANDS}
    equation = {"expected_terms": 1, "constant": "1", "terms": [term]}
    formula = Formula.parse({**{key: value for key, value in DOCUMENT.items() if key not in AREAS}, "id": "banded",
                             "regional": False, "everywhere": equation})
    batched = batch(formula, homes)
    assert batched == [one_by_one(formula, facts) for facts in homes]
    assert len(set(batched)) > 1


# What is left


def test_an_amount_at_a_tie_is_left_for_28_digits_may_tip_it():
    """One of 96 members, times 3E-12, is 312.5 units and so 312; but 1/96 is rounded up first, and it is 313."""
    crowd = a_household(a_member(45, "head", activity="employee"), *[a_member(30)] * 95)
    tie, none = (a_formula(U19="0", U20="0", U27=share) for share in ("0.000000000003", "0.000000000004"))
    assert Fraction(units(Decimal("0.000000000003")), 96) == Fraction(625, 2)
    assert one_by_one(tie, crowd)[0] % Decimal("1E-13") == Decimal("313E-16")
    assert batch(tie, [crowd]) == [None]
    assert batch(none, [crowd]) == [one_by_one(none, crowd)]


def test_what_a_household_cannot_be_read_for_is_left():
    facts = a_household()
    del facts["equipment"]["cars"]
    assert batch(FORMULA, [facts]) == [None]


def test_what_the_formula_does_not_ask_for_may_be_unknown():
    facts = a_household()
    del facts["property"]["cows"]
    assert batch(FORMULA, [facts]) == [one_by_one(FORMULA, facts)]


@pytest.mark.parametrize("left", [a_household(region=13), a_household(equipment={"mobile_phones": 10**8}),
                                  a_household(a_member(45, "head"), spending={"butane": "8333333.34"})])
def test_what_has_no_index_is_left_and_spoils_no_other(left):
    """A hundred million of anything is a mistake, however little it would weigh."""
    formula, good = a_formula(U30="0.0000001", U33="0.00000001"), a_household()
    assert batch(formula, [left, good]) == [None, one_by_one(formula, good)]
    with pytest.raises(CannotCompute):
        one_by_one(formula, left)


def test_an_amount_beyond_64_bits_is_left():
    facts = a_household(equipment={"mobile_phones": 10**6})
    assert batch(a_formula(U30="99"), [facts]) == [None]
    with pytest.raises(CannotCompute, match="far too large"):
        one_by_one(a_formula(U30="99"), facts)


def test_nobody_of_fifteen_is_no_division_by_nobody():
    formula = a_formula(share_denominator="aged_15")
    facts = a_household(a_member(14, "head"))
    assert batch(formula, [facts]) == [one_by_one(formula, facts)]


# Rounding


@pytest.mark.parametrize(("value", "decimals"), [
    ("9.74300105", 7), ("9.74300115", 7), ("9.7430010500000001", 7), ("-0.5", 0), ("-1.5", 0), ("2.5", 0),
    ("9.3264284999999999", 10)])
def test_a_tie_goes_to_the_even_digit_as_it_is_told(value, decimals):
    formula = a_formula(decimals=decimals)
    batched = shown(np.array([units(Decimal(value))]), decimals)
    assert decimal(int(batched[0]), decimals) == formula.displayed(Decimal(value))


def test_the_published_file_is_the_one_that_is_varied():
    assert tomllib.loads((FOLDER / "rsu-2021.toml").read_text(encoding="utf-8")) == DOCUMENT
    assert a_formula("rsu-2021").digest == FORMULA.digest
