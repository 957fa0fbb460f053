"""Rules of explaining: what weighs, what moved, from whom and since when, and what is kept back."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.registry.disclosure import BadDisclosure, Disclosure
from gateway.registry.explain import Account, compare, compared, explain, explained, reference
from gateway.registry.formula import formulas
from gateway.registry.index import Formula, score
from gateway.registry.score import IndexScore, latest
from gateway.registry.steps import NotAllowed
from gateway.registry.things import Source, Value
from tests.conftest import a_row, register
from tests.registry.test_formulas import POOREST, RICHEST
from tests.registry.test_index import CASABLANCA, FARM, LARGER
from tests.registry.test_measures import HEAD, ON, SPOUSE, a_household, a_member
from tests.web.desk import homes, rows

RSU, PPI = Formula.load("rsu-2021"), Formula.load("ppi-morocco-2013")
DECLARED = {"*": {"by": "declaration", "on": "2024-06-01"}}
quick = settings(deadline=None, database=None, max_examples=50)


def an_account(facts, formula=RSU, on=ON, **sources):
    """`equipment__cars=("road_safety", "2024-06-03")` is a corrected item."""
    corrected = {item.replace("__", "."): {"by": by, "on": day} for item, (by, day) in sources.items()}
    return Account(formula, facts, on, DECLARED | corrected, score(formula, facts, on).contributions)


def value(account):
    return score(account.formula, account.facts, account.on).value


def line_of(thing, told):
    (line,) = [line for line in getattr(told, "lines", None) or told.movements if line.thing == thing]
    return line


members = st.lists(st.builds(
    a_member, st.integers(0, 90), literate=st.booleans(), schooling=st.sampled_from(["none", "public", "private"]),
    activity=st.sampled_from(["employee", "employer", "retired", "inactive"]),
    diploma=st.sampled_from(["none", "technical", "higher"]), health_cover=st.sampled_from(["none", "other"]),
    occupation=st.sampled_from(["none", "farmer", "trade"])), max_size=11)
dirhams = st.decimals(0, 9_999, places=2).map(str)
households = st.builds(
    lambda head, others, area, region, rooms, equipment, more, cows, butane, phone: a_household(
        a_member(head, "head"), *others, area=area, region=region, dwelling={"rooms": rooms},
        equipment=equipment | more, property={"cows": cows}, spending={"butane": butane, "phone_internet": phone}),
    st.integers(15, 90), members, st.sampled_from(["urban", "rural"]), st.integers(1, 12), st.integers(1, 9),
    st.sampled_from([POOREST, RICHEST]), st.fixed_dictionaries({"cars": st.integers(0, 3)}), st.integers(0, 50),
    dirhams, dirhams)


# Sums


@quick
@given(households, households, st.sampled_from(formulas()), st.sampled_from(formulas()))
def test_the_movements_add_up_to_the_difference_of_the_two_indexes_exactly(old, new, one, other):
    before, after = an_account(old, one), an_account(new, other)
    told = compare(before, after, Disclosure())
    assert sum((each.delta for each in told.movements), Decimal(0)) == value(after) - value(before)
    assert told.formula_changed == (one != other)
    assert told.withheld == 0
    weights = [abs(each.delta) for each in told.movements]
    assert weights == sorted(weights, reverse=True)
    assert 0 not in weights


@quick
@given(households, st.sampled_from(formulas()))
def test_the_weights_add_up_to_the_distance_from_the_reference_household(facts, formula):
    account = an_account(facts, formula)
    told = explain(account, Disclosure())
    assert sum((line.weight for line in told.lines), Decimal(0)) == value(account) - value(reference(account))
    weights = [abs(line.weight) for line in told.lines]
    assert weights == sorted(weights, reverse=True)


@pytest.mark.parametrize("formula", formulas(), ids=lambda formula: formula.id)
@pytest.mark.parametrize("area", ["urban", "rural"])
def test_the_reference_household_needs_no_explanation(area, formula):
    usual = reference(an_account(a_household(area=area, region=7, equipment=RICHEST), formula))
    assert (usual.facts["area"], usual.facts["region"]) == (area, 7)
    assert explain(usual, Disclosure()).lines == ()


# A line


def test_spending_is_told_as_dirhams_a_month_and_not_a_year_for_each_member():
    facts = a_household(spending={"phone_internet": "120.50"})
    line = line_of("phone_internet", explain(an_account(facts, spending__phone_internet=("telecom", "2024-06-03"))))
    assert (line.unit, line.value, line.terms) == ("monthly", Value(Decimal("120.5")), ("U35",))
    assert line.source == Source("telecom", date(2024, 6, 3))


def test_a_share_is_told_as_so_many_of_so_many():
    line = line_of("share_earning", explain(an_account(a_household(
        HEAD | {"activity": "employee"}, SPOUSE | {"activity": "employee"}, a_member(9)))))
    assert (line.unit, line.value) == ("share", Value(Decimal(2), 3))


def test_a_number_and_its_square_are_one_line():
    told = explain(an_account(LARGER))
    assert line_of("household_size", told).terms == ("U19", "U20")
    assert line_of("household_size", told).value == Value(Decimal(6))
    assert line_of("head_age", told).terms == ("U21", "U22")
    assert line_of("head_age", told).unit == "years"
    assert not [line for line in told.lines if "squared" in line.thing]


def test_how_a_room_is_shared_is_told_as_the_rooms():
    line = line_of("rooms", explain(an_account(a_household(area="rural", dwelling={"rooms": 1}))))
    assert (line.terms, line.value, line.direction) == (("R3", "R4"), Value(Decimal(1)), "lowers")


def test_a_car_raises_and_its_lack_is_not_told():
    assert line_of("cars", explain(an_account(a_household(equipment={"cars": 1})))).direction == "raises"
    assert not [line for line in explain(an_account(a_household())).lines if line.thing == "cars"]


# Sources


@pytest.mark.parametrize(("sources", "found"), [
    ({}, Source("declaration", date(2024, 6, 1))),
    ({"members__3__health_cover": ("cnss", "2024-06-03")}, Source("cnss", date(2024, 6, 3))),
    ({"members__3__health_cover": ("cnss", "2024-06-05"), "members__1__health_cover": ("operator", "2024-06-03")},
     Source("cnss", date(2024, 6, 5))),
    ({"members__1__health_cover": ("operator", "2024-06-05"), "members__3__health_cover": ("cnss", "2024-06-05")},
     Source("operator", date(2024, 6, 5))),
    ({"members__3__health_cover": ("cnss", "2024-06-05"), "members__1__health_cover": ("operator", "2024-06-05")},
     Source("operator", date(2024, 6, 5))),
    ({"members__3__activity": ("cnss", "2024-06-03"), "equipment__cars": ("road_safety", "2024-06-03")},
     Source("declaration", date(2024, 6, 1))),
])
def test_the_source_is_the_latest_correction_of_what_the_term_reads(sources, found):
    facts = a_household(HEAD, SPOUSE, a_member(9, health_cover="other"))
    assert line_of("member_with_other_health_cover", explain(an_account(facts, **sources))).source == found


@pytest.mark.parametrize(("position", "by"), [(2, "cnss"), (1, "declaration")])
def test_what_is_said_of_the_head_has_the_source_of_the_head_alone(position, by):
    facts = a_household(SPOUSE, HEAD | {"activity": "employer"})
    account = an_account(facts, **{f"members__{position}__activity": ("cnss", "2024-06-03")})
    assert line_of("head_employer", explain(account)).source.by == by


# What moved


def test_a_changed_value_is_told_with_both_values_and_its_source():
    new = a_household(equipment={"cars": 1})
    told = compare(an_account(a_household()), an_account(new, equipment__cars=("road_safety", "2024-06-03")))
    (movement,) = told.movements
    assert (movement.thing, movement.old, movement.new) == ("cars", Value(Decimal(0)), Value(Decimal(1)))
    assert (movement.delta, movement.direction, movement.why) == (Decimal("0.226"), "raises", "value")
    assert movement.source == Source("road_safety", date(2024, 6, 3))


def test_spending_that_is_shared_by_one_more_moves_though_nobody_spends_less():
    old, new = a_household(HEAD, spending={"butane": "60"}), a_household(HEAD, SPOUSE, spending={"butane": "60"})
    told = compare(an_account(old), an_account(new))
    assert line_of("household_size", told).why == "value"
    movement = line_of("butane", told)
    assert (movement.old, movement.new, movement.why, movement.direction) == (
        Value(Decimal(60)), Value(Decimal(60)), "members", "lowers")


def test_the_same_facts_in_the_other_area_move_by_the_area():
    told = compare(an_account(a_household(spending={"butane": "60"})),
                   an_account(a_household(spending={"butane": "60"}, area="rural")))
    assert line_of("butane", told).why == "area"
    area = line_of("area", told)
    assert (area.why, area.unit, area.old, area.new) == ("value", "kind", Value(Decimal(0)), Value(Decimal(1)))


def test_another_formula_is_named_as_the_cause_and_compared_measure_by_measure():
    dearer = {**RSU.content, "id": "rsu-next", "urban": {**RSU.content["urban"], "terms": [
        {**term, "coefficient": "0.25"} if term["measure"] == "cars" else term
        for term in reversed(RSU.content["urban"]["terms"])]}}
    facts = a_household(equipment={"cars": 1})
    told = compare(an_account(facts), an_account(facts, Formula.parse(dearer)))
    assert told.formula_changed
    (movement,) = told.movements
    assert (movement.thing, movement.why, movement.delta) == ("cars", "formula", Decimal("0.024"))


# Disclosure


def test_by_direction_neither_value_nor_weight_is_told():
    reserved = Disclosure(measures={"cars": "directions"})
    account = an_account(a_household(equipment={"cars": 1}))
    line = line_of("cars", explain(account, reserved))
    assert (line.level, line.value, line.weight, line.direction) == ("directions", None, None, "raises")
    movement = line_of("cars", compare(an_account(a_household()), account, reserved))
    assert (movement.old, movement.new, movement.delta, movement.direction) == (None, None, None, "raises")
    assert line_of("household_size", explain(an_account(LARGER), reserved)).value


def test_what_is_not_disclosed_at_all_is_left_out_and_counted():
    account = an_account(CASABLANCA)
    everything = explain(account, Disclosure())
    told = explain(account, Disclosure(measures={"household_size_squared": "nothing", "mobile_phones": "nothing"}))
    gone = {line.thing for line in everything.lines} - {line.thing for line in told.lines}
    # The reference household has as many members, so the size weighs nothing and nothing of it is kept back.
    assert gone == {"mobile_phones"}
    assert (everything.withheld, told.withheld) == (0, 1)
    assert explain(an_account(LARGER), Disclosure(measures={"household_size_squared": "nothing"})).withheld == 1


def test_all_may_be_kept_back():
    told = explain(an_account(FARM), Disclosure(default="nothing"))
    assert told.lines == ()
    assert told.withheld == len(explain(an_account(FARM), Disclosure()).lines) > 3


@pytest.mark.parametrize(("content", "complaint"), [
    ('default = "secrets"', "default: is one of values, directions, nothing"),
    ('default = "values"\n[measures]\ngoats = "nothing"', r"measures\.goats: there is no such measure"),
    ('default = "values"\n[measures]\ncows = "perhaps"', r"measures\.cows: is one of"),
    ("", "default"), ('default = "values"\nlevel = "values"', "level"), ("default = ", "disclosure.toml: "),
])
def test_a_disclosure_file_with_a_fault_is_refused(tmp_path, content, complaint):
    (tmp_path / "disclosure.toml").write_text(content)
    with pytest.raises(BadDisclosure, match=complaint):
        Disclosure.load(tmp_path / "disclosure.toml")


def test_the_shipped_disclosure_is_read():
    assert Disclosure.load().level(["cars"]) == "values"


# From the tables


def score_ids(runtime):
    return [row.id for row in sorted(rows(runtime, IndexScore), key=lambda row: row.computed_at)]


def test_a_stored_score_is_explained_and_compared_with_its_predecessor(runtime, clock):
    equipment = a_row().household["equipment"]
    register(runtime, a_row())
    clock.forward(days=1)
    register(runtime, a_row(equipment=equipment | {"cars": 1}))
    first, second = score_ids(runtime)
    with runtime.database.read() as session:
        assert {line.source.by for line in explained(session, first).lines} == {"declaration"}
        assert line_of("cars", explained(session, second)).value == Value(Decimal(1))
        told = compared(session, second)
        found = latest(session, homes(runtime)[0].id)
        assert found.id == second
        assert [each.thing for each in told.movements] == ["cars"]
        assert told.movements[0].delta == found.value - session.get_one(IndexScore, first).value
        with pytest.raises(NotAllowed, match="first index"):
            compared(session, first)


def test_a_failed_computation_and_an_unknown_score_are_not_explained(runtime):
    register(runtime, a_row(spending={"butane": "999999", "water_electricity": "0", "phone_internet": "0"}))
    (failed,) = rows(runtime, IndexScore)
    with runtime.database.read() as session:
        with pytest.raises(NotAllowed, match=r"no index \(U33: is far too large\)"):
            explained(session, failed.id)
        with pytest.raises(NotAllowed, match="no such score"):
            explained(session, uuid4())
