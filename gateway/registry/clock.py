"""Clock: which day it is for the law, which days the public offices work, and when a time limit ends.

The day is the one in Casablanca, an hour behind itself in Ramadan. Working days are Monday to Friday but for the
holidays of the administration (decree 2-77-169 of 28 February 1977 as amended); hours are those of decree 2-05-916.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import holidays
import jsonschema_rs

CASABLANCA = ZoneInfo("Africa/Casablanca")
FILE = Path(__file__).with_name("calendar.toml")
A_DAY = timedelta(days=1)
# A feast's name here, its name in the library, and how many days the offices are closed for it.
FEASTS: Mapping[str, tuple[str, int]] = {
    "eid_al_fitr": ("Eid al-Fitr", 2),
    "eid_al_adha": ("Eid al-Adha", 2),
    "islamic_new_year": ("Islamic New Year", 1),
    "prophets_birthday": ("Prophet's Birthday", 2),
}
# The moon was never announced further from the library's reckoning than this.
NEAR = timedelta(days=3)

_DATE = {"type": "string", "format": "date"}
_TEXT = {"type": "string", "minLength": 1}
_HOURS = {"opens": {"type": "string"}, "closes": {"type": "string"}, "source": _TEXT}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


CALENDAR_FILE = jsonschema_rs.validator_for(_object({
    "hours": _object({"ordinary": _object(_HOURS), "ramadan": _object(_HOURS)}),
    "ramadan": {"type": "array", "minItems": 1, "items": _object(
        {"first": _DATE, "last": _DATE, "announced": {"type": "boolean"}, "source": _TEXT})},
    "feast": {"type": "array", "items": _object({"name": {"enum": list(FEASTS)}, "first": _DATE, "source": _TEXT})},
    "closed": {"type": "array", "items": _object({"day": _DATE, "source": _TEXT})},
}), validate_formats=True)


class BadCalendar(Exception):
    """A calendar that no time limit may be reckoned with; the message names the place."""


def day_of(moment: datetime) -> date:
    """The day that this moment falls into in Casablanca."""
    return moment.astimezone(CASABLANCA).date()


def start_of(day: date) -> datetime:
    """The moment at which this day begins in Casablanca (UTC)."""
    return datetime.combine(day, time(), CASABLANCA).astimezone(UTC)


def is_working_day(day: date) -> bool:
    """Whether the public offices work on this day. Of a feast to come this is an estimate: see `holiday`."""
    return day.weekday() < 5 and holiday(day) is None


def holiday(day: date) -> Holiday | None:
    """What is celebrated on this day, and whether that is only reckoned yet."""
    return _holidays(day.year).get(day)


def add_working_days(day: date, number: int) -> date:
    """The working day so many working days after `day` (before it, where `number` is negative).

    The day itself does not count: a limit begins on the next day. With 0, the day itself whatever it is.
    """
    step = A_DAY if number > 0 else -A_DAY
    for _ in range(abs(number)):
        day += step
        while not is_working_day(day):
            day += step
    return day


def working_days_between(start: date, end: date) -> int:
    """How many working days follow `start` up to `end`, which counts. 0 when `end` is not later."""
    return sum(is_working_day(start + A_DAY * number) for number in range(1, (end - start).days + 1))


def office_hours(day: date) -> Hours | None:
    """When the public offices are open on this day, in Casablanca; None when they are closed."""
    if not is_working_day(day):
        return None
    known = calendar()
    return known.in_ramadan if in_ramadan(day) else known.ordinary


def in_ramadan(day: date) -> bool:
    """Whether this day is one of the fast, as announced or, until then, as reckoned."""
    return any(month.first <= day <= month.last for month in calendar().ramadans)


def end_of_office(day: date) -> datetime:
    """The moment at which the offices close on this working day (UTC). Raises `ValueError` for another day."""
    hours = office_hours(day)
    if hours is None:
        raise ValueError(f"{day} is no working day")
    return datetime.combine(day, hours.closes, CASABLANCA).astimezone(UTC)


def deadline(start: datetime, working_days: int) -> datetime:
    """The end of a time limit: when the offices close, so many working days (at least 1) after the day of `start`."""
    return end_of_office(add_working_days(day_of(start), working_days))


@dataclass(frozen=True)
class Hours:
    """From when until when the offices are open."""

    opens: time
    closes: time


@dataclass(frozen=True)
class Ramadan:
    """One month of fasting. One that was not announced may begin or end a day off."""

    first: date
    last: date
    announced: bool


@dataclass(frozen=True)
class Holiday:
    """`estimated` is reckoned: the crescent has not been seen yet, and the feast may fall a day off."""

    name: str
    estimated: bool = False


@dataclass(frozen=True)
class Calendar:
    """What `calendar.toml` says. `feasts` are first days by name; `closed` are days closed by the government."""

    ordinary: Hours
    in_ramadan: Hours
    ramadans: tuple[Ramadan, ...]
    feasts: tuple[tuple[str, date], ...]
    closed: frozenset[date]

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Calendar:
        """Check a whole file's content. Raises `BadCalendar` naming the first place that is wrong."""
        content = json.loads(json.dumps(document, default=str))
        for error in CALENDAR_FILE.iter_errors(content):
            raise BadCalendar(f"{'.'.join(map(str, error.instance_path)) or 'file'}: {error.message}")
        hours = {name: _hours(name, row) for name, row in content["hours"].items()}
        ramadans = tuple(
            Ramadan(date.fromisoformat(row["first"]), date.fromisoformat(row["last"]), row["announced"])
            for row in content["ramadan"]
        )
        feasts = tuple((row["name"], date.fromisoformat(row["first"])) for row in content["feast"])
        _check_ramadans(ramadans)
        _check_feasts(feasts)
        return cls(hours["ordinary"], hours["ramadan"], ramadans, feasts,
                   frozenset(date.fromisoformat(row["day"]) for row in content["closed"]))


