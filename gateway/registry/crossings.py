"""Crossings: what another formula would do to the households, counted before anything is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.registry.batch import Flags, Whole, units
from gateway.registry.formula import AREAS, REGIONS
from gateway.registry.programme import PASSES, Programme

# By how much indexes move, up or down: each band ends before its number, and the last has no end.
BANDS = tuple(Decimal(text) for text in ("0.01", "0.05", "0.10", "0.20", "0.30", "0.50"))


@dataclass(frozen=True)
class Crossing:
    """Of one programme, area and region: how many households come to lie below its threshold, the poorer side, and
    how many above it.
    """

    programme: str
    threshold: Decimal
    area: str
    region: int
    newly_below: int
    newly_above: int


@dataclass(frozen=True)
class Crossings:
    """All `households` that have an index: those whose index goes up, down or stays, and those that `failed`.

    `bands` counts them by the change, as `BANDS`, who stays among the smallest; `failed` counts by reason those that
    the new formula cannot be computed for: their index stays.
    """

    households: int
    rising: int
    falling: int
    staying: int
    bands: tuple[int, ...]
    failed: Mapping[str, int]
    crossed: tuple[Crossing, ...]


@dataclass(frozen=True)
class Limit:
    """A programme's threshold of one day, in units of 1E-16, and all that were in force until then, this one too."""

    programme: Programme
    value: Decimal
    ever: tuple[int, ...]

    @classmethod
    def all_of(cls, programmes: Sequence[Programme], on: date) -> tuple[Limit, ...]:
        """Of every programme that has one on that day."""
        return tuple(
            cls(programme, now.value, tuple(units(each.value) for each in programme.thresholds if each.since <= on))
            for programme in programmes
            if (now := programme.threshold_on(on))
        )

    def below(self, values: Whole, limit: int | None = None) -> Flags:
        """Which of these indexes lie on the poorer side of it, or of one that was in force once."""
        compare: Any = PASSES[self.programme.comparator]
        passing: Flags = compare(values, units(self.value) if limit is None else limit)
        return ~passing if self.programme.comparator == "above" else passing

    def moved(self, before: Whole, after: Whole) -> Flags:
        """Which households may be judged otherwise now, whichever of its values they were judged by."""
        below, moved = self.below(after), np.zeros(len(after), np.bool_)
        for limit in self.ever:
            moved |= self.below(before, limit) != below
        return moved

    def near(self, values: Whole, within: int) -> Flags:
        """Which of these indexes lie so near that the last digits decide."""
        close: Flags = abs(values - units(self.value)) <= within
        return close


class Tally:
    """Counts chunk by chunk."""

    def __init__(self, limits: Sequence[Limit]) -> None:
        self._limits = limits
        self._ends = np.array([units(end) for end in BANDS])
        self._households, self._bands = 0, np.zeros(len(BANDS) + 1, np.int64)
        self._up, self._down = 0, 0
        self._failed: Counter[str] = Counter()
        self._places = (len(AREAS), max(REGIONS) + 1)
        self._crossed = np.zeros((len(limits), 2, *self._places), np.int64)

    def add(self, before: Whole, after: Whole, area: NDArray[np.integer], region: NDArray[np.integer]) -> None:
        """Households with the index that they had and that they get."""
        change = after - before
        self._households += len(after)
        self._up += int((change > 0).sum())
        self._down += int((change < 0).sum())
        self._bands += np.bincount(np.searchsorted(self._ends, abs(change), side="right"), minlength=len(self._bands))
        for place, limit in enumerate(self._limits):
            was, now = limit.below(before), limit.below(after)
            for way, crossing in enumerate((now & ~was, was & ~now)):
                np.add.at(self._crossed[place, way], (area[crossing], region[crossing]), 1)

    def fail(self, reason: str) -> None:
        """A household that the formula cannot be computed for."""
        self._households += 1
        self._failed[reason] += 1

    def total(self) -> Crossings:
        """What was counted."""
        staying = int(self._bands.sum()) - self._up - self._down
        crossed = tuple(
            Crossing(limit.programme.key, limit.value, name, region, int(newly_below), int(newly_above))
            for place, limit in enumerate(self._limits)
            for area, name in enumerate(AREAS)
            for region in REGIONS
            for newly_below, newly_above in [self._crossed[place, :, area, region]]
            if newly_below or newly_above
        )
        return Crossings(
            self._households, self._up, self._down, staying, tuple(map(int, self._bands)), dict(self._failed), crossed
        )
