"""Rules of the count: which band a change belongs to, and which side of a limit is below it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from gateway.registry.batch import units
from gateway.registry.crossings import BANDS, Crossing, Limit, Tally
from gateway.registry.programme import Programme, Threshold

ON = date(2026, 11, 23)
FIRST = Programme.load_all()[0]
LAST_YEAR, THIS_YEAR = (Threshold(Decimal(limit), date(year, 1, 1), "a test") for limit, year in
                        (("9.9", 2025), ("9.5", 2026)))


def numbers(*values):
    return np.array([units(Decimal(value)) for value in values])


def limit(comparator="below", thresholds=(THIS_YEAR,)):
    [found] = Limit.all_of([replace(FIRST, comparator=comparator, thresholds=thresholds)], ON)
    return found


def counted(limits, before, after, area=0, region=1):
    tally = Tally(limits)
    tally.add(numbers(*before), numbers(*after), np.full(len(before), area), np.full(len(before), region))
    return tally.total()


@pytest.mark.parametrize(("change", "band"), [
    ("0", 0), ("0.0099999999999999", 0), ("0.01", 1), ("-0.01", 1), ("-0.0499999999999999", 1), ("0.05", 2),
    ("0.4999999999999999", 5), ("0.5", 6), ("-3", 6)])
def test_a_band_ends_before_its_number_up_or_down(change, band):
    found = counted([], ["9"], [Decimal(9) + Decimal(change)])
    assert found.bands == tuple(int(place == band) for place in range(len(BANDS) + 1))


def test_rising_falling_and_staying_are_told_apart_to_the_last_digit():
    found = counted([], ["9", "9", "9"], ["9.0000000000000001", "8.9999999999999999", "9"])
    assert (found.rising, found.falling, found.staying, found.households) == (1, 1, 1, 3)


@pytest.mark.parametrize(("comparator", "below"), [
    ("below", [True, False, False]), ("at_or_below", [True, True, False]),
    # Where one must be above the limit to be eligible, the limit itself is not above it.
    ("above", [True, True, False])])
def test_the_poorer_side_is_below_whatever_the_programme_asks_for(comparator, below):
    assert limit(comparator).below(numbers("9.4999999999999999", "9.5", "9.5000000000000001")).tolist() == below


@pytest.mark.parametrize("comparator", ["below", "above"])
def test_crossings_go_down_or_up(comparator):
    found = counted([limit(comparator)], ["9.4", "9.4", "9.6", "9.6", "9.6"], ["9.4", "9.6", "9.4", "9.4", "9.7"],
                    area=1, region=12)
    assert found.crossed == (Crossing(FIRST.key, THIS_YEAR.value, "rural", 12, 2, 1),)


def test_a_programme_without_a_limit_is_crossed_by_nobody():
    assert Limit.all_of([replace(FIRST, thresholds=())], ON) == ()
    assert Limit.all_of([replace(FIRST, thresholds=(replace(THIS_YEAR, since=date(2027, 1, 1)),))], ON) == ()


def test_who_was_judged_by_a_former_limit_may_be_judged_otherwise_now():
    both = limit(thresholds=(LAST_YEAR, THIS_YEAR))
    before, after = numbers("9.6", "9.6", "10", "9.4"), numbers("9.7", "9.3", "10.1", "9.3")
    assert both.moved(before, after).tolist() == [True, True, False, False]
    assert limit().moved(before, after).tolist() == [False, True, False, False]


def test_failures_are_counted_by_reason_and_are_households_too():
    tally = Tally([])
    for reason in ("no head", "no head", "two heads"):
        tally.fail(reason)
    assert (tally.total().households, tally.total().failed) == (3, {"no head": 2, "two heads": 1})
