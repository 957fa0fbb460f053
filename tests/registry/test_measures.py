"""Rules of the measures: what each term counts, seen on whole households of an extract."""

import copy
import hashlib
import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import jsonschema_rs
import pytest

from gateway.registry.measures import MEASURES, CannotCompute, Census, age_on, counted, measure

ON = date(2024, 6, 30)
SCHEMA = Path(__file__).parents[2] / "docs" / "extract.schema.json"


def a_member(age, relation="child", *, born=None, **facts):
    """Somebody who completed `age` years on 1 January 2024."""
    return {
        "idcs": "5371843613", "name_ar": "مثال", "name_latin": "Exemple", "sex": "female",
        "birth_date": born or f"{2024 - age}-01-01", "relation": relation, "marital_status": "single",
        "schooling": "none", "literate": False, "education": "none", "diploma": "none",
        "activity": "inactive", "occupation": "none", "health_cover": "none", "disability": "none",
    } | facts


def a_household(*members, area="urban", region=6, **sections):
    """A household that has nothing but its members, and what is said: `dwelling={"rooms": 2}`."""
    household = {
        "household_number": "1234567890", "area": area, "region": region, "commune": "06.141.01.0",
        "registered_on": "2024-06-01", "language": "ar-MA",
        "address": {"lines": ["1, rue de l'Exemple"], "postal_code": "20000", "locality": "CASABLANCA"},
        "contacts": [], "declarant": 1,
        "members": list(members) or [a_member(45, "head"), a_member(40, "spouse"), a_member(10), a_member(7)],
        "dwelling": {"type": "modern_house", "rooms": 1, "family_nuclei": 1, "bath_or_shower": False,
                     "own_electricity_meter": False},
        "equipment": {"computers": 0, "satellite_dish": False, "fixed_telephone": False, "mobile_phones": 0,
                      "cars": 0, "motorcycles": 0},
        "property": {"loan": False, "secondary_dwelling": False, "garage": False,
                     "professional_premises": False, "non_agricultural_land": False, "irrigated_land": False,
                     "cows": 0},
        "spending": {"butane": "0", "water_electricity": "0", "phone_internet": "0"},
    }
    for section, facts in sections.items():
        household[section] |= facts
    return household


def measured(name, facts, on=ON, **choices):
    return measure([name], facts, on, **choices)[name]


HEAD, SPOUSE = a_member(45, "head"), a_member(40, "spouse")
FOUR = (HEAD, SPOUSE, a_member(10), a_member(7))


def with_head(**facts):
    return a_household(HEAD | facts, *FOUR[1:])


def with_spouse(**facts):
    return a_household(HEAD, SPOUSE | facts, *FOUR[2:])


def with_child(**facts):
    return a_household(HEAD, SPOUSE, a_member(10) | facts, a_member(7))


def adults(*ages):
    return a_household(a_member(ages[0], "head"), *(a_member(age) for age in ages[1:]))


NOTHING = a_household()
RICH = a_household(
    HEAD | {"literate": True, "education": "basic", "activity": "employer", "occupation": "trade"},
    SPOUSE | {"diploma": "technical", "health_cover": "other"}, a_member(10, schooling="public"), a_member(65),
    dwelling={"rooms": 2, "bath_or_shower": True}, equipment={"cars": 2, "mobile_phones": 3}, property={"cows": 4},
    spending={"butane": "61.50"})
