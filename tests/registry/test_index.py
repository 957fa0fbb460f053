"""Rules of the index: the published formula, its worked households, and an arithmetic that never drifts."""

import copy
import decimal
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.registry.index import CannotCompute, Formula, UnknownTerm, compute, pack, score, unpack
from tests.registry.test_measures import ON, a_household, a_member

FORMULA = Formula.load("rsu-2021")
URBAN = [term.name for term in FORMULA.equations["urban"].terms]
quick = settings(deadline=None, database=None, max_examples=60)


def decimals(**values):
    return {name: Decimal(value) for name, value in values.items()}


def as_text(index):
    return as_text_lines(index.contributions)


def as_text_lines(lines):
    return [line.as_text() for line in lines]


def a_pupil(age):
    return a_member(age, schooling="public")


COMFORT = {"dwelling": {"rooms": 3, "bath_or_shower": True, "own_electricity_meter": True}}
CASABLANCA = a_household(
    a_member(45, "head", activity="employee"), a_member(40, "spouse", activity="homemaker"),
    a_pupil(10), a_pupil(7),
    equipment={"satellite_dish": True, "mobile_phones": 2},
    spending={"butane": "50", "water_electricity": "200", "phone_internet": "50"}, **COMFORT)
LARGER = a_household(
    *CASABLANCA["members"], a_member(70, "parent"), a_member(20, diploma="secondary"),
    equipment={"satellite_dish": True, "mobile_phones": 2},
    spending={"butane": "100", "water_electricity": "200", "phone_internet": "50"}, **COMFORT)
FARM = a_household(
    a_member(40, "head", activity="self_employed", occupation="farmer", education="basic", literate=True),
    a_member(35, "spouse"), a_pupil(9), a_pupil(7), a_member(2), area="rural", region=7,
    dwelling={"type": "rural_house_stone", "rooms": 3}, property={"cows": 1},
    spending={"butane": "60", "water_electricity": "80", "phone_internet": "40"})

URBAN_HOME = {"U3": 1, "U4": 1, "U5": 1, "U12": 1, "U21": 45, "U22": 2025, "U24": 2, "U30": 2}
WORKED = [
    (CASABLANCA, "9.6087", URBAN_HOME | {
        "U19": 4, "U20": 16, "U25": "0.5", "U27": "0.25", "U33": 150, "U34": 600, "U35": 150}),
    (LARGER, "9.3337", URBAN_HOME | {
        "U19": 6, "U20": 36, "U25": "0.5", "U27": Decimal(1) / 6, "U33": 200, "U34": 400, "U35": 100}),
    (FARM, "9.2222", {
        "R2": 1, "R3": 1, "R5": 1, "R9": 1, "R17": 5, "R18": 25, "R20": 2, "R22": "0.2", "R25": 1,
        "R26": 144, "R27": 192, "R28": 96}),
]


@pytest.mark.parametrize(("facts", "value", "terms"), WORKED)
def test_the_worked_households_have_their_index(facts, value, terms):
    index = score(FORMULA, facts, ON)
    assert str(index.value.quantize(Decimal("0.0001"))) == value
    assert compute(FORMULA, facts["area"], facts["region"], decimals(**terms)) == index


def test_the_first_worked_household_is_exact_to_the_last_digit():
    index = score(FORMULA, CASABLANCA, ON)
    assert index.value == Decimal("9.6087075")
    assert str(FORMULA.displayed(index.value)) == "9.6087075"


def test_ten_dirhams_more_of_telephone_weigh_almost_three_times_as_much_in_the_country():
    def rise(facts):
        more = copy.deepcopy(facts)
        more["spending"]["phone_internet"] = str(int(facts["spending"]["phone_internet"]) + 10)
        return score(FORMULA, more, ON).value - score(FORMULA, facts, ON).value
    urban = a_household(*CASABLANCA["members"])
    rural = a_household(*CASABLANCA["members"], area="rural")
    assert (rise(urban), rise(rural)) == (Decimal("0.00906"), Decimal("0.0258"))


def test_a_household_of_which_nothing_is_given_has_the_constants_alone():
    index = compute(FORMULA, "urban", 7, {})
    assert index.value == Decimal("9.825") + Decimal("0.194")
    assert [line.term for line in index.contributions] == ["K", "REGION", *URBAN]
    assert index.contributions[1].measure == "region_7"


def test_a_term_of_the_other_area_is_unknown():
    with pytest.raises(UnknownTerm, match="rural formula: U19, X1"):
        compute(FORMULA, "rural", 1, decimals(U19=4, X1=1, R17=4))


@pytest.mark.parametrize("name", ["K", "REGION"])
def test_a_constant_is_not_for_the_caller_to_give(name):
    with pytest.raises(UnknownTerm):
        compute(FORMULA, "urban", 1, {name: Decimal(1)})


@pytest.mark.parametrize(("area", "region"), [("urban", 0), ("urban", 13), ("desert", 1), ("", 0)])
def test_an_unknown_area_or_region_has_no_index(area, region):
    with pytest.raises(CannotCompute, match="no such area or region"):
        compute(FORMULA, area, region, {})


