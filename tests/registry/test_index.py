"""Rules of the index: the published formula, its worked households, and an arithmetic that never drifts."""

import copy
import decimal
import json
import tomllib
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.registry.index import (
    BadFormula,
    CannotCompute,
    Formula,
    UnknownTerm,
    compute,
    displayed,
    formulas,
    reproduce,
    score,
)
from tests.registry.test_measures import ON, a_household, a_member

FORMULA = Formula.load("rsu-2021")
DOCUMENT = tomllib.loads(
    (Path(__file__).parents[2] / "gateway/registry/formulas/rsu-2021.toml").read_text(encoding="utf-8"))
URBAN = [term.name for term in FORMULA.equations["urban"].terms]
quick = settings(deadline=None, database=None, max_examples=60)


def decimals(**values):
    return {name: Decimal(value) for name, value in values.items()}


def as_text(index):
    return [line.as_text() for line in index.contributions]


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
    assert displayed(index.value) == "9.6087075"


def test_ten_dirhams_more_of_telephone_weigh_almost_three_times_as_much_in_the_country():
    def rise(facts):
        more = copy.deepcopy(facts)
        more["spending"]["phone_internet"] = str(int(facts["spending"]["phone_internet"]) + 10)
        return score(FORMULA, more, ON).value - score(FORMULA, facts, ON).value
    urban = a_household(*CASABLANCA["members"])
    rural = a_household(*CASABLANCA["members"], area="rural")
    assert (rise(urban), rise(rural)) == (Decimal("0.00906"), Decimal("0.0258"))


def test_the_published_formula_is_never_edited():
    # A correction is a new file with a new id: scores of the past must stay reproducible.
    assert FORMULA.digest == "1b000480e907dd2139c0084bb818d1972ae59af4044eef8438c5503e36e29bfc"
    assert [formula.id for formula in formulas()] == ["rsu-2021"]


def test_the_formula_says_that_it_was_not_checked_against_the_gazette():
    assert FORMULA.checked is False
    assert "BO 7011" in FORMULA.source
    assert FORMULA.effective_from == date(2021, 8, 9)


@pytest.mark.parametrize(("area", "letter", "terms", "constant"), [
    ("urban", "U", 35, "9.825"), ("rural", "R", 28, "8.695")])
def test_both_areas_have_their_announced_terms_and_twelve_regions(area, letter, terms, constant):
    equation = FORMULA.equations[area]
    assert [term.name for term in equation.terms] == [f"{letter}{number}" for number in range(1, terms + 1)]
    assert list(equation.regions) == list(range(1, 13))
    assert equation.constant == Decimal(constant)


def test_a_household_of_which_nothing_is_given_has_the_constants_alone():
    index = compute(FORMULA, "urban", 7, {})
    assert index.value == Decimal("9.825") + Decimal("0.194")
    assert [line.term for line in index.contributions] == ["K", "REGION", *URBAN]
    assert index.contributions[1].measure == "region_7"


@pytest.mark.parametrize(("value", "text"), [
    ("9.6087", "9.6087000"), ("9.74300105", "9.7430010"), ("9.74300115", "9.7430012"),
    ("9.32642835000000001", "9.3264284"), ("10", "10.0000000"), ("1E+1", "10.0000000")])
def test_an_index_is_shown_with_seven_decimals_and_a_tie_goes_to_the_even_digit(value, text):
    assert displayed(Decimal(value)) == text


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
        shown = displayed(index.value)
        lines = as_text(index)
        again = reproduce(FORMULA, index.snapshot())
    assert index == again == usual
    assert shown == displayed(usual.value)
    assert lines == as_text(usual)


@quick
@given(urban_values, regions)
def test_an_index_is_reproduced_from_its_stored_snapshot_to_the_last_digit(values, region):
    index = compute(FORMULA, "urban", region, values)
    stored = json.loads(json.dumps(index.snapshot()))
    again = reproduce(FORMULA, stored)
    assert again == index
    assert as_text(again) == as_text(index)


def changed(**changes):
    """The published file with `urban__constant="9.9"` in place of what stands there; None takes it out."""
    document = copy.deepcopy(DOCUMENT)
    for path, value in changes.items():
        *way, last = path.split("__")
        place = document
        for step in way:
            place = place[int(step) if isinstance(place, list) else step]
        last = int(last) if isinstance(place, list) else last
        if value is None:
            del place[last]
        else:
            place[last] = value
    return document


