"""Rules of the conditions: what is checked before an expression is used, and that nothing unknown is ever guessed."""

import copy
import json
from datetime import date

import pytest

from gateway.registry.condition import BadCondition, Condition, facts_for
from tests.conftest import EXAMPLE

ON = date(2026, 2, 1)
WIDOW, FARMER, RETIRED = (json.loads(line) for line in EXAMPLE.read_text(encoding="utf-8").splitlines())


def met(expression, facts, on=ON):
    condition = Condition.parse("example", expression, "invented")
    return condition.met(facts_for(facts, on, [condition]))


def with_member(position, facts=FARMER, **changes):
    """The household with one member's facts changed; `...` takes a fact away."""
    changed = copy.deepcopy(facts)
    member = changed["members"][position - 1]
    member.update(changes)
    for name in [name for name, value in changes.items() if value is ...]:
        del member[name]
    return changed


@pytest.mark.parametrize(("expression", "answer"), [
    ("true", True),
    ("area == 'rural' && region == 7", True),
    ("size == 5 && members.size() == size", True),
    ("dwelling.rooms > 3", False),
    ("dwelling.type in ['shack', 'rural_house_stone']", True),
    ("equipment.motorcycles + equipment.cars == 1", True),
    ("property.irrigated_land && !property.loan", True),
    ("members.exists(m, m.age < 6)", True),
    ("members.filter(m, m.age >= 15).size() == 3", True),
    ("members.exists_one(m, m.relation == 'head')", True),
    ("members.all(m, m.literate)", False),
    ("members.map(m, m.age).exists(a, a == 73)", True),
])
def test_an_expression_may_look_at_what_the_extract_says(expression, answer):
    assert met(expression, FARMER) is answer


@pytest.mark.parametrize(("expression", "complaint"), [
    ("members.exists(m, ", "parse"),
    ("", "parse"),
    ("members.exists(m, m.salary > 0)", "there is no fact salary"),
    ("true || members.exists(m, m.salary > 0)", "there is no fact salary"),
    ("income > 0", "there is no fact income"),
    ("area == 'rural' || income > 0", "there is no fact income"),
    ("members.exists(m, m.idcs == m.idcs)", "there is no fact idcs"),
    ("members.exists(m, m.birth_date < m.birth_date)", "there is no fact birth_date"),
    ("spending.butane == spending.butane", "there is no fact butane"),
    ("members.exists(m, m.activity == 'pensioner')", "'pensioner' is not a word of the extract"),
    ("members.exists(m, m.activity == r'retired')", "r'retired' is not a word"),
    ("members.exists(m, m.age > 64.5)", "number with a point"),
    ("members.exists(m, m.age > 1e1)", "number with a point"),
    ("members.exists(m, double(m.age) > 64)", "double is not for conditions"),
    ("timestamp('rural') > timestamp('urban')", "timestamp is not for conditions"),
    ("dwelling.rooms * 2 > 3", "_\\*_ is not for conditions"),
    ("members[0].age > 64", "is not for conditions"),
    ("members.exists(m, m.activity.startsWith('retired'))", "startsWith is not for conditions"),
    ("has(dwelling.rooms)", "has: what is not known cannot be told"),
    ("members.exists(m, m.activity == null)", "null: what is not known cannot be told"),
    ("members.exists(m, m.age < 'head')", "fails on a household whose facts are all known: No such overload"),
    ("members.exists(m, m.relation == 'head' && m.age < 'head')", "fails on a household"),
    ("members.exists(m, m.age)", "fails on a household"),
    ("size", "yields int; a condition yields true or false"),
    ("members.map(m, m.age)", "yields list"),
])
def test_an_expression_with_a_fault_is_refused_before_any_household_is_judged(expression, complaint):
    with pytest.raises(BadCondition, match=complaint):
        Condition.parse("example", expression, "invented")


