"""Scale: where an index stands among the limits of programmes, as places on a line.

A place is a whole part of the line's length, made of decimal numbers: nothing is rounded before it is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import groupby
from typing import Literal

# The width of the picture, in parts. Left and right of the line stands what its ends mean.
WIDTH = 10_000
LINE = (1_500, 8_500)
# What differs is seen to differ: an index one ten-millionth below a limit stands beside its tick, not upon it.
APART = 190
# How far the line goes on beyond the outermost limits, in points of the index. An index that lies further out stands at
# the line's end: drawn to scale, it would push all limits into one.
REACH = Decimal("0.75")
# What stands at a place is named in a column: as wide as its longest name, but no wider than its share of the picture.
LETTER = 130
COLUMN = 3_400

Beyond = Literal["", "less", "more"]


@dataclass(frozen=True)
class Mark:
    """One number on the scale: what it is, as it is written, and its value."""

    name: str
    figure: str = field(repr=False)
    value: Decimal = field(repr=False)


@dataclass(frozen=True)
class Scale:
    """`told` is the picture in words, `ends` what less and more mean. There is a limit at least."""

    told: str = field(repr=False)
    ends: tuple[str, str]
    index: Mark
    limits: tuple[Mark, ...]


@dataclass(frozen=True)
class Place:
    """Where a mark stands on the line, and the column that names it; marks of the same value share one."""

    marks: tuple[Mark, ...]
    at: int = field(repr=False)
    column: int = field(repr=False)
    width: int


@dataclass(frozen=True)
class Places:
    """`beyond` says on which side the index lies too far out for the line. The limits stand from less to more."""

    index: Place
    limits: tuple[Place, ...]
    beyond: Beyond = field(repr=False)


def places(scale: Scale) -> Places:
    """Less is left: numbers are written from left to right in Arabic too."""
    ticks = [tuple(same) for _, same in groupby(sorted(scale.limits, key=_value), key=_value)]
    lowest, highest = ticks[0][0].value - REACH, ticks[-1][0].value + REACH
    beyond: Beyond = "less" if scale.index.value < lowest else "more" if scale.index.value > highest else ""
    index = min(max(scale.index.value, lowest), highest)
    values = sorted({index, *(tick[0].value for tick in ticks)})
    ticked = (LINE[0] - APART // 2, LINE[1] + APART // 2)
    at = dict(zip(values, _spread([_on_line(one, lowest, highest) for one in values], [APART] * len(values), ticked),
                  strict=True))
    widths = [min(_width(tick), COLUMN, WIDTH // len(ticks) // 2 * 2) for tick in ticks]
    columns = _spread([at[tick[0].value] for tick in ticks], widths, (0, WIDTH))
    (column,) = _spread([at[index]], [COLUMN], (0, WIDTH))
    return Places(
        Place((scale.index,), at[index], column, COLUMN),
        tuple(Place(tick, at[tick[0].value], middle, width)
              for tick, middle, width in zip(ticks, columns, widths, strict=True)),
        beyond,
    )


def _value(mark: Mark) -> Decimal:
    return mark.value


def _on_line(value: Decimal, lowest: Decimal, highest: Decimal) -> int:
    share = (value - lowest) / (highest - lowest)
    return LINE[0] + int((share * (LINE[1] - LINE[0])).to_integral_value(ROUND_HALF_EVEN))


def _width(marks: Sequence[Mark]) -> int:
    longest = max(len(word) for mark in marks for word in (mark.name, mark.figure))
    return LETTER * (longest + 2)


def _spread(wanted: Sequence[int], widths: Sequence[int], room: tuple[int, int]) -> list[int]:
    """The middles of things of these widths, near the wanted places: in their order, and none upon another."""
    # Half way between pushing all to the right and pushing all to the left: both keep the order, and so does this.
    right = _pushed(wanted, widths, room)
    left = _pushed([-place for place in reversed(wanted)], widths[::-1], (-room[1], -room[0]))
    return [(one - other) // 2 for one, other in zip(right, reversed(left), strict=True)]


def _pushed(wanted: Sequence[int], widths: Sequence[int], room: tuple[int, int]) -> list[int]:
    found, free = [], room[0]
    for place, width in zip(wanted, widths, strict=True):
        found.append(max(place, free + width // 2))
        free = found[-1] + width // 2
    free = room[1]
    for number in reversed(range(len(found))):
        found[number] = min(found[number], free - widths[number] // 2)
        free = found[number] - widths[number] // 2
    return found