RULES = [
    # measure, household, value
    ("single_or_childless_couple", a_household(HEAD), 1),
    ("single_or_childless_couple", a_household(HEAD, SPOUSE), 1),
    ("single_or_childless_couple", a_household(SPOUSE, HEAD), 1),
    ("single_or_childless_couple", a_household(HEAD, a_member(20)), 0),
    ("single_or_childless_couple", a_household(HEAD, a_member(70, "parent")), 0),
    ("single_or_childless_couple", a_household(HEAD, SPOUSE, a_member(1)), 0),
    ("several_family_nuclei", a_household(dwelling={"family_nuclei": 2}), 1),
    ("several_family_nuclei", NOTHING, 0),
    ("household_size", NOTHING, 4),
    ("household_size_squared", NOTHING, 16),
    ("members_aged_19_to_29", adults(30, 18, 19, 29), 2),
    ("members_aged_30_to_59", adults(29, 30, 59, 60), 2),
    ("members_aged_60_and_over", adults(59, 60, 101), 2),
    ("children_in_private_school", with_child(schooling="private"), 1),
    ("children_in_private_school", with_child(schooling="public"), 0),
    ("children_in_public_school", with_child(schooling="public"), 1),
    ("children_in_public_school", with_spouse(schooling="public"), 0),
    ("children_in_public_school", a_household(HEAD, *(a_member(age, schooling="public")
                                                      for age in (5, 6, 14, 15))), 2),
    ("member_with_other_health_cover", with_child(health_cover="other"), 1),
    ("member_with_other_health_cover", with_child(health_cover="ramed"), 0),
    ("member_with_other_health_cover", with_child(health_cover="amo_tadamon"), 0),
    ("at_most_two_persons_per_room", a_household(dwelling={"rooms": 2}), 1),
    ("at_most_two_persons_per_room", NOTHING, 0),
    ("two_to_three_persons_per_room", a_household(dwelling={"rooms": 2}), 0),
    ("two_to_three_persons_per_room", a_household(*FOUR, a_member(1), dwelling={"rooms": 2}), 1),
    ("two_to_three_persons_per_room", a_household(HEAD, SPOUSE, a_member(1)), 1),
    ("two_to_three_persons_per_room", NOTHING, 0),
    *(("durable_dwelling", a_household(dwelling={"type": kind}), value) for kind, value in {
        "villa": 1, "apartment": 1, "traditional_house": 1, "rural_house_stone": 1,
        "modern_house": 0, "rural_house_adobe": 0, "shack": 0, "other": 0}.items()),
    ("bath_or_shower", a_household(dwelling={"bath_or_shower": True}), 1),
    ("own_electricity_meter", a_household(dwelling={"own_electricity_meter": True}), 1),
    ("head_age", NOTHING, 45),
    ("head_age_squared", NOTHING, 2025),
    ("head_with_basic_education", with_head(education="basic"), 1),
    ("head_with_basic_education", with_head(education="secondary"), 0),
    ("head_with_higher_education", with_head(education="higher"), 1),
    ("head_with_higher_education", with_spouse(education="higher"), 0),
    ("head_senior_executive", with_head(occupation="senior_executive"), 1),
    ("head_middle_manager", with_head(occupation="middle_manager"), 1),
    ("head_machine_operator", with_head(occupation="machine_operator"), 1),
    ("head_craftsman", with_head(occupation="craftsman"), 1),
    ("head_farmer", with_head(occupation="farmer"), 1),
    ("head_farmer", with_spouse(occupation="farmer"), 0),
    ("head_employer", with_head(activity="employer"), 1),
    ("head_retired_or_with_private_income", with_head(activity="retired"), 1),
    ("head_retired_or_with_private_income", with_head(activity="private_income"), 1),
    ("share_without_diploma", NOTHING, "0.5"),
    ("share_without_diploma", with_spouse(diploma="basic"), "0.25"),
    ("share_with_technical_diploma", with_spouse(diploma="technical"), "0.25"),
    ("share_with_higher_diploma", with_head(diploma="higher"), "0.25"),
    ("share_with_higher_diploma", with_head(diploma="secondary"), 0),
    ("share_able_to_read_and_write", with_head(literate=True), "0.25"),
    ("share_able_to_read_and_write", with_child(literate=True), 0),
    *(("share_earning", with_spouse(activity=activity), value) for activity, value in {
        "employee": "0.25", "public_employee": "0.25", "self_employed": "0.25", "employer": "0.25",
        "family_worker": 0, "retired": 0, "private_income": 0, "homemaker": 0, "unemployed": 0}.items()),
    ("share_machine_operators", with_spouse(occupation="machine_operator"), "0.25"),
    ("share_senior_executives", with_spouse(occupation="senior_executive"), "0.25"),
    ("share_in_trade", with_spouse(occupation="trade"), "0.25"),
    ("computer", a_household(equipment={"computers": 3}), 1),
    ("satellite_dish", a_household(equipment={"satellite_dish": True}), 1),
    ("fixed_telephone", a_household(equipment={"fixed_telephone": True}), 1),
    ("car", a_household(equipment={"cars": 2}), 1),
    ("cars", a_household(equipment={"cars": 2}), 2),
    ("motorcycle", a_household(equipment={"motorcycles": 2}), 1),
    ("motorcycles", a_household(equipment={"motorcycles": 2}), 2),
    ("mobile_phones", a_household(equipment={"mobile_phones": 5}), 5),
    ("loan", a_household(property={"loan": True}), 1),
    ("secondary_dwelling", a_household(property={"secondary_dwelling": True}), 1),
    ("garage", a_household(property={"garage": True}), 1),
    ("professional_premises", a_household(property={"professional_premises": True}), 1),
    ("non_agricultural_land", a_household(property={"non_agricultural_land": True}), 1),
    ("irrigated_land", a_household(property={"irrigated_land": True}), 1),
    ("cows", a_household(property={"cows": 7}), 7),
    ("yearly_butane_per_member", a_household(spending={"butane": "50"}), 150),
    ("yearly_water_electricity_per_member", a_household(spending={"water_electricity": "199.99"}), "599.97"),
    ("yearly_phone_internet_per_member", a_household(spending={"phone_internet": "10"}), 30),
    ("members_of_10_unable_to_read_and_write", adults(45, 9, 10, 70), 3),
    ("members_of_10_unable_to_read_and_write", with_head(literate=True), 2),
    *(("members_working", with_child(activity=activity), value) for activity, value in {
        "employee": 1, "public_employee": 1, "self_employed": 1, "employer": 1, "family_worker": 1, "retired": 0,
        "homemaker": 0, "student": 0, "unemployed": 0}.items()),
    ("rooms", a_household(dwelling={"rooms": 7}), 7),
    ("wash_basin", a_household(equipment={"wash_basin": True}), 1),
    ("wash_basin", a_household(equipment={"wash_basin": False}), 0),
    ("washing_machine", a_household(equipment={"washing_machine": True}), 1),
    ("refrigerator", a_household(equipment={"refrigerator": True}), 1),
    *(("bicycle_motorcycle_or_car", a_household(equipment={"bicycles": 0} | owned), value) for owned, value in (
        ({}, 0), ({"bicycles": 2}, 1), ({"motorcycles": 1}, 1), ({"cars": 1}, 1))),
    *(("stove", a_household(equipment={"stove": kind}), place) for place, kind in enumerate(
        ("none", "bread", "stand_alone", "both", "combo"))),
    *(("television", a_household(equipment={"television": kind}), place) for place, kind in enumerate(
        ("none", "black_white", "colour", "colour_dish"))),
]
OPTIONAL = {"wash_basin", "washing_machine", "refrigerator", "bicycle_motorcycle_or_car", "stove", "television"}
REQUIRED = [name for name in MEASURES if name not in OPTIONAL]


