"""Hours: when a text of each lane may be sent, by the clock of Casablanca, in Ramadan and out of it.

Replies know no hours: somebody is awake and waits.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from gateway.outbox.message import LANES, REPLY
from gateway.registry.clock import CASABLANCA, in_ramadan
from gateway.settings import AsleepHours, QuietHours


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


def _hours_of(day: date, asleep: AsleepHours, lane: int) -> QuietHours:
    hours = asleep.in_ramadan if in_ramadan(day) else asleep.ordinary
    return hours.get(LANES[lane], hours[""])


def _asleep(hour: int, quiet: QuietHours) -> bool:
    late, early = hour >= quiet.start, hour < quiet.end
    return quiet.start != quiet.end and ((late or early) if quiet.start > quiet.end else (late and early))
