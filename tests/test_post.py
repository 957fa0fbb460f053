"""Post: the day on which a letter is posted, and the last evening on which it can still be printed in time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from gateway.post import A_DAY, LastChance, Post
from gateway.registry.clock import CASABLANCA, is_working_day, start_of

POST = Post(cut_off=15, takes=3)


def day(text: str) -> date:
    return date.fromisoformat(text)


def at(text: str) -> datetime:
    """A moment as a watch in Casablanca shows it."""
    return datetime.fromisoformat(text).replace(tzinfo=CASABLANCA).astimezone(UTC)


@pytest.mark.parametrize(("ready", "taken"), [
    ("2026-11-23T14:59", "2026-11-23"),
    ("2026-11-23T15:00", "2026-11-24"),  # after the cut-off
    ("2026-11-27T18:00", "2026-11-30"),  # a Friday evening
    ("2026-11-28T10:00", "2026-11-30"),  # a Saturday
    ("2026-11-17T18:00", "2026-11-19"),  # Independence Day lies between
    ("2027-02-10T14:59", "2027-02-10"), ("2027-02-10T15:00", "2027-02-11"),  # in Ramadan, an hour behind
    ("2027-03-09T18:00", "2027-03-12"),  # Eid al-Fitr, two days
])
def test_what_lies_ready_after_the_cut_off_or_on_a_day_off_is_taken_on_the_next_working_day(ready, taken):
    assert POST.takes_on(at(ready)) == day(taken)


@pytest.mark.parametrize(("printed", "brought"), [
    ("2026-11-24", "2026-11-30"), ("2026-11-25", "2026-12-01"), ("2026-11-28", "2026-12-03"),
    ("2027-03-08", "2027-03-16"),  # posted on the last day of Ramadan; then Eid and a weekend
])
def test_a_letter_is_brought_so_many_working_days_after_it_was_posted(printed, brought):
    assert POST.brings_on(day(printed)) == day(brought)


def test_before_the_printing_hour_no_text_makes_way():
    assert POST.last_chance(at("2026-11-24T17:59")) is None
    assert POST.last_chance(at("2026-11-24T18:00")) == LastChance(
        at("2026-11-24T18:00"), start_of(day("2026-12-01")), start_of(day("2026-12-02")))


@pytest.mark.parametrize("first", [day("2026-11-01"), day("2027-02-20"), day("2027-05-01")])
def test_every_day_has_one_last_evening_and_a_letter_of_that_evening_is_in_time(first):
    """Over weekends, feasts and the change of the clock."""
    evenings = [first + A_DAY * number for number in range(60)]
    for told_before in (start_of(first + A_DAY * number) for number in range(20, 40)):
        last = [evening for evening in evenings if (chance := POST.last_chance(at(f"{evening}T19:00")))
                and chance.first <= told_before < chance.after]
        assert len(last) == 1
        assert start_of(POST.brings_on(last[0]) + A_DAY) <= told_before
        assert start_of(POST.brings_on(last[0] + A_DAY) + A_DAY) > told_before


def test_nothing_is_posted_or_brought_on_a_day_off():
    for number in range(365):
        evening = day("2026-11-01") + timedelta(days=number)
        assert is_working_day(POST.takes_on(at(f"{evening}T18:00")))
        assert is_working_day(POST.brings_on(evening))
