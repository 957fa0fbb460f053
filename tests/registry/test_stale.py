"""Stale: households that nobody has scored anew for a year."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from gateway.registry import registration, stale
from gateway.registry.communes import communes
from gateway.registry.registration import Registration
from tests.conftest import NOON, a_row, register
from tests.web.desk import homes

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
YEAR = timedelta(days=365)
ELSEWHERE = next(code for code, place in communes().items() if place.region == 8)


def listed(runtime, now, days=365):
    with runtime.database.read() as session:
        return [one.household_id for one in stale.not_rescored(session, now, days)]


def counted(runtime, now, days=365):
    with runtime.database.read() as session:
        return stale.count(session, now, days)


def test_a_household_is_stale_when_its_index_is_a_year_old_and_not_before(runtime, clock):
    register(runtime, a_row())
    clock.forward(days=100)
    register(runtime, a_row("2900000002", region=8, commune=ELSEWHERE))
    first, second = homes(runtime)
    assert listed(runtime, NOON + YEAR - timedelta(seconds=1)) == []
    assert listed(runtime, NOON + YEAR) == [first.id]
    assert listed(runtime, NOON + YEAR + timedelta(days=100)) == sorted([first.id, second.id])
    assert counted(runtime, NOON + YEAR) == {6: 1}
    assert counted(runtime, NOON + YEAR + timedelta(days=100)) == {6: 1, 8: 1}
    assert counted(runtime, NOON + timedelta(days=30), 30) == {6: 1}


def test_a_new_score_makes_it_fresh_again(runtime, clock):
    register(runtime, a_row())
    clock.forward(days=200)
    register(runtime, a_row(spending={"butane": "200.00", "water_electricity": "900.00", "phone_internet": "800.00"}))
    assert listed(runtime, NOON + YEAR) == []
    assert len(listed(runtime, clock.now + YEAR)) == 1


@one_kind
def test_in_a_leap_year_a_year_is_365_days_as_well(runtime, clock):
    clock.now = datetime(2028, 2, 29, 12, tzinfo=UTC)
    register(runtime, a_row())
    assert listed(runtime, datetime(2029, 2, 28, 11, 59, tzinfo=UTC)) == []
    assert len(listed(runtime, datetime(2029, 2, 28, 12, 0, tzinfo=UTC))) == 1


@one_kind
def test_the_list_has_no_gap_between_its_pages(runtime):
    register(runtime, *(a_row(f"29000{position:05}", None) for position in range(7)))
    with runtime.database.read() as session:
        found = [one.household_id for one in stale.not_rescored(session, NOON + YEAR, at_once=3)]
    assert found == sorted(home.id for home in homes(runtime))


@one_kind
def test_who_has_left_the_register_is_not_stale(runtime):
    register(runtime, a_row(), a_row("2900000002"))
    gone, stays = homes(runtime)
    with runtime.database.write() as session:
        row = session.scalars(sa.select(Registration).where(Registration.household_id == gone.id)).one()
        registration.withdraw(session, runtime.vault, row.id, why="they asked", by="Salma", now=NOON)
    assert listed(runtime, NOON + YEAR) == [stays.id]
    assert counted(runtime, NOON + YEAR) == {6: 1}