@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity", "-1", "-0.01", "1E+8", "1E+999999"])
def test_a_value_that_is_no_measure_has_no_index(value):
    with pytest.raises(CannotCompute, match="U33: is negative, far too large or not a number"):
        compute(FORMULA, "urban", 1, {"U33": Decimal(value)})


@pytest.mark.parametrize("facts", [
    {}, a_household(a_member(30)), a_household(region=13), a_household(spending={"butane": "-5"})])
def test_a_household_that_cannot_be_computed_gets_a_reason_and_no_number(facts):
    with pytest.raises(CannotCompute) as refusal:
        score(FORMULA, facts, ON)
    assert 0 < len(refusal.value.reason) <= 200


def test_the_contributions_are_ready_for_the_record_as_text():
    line = next(line for line in score(FORMULA, LARGER, ON).contributions if line.term == "U33")
    assert line.as_text() == {"term": "U33", "measure": "yearly_butane_per_member", "value": "200",
                              "coefficient": "0.000422", "amount": "0.0844"}


def test_neither_an_index_nor_what_it_is_made_of_shows_in_a_log_line():
    index = score(FORMULA, CASABLANCA, ON)
    assert "9.60" not in repr(index)
    assert "2025" not in repr(index.contributions[23])


amounts = st.decimals(0, 99_999, places=2) | st.fractions(0, 1, max_denominator=40).map(
    lambda share: Decimal(share.numerator) / share.denominator)
urban_values = st.dictionaries(st.sampled_from(URBAN), amounts)
regions = st.integers(1, 12)


@quick
@given(urban_values, regions, st.randoms())
def test_the_contributions_add_up_to_the_index_exactly_and_in_any_order(values, region, shuffler):
    index = compute(FORMULA, "urban", region, values)
    lines = list(index.contributions)
    shuffler.shuffle(lines)
    assert sum((line.amount for line in lines), Decimal(0)) == index.value
    exact = sum(Fraction(line.value) * Fraction(line.coefficient) for line in lines)
    assert abs(exact - Fraction(index.value)) < Fraction(1, 10**14)


@quick
@given(urban_values, regions, st.randoms())
def test_the_order_in_which_values_are_given_does_not_matter(values, region, shuffler):
    names = list(values)
    shuffler.shuffle(names)
    assert compute(FORMULA, "urban", region, {name: values[name] for name in names}) == \
        compute(FORMULA, "urban", region, values)


@quick
@given(st.integers(1, 50), st.sampled_from([decimal.ROUND_UP, decimal.ROUND_FLOOR, decimal.ROUND_HALF_UP]),
       st.sampled_from([CASABLANCA, LARGER, FARM]))
def test_the_callers_own_arithmetic_changes_nothing(precision, rounding, facts):
    usual = score(FORMULA, facts, ON)
    with decimal.localcontext(decimal.Context(prec=precision, rounding=rounding, capitals=0)):
        index = score(FORMULA, facts, ON)
        shown = FORMULA.displayed(index.value)
        lines = as_text(index)
        packed = pack(index.contributions)
        again = unpack(FORMULA, facts, ON, packed)
    assert index == usual
    assert packed == pack(usual.contributions)
    assert again == unpack(FORMULA, facts, ON, packed)
    assert shown == FORMULA.displayed(usual.value)
    assert lines == as_text(usual)


@quick
@given(st.sampled_from([CASABLANCA, LARGER, FARM]), st.integers(0, 999), st.integers(0, 9_999))
def test_the_contributions_of_a_household_are_packed_and_unpacked_to_the_last_digit(facts, dirhams, centimes):
    facts = facts | {"spending": facts["spending"] | {"butane": f"{dirhams}.{centimes % 100:02}"}}
    index = score(FORMULA, facts, ON)
    packed = pack(index.contributions)
    assert len(packed) == 8 * len(index.contributions)
    assert as_text_lines(unpack(FORMULA, facts, ON, packed)) == as_text_lines(index.contributions)


def test_what_was_stored_is_unpacked_and_not_what_would_be_computed_today():
    index = score(FORMULA, CASABLANCA, ON)
    stored = pack(index.contributions[:-1]) + pack([replace(index.contributions[-1], amount=Decimal("0.5"))])
    assert unpack(FORMULA, CASABLANCA, ON, stored)[-1].amount == Decimal("0.5")


def test_spending_beyond_all_sense_makes_no_index_and_what_is_short_of_it_is_stored():
    def alone(butane):
        return a_household(a_member(40, "head"), spending={"butane": butane})
    with pytest.raises(CannotCompute, match="U33: is far too large"):
        score(FORMULA, alone("182070"), ON)
    lines = score(FORMULA, alone("182069"), ON).contributions
    assert unpack(FORMULA, alone("182069"), ON, pack(lines)) == lines


def test_shares_over_those_aged_15_are_another_index():
    other = Formula.parse({**FORMULA.content, "share_denominator": "aged_15"})
    # Two adults: without diploma 2/2 in place of 2/4, earning 1/2 in place of 1/4.
    assert score(other, CASABLANCA, ON).value - score(FORMULA, CASABLANCA, ON).value == (
        Decimal("-0.0557") / 2 + Decimal("0.139") / 4)
