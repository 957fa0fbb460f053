"""Review: sixty days from the day of being told, by the clock of Casablanca, once for each index."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from random import Random
from threading import Barrier
from uuid import UUID, uuid4

import pytest

from gateway.registry import review
from gateway.registry.clock import CASABLANCA
from gateway.registry.events import ReviewAsked
from gateway.registry.numbers import kind_of
from gateway.registry.review import Review, Window, last_day
from tests.conftest import NOON, a_row, register
from tests.web.desk import homes, rows, told

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
# Told on this day; the 60th day after; and how Casablanca's clock stands there, in hours from UTC.
DAYS = [
    (date(2026, 11, 23), date(2027, 1, 22), 1),
    (date(2026, 12, 31), date(2027, 3, 1), 0),    # the last day is in Ramadan
    (date(2027, 1, 31), date(2027, 4, 1), 1),     # the clock goes back and forth again in between
    (date(2027, 1, 5), date(2027, 3, 6), 0),
    (date(2027, 12, 30), date(2028, 2, 28), 0),   # a leap year
    (date(2027, 12, 31), date(2028, 2, 29), 0),
    (date(2028, 1, 1), date(2028, 3, 1), 0),
    (date(2028, 2, 29), date(2028, 4, 29), 1),
]


def at_midnight_after(day: date) -> datetime:
    """The first moment of the next day, where the registry is."""
    return datetime(day.year, day.month, day.day, tzinfo=CASABLANCA) + timedelta(days=1)


def ask(runtime, at=None, home=None, **more) -> Window | ReviewAsked:
    with runtime.database.write() as session:
        return review.ask(session, runtime.vault, (home or homes(runtime)[0]).id, **{
            "channel": "ussd", "asked_by": uuid4().hex, "answer_within": timedelta(days=30),
            "now": at or runtime.clock(), **more})


def window(runtime, at=None, home=None) -> Window:
    with runtime.database.read() as session:
        return review.window(session, (home or homes(runtime)[0]).id, at or runtime.clock())


@pytest.fixture
def house(runtime):
    register(runtime, a_row())
    return runtime


@one_kind
def test_the_sixtieth_day_is_open_to_its_last_minute_and_late_at_midnight(runtime):
    register(runtime, *(a_row(f"29000000{position:02}", f"06123456{position:02}") for position in range(len(DAYS))))
    for home, (notified_on, last, hours) in zip(homes(runtime), DAYS, strict=True):
        told(runtime, notified_on, home)
        midnight = at_midnight_after(last)
        assert (midnight - timedelta(minutes=1)).utcoffset() == timedelta(hours=hours), "the law of the clock changed"
        before, after = (at.astimezone(UTC) for at in (midnight - timedelta(minutes=1), midnight))
        assert after - before == timedelta(minutes=1)
        assert [window(runtime, at, home).state for at in (before, after)] == ["open", "late"]
        assert window(runtime, after, home).last_day == last_day(notified_on) == last
        assert ask(runtime, after, home).state == "late"
        assert isinstance(ask(runtime, before, home), ReviewAsked)


@one_kind
def test_while_nothing_proves_that_it_was_told_the_days_have_not_begun(house):
    for days in (0, 100):
        at = NOON + timedelta(days=days)
        assert (window(house, at).state, window(house, at).last_day) == ("open", last_day(at.date()))
    assert isinstance(ask(house, at), ReviewAsked)


@one_kind
def test_a_household_without_an_index_has_no_window(runtime):
    with runtime.database.read() as session:
        assert review.window(session, UUID(int=1), NOON) == Window("none")


def test_a_review_is_asked_with_a_number_and_a_day_of_answer(house):
    told(house, NOON.date())
    asked = ask(house)
    assert isinstance(asked, ReviewAsked)
    assert (kind_of(asked.number), asked.answer_by) == ("review", date(2026, 12, 23))
    kept, = rows(house, Review)
    assert (kept.id, kept.number, kept.state, kept.channel, kept.asked_at) == (
        asked.review_id, asked.number, "acknowledged", "ussd", NOON)


def test_asked_twice_gives_the_first_number_even_when_it_is_late(house):
    told(house, NOON.date())
    asked = ask(house)
    for days in (0, 1, 59, 61, 400):
        again = ask(house, NOON + timedelta(days=days))
        assert (again.state, again.review.number) == ("already", asked.number)
    assert len(rows(house, Review)) == 1


def test_asked_again_in_its_session_the_answer_is_the_same_again(house):
    told(house, NOON.date())
    first = ask(house, asked_by="a call")
    assert ask(house, NOON + timedelta(minutes=5), asked_by="a call") == first
    assert ask(house, asked_by="another call").state == "already"


def test_asked_by_many_at_once_there_is_one_review_and_all_learn_its_number(house):
    told(house, NOON.date())
    together = Barrier(8)

    def at_once(_):
        together.wait()
        return ask(house)

    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(at_once, range(8)))
    kept, = rows(house, Review)
    assert {one.number if isinstance(one, ReviewAsked) else one.review.number for one in answers} == {kept.number}
    assert sum(isinstance(one, ReviewAsked) for one in answers) == 1


def test_a_number_that_is_taken_is_drawn_again(runtime):
    register(runtime, a_row(), a_row("2900000002", "0712345678"))
    numbers = []
    for home in homes(runtime):
        told(runtime, NOON.date(), home)
        numbers.append(ask(runtime, home=home, chance=Random(1)).number)
    assert len(set(numbers)) == 2
    assert {kind_of(number) for number in numbers} == {"review"}


def test_a_new_index_opens_a_new_window(house, clock):
    told(house, NOON.date())
    first = ask(house)
    clock.forward(days=30)
    register(house, a_row(spending={"butane": "200.00", "water_electricity": "1900.50", "phone_internet": "800.00"}))
    told(house, clock.now.date())
    second = ask(house)
    assert isinstance(second, ReviewAsked)
    assert second.number != first.number
