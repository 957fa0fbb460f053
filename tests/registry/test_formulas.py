"""Rules of the formula files: what is refused, what a digest tells apart, and two formulas side by side."""

import copy
import tomllib
from datetime import date
from decimal import Decimal

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.registry.extract import schema
from gateway.registry.formula import FOLDER, BadFormula, Formula, formulas
from gateway.registry.index import CannotCompute, compute, pack, score, unpack
from gateway.registry.measures import MEASURES
from gateway.registry.score import IndexScore
from tests.conftest import NOON, a_row, open_house
from tests.registry.test_measures import HEAD, ON, SPOUSE, a_household, a_member
from tests.web.desk import rows


def document(id):
    return tomllib.loads((FOLDER / f"{id}.toml").read_text(encoding="utf-8"))


FORMULA, PPI = Formula.load("rsu-2021"), Formula.load("ppi-morocco-2013")
DOCUMENT, SCORECARD = document("rsu-2021"), document("ppi-morocco-2013")
quick = settings(deadline=None, database=None, max_examples=60)

# The published formula


def test_the_published_formula_is_never_edited():
    # A correction is a new file with a new id: scores of the past must stay reproducible.
    assert FORMULA.digest == "1b000480e907dd2139c0084bb818d1972ae59af4044eef8438c5503e36e29bfc"


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


@pytest.mark.parametrize(("value", "text"), [
    ("9.6087", "9.6087000"), ("9.74300105", "9.7430010"), ("9.74300115", "9.7430012"),
    ("9.32642835000000001", "9.3264284"), ("10", "10.0000000"), ("1E+1", "10.0000000")])
def test_an_index_is_shown_with_seven_decimals_and_a_tie_goes_to_the_even_digit(value, text):
    assert str(FORMULA.displayed(Decimal(value))) == text


def changed(document=DOCUMENT, /, **changes):
    """The published file with `urban__constant="9.9"` in place of what stands there; None takes it out."""
    document = copy.deepcopy(document)
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
    {"share_denominator": "aged_15"}, {"effective_from": "2022-01-01"}, {"id": "rsu-2022"},
    {"effective_to": "2030-12-31"}, {"decimals": 4}])
def test_the_digest_changes_with_all_else_that_decides_an_index(change):
    assert Formula.parse(changed(**change)).digest != FORMULA.digest


@pytest.mark.parametrize("change", [
    {"checked": True}, {"notes": ["Checked."]}, {"title": "Index"}, {"urban__terms__0__label": "alone"},
    {"approver": "Somebody else"}])
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
    ({"rural__terms__3__coefficient": None}, r"rural\.terms\.3: has either a coefficient or bands"),
    ({"rural__terms__3__bands": [["0", "1"]]}, r"rural\.terms\.3: has either a coefficient or bands"),
    ({"effective_to": "2021-08-08"}, r"effective_to: is before effective_from"),
    ({"effective_to": "never"}, r"effective_to: .*not a \"date\""),
    ({"decimals": 11}, r"decimals: .*10"),
    ({"decimals": "7"}, r"decimals: .*not of type"),
    ({"regional": False}, r"(urban|rural): .*regions"),
    ({"regional": "no"}, r"regional: .*not of type"),
    ({"everywhere": {}}, r"(file: .*urban|everywhere: )"),
    ({"desert": {}}, r"file: .*desert"),
    ({"approver": ""}, r"approver: "),
])
def test_a_formula_with_a_fault_is_refused_and_the_place_is_named(change, complaint):
    with pytest.raises(BadFormula, match=f"^{complaint}"):
        Formula.parse(changed(**change))


@pytest.mark.parametrize("id", ["rsu-1999", "", "../registry/formulas/rsu-2021", "*"])
def test_a_formula_that_is_not_there_is_refused(id):
    with pytest.raises(BadFormula, match="no formula of this id"):
        Formula.load(id)


# Its worked scorecard


POOREST = {"bicycles": 0, "wash_basin": False, "washing_machine": False, "refrigerator": False, "stove": "none",
           "television": "none"}
RICHEST = {"bicycles": 1, "wash_basin": True, "washing_machine": True, "refrigerator": True, "stove": "combo",
           "television": "colour_dish"}
READER = {"literate": True, "activity": "employee"}
EIGHT = (HEAD, SPOUSE, *(a_member(age) for age in (30, 25, 12, 10, 9, 2)))
THREE = (HEAD | READER, SPOUSE | READER, a_member(20, **READER))


def points(facts):
    return {line.term: int(line.amount) for line in score(PPI, facts, ON).contributions if line.amount}


def total(facts):
    return PPI.displayed(score(PPI, facts, ON).value)


def test_the_scorecard_runs_from_0_to_100():
    assert total(a_household(*EIGHT, equipment=POOREST)) == 0
    richest = a_household(*THREE, equipment=RICHEST, dwelling={"rooms": 5}, area="rural")
    assert (total(richest), str(total(richest))) == (100, "100")


def test_a_worked_household_has_its_points():
    # Six persons; two of 10 and over do not read; one works; three rooms; a basin, a stove, a fridge, a colour set.
    home = a_household(
        HEAD | READER, SPOUSE, a_member(14, literate=True), a_member(12), a_member(9), a_member(2),
        dwelling={"rooms": 3},
        equipment=POOREST | {"wash_basin": True, "stove": "stand_alone", "refrigerator": True, "television": "colour"})
    assert points(home) == {"P1": 8, "P2": 4, "P3": 1, "P4": 6, "P5": 10, "P7": 2, "P8": 4, "P9": 4}
    assert total(home) == 39