@pytest.mark.parametrize("value", [..., None, "", "pensioner", 3, ["retired"]])
def test_what_is_missing_or_no_word_of_the_extract_cannot_be_told(value):
    """An unknown activity is not "anything but retired"."""
    assert met("!members.exists(m, m.activity == 'retired')", with_member(5, activity=value)) is None


@pytest.mark.parametrize("value", [..., None, "3", 3.0, 3.5, True, -1, 10 ** 30])
def test_a_count_that_is_no_whole_number_in_its_bounds_cannot_be_told(value):
    facts = copy.deepcopy(FARMER)
    facts["dwelling"]["rooms"] = value
    if value is ...:
        del facts["dwelling"]["rooms"]
    assert met("dwelling.rooms > 2", facts) is None
    assert met("dwelling.rooms > 2", FARMER) is True


@pytest.mark.parametrize("born", [..., None, "soon", "2026-02-02", "1890-01-01"])
def test_an_age_that_cannot_be_counted_cannot_be_told(born):
    """Not born, mistyped, born after the day of the decision, or older than anybody."""
    assert met("members.all(m, m.age < 100)", with_member(4, birth_date=born)) is None


def test_a_household_without_its_members_meets_nothing_by_default():
    for members in ([], None):
        assert met("!members.exists(m, m.disability != 'none')", {**FARMER, "members": members}) is None
        assert met("size > 10", {**FARMER, "members": members}) is None


@pytest.mark.parametrize("unknown", [1, 3, 5])
def test_what_is_not_known_of_one_member_is_never_a_no_or_a_yes_by_itself(unknown):
    """Members are looked at in their order: whoever settles it first does so, else it cannot be told."""
    facts = with_member(unknown, activity=...)
    assert met("members.exists(m, m.activity == 'homemaker')", facts) is (None if unknown < 2 else True)
    assert met("members.all(m, m.activity != 'homemaker')", facts) is (None if unknown < 2 else False)
    assert met("members.exists(m, m.activity == 'retired')", facts) is None
    assert met("members.all(m, m.activity != 'retired')", facts) is None


@pytest.mark.parametrize(("on", "age"), [(date(2026, 4, 4), 5), (date(2026, 4, 5), 6), (date(2027, 4, 4), 6)])
def test_ages_are_completed_years_on_the_day_of_the_decision(on, age):
    assert met(f"members.exists_one(m, m.age == {age})", with_member(4, birth_date="2020-04-05"), on) is True


def test_who_is_born_on_the_29th_of_february_is_a_year_older_on_the_first_of_march():
    facts = with_member(4, birth_date="2020-02-29")
    assert met("members.exists(m, m.age == 6)", facts, date(2026, 2, 28)) is False
    assert met("members.exists(m, m.age == 6)", facts, date(2026, 3, 1)) is True


def test_an_expression_is_given_the_facts_that_it_names_and_no_others():
    condition = Condition.parse("example", "members.all(m, m.health_cover != 'other')", "invented")
    given = facts_for(WIDOW, ON, [condition]).context.variables
    assert given == {"size": 2, "members": [{"health_cover": "amo_tadamon"}] * 2}


def test_no_amount_and_no_number_with_a_point_is_ever_given():
    everything = Condition.parse("example", " && ".join([
        "area != 'urban'", "region > 0", "dwelling.rooms > 0", "equipment.cars == 0", "property.cows > 0",
        "members.all(m, m.age > 0)"]), "invented")

    def plain(value):
        if isinstance(value, dict):
            return all(plain(one) for one in value.values())
        if isinstance(value, list):
            return all(plain(one) for one in value)
        return isinstance(value, (bool, int, str))

    facts = {**FARMER, "spending": {"butane": 60.5}, "property": {**FARMER["property"], "cows": 1.0}}
    given = facts_for(facts, ON, [everything]).context.variables
    assert plain(given)
    assert given["property"] == {}
    assert "spending" not in given


def test_each_expression_is_asked_once_a_household():
    condition = Condition.parse("example", "size > 1", "invented")
    known = facts_for(WIDOW, ON, [condition])
    known.answers["size > 1"] = False
    assert condition.met(known) is False
