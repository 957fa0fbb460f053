"""Data round: each household is asked once a year, on a day of its own, and what it answers is kept."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from threading import Barrier

import pytest
import sqlalchemy as sa

from gateway.registry import data_round
from gateway.registry.audit import AuditEntry
from gateway.registry.clock import CASABLANCA
from gateway.registry.data_round import DataRound
from gateway.registry.events import DataRoundDue, IndexChanged
from gateway.registry.household import Household
from gateway.registry.registration import Registration
from gateway.registry.score import IndexScore, Snapshot
from gateway.registry.steps import NotAllowed
from gateway.registry.update import DataUpdate
from tests.conftest import NOON, a_row, register
from tests.web.desk import homes, rows

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
for_real = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def due(runtime, on, limit=1_000):
    at = on if isinstance(on, datetime) else datetime(on.year, on.month, on.day, 12, tzinfo=UTC)
    with runtime.database.write() as session:
        return data_round.due(session, runtime.vault, at, limit)


def answer(runtime, said, kind=None, at=None):
    with runtime.database.write() as session:
        return data_round.answer(session, runtime.vault, runtime.scorer, homes(runtime)[0].id, said, kind=kind,
                                 channel="ussd", asked_by="a call", by="household", now=at or runtime.clock())


def on_day(runtime, day, home=None, **more):
    """This household's day is that one."""
    with runtime.database.write() as session:
        session.execute(sa.update(Household).where(Household.id == (home or homes(runtime)[0]).id)
                        .values(round_on=day, **more))


@pytest.fixture
def house(runtime):
    register(runtime, a_row())
    on_day(runtime, date(2027, 12, 1))
    return runtime


