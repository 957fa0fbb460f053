"""Clock: the day of the law is the one in Casablanca; limits are reckoned in days on which the offices work."""

from __future__ import annotations

import tomllib
from datetime import UTC, date, datetime, time, timedelta

import holidays
import pytest

from gateway.registry import clock
from gateway.registry.clock import (
    CASABLANCA,
    BadCalendar,
    Calendar,
    add_working_days,
    day_of,
    deadline,
    end_of_office,
    is_working_day,
    office_hours,
    start_of,
    working_days_between,
)

RAMADANS = clock.calendar().ramadans


def day(text):
    return date.fromisoformat(text)


def at(text):
    """A moment as a watch in Casablanca shows it."""
    return datetime.fromisoformat(text).replace(tzinfo=CASABLANCA).astimezone(UTC)


@pytest.mark.parametrize(("moment", "day"), [
    (datetime(2026, 11, 23, 22, 59, tzinfo=UTC), date(2026, 11, 23)),
    (datetime(2026, 11, 23, 23, 0, tzinfo=UTC), date(2026, 11, 24)),
    (datetime(2027, 2, 20, 23, 59, tzinfo=UTC), date(2027, 2, 20)),  # Ramadan
    (datetime(2027, 2, 21, 0, 0, tzinfo=UTC), date(2027, 2, 21)),
])
def test_a_day_ends_at_midnight_in_casablanca_which_is_an_hour_later_in_ramadan(moment, day):
    assert day_of(moment) == day


@pytest.mark.parametrize("day", [date(2026, 11, 24), date(2027, 2, 7), date(2027, 2, 21), date(2027, 3, 14)])
def test_a_day_starts_at_its_first_moment(day):
    assert day_of(start_of(day)) == day
    assert day_of(start_of(day) - timedelta(microseconds=1)) == day - clock.A_DAY


@pytest.mark.parametrize(("closed", "what"), [
    ("2026-11-21", None), ("2026-11-22", None),  # a weekend
    ("2026-11-18", "Independence Day"), ("2024-01-11", "Proclamation of Independence Day"),
    ("2025-01-14", "Amazigh New Year"), ("2028-10-31", "Unity Day"), ("2027-01-01", "New Year's Day"),
    ("2024-06-17", "eid_al_adha"), ("2024-06-18", "eid_al_adha"),
    ("2024-04-12", "closed"), ("2026-03-20", "eid_al_fitr"),
])
def test_the_offices_are_closed_at_weekends_and_on_holidays(closed, what):
    assert not is_working_day(day(closed))
    found = clock.holiday(day(closed))
    assert (found.name if found else None) == what


@pytest.mark.parametrize("open_day", ["2026-11-23", "2025-10-31", "2023-01-13", "2024-06-19", "2025-06-06",
                                      "2025-06-26", "2023-09-27"])
def test_they_work_on_other_days_and_where_the_library_reckoned_the_moon_too_early(open_day):
    assert is_working_day(day(open_day))


def test_a_feast_to_come_is_said_to_be_an_estimate_and_an_announced_one_is_not():
    assert clock.holiday(day("2027-03-10")) == clock.Holiday("eid_al_fitr", estimated=True)
    assert clock.holiday(day("2027-05-17")) == clock.Holiday("eid_al_adha", estimated=True)
    assert clock.holiday(day("2025-03-31")) == clock.Holiday("eid_al_fitr", estimated=False)
    assert clock.holiday(day("2027-08-14")) == clock.Holiday("Oued Ed-Dahab Day"), "with a feast that may fall there"


@pytest.mark.parametrize(("start", "number", "end"), [
    ("2026-11-23", 0, "2026-11-23"),
    ("2026-11-23", 1, "2026-11-24"),
    ("2026-11-20", 1, "2026-11-23"),  # over a weekend
    ("2026-11-21", 1, "2026-11-23"),  # from a weekend
    ("2026-11-17", 1, "2026-11-19"),  # over Independence Day
    ("2026-12-31", 1, "2027-01-04"),  # over New Year's Day, a Friday
    ("2027-01-08", 3, "2027-01-15"),  # over the 11th and the 14th of January
    ("2024-06-14", 2, "2024-06-20"),  # over Eid al-Adha, Monday and Tuesday
    ("2026-03-19", 1, "2026-03-24"),  # over Eid al-Fitr, a weekend, and a day that the government gave
    ("2028-02-28", 1, "2028-02-29"),
    ("2026-11-24", -1, "2026-11-23"),
    ("2026-11-23", -1, "2026-11-20"),
])
def test_working_days_are_counted_from_the_next_day_on(start, number, end):
    assert add_working_days(day(start), number) == day(end)
    if number > 0:
        assert working_days_between(day(start), day(end)) == number
        assert working_days_between(day(end), day(start)) == 0


def test_the_offices_close_earlier_in_ramadan():
    assert office_hours(day("2027-02-05")) == clock.Hours(time(8, 30), time(16, 30))
    assert office_hours(day("2027-02-08")) == clock.Hours(time(9), time(15))
    assert office_hours(day("2027-03-09")) == clock.Hours(time(9), time(15))
    assert office_hours(day("2027-03-12")) == clock.Hours(time(8, 30), time(16, 30))
    assert office_hours(day("2027-02-06")) is None
    with pytest.raises(ValueError, match="2027-02-06 is no working day"):
        end_of_office(day("2027-02-06"))


