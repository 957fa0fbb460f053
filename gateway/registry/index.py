"""Index: the published formula, and the exact sum that it makes of a household's measures.

The index is a constant of the area, a constant of the region in that area, and the sum of coefficient times
value over the terms (annexes 1 and 2 of BO 7011, 9 August 2021). Lower means poorer.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal, localcontext
from typing import Any

from gateway.registry.formula import BadFormula, Equation, Formula, Term, formulas
from gateway.registry.measures import ARITHMETIC, CannotCompute, measure

__all__ = ["BadFormula", "CannotCompute", "Contribution", "Equation", "Formula", "Index", "Term",
           "UnknownTerm", "compute", "formulas", "pack", "score", "unpack"]

# Amounts are fixed-point and bounded, so that 28 digits hold their sum: it is exact, in any order.
FINEST = Decimal("1E-16")
TOO_LARGE = Decimal("1E+8")
# Eight bytes hold an amount in units of FINEST below this. No term of a true household comes near it.
TOO_HEAVY = Decimal(922)


class UnknownTerm(Exception):
    """A value was given for a term that the equation does not have."""


@dataclass(frozen=True)
class Contribution:
    """`value` times `coefficient` is `amount`; without a coefficient, `amount` is the points of the value's band.

    The constants are the terms `K` and `REGION`, of value 1.
    """

    term: str
    measure: str
    value: Decimal = field(repr=False)
    coefficient: Decimal | None
    amount: Decimal = field(repr=False)

    def as_text(self) -> dict[str, str | None]:
        """For the record: the numbers as exact text."""
        return {
            "term": self.term,
            "measure": self.measure,
            "value": f"{self.value:f}",
            "coefficient": None if self.coefficient is None else f"{self.coefficient:f}",
            "amount": f"{self.amount:f}",
        }


@dataclass(frozen=True)
class Index:
    """An index, exact, with all that it is the sum of."""

    formula: str
    digest: str
    area: str
    region: int
    value: Decimal = field(repr=False)
    contributions: tuple[Contribution, ...] = field(repr=False)


def score(formula: Formula, facts: Mapping[str, Any], on: date) -> Index:
    """The index of a household (one row of an extract) as it stands on the day `on`.

    Raises `CannotCompute` with a reason; there is never a number that the facts do not carry.
    """
    area, region = facts.get("area", ""), facts.get("region", 0)
    equation = _equation_of(formula, area, region)
    measured = measure((term.measure for term in equation.terms), facts, on,
                       share_denominator=formula.share_denominator)
    result = compute(formula, area, region, {term.name: measured[term.measure] for term in equation.terms})
    for line in result.contributions:
        if abs(line.amount) >= TOO_HEAVY:
            raise CannotCompute(f"{line.term}: is far too large")
    return result


def pack(contributions: Sequence[Contribution]) -> bytes:
    """The amounts of a score as whole numbers of 1E-16, eight bytes each, the lowest byte last."""
    with localcontext(ARITHMETIC):
        return struct.pack(f">{len(contributions)}q", *(int(line.amount / FINEST) for line in contributions))


def unpack(formula: Formula, facts: Mapping[str, Any], on: date, packed: bytes) -> tuple[Contribution, ...]:
    """The contributions of a score once more, with the amounts that were stored."""
    units = struct.unpack(f">{len(packed) // 8}q", packed)
    lines = score(formula, facts, on).contributions
    with localcontext(ARITHMETIC):
        return tuple(replace(line, amount=(unit * FINEST).normalize())
                     for line, unit in zip(lines, units, strict=True))


def compute(formula: Formula, area: str, region: int, values: Mapping[str, Decimal]) -> Index:
    """The index of these values, by term name; a term without value counts 0.

    Raises `UnknownTerm`, and `CannotCompute` for an area or region that is not there or a value that is
    negative, far too large or not a number.
    """
    equation = _equation_of(formula, area, region)
    unknown = sorted(values.keys() - {term.name for term in equation.terms})
    if unknown:
        raise UnknownTerm(f"no such term in the {area} formula: {', '.join(unknown)}")
    for name, value in values.items():
        if not value.is_finite() or not 0 <= value < TOO_LARGE:
            raise CannotCompute(f"{name}: is negative, far too large or not a number")
    with localcontext(ARITHMETIC):
        one = Decimal(1)
        lines = (
            _contribution(Term("K", "constant", equation.constant, ""), one),
            _contribution(Term("REGION", f"region_{region}", equation.regions[region], ""), one),
            *(_contribution(term, values.get(term.name, Decimal(0))) for term in equation.terms),
        )
        total = sum((line.amount for line in lines), Decimal(0))
    return Index(formula.id, formula.digest, area, region, total, lines)


def _equation_of(formula: Formula, area: str, region: int) -> Equation:
    equation = formula.equations.get(area)
    if equation is None or region not in equation.regions:
        raise CannotCompute("the formula has no such area or region")
    return equation


def _contribution(term: Term, value: Decimal) -> Contribution:
    amount = term.amount(value).quantize(FINEST).normalize()
    return Contribution(term.name, term.measure, value, term.coefficient, amount)
