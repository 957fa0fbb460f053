"""Clock: the day of the law is the one in Casablanca."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from gateway.registry.clock import day_of


@pytest.mark.parametrize(("moment", "day"), [
    (datetime(2026, 11, 23, 22, 59, tzinfo=UTC), date(2026, 11, 23)),
    (datetime(2026, 11, 23, 23, 0, tzinfo=UTC), date(2026, 11, 24)),
    (datetime(2027, 2, 20, 23, 59, tzinfo=UTC), date(2027, 2, 20)),  # Ramadan
    (datetime(2027, 2, 21, 0, 0, tzinfo=UTC), date(2027, 2, 21)),
])
def test_a_day_ends_at_midnight_in_casablanca_which_is_an_hour_later_in_ramadan(moment, day):
    assert day_of(moment) == day