@pytest.mark.parametrize(("name", "facts", "value"), RULES)
def test_a_measure_counts_what_its_term_says(name, facts, value):
    assert measured(name, facts) == Decimal(value)


@pytest.mark.parametrize("facts", [facts for _, facts, _ in RULES])
def test_the_households_of_these_tests_are_rows_of_an_extract(facts):
    validator = jsonschema_rs.validator_for(json.loads(SCHEMA.read_text()), validate_formats=True)
    assert [error.message for error in validator.iter_errors(facts)] == []


def test_every_measure_has_a_rule():
    assert set(MEASURES) == {name for name, _, _ in RULES}


def test_the_order_of_the_measures_is_a_storage_format():
    """Packed counts lie in every database in this order: a new measure comes last."""
    names = list(MEASURES)
    assert hashlib.sha256(" ".join(names[:61]).encode()).hexdigest()[:16] == "7b1a313994f35729"


@pytest.mark.parametrize(("name", "facts", "value"), RULES)
def test_a_count_is_a_whole_number_and_its_divisor_makes_the_value(name, facts, value):
    one, count, size = MEASURES[name], counted(name, Census(facts, ON, "members")), len(facts["members"])
    assert isinstance(count, int)
    made = {"one": Decimal(count), "share": Decimal(count) / size, "member_year": Decimal(count) * 12 / (100 * size)}
    assert made[one.per] == Decimal(value)


def test_what_a_measure_reads_are_facts_of_the_extract():
    properties = json.loads(SCHEMA.read_text())["properties"]
    known = {"members", *(f"members.{name}" for name in properties["members"]["items"]["properties"])}
    known |= {f"{section}.{name}" for section in ("dwelling", "equipment", "property", "spending")
              for name in properties[section]["properties"]}
    assert [name for name, one in MEASURES.items() if not one.reads or not known.issuperset(one.reads)] == []


@pytest.mark.parametrize("name", REQUIRED)
def test_a_measure_moves_with_the_facts_that_it_names_alone(name):
    """Without all that it does not read, a household measures the same."""
    facts = {"members": [{field: value for field, value in member.items() if f"members.{field}" in MEASURES[name].reads
                          or field == "birth_date"} for member in RICH["members"]]}
    for path in MEASURES[name].reads:
        section, _, field = path.partition(".")
        if field and section != "members":
            facts.setdefault(section, {})[field] = RICH[section][field]
    assert measured(name, facts) == measured(name, RICH)