@pytest.mark.parametrize(("start", "days", "end"), [
    ("2026-11-23 11:00", 2, datetime(2026, 11, 25, 15, 30, tzinfo=UTC)),
    ("2026-11-20 23:30", 1, datetime(2026, 11, 23, 15, 30, tzinfo=UTC)),
    # The clock goes back on Sunday 7 February: half past four on Friday is 15:30 UTC, three on Monday is 15:00 UTC.
    ("2027-02-04 10:00", 1, datetime(2027, 2, 5, 15, 30, tzinfo=UTC)),
    ("2027-02-04 10:00", 2, datetime(2027, 2, 8, 15, 0, tzinfo=UTC)),
    # Between Eid and the next clock change, half past four is 16:30 UTC.
    ("2027-03-09 10:00", 1, datetime(2027, 3, 12, 16, 30, tzinfo=UTC)),
    ("2027-03-09 10:00", 2, datetime(2027, 3, 15, 15, 30, tzinfo=UTC)),
    ("2026-12-31 16:00", 1, datetime(2027, 1, 4, 15, 30, tzinfo=UTC)),
])
def test_a_limit_ends_when_the_offices_close(start, days, end):
    assert deadline(at(start), days) == end


@pytest.mark.parametrize("month", RAMADANS, ids=lambda month: str(month.first))
def test_ramadan_is_where_the_clock_goes_back_for_it(month):
    """tzdata changes the clock on the last Sunday before Ramadan and on the first one after its feast begins."""
    noon = [datetime.combine(month.first + clock.A_DAY * number, time(12), CASABLANCA) for number in range(-14, 45)]
    behind = [moment.date() for moment in noon if moment.utcoffset() == timedelta(0)]
    assert behind[0].weekday() == 6
    assert timedelta(0) < month.first - behind[0] <= timedelta(days=8)
    assert timedelta(0) < behind[-1] - month.last <= timedelta(days=9)


@pytest.mark.parametrize("month", RAMADANS, ids=lambda month: str(month.first))
def test_eid_is_the_day_after_ramadan_and_at_most_a_day_from_the_library(month):
    eid = month.last + clock.A_DAY
    reckoned = [on for on, name in holidays.country_holidays("MA", years=eid.year, language="en_US").items()
                if name.startswith("Eid al-Fitr")]
    assert min(abs(on - eid) for on in reckoned) <= clock.A_DAY
    assert clock.holiday(eid) == clock.holiday(eid + clock.A_DAY) == clock.Holiday("eid_al_fitr", not month.announced)


def test_nothing_is_announced_after_something_that_is_not():
    announced = [month.announced for month in RAMADANS]
    assert announced == sorted(announced, reverse=True)


def written(**changed):
    """The calendar as it is written, some of it otherwise."""
    return {**tomllib.loads(clock.FILE.read_text(encoding="utf-8")), **changed}


MONTH = {"first": "2027-02-08", "last": "2027-03-09", "announced": False, "source": "reckoned"}
FEAST = {"name": "eid_al_adha", "first": "2024-06-17", "source": "somewhere"}


@pytest.mark.parametrize(("changed", "complaint"), [
    ({"ramadan": [{**MONTH, "last": "2027-03-12"}]}, r"ramadan\.0: .* is not 29 or 30 days"),
    ({"ramadan": [MONTH, {**MONTH, "first": "2028-03-01", "last": "2028-03-30"}]}, r"ramadan\.1: .*no lunar year"),
    ({"ramadan": []}, "ramadan: "),
    ({"ramadan": [{**MONTH, "first": "soon"}]}, r"ramadan\.0\.first: "),
    ({"ramadan": [{key: MONTH[key] for key in ("first", "last", "announced")}]}, r"ramadan\.0: .*source"),
    ({"feast": [FEAST, FEAST]}, r"feast\.1: eid_al_adha of 2024 stands there twice"),
    ({"feast": [{**FEAST, "first": "2024-07-17"}]}, r"feast\.0: 2024-07-17 is far from any Eid al-Adha"),
    ({"feast": [{**FEAST, "name": "a birthday"}]}, r"feast\.0\.name: "),
    ({"closed": [{"day": "2026-13-01", "source": "somewhere"}]}, r"closed\.0\.day: "),
    ({"more": 1}, "file: "),
])
def test_a_calendar_that_cannot_be_right_names_the_place(changed, complaint):
    Calendar.parse(written())
    with pytest.raises(BadCalendar, match=complaint):
        Calendar.parse(written(**changed))


@pytest.mark.parametrize(("opens", "closes"), [("16:30:00", "08:30:00"), ("half past", "16:30:00")])
def test_office_hours_that_cannot_be_are_refused(opens, closes):
    hours = written()["hours"]
    wrong = {**hours, "ramadan": {"opens": opens, "closes": closes, "source": "somewhere"}}
    with pytest.raises(BadCalendar, match=r"hours\.ramadan: "):
        Calendar.parse(written(hours=wrong))
