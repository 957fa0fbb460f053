"""Evidence: the operator's correction, else the partner's, else the declaration; whatever order they come in."""

from __future__ import annotations

import random
from datetime import date, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.db import new_id
from gateway.registry import evidence, verification
from gateway.registry.evidence import Correction, Finding
from gateway.registry.household import Household
from gateway.registry.score import Snapshot
from tests.conftest import a_row, open_house, register
from tests.registry.asking import IDCS, TODAY, an_answer, answer
from tests.web.desk import homes, rows

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
CARS = "equipment.cars"


@pytest.fixture
def house(runtime):
    register(runtime, a_row())
    return runtime


def counts(runtime):
    with runtime.database.read() as session:
        home = session.scalars(sa.select(Household)).one()
        return evidence.effective(session, [home])[home.id]


def cars(runtime):
    return counts(runtime).facts["equipment"]["cars"]


def correct(runtime, item, value, at, member_blind=b""):
    """By a review an item is put right; without a moment it is not in force."""
    with runtime.database.write() as session:
        session.add(Correction(household_id=homes(runtime)[0].id, item=item, member_blind=member_blind, value=value,
                               entered_by="a clerk", reason="seen", review_id=new_id(), in_force_at=at,
                               entered_at=runtime.clock()))


@one_kind
def test_the_declaration_counts_while_nobody_says_otherwise(house):
    found = counts(house)
    assert found.facts == homes(house)[0].facts
    assert found.sources == {"*": {"by": "declaration", "on": str(TODAY)}}


def test_a_body_counts_before_the_declaration_and_a_clerk_before_the_body(house, clock):
    answer(house, an_answer(CARS, 2, reference="RS-1"))
    assert cars(house) == 2
    finding, = rows(house, Finding)
    assert counts(house).sources[CARS] == {"by": "road_safety", "on": str(TODAY), "reference": str(finding.id)}
    correct(house, CARS, 1, None)
    assert cars(house) == 2, "a correction that is not in force counts for nothing"
    correct(house, CARS, 1, clock.now)
    clock.forward(days=1)
    answer(house, an_answer(CARS, 3, on=clock.now.date()))
    assert cars(house) == 1, "a later answer does not overturn the clerk"
    assert counts(house).sources[CARS]["by"] == "operator"


@one_kind
def test_the_last_correction_of_a_clerk_counts(house, clock):
    correct(house, CARS, 4, clock.now)
    correct(house, CARS, 2, clock.now + timedelta(hours=1))
    assert cars(house) == 2


@one_kind
def test_a_clerk_corrects_what_stands_in_no_section(house, clock):
    correct(house, "area", "rural", clock.now)
    assert counts(house).facts["area"] == "rural"
    assert counts(house).sources["area"]["by"] == "operator"


@one_kind
def test_unknown_overturns_nothing(house):
    answer(house, an_answer(CARS, 2))
    answer(house, an_answer(CARS, outcome="unknown", on=TODAY, reference="2"))
    assert cars(house) == 2


@one_kind
def test_a_later_confirmation_takes_the_correction_of_the_same_body_back(house, clock):
    answer(house, an_answer(CARS, 2))
    clock.forward(days=1)
    answer(house, an_answer(CARS, on=clock.now.date()))
    assert cars(house) == 0
    assert CARS not in counts(house).sources


@one_kind
def test_of_two_answers_of_one_day_the_greater_reference_counts(house):
    answer(house, an_answer(CARS, 3, reference="B"), an_answer(CARS, 2, reference="A"))
    assert cars(house) == 3


@one_kind
def test_references_are_counted_as_the_body_counts_them(house):
    answer(house, an_answer(CARS, 3, reference="REF-10"), an_answer(CARS, 2, reference="REF-9"))
    assert cars(house) == 3


@one_kind
def test_the_words_of_a_body_stand_in_no_snapshot(house):
    answer(house, an_answer(CARS, 2, reference="plate 1234-A-6"))
    assert [taken.facts["equipment"]["cars"] for taken in rows(house, Snapshot)] == [0, 2]
    assert not any("1234" in str(taken.sources) for taken in rows(house, Snapshot))


@one_kind
def test_where_one_reference_says_two_things_the_household_does_not_lose(house, clock):
    answer(house, an_answer(CARS, 3), an_answer("equipment.motorcycles"))
    clock.forward(hours=1)
    answer(house, an_answer(CARS), an_answer("equipment.motorcycles", 3))
    assert (cars(house), counts(house).facts["equipment"]["motorcycles"]) == (0, 0)