@pytest.mark.parametrize(("size", "worth"), [(1, 29), (3, 29), (4, 17), (5, 13), (6, 8), (7, 4), (8, 0), (12, 0)])
def test_a_band_runs_to_the_next(size, worth):
    home = a_household(HEAD, *[a_member(30)] * (size - 1), equipment=POOREST)
    assert points(home).get("P1", 0) == worth


@pytest.mark.parametrize("lacking", POOREST)
def test_a_household_without_what_the_scorecard_asks_gets_a_reason_and_no_number(lacking):
    asked = {name: value for name, value in RICHEST.items() if name != lacking}
    with pytest.raises(CannotCompute, match="cannot be read from the facts"):
        score(PPI, a_household(*THREE, equipment=asked), ON)


def test_an_extract_of_the_first_formula_is_read_as_before():
    validator = jsonschema_rs.validator_for(schema(), validate_formats=True)
    for home in (a_household(), a_household(equipment=POOREST), a_household(equipment=RICHEST)):
        assert list(validator.iter_errors(home)) == []
        assert score(FORMULA, home, ON) == score(FORMULA, a_household(), ON)


def test_the_kinds_of_the_scorecard_are_those_of_the_extract():
    equipment = schema()["properties"]["equipment"]["properties"]
    for field, term in (("stove", "P7"), ("television", "P9")):
        bands = next(each.bands for each in PPI.equations["urban"].terms if each.name == term)
        assert len(equipment[field]["enum"]) == len(bands)
        worth = [points(a_household(equipment=POOREST | {field: kind})).get(term, 0)
                 for kind in equipment[field]["enum"]]
        assert worth == [int(given) for _, given in bands]


# Forms of a file


def test_both_formulas_stand_side_by_side_each_with_its_own_digest():
    assert [(formula.id, formula.decimals) for formula in formulas()] == [("ppi-morocco-2013", 0), ("rsu-2021", 7)]
    assert PPI.digest == "59cd4ec48dec966b24a46cc5241980fb6b94480b73fe5b37be61945d08b1edb5"
    for formula in formulas():
        assert Formula.parse(formula.content).digest == formula.digest


def test_a_formula_without_regions_weighs_the_same_everywhere():
    values = {"P1": Decimal(8), "P2": Decimal(4), "P5": Decimal(1)}
    sums = {compute(PPI, area, region, values).value for area in ("urban", "rural") for region in range(1, 13)}
    assert sums == {Decimal(10)}
    with pytest.raises(CannotCompute, match="no such area or region"):
        compute(PPI, "urban", 13, {})


def test_points_are_packed_and_unpacked_like_products():
    home = a_household(*THREE, equipment=RICHEST)
    lines = score(PPI, home, ON).contributions
    assert unpack(PPI, home, ON, pack(lines)) == lines
    banded = next(line for line in lines if line.term == "P1")
    assert banded.as_text() == {"term": "P1", "measure": "household_size", "value": "3", "coefficient": None,
                                "amount": "29"}


@pytest.mark.parametrize(("bands", "complaint"), [
    ([["1", "29"], ["4", "17"]], r"everywhere\.terms\.0\.bands: leave a gap"),
    ([["0", "29"], ["4", "17"], ["4", "13"]], r"everywhere\.terms\.0\.bands: overlap"),
    ([["0", "29"], ["5", "17"], ["4", "13"]], r"everywhere\.terms\.0\.bands: overlap"),
    ([], r"everywhere\.terms\.0\.bands: "),
    ([["0", 29]], r"everywhere\.terms\.0\.bands\.0\.1: .*not of type"),
    ([["0", "29", "30"]], r"everywhere\.terms\.0\.bands\.0: "),
    ([["-1", "29"]], r"everywhere\.terms\.0\.bands\.0\.0: .*does not match"),
])
def test_bands_with_a_gap_or_an_overlap_are_refused(bands, complaint):
    with pytest.raises(BadFormula, match=f"^{complaint}"):
        Formula.parse(changed(SCORECARD, everywhere__terms__0__bands=bands))


def test_a_formula_for_everywhere_has_no_areas_beside_it():
    with pytest.raises(BadFormula, match=r"file: .*rural"):
        Formula.parse(changed(SCORECARD, rural=SCORECARD["everywhere"]))


def test_a_formula_says_who_approved_it_and_until_when_it_counts():
    assert "2-21-582" in FORMULA.approver
    ended = Formula.parse(changed(effective_to="2030-12-31"))
    assert (FORMULA.effective_to, ended.effective_to) == (None, date(2030, 12, 31))
    days = [date(2021, 8, 8), date(2021, 8, 9), date(2030, 12, 31), date(2031, 1, 1)]
    assert [ended.in_effect(day) for day in days] == [False, True, True, False]
    assert FORMULA.in_effect(days[-1])


def test_every_measure_feeds_a_term_of_some_formula():
    fed = {term.measure for formula in formulas() for each in formula.equations.values() for term in each.terms}
    assert fed == set(MEASURES)


# Which one counts


def test_the_formula_in_force_is_the_one_that_the_settings_name(database_url, redis_url, tmp_path):
    runtime = open_house(database_url, redis_url, tmp_path, lambda: NOON, FORMULA="ppi-morocco-2013")
    try:
        equipment = a_row().household["equipment"]
        asked = a_row("2900000001", equipment=equipment | RICHEST)
        with runtime.database.write() as session:
            stored = runtime.intake.store(session, [asked, a_row("2900000002")], NOON)
        found = {score.failure is None: score for score in rows(runtime, IndexScore)}
    finally:
        runtime.close()
    assert (stored.new, stored.unscored) == (2, 1)
    assert {score.formula for score in found.values()} == {"ppi-morocco-2013"}
    assert (found[True].displayed, found[False].value) == (found[True].value, None)
    assert "cannot be read from the facts" in found[False].failure
