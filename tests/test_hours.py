"""When a text may be sent: not at night, by the clock of the country, and in Ramadan by its own hours."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.hours import awake as awake_of
from gateway.hours import lanes_awake
from gateway.outbox import ANNOUNCEMENT, DECISION, NOTICE, REPLY
from gateway.registry.clock import CASABLANCA, in_ramadan
from gateway.settings import AsleepHours, QuietHours

NIGHT = QuietHours(20, 9)


def awake(now: datetime, quiet: QuietHours) -> datetime:
    """The same hours all the year."""
    return awake_of(now, AsleepHours({"": quiet}, {"": quiet}), NOTICE)


def local(hour: int, minute: int = 0, day: date = date(2026, 11, 23)) -> datetime:
    return datetime.combine(day, time(hour, minute), CASABLANCA).astimezone(UTC)


TUESDAY = date(2026, 11, 24)


@pytest.mark.parametrize(("now", "quiet", "then"), [
    (local(19, 59), NIGHT, None),
    (local(20, 0), NIGHT, local(9, day=TUESDAY)),
    (local(23, 59), NIGHT, local(9, day=TUESDAY)),
    (local(0, 0, TUESDAY), NIGHT, local(9, day=TUESDAY)),
    (local(8, 59, TUESDAY), NIGHT, local(9, day=TUESDAY)),
    (local(9, 0, TUESDAY), NIGHT, None),
    (local(12, 59), QuietHours(13, 15), None),
    (local(13, 0), QuietHours(13, 15), local(15)),
    (local(15, 0), QuietHours(13, 15), None),
    (local(22, 0), QuietHours(22, 0), local(0, day=TUESDAY)),
    (local(0, 0), QuietHours(22, 0), None),
    (local(0, 0), QuietHours(0, 9), local(9)),
    (local(3, 0), QuietHours(0, 0), None),
    (local(3, 0), QuietHours(9, 9), None),
])
def test_who_sleeps_is_woken_at_the_end_of_the_quiet_hours(now, quiet, then):
    assert awake(now, quiet) == (then or now)


@pytest.mark.parametrize(("evening", "morning"), [
    # Ramadan begins: the clock goes back an hour in the night, and nine o'clock comes an hour later.
    (datetime(2027, 2, 6, 20, 0, tzinfo=UTC), datetime(2027, 2, 7, 9, 0, tzinfo=UTC)),
    (datetime(2027, 2, 7, 1, 30, tzinfo=UTC), datetime(2027, 2, 7, 9, 0, tzinfo=UTC)),
    # In Ramadan.
    (datetime(2027, 2, 20, 20, 0, tzinfo=UTC), datetime(2027, 2, 21, 9, 0, tzinfo=UTC)),
    # It ends: nine o'clock comes an hour sooner.
    (datetime(2027, 3, 13, 21, 0, tzinfo=UTC), datetime(2027, 3, 14, 8, 0, tzinfo=UTC)),
])
def test_the_clock_of_ramadan_moves_the_morning(evening, morning):
    assert awake(evening, NIGHT) == morning


@given(st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
       st.integers(0, 23), st.integers(0, 23))
def test_nobody_is_woken_twice_and_nobody_sleeps_longer_than_a_day(now, start, end):
    quiet = QuietHours(start, end)
    then = awake(now, quiet)
    assert now <= then < now + timedelta(hours=25)
    assert awake(then, quiet) == then
    assert then == now or then.astimezone(CASABLANCA).minute == 0


SEASONS = AsleepHours({"": NIGHT, "announcement": QuietHours(18, 10)}, {"": QuietHours(18, 10)})


@pytest.mark.parametrize(("now", "lane", "then"), [
    # The evening before Ramadan, and its last evening: the morning is that of the day that comes.
    (datetime(2027, 2, 7, 21, tzinfo=CASABLANCA), NOTICE, datetime(2027, 2, 8, 10, tzinfo=CASABLANCA)),
    (datetime(2027, 3, 9, 18, tzinfo=CASABLANCA), DECISION, datetime(2027, 3, 10, 9, tzinfo=CASABLANCA)),
    # In Ramadan nobody is texted while the fast is broken.
    (datetime(2027, 2, 20, 18, 30, tzinfo=CASABLANCA), NOTICE, datetime(2027, 2, 21, 10, tzinfo=CASABLANCA)),
    (datetime(2026, 11, 23, 19, tzinfo=CASABLANCA), NOTICE, None),
    (datetime(2026, 11, 23, 19, tzinfo=CASABLANCA), ANNOUNCEMENT, datetime(2026, 11, 24, 10, tzinfo=CASABLANCA)),
    (datetime(2027, 2, 20, 3, tzinfo=CASABLANCA), REPLY, None),
])
def test_each_lane_has_its_hours_and_ramadan_its_own(now, lane, then):
    assert awake_of(now, SEASONS, lane) == (then or now)


def test_the_lanes_that_are_awake_are_those_that_need_not_wait():
    assert lanes_awake(datetime(2026, 11, 23, 19, tzinfo=CASABLANCA), SEASONS) == (REPLY, DECISION, NOTICE)
    assert lanes_awake(datetime(2026, 11, 23, 23, tzinfo=CASABLANCA), SEASONS) == (REPLY,)


@given(st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_whoever_is_woken_is_awake_whatever_the_season(now):
    for lane in (DECISION, NOTICE, ANNOUNCEMENT):
        then = awake_of(now, SEASONS, lane)
        assert now <= then < now + timedelta(hours=25)
        assert awake_of(then, SEASONS, lane) == then
    assert in_ramadan(date(2027, 2, 20))