@one_kind
def test_the_first_round_comes_in_the_month_after_a_year_and_not_on_one_day(runtime):
    register(runtime, *(a_row(f"29000{position:05}", None) for position in range(150)))
    days = [home.round_on for home in homes(runtime)]
    assert min(days) >= NOON.date() + timedelta(days=365)
    assert max(days) <= NOON.date() + timedelta(days=395)
    assert max(Counter(days).values()) < 20
    by_third = Counter(((day - NOON.date()).days - 365) * 3 // 31 for day in days)
    assert min(by_third.get(third, 0) for third in range(3)) > 20


def test_on_its_day_a_household_is_asked_once(house):
    assert due(house, date(2027, 11, 30)) == []
    assert due(house, date(2027, 12, 1)) == [DataRoundDue(homes(house)[0].id, date(2027, 12, 1))]
    assert due(house, date(2027, 12, 1)) == due(house, date(2028, 11, 30)) == []
    assert due(house, date(2028, 12, 1)) == [DataRoundDue(homes(house)[0].id, date(2028, 12, 1))]
    assert [one.asked_on for one in rows(house, DataRound)] == [date(2027, 12, 1), date(2028, 12, 1)]
    assert [entry.detail for entry in rows(house, AuditEntry) if entry.act == "round.asked"] == [
        {"asked": 1, "passed_over": 0}] * 2


@one_kind
def test_the_day_begins_at_midnight_in_casablanca(house):
    midnight = datetime(2027, 12, 1, tzinfo=CASABLANCA)
    assert due(house, midnight - timedelta(seconds=1)) == []
    assert len(due(house, midnight)) == 1


@one_kind
def test_the_year_goes_from_day_to_day_across_every_29_february(house):
    for first, following in pairwise(
            [date(2028, 2, 29), date(2029, 2, 28), date(2030, 2, 28), date(2031, 2, 28), date(2032, 2, 28)]):
        on_day(house, first)
        assert len(due(house, first)) == 1
        assert homes(house)[0].round_on == following
    on_day(house, date(2027, 3, 1), declared_on=date(2026, 1, 1))
    assert len(due(house, date(2027, 3, 1))) == 1
    assert due(house, date(2028, 2, 29)) == []
    assert len(due(house, date(2028, 3, 1))) == 1


@one_kind
def test_whoever_declared_lately_is_asked_the_year_after(house):
    on_day(house, date(2027, 12, 1), declared_on=date(2027, 3, 1))
    assert due(house, date(2027, 12, 1)) == []
    assert homes(house)[0].round_on == date(2028, 12, 1)
    assert len(due(house, date(2028, 12, 1))) == 1


@one_kind
def test_an_answer_that_led_to_a_new_declaration_does_not_put_off_the_next_round(house):
    due(house, date(2027, 12, 1))
    on_day(house, homes(house)[0].round_on, declared_on=date(2027, 12, 28))
    assert len(due(house, date(2028, 12, 1))) == 1


@one_kind
@pytest.mark.parametrize("state", ["withdrawn", "struck_off"])
def test_a_household_that_has_left_is_not_asked(house, state):
    with house.database.write() as session:
        session.execute(sa.update(Registration).values(state=state))
    assert due(house, date(2027, 12, 1)) == []


@one_kind
def test_after_a_standstill_all_are_asked_bit_by_bit_and_keep_their_days(runtime):
    register(runtime, *(a_row(f"290000000{position}", None) for position in range(5)))
    for position, home in enumerate(homes(runtime)):
        on_day(runtime, date(2027, 12, 1 + position), home)
    late = date(2029, 1, 10)
    assert [len(due(runtime, late, limit=2)) for _ in range(4)] == [2, 2, 1, 0]
    assert [home.round_on for home in homes(runtime)] == [date(2029, 12, 1 + position) for position in range(5)]


@for_real
def test_two_tickers_at_once_ask_each_household_once(runtime):
    register(runtime, *(a_row(f"29000000{position:02}", None) for position in range(40)))
    for home in homes(runtime):
        on_day(runtime, date(2027, 12, 1), home)
    together = Barrier(4)

    def tick(_):
        together.wait()
        return due(runtime, date(2027, 12, 1), limit=15)

    with ThreadPoolExecutor(4) as tickers:
        asked = [event.household_id for events in tickers.map(tick, range(4)) for event in events]
    asked += [event.household_id for event in due(runtime, date(2027, 12, 1))]
    assert sorted(asked) == sorted(home.id for home in homes(runtime))


def test_the_household_says_that_its_data_are_right(house):
    due(house, date(2027, 12, 1))
    at = datetime(2027, 12, 3, 9, tzinfo=UTC)
    answer(house, "right", at=at)
    assert answer(house, "right", at=at + timedelta(days=1)) == []
    kept, = rows(house, DataRound)
    assert (kept.answer, kept.answered_at) == ("right", at)


def test_data_that_are_right_make_a_new_score_at_todays_ages_and_it_is_told_though_nothing_moved(house):
    due(house, date(2027, 12, 1))
    event, = answer(house, "right", at=datetime(2027, 12, 3, 9, tzinfo=UTC))
    first, second = rows(house, IndexScore)
    assert event == IndexChanged(second.household_id, second.id, first.id, "yearly_verification")
    assert [one.taken_on for one in rows(house, Snapshot)] == [date(2026, 11, 20), date(2027, 12, 3)]
    with house.database.write() as session:
        assert house.teller.tell(session, [event], NOON + timedelta(days=375)) == 1


@one_kind
def test_who_has_no_index_yet_gets_none_by_saying_that_its_data_are_right(runtime):
    with runtime.database.write() as session:
        runtime.intake.register(session, [a_row()], NOON)
    on_day(runtime, date(2027, 12, 1))
    due(runtime, date(2027, 12, 1))
    assert answer(runtime, "right", at=datetime(2027, 12, 3, 9, tzinfo=UTC)) == []
    assert rows(runtime, IndexScore) == []


def test_what_has_changed_becomes_an_update(house):
    due(house, date(2027, 12, 1))
    answer(house, "right")
    filed, = answer(house, "changed", "spending")
    assert answer(house, "changed", "spending") == [filed]
    opened, = rows(house, DataUpdate)
    assert (opened.number, opened.kind, opened.state) == (filed.number, "spending", "received")
    members, = answer(house, "changed", "members")
    assert members.register == "population_register"
    with pytest.raises(NotAllowed, match="its update is open"):
        answer(house, "right")
    kept, = rows(house, DataRound)
    assert kept.answer == "changed"


@one_kind
def test_an_answer_needs_a_question_and_a_change_its_kind(house):
    with pytest.raises(NotAllowed, match="has not been asked yet"):
        answer(house, "right")
    due(house, date(2027, 12, 1))
    with pytest.raises(NotAllowed, match="Say what has changed"):
        answer(house, "changed")
    with pytest.raises(NotAllowed, match="with the number itself"):
        answer(house, "changed", "phone")
    kept, = rows(house, DataRound)
    assert kept.answer is None
