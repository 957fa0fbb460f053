"""Batch: a formula over many households at once, in whole numbers, to the same last digit as one by one.

Everything is counted in units of 1E-16, in which `index` rounds each amount. A count times a coefficient is a whole
number of them; divided by the members it is rounded half to even. Whatever 64 bits or that rounding cannot settle
beyond doubt is left to `index.score`: see `Scores.settled`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext

import numpy as np
from numpy.typing import NDArray

from gateway.registry.formula import AREAS, Equation, Formula, Term
from gateway.registry.index import FINEST, TOO_LARGE
from gateway.registry.measures import ARITHMETIC, MEASURES
from gateway.registry.vector import Columns

Whole = NDArray[np.int64]
Flags = NDArray[np.bool_]

UNITS = 16
# Values are compared with the start of a band in millionths, in which bands are written.
MILLIONTHS = 10**6
# Of so many members the exact quotient lies further from a tie than all roundings of 28 digits together can reach.
MOST_MEMBERS = 10_000
# The yearly dirhams of a member are 12/100 of the monthly centimes over the members: 3/25.
YEAR = (3, 25)


@dataclass(frozen=True)
class Scores:
    """What a formula makes of some households, in their order.

    `values` are in units of 1E-16, `displayed` in units of the last decimal that the formula shows. Where `settled`
    is false the numbers mean nothing. `amounts` has, for each area, the places of its households and, a row each,
    the contributions in the order of `index.pack`.
    """

    values: Whole
    displayed: Whole
    settled: Flags
    amounts: Mapping[int, tuple[NDArray[np.intp], NDArray[np.int64]]]


class Batch:
    """One formula, made ready for columns of counts."""

    def __init__(self, formula: Formula) -> None:
        self._formula = formula
        self._sums = [_Sum(formula, formula.equations[area]) for area in AREAS]

    def score(self, counts: Columns, area: NDArray[np.integer], region: NDArray[np.integer]) -> Scores:
        """The index of each household: `area` is the place in `formula.AREAS`, `counts` are those of `vector`."""
        values, settled = np.zeros(len(area), np.int64), np.zeros(len(area), np.bool_)
        amounts = {}
        for code, sum_up in enumerate(self._sums):
            places = np.flatnonzero(area == code)
            lines, sure = sum_up.of({name: counts[name][places] for name in sum_up.reads}, region[places])
            values[places], settled[places] = lines.sum(axis=0), sure
            amounts[code] = places, lines
        return Scores(
            values,
            shown(values, self._formula.decimals),
            settled,
            {code: (places, lines.T) for code, (places, lines) in amounts.items()},
        )


class _Sum:
    """The equation of one area."""

    def __init__(self, formula: Formula, equation: Equation) -> None:
        self._constant = units(equation.constant)
        self._regions = np.zeros(max(equation.regions) + 1, np.int64)
        for region, constant in equation.regions.items():
            self._regions[region] = units(constant)
        self._known_regions = np.array(sorted(equation.regions))
        # No sum of so large amounts leaves 64 bits, in whatever order.
        largest = (2**62 - abs(self._constant) - int(abs(self._regions).max())) // max(len(equation.terms), 1)
        self._terms = [_Line(term, formula.share_denominator, largest) for term in equation.terms]
        self.reads = sorted({name for line in self._terms for name in (line.measure, line.divisor) if name})

    def of(self, counts: Columns, region: NDArray[np.integer]) -> tuple[Whole, Flags]:
        """A row of amounts for each term, and which households they are right for."""
        known = np.isin(region, self._known_regions)
        lines = np.empty((len(self._terms) + 2, len(region)), np.int64)
        lines[0] = self._constant
        lines[1] = self._regions[np.where(known, region, 0)]
        for place, line in enumerate(self._terms, 2):
            known &= line.amounts(counts, lines[place])
        return lines, known


class _Line:
    """One term: count times `factor` over the divisor's count, or points by band."""

    def __init__(self, term: Term, share_denominator: str, largest: int) -> None:
        self.measure, per = term.measure, MEASURES[term.measure].per
        self.divisor = {
            "one": None,
            "share": "size" if share_denominator == "members" else "aged_15",
            "member_year": "size",
        }[per]
        self._ratio = YEAR if per == "member_year" else (1, 1)
        self._bands = [(int(start * MILLIONTHS), units(points)) for start, points in term.bands]
        above, below = self._ratio
        self._factor = units(term.coefficient or Decimal(0)) * above // below
        self._most = min(int(TOO_LARGE) - 1, largest // max(abs(self._factor), 1))

    def amounts(self, counts: Columns, out: Whole) -> Flags:
        """Write the amounts into `out`. Returns for which households they are right."""
        count = counts[self.measure].astype(np.int64)
        # Seen without its sign, an unknown count (-1) is larger than any other.
        sure: Flags = count.view(np.uint64) <= self._most
        if not sure.all():
            count[~sure] = 0
        divisor = counts[self.divisor].astype(np.int64) if self.divisor else None
        if divisor is not None:
            some: Flags = (divisor - 1).view(np.uint64) < MOST_MEMBERS
            sure &= some | (count == 0)
            divisor[~some] = 1
        if self._bands:
            self._points(count, divisor, out)
        else:
            np.multiply(count, self._factor, out=out)
            if divisor is not None:
                sure &= _divide(out, divisor)
        return sure

    def _points(self, count: Whole, divisor: Whole | None, out: Whole) -> None:
        above, below = self._ratio
        value, over = count * (above * MILLIONTHS), below if divisor is None else divisor * below
        out[:] = self._bands[0][1]
        for start, points in self._bands[1:]:
            out[value >= start * over] = points


def units(amount: Decimal) -> int:
    """A number of at most 16 decimals in units of 1E-16."""
    with localcontext(ARITHMETIC):
        return int(amount / FINEST)


def shown(values: Whole, decimals: int) -> Whole:
    """Values (units of 1E-16) as they are told, in units of the last decimal; a tie goes to the even digit."""
    rounded = values.copy()
    _round(rounded, np.int64(10 ** (UNITS - decimals)))
    return rounded


def _divide(amounts: Whole, divisor: Whole) -> Flags:
    """Divide in place, half to even. Returns where the exact quotient is no tie.

    One by one the quotient is rounded to 28 digits before it is multiplied: that may tip a tie to either side, and
    nothing else, for whatever is no tie lies further away from one.
    """
    return ~_round(amounts, divisor)


def _round(amounts: Whole, divisor: Whole | np.int64) -> Flags:
    """Divide in place, half to even. Returns where it was a tie."""
    quotient = amounts // divisor
    rest = amounts - quotient * divisor
    twice = 2 * rest
    tie: Flags = twice == divisor
    quotient += (twice > divisor) | (tie & (quotient & 1 == 1))
    amounts[:] = quotient
    return tie