@cache
def calendar() -> Calendar:
    """The calendar of this house. Raises `BadCalendar`."""
    try:
        return Calendar.parse(tomllib.loads(FILE.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadCalendar(f"{FILE.name}: {error}") from None


@cache
def _holidays(year: int) -> Mapping[date, Holiday]:
    """The holidays of a year: the library's, but the moon's as our calendar has them, and what was closed besides."""
    known = calendar()
    ours = [(name, first, False) for name, first in known.feasts] + [
        ("eid_al_fitr", month.last + A_DAY, not month.announced) for month in known.ramadans
    ]
    days: dict[date, Holiday] = {}
    for day, names in holidays.country_holidays("MA", years=year, language="en_US").items():
        for title in names.split("; "):
            feast = next((key for key, (begins, _) in FEASTS.items() if title.startswith(begins)), None)
            if not any(name == feast and abs(day - first) <= NEAR for name, first, _ in ours):
                _put(days, day, Holiday(feast or title, feast is not None))
    for name, first, estimated in ours:
        for number in range(FEASTS[name][1]):
            _put(days, first + A_DAY * number, Holiday(name, estimated))
    for day in known.closed:
        _put(days, day, Holiday("closed"))
    return {day: found for day, found in days.items() if day.year == year}


def _put(days: dict[date, Holiday], day: date, found: Holiday) -> None:
    """Two may fall on one day; the one that is certain stays."""
    if day not in days or days[day].estimated:
        days[day] = found


def _hours(name: str, row: Mapping[str, str]) -> Hours:
    try:
        hours = Hours(time.fromisoformat(row["opens"]), time.fromisoformat(row["closes"]))
    except ValueError as error:
        raise BadCalendar(f"hours.{name}: {error}") from None
    if hours.opens >= hours.closes:
        raise BadCalendar(f"hours.{name}: opens after it closes")
    return hours


def _check_ramadans(ramadans: tuple[Ramadan, ...]) -> None:
    """A month of the moon has 29 or 30 days, and Ramadan comes back after eleven others."""
    for position, month in enumerate(ramadans):
        if not 29 <= (month.last - month.first).days + 1 <= 30:
            raise BadCalendar(f"ramadan.{position}: from {month.first} to {month.last} is not 29 or 30 days")
        if position and not 353 <= (month.first - ramadans[position - 1].first).days <= 356:
            raise BadCalendar(f"ramadan.{position}: {month.first} is no lunar year after the one before")


def _check_feasts(feasts: tuple[tuple[str, date], ...]) -> None:
    for position, (name, first) in enumerate(feasts):
        if (name, first.year) in {(other, day.year) for other, day in feasts[:position]}:
            raise BadCalendar(f"feast.{position}: {name} of {first.year} stands there twice")
        reckoned = holidays.country_holidays("MA", years=first.year, language="en_US")
        if not any(title.startswith(FEASTS[name][0]) and abs(day - first) <= NEAR
                   for day, titles in reckoned.items() for title in titles.split("; ")):
            raise BadCalendar(f"feast.{position}: {first} is far from any {FEASTS[name][0]}")
