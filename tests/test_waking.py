"""Waking time: how long a lane is awake between two moments, and when it will have been."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gateway.hours import after, awake, waking
from gateway.outbox import ANNOUNCEMENT, REPLY
from gateway.registry.clock import CASABLANCA, in_ramadan
from gateway.settings import AsleepHours, QuietHours

EVENING, NIGHT, NEVER = QuietHours(20, 9), QuietHours(1, 7), QuietHours(0, 0)
RAMADAN = QuietHours(18, 10)
HOUR = timedelta(hours=1)


def asleep(ordinary: QuietHours) -> AsleepHours:
    return AsleepHours({"": ordinary}, {"": RAMADAN})


def at(*moment: int) -> datetime:
    return datetime(*moment, tzinfo=CASABLANCA).astimezone(UTC)


@pytest.mark.parametrize(("quiet", "start", "end", "hours"), [
    (EVENING, (2026, 11, 23, 9), (2026, 11, 23, 20), 11),
    (EVENING, (2026, 11, 23, 12), (2026, 11, 24, 12), 11),
    (EVENING, (2026, 11, 23, 20), (2026, 11, 24, 9), 0),
    (EVENING, (2026, 11, 23, 0), (2026, 11, 26, 0), 33),
    (NIGHT, (2026, 11, 23, 0), (2026, 11, 24, 0), 18),
    (NEVER, (2026, 11, 23, 0), (2026, 11, 24, 0), 24),
    (EVENING, (2026, 11, 23, 12), (2026, 11, 23, 11), 0),
])
def test_the_time_in_which_a_lane_is_awake_leaves_out_its_quiet_hours(quiet, start, end, hours):
    assert waking(at(*start), at(*end), asleep(quiet), ANNOUNCEMENT) == hours * HOUR


def test_ramadan_has_its_own_hours():
    first = next(day for day in (datetime(2027, 1, 1, tzinfo=CASABLANCA) + timedelta(days=n) for n in range(365))
                 if in_ramadan(day.date()))
    start = at(first.year, first.month, first.day)
    assert waking(start, start + timedelta(days=1), asleep(EVENING), ANNOUNCEMENT) == 8 * HOUR


def test_a_reply_never_sleeps():
    start = at(2026, 11, 23, 12)
    assert waking(start, start + timedelta(days=2), asleep(EVENING), REPLY) == 48 * HOUR


@pytest.mark.parametrize("quiet", [EVENING, NIGHT, NEVER])
@pytest.mark.parametrize("hours", [0, 1, 7.5, 11, 12, 40])
def test_after_so_much_waking_time_so_much_of_it_has_passed_and_the_lane_is_awake_until_then(quiet, hours):
    start = at(2026, 11, 23, 21, 30)
    end = after(start, hours * HOUR, asleep(quiet), ANNOUNCEMENT)
    assert waking(start, end, asleep(quiet), ANNOUNCEMENT) == hours * HOUR
    moment = end - timedelta(seconds=1) if hours else end
    assert awake(moment, asleep(quiet), ANNOUNCEMENT) == moment
