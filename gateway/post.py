"""Post: on which day it takes a letter, and how long it needs to bring it.

The post works on the days of the public offices (`registry.clock`) and takes nothing more that day after its cut-off
hour. What is printed in the evening is therefore posted on the next working day, and that day is the one that counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from gateway.registry.clock import CASABLANCA, add_working_days, day_of, is_working_day, start_of

# The print house fetches a day's letters in the evening (hour of the day in Casablanca).
PRINTING_HOUR = 18
A_DAY = timedelta(days=1)


@dataclass(frozen=True)
class LastChance:
    """Whoever must be told from `first` to before `after` is told in time by a letter of this `evening`, and too late
    by one of tomorrow's. Nobody is, where tomorrow's are posted with tonight's.
    """

    evening: datetime
    first: datetime
    after: datetime


@dataclass(frozen=True)
class Post:
    """`cut_off` is the hour of the day in Casablanca, `takes` the working days from the posting to the letter box."""

    cut_off: int
    takes: int

    def takes_on(self, ready_at: datetime) -> date:
        """The first day on which the post can take what lies ready at this moment."""
        local = ready_at.astimezone(CASABLANCA)
        if is_working_day(local.date()) and local.hour < self.cut_off:
            return local.date()
        return add_working_days(local.date(), 1)

    def brings_on(self, printed_on: date) -> date:
        """The day on which a letter that is printed in the evening of this day is in its box."""
        return add_working_days(self.takes_on(_evening(printed_on)), self.takes)

    def last_chance(self, now: datetime) -> LastChance | None:
        """Who must be written to this evening. None until the printing hour has come, for a text has the whole day."""
        today = day_of(now)
        evening = _evening(today)
        if now < evening:
            return None
        return LastChance(evening, start_of(self.brings_on(today) + A_DAY),
                          start_of(self.brings_on(today + A_DAY) + A_DAY))


def _evening(day: date) -> datetime:
    return datetime.combine(day, time(PRINTING_HOUR), CASABLANCA)
