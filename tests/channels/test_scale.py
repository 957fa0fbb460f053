"""Where an index stands among the limits: true where that can be seen, in order where it cannot."""

import random
from decimal import Decimal
from itertools import pairwise

import pytest

from channels.letter.scale import APART, COLUMN, LINE, WIDTH, Mark, Scale, places


def a_scale(index: str, *limits: str) -> Scale:
    marks = [Mark(f"programme {number}", limit, Decimal(limit)) for number, limit in enumerate(limits)]
    return Scale("told", ("less", "more"), Mark("index", index, Decimal(index)), tuple(marks))


def test_an_index_between_two_limits_stands_between_their_ticks_as_far_as_it_is():
    found = places(a_scale("9.5", "9.75", "9.25"))
    low, high = (limit.at for limit in found.limits)
    assert found.index.at - low == high - found.index.at
    assert found.beyond == ""
    assert [limit.marks[0].figure for limit in found.limits] == ["9.25", "9.75"]


@pytest.mark.parametrize(("index", "side"), [("9.7430009", -1), ("9.7430010", 0), ("9.7430011", 1)])
def test_a_ten_millionth_puts_the_index_beside_the_tick_and_none_puts_it_upon_it(index, side):
    found = places(a_scale(index, "9.743001"))
    apart = found.index.at - found.limits[0].at
    assert (apart > 0) - (apart < 0) == side
    assert abs(apart) == APART * abs(side)


@pytest.mark.parametrize(("index", "beyond", "end"), [("2.1", "less", LINE[0]), ("14.9", "more", LINE[1])])
def test_an_index_far_outside_stands_at_the_end_and_leaves_the_limits_apart(index, beyond, end):
    found = places(a_scale(index, "9.743001", "9.3264284"))
    assert (found.beyond, found.index.at) == (beyond, end)
    assert found.limits[1].at - found.limits[0].at > 1_000


def test_programmes_with_the_same_limit_share_one_tick():
    found = places(a_scale("9.1", "9.3264284", "9.743001", "9.32642840"))
    assert [len(limit.marks) for limit in found.limits] == [2, 1]


def test_whatever_the_numbers_order_is_kept_and_no_name_covers_another():
    chance = random.Random(20270120)
    for _ in range(3_000):
        nearly = chance.choice(["0.0000001", "0.001", "0.3", "4"])
        limits = [str(Decimal("9.5") + Decimal(chance.randint(-40, 40)) * Decimal(nearly) / 10)
                  for _ in range(chance.randint(1, 6))]
        index = str(Decimal("9.5") + Decimal(chance.randint(-400, 400)) * Decimal(nearly) / 10)
        found = places(a_scale(index, *limits))
        everything = {limit.marks[0].value: limit.at for limit in found.limits}
        if not found.beyond:
            everything[Decimal(index)] = found.index.at
        ordered = [everything[value] for value in sorted(everything)]
        assert all(later - former >= APART for former, later in pairwise(ordered))
        assert all(LINE[0] <= at <= LINE[1] for at in (*ordered, found.index.at))
        end = 0
        for limit in found.limits:
            assert limit.column - limit.width // 2 >= end
            end = limit.column - limit.width // 2 + limit.width
        assert end <= WIDTH
        assert COLUMN // 2 <= found.index.column <= WIDTH - COLUMN // 2


def test_what_is_logged_of_a_scale_tells_no_index():
    told = repr(places(a_scale("9.4871236", "9.743001"))) + repr(a_scale("9.4871236", "9.743001"))
    assert "9.4871236" not in told