@one_kind
def test_a_member_is_followed_to_another_position_and_away_and_back(house):
    answer(house, an_answer("members.health_cover", "other", idcs=IDCS[1]))
    assert counts(house).facts["members"][1]["health_cover"] == "other"
    mother, son = a_row().household["members"]
    register(house, a_row(members=[son, mother], declarant=2))
    found = counts(house)
    assert [member["health_cover"] for member in found.facts["members"]] == ["other", "amo_tadamon"]
    assert set(found.sources) == {"*", "members.1.health_cover"}
    register(house, a_row(members=[mother]))
    assert [member["health_cover"] for member in counts(house).facts["members"]] == ["amo_tadamon"]
    assert set(counts(house).sources) == {"*"}
    register(house, a_row())
    assert counts(house).facts["members"][1]["health_cover"] == "other"


@one_kind
def test_a_member_is_followed_while_keys_are_changed(database_url, redis_url, tmp_path, clock):
    old, new = (f"{number}:{letters * 10 + letters[:3]}=" for number, letters in ((1, "AQEB"), (2, "AgIC")))
    before = open_house(database_url, redis_url, tmp_path, clock, SECRET_KEYS=old)
    register(before, a_row())
    answer(before, an_answer("members.health_cover", "other", idcs=IDCS[0]))
    before.close()
    changing = open_house(database_url, redis_url, tmp_path, clock, SECRET_KEYS=f"{new},{old}")
    register(changing, a_row(language="fr-MA"))
    changing.close()
    after = open_house(database_url, redis_url, tmp_path, clock, SECRET_KEYS=new)
    assert counts(after).facts["members"][0]["health_cover"] == "other"
    after.close()


@one_kind
def test_what_was_never_declared_is_not_corrected(house, clock):
    for item in ("equipment.aeroplanes", "garden.trees", "members.9.activity", "members.0.activity", "members"):
        correct(house, item, 1, clock.now)
    found = counts(house)
    assert "aeroplanes" not in found.facts["equipment"]
    assert set(found.sources) == {"*"}


@one_kind
def test_what_counts_may_be_changed_without_changing_what_is_stored(house):
    with house.database.write() as session:
        home = session.scalars(sa.select(Household)).one()
        evidence.effective(session, [home])[home.id].facts["equipment"]["cars"] = 9
    assert cars(house) == 0


@pytest.mark.parametrize(("item", "value"), [
    ("equipment.cars", 0), ("members.2.relation", "child"), ("area", "urban"), ("equipment", None),
    ("members.0.relation", KeyError), ("members.3.relation", KeyError), ("members.-1.relation", KeyError),
    ("equipment.cars.0", KeyError), ("equipment.none", KeyError), ("", KeyError), ("members.x.relation", KeyError)])
@one_kind
def test_an_item_is_read_by_position_from_one(house, item, value):
    facts = homes(house)[0].facts
    if value is KeyError:
        with pytest.raises(KeyError):
            evidence.read(facts, item)
    else:
        assert evidence.read(facts, item) == (facts["equipment"] if value is None else value)


ANSWERS = st.lists(st.tuples(
    st.sampled_from([(CARS, None), ("members.health_cover", IDCS[0]), ("members.health_cover", IDCS[1])]),
    st.sampled_from(["confirmed", "unknown", 1, 2]), st.integers(0, 2), st.sampled_from("AB")), max_size=8)


def as_answer(drawn):
    (item, idcs), said, days, reference = drawn
    value = {1: "other", 2: "none"}.get(said, said) if idcs else said
    on = date(2026, 11, 20) + timedelta(days=days)
    return (an_answer(item, value, on=on, reference=reference, idcs=idcs) if isinstance(said, int) else
            an_answer(item, outcome=said, on=on, reference=reference, idcs=idcs))


@one_kind
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=ANSWERS, seed=st.integers(0, 1000))
def test_the_same_answers_in_any_order_and_any_number_of_times_are_the_same_evidence(house, drawn, seed):
    """Batches of any size, each in a transaction that is undone at the end of the example."""
    answers = [as_answer(one) for one in drawn]
    again = [*answers, *answers[::2]]
    random.Random(seed).shuffle(again)
    found = []
    for order, size in ((answers, 8), (again, 3)):
        with house.database.engine.connect() as connection, connection.begin() as transaction:
            session = sa.orm.Session(connection)
            for start in range(0, len(order), size):
                verification.receive(session, house.vault, order[start:start + size],
                                     house.clock() + timedelta(minutes=start))
            home = session.scalars(sa.select(Household)).one()
            counts = evidence.effective(session, [home])[home.id]
            said = {str(one.id): one.reference for one in session.scalars(sa.select(Finding))}
            found.append((counts.facts, {item: source | {"reference": said.get(source.get("reference"))}
                                         for item, source in counts.sources.items()}))
            session.close()
            transaction.rollback()
    assert found[0] == found[1]


def test_a_repeat_keeps_one_finding(house):
    first = answer(house, an_answer(CARS, 2)).received
    again = answer(house, an_answer(CARS, 2), an_answer(CARS, 2)).received
    assert (first.stored, again.stored, again.repeated) == (1, 0, 2)
    finding, = rows(house, Finding)
    assert (finding.value, finding.contested_at) == (2, None)