def test_a_snapshot_is_not_reproduced_with_another_formula():
    other = Formula.parse(changed(urban__constant="9.826"))
    with pytest.raises(CannotCompute, match="another formula"):
        reproduce(other, score(FORMULA, CASABLANCA, ON).snapshot())


def places_of_numbers():
    for area in ("urban", "rural"):
        yield f"{area}__constant"
        yield from (f"{area}__regions__{region}" for region in range(1, 13))
        yield from (f"{area}__terms__{n}__coefficient" for n in range(len(DOCUMENT[area]["terms"])))


def test_the_digest_changes_with_any_number():
    digests = [Formula.parse(changed(**{place: "0.4242"})).digest for place in places_of_numbers()]
    assert len(set(digests)) == len(digests) == 2 + 24 + 35 + 28
    assert FORMULA.digest not in digests


@pytest.mark.parametrize("change", [
    {"share_denominator": "aged_15"}, {"effective_from": "2022-01-01"}, {"id": "rsu-2022"}])
def test_the_digest_changes_with_all_else_that_decides_an_index(change):
    assert Formula.parse(changed(**change)).digest != FORMULA.digest


@pytest.mark.parametrize("change", [
    {"checked": True}, {"notes": ["Checked."]}, {"title": "Index"}, {"urban__terms__0__label": "alone"}])
def test_the_digest_stays_when_only_the_description_changes(change):
    assert Formula.parse(changed(**change)).digest == FORMULA.digest


@quick
@given(st.randoms())
def test_the_digest_does_not_depend_on_the_order_of_keys(shuffler):
    def shuffled(content):
        if isinstance(content, dict):
            keys = list(content)
            shuffler.shuffle(keys)
            return {key: shuffled(content[key]) for key in keys}
        return [shuffled(item) for item in content] if isinstance(content, list) else content
    assert Formula.parse(shuffled(DOCUMENT)).digest == FORMULA.digest


def test_the_switch_of_the_share_changes_the_index_and_its_snapshot_alike():
    other = Formula.parse(changed(share_denominator="aged_15"))
    index = score(other, CASABLANCA, ON)
    # Two adults: without diploma 2/2 in place of 2/4, earning 1/2 in place of 1/4.
    assert index.value - score(FORMULA, CASABLANCA, ON).value == Decimal("-0.0557") / 2 + Decimal("0.139") / 4
    assert reproduce(other, index.snapshot()) == index


@pytest.mark.parametrize(("change", "complaint"), [
    ({"urban__terms__0__coefficient": 0.103}, r"urban\.terms\.0\.coefficient: .*not of type"),
    ({"rural__terms__27__coefficient": 1}, r"rural\.terms\.27\.coefficient: .*not of type"),
    ({"urban__constant": 9.825}, r"urban\.constant: .*not of type"),
    ({"urban__constant": "9,825"}, r"urban\.constant: .*does not match"),
    ({"urban__constant": "NaN"}, r"urban\.constant: .*does not match"),
    ({"rural__regions__7": None}, r'rural\.regions: "7" is a required'),
    ({"rural__regions__13": "0"}, r"rural\.regions: .*13"),
    ({"rural__regions__7": 0.377}, r"rural\.regions\.7: .*not of type"),
    ({"rural__terms__24__measure": "goats"}, r"rural\.terms\.24\.measure: .*goats"),
    ({"rural__terms__1__name": "R1"}, r"rural\.terms: name R1 stands there twice"),
    ({"urban__terms__34__measure": "yearly_water_electricity_per_member"},
     r"urban\.terms: measure yearly_water_electricity_per_member stands there twice"),
    ({"rural__terms__10": None}, r"rural\.terms: 27 terms, expected 28"),
    ({"urban__expected_terms": 36}, r"urban\.terms: 35 terms, expected 36"),
    ({"urban__terms__0__name": "K"}, r"urban\.terms\.0\.name: .*does not match"),
    ({"effective_from": "yesterday"}, r"effective_from: .*not a \"date\""),
    ({"share_denominator": "adults"}, r"share_denominator: .*adults"),
    ({"checked": "no"}, r"checked: .*not of type"),
    ({"rural": None}, r'file: "rural" is a required'),
])
def test_a_formula_with_a_fault_is_refused_and_the_place_is_named(change, complaint):
    with pytest.raises(BadFormula, match=f"^{complaint}"):
        Formula.parse(changed(**change))


@pytest.mark.parametrize("id", ["rsu-1999", "", "../registry/formulas/rsu-2021", "*"])
def test_a_formula_that_is_not_there_is_refused(id):
    with pytest.raises(BadFormula, match="no formula of this id"):
        Formula.load(id)