@pytest.mark.parametrize("name", sorted(OPTIONAL))
def test_what_the_extract_may_leave_out_is_not_measured_as_none(name):
    with pytest.raises(CannotCompute, match=f"^{name}: cannot be read from the facts$"):
        measured(name, NOTHING)


@pytest.mark.parametrize("amount", ["0.001", "NaN", "Infinity", "sNaN"])
def test_an_amount_that_is_no_whole_number_of_centimes_is_not_measured(amount):
    with pytest.raises(CannotCompute):
        measured("yearly_butane_per_member", a_household(spending={"butane": amount}))


@pytest.mark.parametrize("rooms", range(1, 9))
@pytest.mark.parametrize("size", range(1, 17))
def test_a_room_is_shared_by_two_or_by_three_but_never_counted_as_both(size, rooms):
    facts = a_household(HEAD, *[a_member(10)] * (size - 1), dwelling={"rooms": rooms})
    two = measured("at_most_two_persons_per_room", facts)
    three = measured("two_to_three_persons_per_room", facts)
    assert (two, three) == (size / rooms <= 2, 2 < size / rooms <= 3)


def test_names_numbers_and_addresses_do_not_enter_into_any_measure():
    bare = copy.deepcopy(NOTHING)
    for field in ("household_number", "commune", "language", "address", "contacts", "declarant"):
        del bare[field]
    for member in bare["members"]:
        for field in ("idcs", "name_ar", "name_latin", "sex"):
            del member[field]
    assert measure(REQUIRED, bare, ON) == measure(REQUIRED, NOTHING, ON)


@pytest.mark.parametrize(("birth", "on", "age"), [
    (date(2008, 2, 29), date(2023, 2, 28), 14),
    (date(2008, 2, 29), date(2023, 3, 1), 15),
    (date(2008, 2, 29), date(2024, 2, 28), 15),
    (date(2008, 2, 29), date(2024, 2, 29), 16),
    (date(2008, 7, 1), date(2024, 6, 30), 15),
    (date(2008, 7, 1), date(2024, 7, 1), 16),
    (date(2024, 7, 1), date(2024, 7, 1), 0),
])
def test_an_age_is_completed_on_the_birthday_and_without_a_29th_on_1_march(birth, on, age):
    assert age_on(birth, on) == age


def test_a_measure_is_of_the_day_it_is_asked_for():
    facts = a_household(HEAD, a_member(0, born="2009-07-01"))
    shares = [measured("share_without_diploma", facts, day) for day in (date(2024, 6, 30), date(2024, 7, 1))]
    assert shares == [Decimal("0.5"), Decimal(1)]


def test_shares_are_of_all_members_unless_the_formula_divides_by_those_aged_15():
    facts = with_spouse(activity="employee")
    assert measured("share_earning", facts) == Decimal("0.25")
    assert measured("share_earning", facts, share_denominator="aged_15") == Decimal("0.5")


def test_a_share_of_nobody_aged_15_is_nothing():
    facts = a_household(a_member(14, "head"))
    assert measured("share_without_diploma", facts, share_denominator="aged_15") == 0


def without(section, field):
    facts = copy.deepcopy(NOTHING)
    del facts[section][field]
    return facts


@pytest.mark.parametrize(("facts", "reason"), [
    (a_household(SPOUSE, a_member(10)), "no member is the head"),
    (a_household(HEAD, HEAD), "more than one member is the head"),
    (a_household(HEAD, a_member(0, born="2024-07-01")), "a member is born after the day of the computation"),
    (without("dwelling", "rooms"), "at_most_two_persons_per_room: cannot be read from the facts"),
    (a_household(spending={"butane": "dear"}), "yearly_butane_per_member: cannot be read from the facts"),
    (a_household(spending={"butane": 50.5}), "yearly_butane_per_member: cannot be read from the facts"),
    (a_household(equipment={"cars": "one"}), "car: cannot be read from the facts"),
    (a_household(HEAD | {"birth_date": "soon"}), "single_or_childless_couple: cannot be read from the facts"),
    ({}, "single_or_childless_couple: cannot be read from the facts"),
])
def test_what_cannot_be_measured_has_a_reason_that_tells_nothing_declared(facts, reason):
    with pytest.raises(CannotCompute) as refusal:
        measure(REQUIRED, facts, ON)
    assert refusal.value.reason == str(refusal.value) == reason
