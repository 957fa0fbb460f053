"""Hours: when and for how long a text of each lane may be sent, by the clock of Casablanca, in Ramadan and out of it.

Replies know no hours: somebody is awake and waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from gateway.outbox.message import LANES, REPLY
from gateway.registry.clock import A_DAY, CASABLANCA, in_ramadan, start_of
from gateway.settings import AsleepHours, QuietHours

A_WHOLE_DAY = 24


def lanes_awake(now: datetime, asleep: AsleepHours) -> tuple[int, ...]:
    """The lanes of which a text may be sent now."""
    return tuple(lane for lane in range(len(LANES)) if awake(now, asleep, lane) == now)


def awake(now: datetime, asleep: AsleepHours, lane: int) -> datetime:
    """`now`, or the end of the quiet hours of this lane that it falls into."""
    if lane == REPLY:
        return now
    local = now.astimezone(CASABLANCA)
    quiet = _hours_of(local.date(), asleep, lane)
    if not _asleep(local.hour, quiet):
        return now
    # In the evening it is the next day's morning that counts, which may be the first or the last of Ramadan.
    evening = quiet.start > quiet.end and local.hour >= quiet.start
    day = local.date() + timedelta(days=evening)
    morning = datetime.combine(day, time(_hours_of(day, asleep, lane).end), CASABLANCA)
    return morning.astimezone(now.tzinfo)


def waking(start: datetime, end: datetime, asleep: AsleepHours, lane: int) -> timedelta:
    """How much of the time from `start` to `end` this lane is awake."""
    awake_for = timedelta()
    for opens, closes in stretches(start, asleep, lane):
        if opens >= end:
            break
        awake_for += min(closes, end) - opens
    return awake_for


def after(start: datetime, needed: timedelta, asleep: AsleepHours, lane: int) -> datetime:
    """The moment at which this lane has been awake for so long since `start`."""
    for opens, closes in stretches(start, asleep, lane):
        if closes - opens >= needed:
            return opens + needed
        needed -= closes - opens
    raise AssertionError("days do not end")


def stretches(start: datetime, asleep: AsleepHours, lane: int) -> Iterator[tuple[datetime, datetime]]:
    """The stretches of time in which this lane is awake, from `start` on without end; none is longer than a day."""
    day = start.astimezone(CASABLANCA).date()
    while True:
        quiet = QuietHours(0, 0) if lane == REPLY else _hours_of(day, asleep, lane)
        for first, last in _awake_in(quiet):
            opens, closes = _at(day, first), _at(day, last)
            if closes > max(opens, start):
                yield max(opens, start), closes
        day += A_DAY


def _awake_in(quiet: QuietHours) -> list[tuple[int, int]]:
    if quiet.start > quiet.end:
        return [(quiet.end, quiet.start)]
    return [(0, quiet.start), (quiet.end, A_WHOLE_DAY)] if quiet.start < quiet.end else [(0, A_WHOLE_DAY)]


def _at(day: date, hour: int) -> datetime:
    if hour == A_WHOLE_DAY:
        return start_of(day + A_DAY)
    return datetime.combine(day, time(hour), CASABLANCA).astimezone(UTC)


def _hours_of(day: date, asleep: AsleepHours, lane: int) -> QuietHours:
    hours = asleep.in_ramadan if in_ramadan(day) else asleep.ordinary
    return hours.get(LANES[lane], hours[""])


def _asleep(hour: int, quiet: QuietHours) -> bool:
    late, early = hour >= quiet.start, hour < quiet.end
    return quiet.start != quiet.end and ((late or early) if quiet.start > quiet.end else (late and early))
