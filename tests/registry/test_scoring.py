"""Rules of scoring: a score is what its snapshot and its formula yield, and none of the three can be changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
import sqlalchemy as sa

from gateway.db import new_id
from gateway.migrations.guards import APPEND_ONLY
from gateway.registry import answers, verification
from gateway.registry.evidence import Finding
from gateway.registry.household import Household
from gateway.registry.index import Formula
from gateway.registry.programme import Threshold
from gateway.registry.score import FormulaVersion, IndexScore, Snapshot, decisions, latest
from gateway.registry.scoring import EditedFormula, NotReproduced, Scorer, contributions, remember, reproduce
from tests.conftest import NOON, a_row, register
from tests.web.desk import homes, rows

RSU = Formula.load("rsu-2021")
TOO_DEAR = {"butane": "999999", "water_electricity": "0", "phone_internet": "0"}


def scores(runtime):
    """In the order in which they were computed."""
    return sorted(rows(runtime, IndexScore), key=lambda score: score.computed_at)


def verified(runtime, on=None):
    with runtime.database.write() as session:
        every = session.scalars(sa.select(Household)).all()
        runtime.scorer.score(session, every, "yearly_verification", runtime.clock(), on=on)


def a_partner_corrects(runtime, item, value):
    today = runtime.clock().date()
    answer = answers.check(1, {"partner": "road_safety", "household_number": "2900000001", "item": item,
                               "outcome": "corrected", "value": value, "answered_on": str(today), "reference": "A 1"},
                           today)
    with runtime.database.write() as session:
        verification.answer(session, runtime.vault, runtime.scorer, [answer], runtime.clock())


@pytest.fixture
def house(runtime, clock):
    """A household that registered, was corrected by a partner, changed its facts, failed, and was verified."""
    register(runtime, a_row())
    clock.forward(days=1)
    a_partner_corrects(runtime, "equipment.cars", 1)
    for spending in ({"butane": "200.00", "water_electricity": "1900.50", "phone_internet": "800.00"}, TOO_DEAR):
        clock.forward(days=1)
        register(runtime, a_row(spending=spending))
    clock.forward(days=365)
    register(runtime, a_row())
    verified(runtime)
    return runtime


def test_every_score_is_reproduced_to_the_last_digit_whatever_caused_it(house):
    made = scores(house)
    assert {"registration", "partner_correction", "data_update", "yearly_verification"} == {one.cause for one in made}
    assert [one.failure for one in made].count(None) == len(made) - 1
    with house.database.read() as session:
        assert [reproduce(session, one.id) for one in made] == [one.value for one in made]
        for one in made:
            if one.value is not None:
                assert sum((line.amount for line in contributions(session, one)), Decimal(0)) == one.value


def test_a_correction_counts_and_is_named_in_the_snapshot(house):
    first, corrected = scores(house)[:2]
    with house.database.read() as session:
        taken = session.get_one(Snapshot, corrected.snapshot_id)
        assert taken.facts["equipment"]["cars"] == 1
        finding, = rows(house, Finding)
        assert taken.sources["equipment.cars"] == {"by": "road_safety", "on": "2026-11-24",
                                                   "reference": str(finding.id)}
    assert (corrected.predecessor_id, corrected.value - first.value) == (first.id, Decimal("0.226"))


def test_a_failed_score_leaves_the_former_one_in_force(runtime, clock):
    register(runtime, a_row())
    clock.forward(days=1)
    register(runtime, a_row(spending=TOO_DEAR))
    before, failed = scores(runtime)
    assert (failed.value, failed.displayed, failed.failure) == (None, None, "U33: is far too large")
    with runtime.database.read() as session:
        assert latest(session, homes(runtime)[0].id).id == before.id
        assert reproduce(session, failed.id) is None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_who_waited_for_the_lock_decides_last_whatever_the_clock_said(runtime, clock):
    """Its moment was taken before it waited, so it lies before that of the decision it replaces."""
    register(runtime, a_row())
    asd = next(one for one in runtime.scorer.programmes if one.key == "asd")
    limit = replace(asd, thresholds=(Threshold(Decimal("99"), date(2023, 12, 1), "a law"),))
    with runtime.database.write() as session:
        every = session.scalars(sa.select(Household)).all()
        Scorer(RSU, (limit,)).score(session, every, "review", clock.now - timedelta(seconds=1))
    with runtime.database.read() as session:
        counting, = [one for one in decisions(session, [every[0].id])[every[0].id] if one.programme == "asd"]
    assert counting.threshold == 99


def forged(runtime, **otherwise):
    """A score that nothing but an INSERT by another hand can have made."""
    true = scores(runtime)[0]
    fields = {column.key: getattr(true, column.key) for column in sa.inspect(IndexScore).column_attrs}
    score_id = new_id()
    with runtime.database.write() as session:
        session.execute(sa.insert(IndexScore), [fields | {"id": score_id} | otherwise])
    return score_id


@pytest.mark.parametrize(("otherwise", "complaint"), [
    ({"value": Decimal("9.7000001")}, "another index"),
    ({"displayed": Decimal("9.7000001")}, "other contributions"),
    ({"contributions": b"\0" * 8 * 37}, "other contributions"),
    ({"value": None, "displayed": None, "failure": "no member is the head"}, "another index"),
    ({"snapshot_id": uuid4()}, "is gone"),
    ({"formula": "rsu-1999"}, "is gone"),
])
def test_a_score_that_its_snapshot_does_not_yield_is_found(runtime, otherwise, complaint):
    register(runtime, a_row())
    score_id = forged(runtime, **otherwise)
    with runtime.database.read() as session, pytest.raises(NotReproduced, match=complaint):
        reproduce(session, score_id)


def test_a_formula_that_was_kept_otherwise_than_it_was_used_is_found(runtime):
    register(runtime, a_row())
    dearer = Formula.parse({**RSU.content, "id": "rsu-next", "urban": {**RSU.content["urban"], "constant": "9.9"}})
    with runtime.database.write() as session:
        session.execute(sa.insert(FormulaVersion), [{
            "id": "rsu-next", "digest": "0" * 64, "content": dearer.content, "first_used_at": NOON}])
    score_id = forged(runtime, formula="rsu-next")
    with runtime.database.read() as session:
        with pytest.raises(NotReproduced, match="not the one that was used"):
            reproduce(session, score_id)
        with pytest.raises(NotReproduced, match="no such score"):
            reproduce(session, uuid4())


def test_a_formula_that_was_edited_after_its_first_use_is_refused(runtime):
    register(runtime, a_row())
    edited = Formula.parse({**RSU.content, "urban": {**RSU.content["urban"], "constant": "9.826"}})
    with runtime.database.write() as session, pytest.raises(EditedFormula, match="rsu-2021: its file has been edited"):
        Scorer(edited, ()).score(session, session.scalars(sa.select(Household)).all(), "formula_change", NOON)
    assert len(scores(runtime)) == 1


def test_a_formula_whose_description_alone_changed_goes_on(runtime):
    register(runtime, a_row())
    described = Formula.parse({**RSU.content, "checked": True, "approver": "Somebody who has read the gazette"})
    with runtime.database.write() as session:
        remember(session, described, NOON)
    (kept,) = rows(runtime, FormulaVersion)
    assert (kept.digest, kept.content["checked"]) == (RSU.digest, False)


@pytest.mark.parametrize("act", ["UPDATE {} SET id = id", "DELETE FROM {}"])
@pytest.mark.parametrize("table", ["formula_version", "snapshot", "index_score", "programme_decision"])
def test_what_a_decision_rests_on_can_be_neither_changed_nor_removed(runtime, table, act):
    assert table in APPEND_ONLY
    register(runtime, a_row())
    with pytest.raises(sa.exc.DatabaseError, match=f"{table} is append-only"), runtime.database.write() as session:
        session.execute(sa.text(act.format(table)))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("table", ["formula_version", "snapshot", "index_score", "programme_decision"])
def test_nor_emptied_at_once(runtime, table):
    with pytest.raises(sa.exc.DatabaseError, match=f"{table} is append-only"), runtime.database.write() as session:
        session.execute(sa.text(f"TRUNCATE {table}"))


def test_ages_are_those_of_the_day_of_the_snapshot(runtime, clock):
    """A birthday between the registration and a correction changes no index; the yearly verification counts it."""
    row = a_row(registered_on=date(2026, 11, 20))
    turning = replace(row, household={**row.household, "members": [
        {**member, "birth_date": "1981-11-22"} if member["relation"] == "head" else member
        for member in row.household["members"]]}, content_digest="0" * 64)
    register(runtime, turning)
    clock.forward(minutes=1)
    a_partner_corrects(runtime, "equipment.cars", 1)
    clock.forward(minutes=1)
    verified(runtime, on=NOON.date())
    first, corrected, second = (one.value for one in scores(runtime))
    assert corrected - first == Decimal("0.226")
    assert second - corrected == Decimal("-0.0104") + Decimal("0.0000771") * (45**2 - 44**2)
