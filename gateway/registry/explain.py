"""Explain: what weighs in an index, and what moved between two of them, thing by thing, each with its source.

An index is a sum, so both are differences of amounts: an explanation against the reference household of the same area
and region (`reference.toml`), a comparison against the score before. Nothing here computes an index anew but that of
the reference household.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, localcontext
from functools import cache
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from sqlalchemy.orm import Session

from gateway.registry import index, scoring
from gateway.registry.disclosure import Disclosure, Level
from gateway.registry.index import Contribution, Formula
from gateway.registry.measures import ARITHMETIC, Census
from gateway.registry.score import FormulaVersion, IndexScore, Snapshot
from gateway.registry.steps import NotAllowed
from gateway.registry.things import Source, Sources, Unit, Value, source_of, thing_of, unit_of, value_of

REFERENCE = Path(__file__).with_name("reference.toml")
NONE = Decimal(0)

Direction = Literal["raises", "lowers"]
# Why an amount is another one: the value changed; the formula; the area; or how many members share it.
Why = Literal["value", "formula", "area", "members"]


@dataclass(frozen=True)
class Account:
    """One score with all that it is made of. Contributions are those that were stored."""

    formula: Formula
    facts: Mapping[str, Any] = field(repr=False)
    on: date
    sources: Sources
    contributions: tuple[Contribution, ...] = field(repr=False)

    def lines(self, thing: str) -> tuple[Contribution, ...]:
        """The contributions of one thing."""
        return tuple(line for line in self.contributions if thing_of(line.measure) == thing)

    def things(self) -> Iterator[str]:
        """In the order of the formula."""
        yield from dict.fromkeys(thing_of(line.measure) for line in self.contributions)

    def amount(self, thing: str) -> Decimal:
        with localcontext(ARITHMETIC):
            return sum((line.amount for line in self.lines(thing)), NONE)

    def value(self, thing: str) -> Value | None:
        """In a person's units; None when the facts do not tell."""
        return value_of(thing, Census(self.facts, self.on, self.formula.share_denominator))


@dataclass(frozen=True)
class Line:
    """One thing that makes the index another than the reference household's. `weight` is by how much.

    `value` and `weight` are None where the `level` of disclosure withholds them.
    """

    thing: str
    terms: tuple[str, ...]
    unit: Unit
    level: Level
    value: Value | None = field(repr=False)
    weight: Decimal | None = field(repr=False)
    direction: Direction
    source: Source


@dataclass(frozen=True)
class Explanation:
    """What weighs most comes first; `withheld` more things weigh and are not disclosed."""

    lines: tuple[Line, ...]
    withheld: int


@dataclass(frozen=True)
class Movement:
    """One thing whose share of the index moved by `delta`. `source` is that of the value as it is now.

    `old` or `new` is None where the facts of that score do not tell it; they and `delta` where they are withheld.
    """

    thing: str
    terms: tuple[str, ...]
    unit: Unit
    level: Level
    old: Value | None = field(repr=False)
    new: Value | None = field(repr=False)
    delta: Decimal | None = field(repr=False)
    direction: Direction
    why: Why
    source: Source


@dataclass(frozen=True)
class Comparison:
    """The biggest movement comes first. Where nothing is withheld they add up to the difference of the indexes."""

    movements: tuple[Movement, ...]
    withheld: int
    formula_changed: bool


def explained(session: Session, score_id: UUID) -> Explanation:
    """What weighs in a score, as it was stored. Raises `NotAllowed` for one that has no index."""
    return explain(account_of(session, score_id))


def compared(session: Session, score_id: UUID) -> Comparison:
    """A score against the one before it. Raises `NotAllowed` where there is none."""
    new = account_of(session, score_id)
    before = session.get_one(IndexScore, score_id).predecessor_id
    if before is None:
        raise NotAllowed("This is the household's first index: there is none before it. It can be explained.")
    return compare(account_of(session, before), new)


def account_of(session: Session, score_id: UUID) -> Account:
    """A score with all that it is made of. Raises `NotAllowed` where there is none, or where it failed."""
    found = session.get(IndexScore, score_id)
    if found is None:
        raise NotAllowed("There is no such score.")
    if found.failure:
        raise NotAllowed(f"This computation has no index ({found.failure}): there is nothing to explain.")
    taken = session.get_one(Snapshot, found.snapshot_id)
    formula = Formula.parse(session.get_one(FormulaVersion, found.formula).content)
    return Account(formula, taken.facts, taken.taken_on, taken.sources, scoring.contributions(session, found))


def explain(account: Account, disclosure: Disclosure | None = None) -> Explanation:
    """What weighs in this index, against the reference household of the same area and region."""
    movements, withheld = _movements(reference(account), account, disclosure or Disclosure.load())
    return Explanation(
        tuple(
            Line(one.thing, one.terms, one.unit, one.level, one.new, one.delta, one.direction, one.source)
            for one in movements
        ),
        withheld,
    )


def compare(old: Account, new: Account, disclosure: Disclosure | None = None) -> Comparison:
    """What moved from one score to the next, whether the facts did it or the formula."""
    movements, withheld = _movements(old, new, disclosure or Disclosure.load())
    return Comparison(movements, withheld, old.formula.digest != new.formula.digest)


def reference(account: Account) -> Account:
    """The account of the reference household in this one's place: same formula, area, region and day."""
    area, region = account.facts["area"], account.facts["region"]
    facts = {"area": area, "region": region, **_reference_file()[area]}
    facts["members"] = [
        {**member, "birth_date": str(date(account.on.year - member["age"], 1, 1))} for member in facts["members"]
    ]
    return Account(
        account.formula,
        facts,
        account.on,
        account.sources,
        index.score(account.formula, facts, account.on).contributions,
    )


@cache
def _reference_file() -> dict[str, Any]:
    return tomllib.loads(REFERENCE.read_text(encoding="utf-8"))


def _movements(old: Account, new: Account, disclosure: Disclosure) -> tuple[tuple[Movement, ...], int]:
    """What may be told of what moved, the biggest first; and how many more moved."""
    with localcontext(ARITHMETIC):
        deltas = {
            thing: new.amount(thing) - old.amount(thing) for thing in dict.fromkeys((*new.things(), *old.things()))
        }
    moved = sorted((thing for thing, delta in deltas.items() if delta), key=lambda thing: -abs(deltas[thing]))
    told = [_movement(thing, deltas[thing], old, new, disclosure) for thing in moved]
    disclosed = tuple(one for one in told if one.level != "nothing")
    return disclosed, len(told) - len(disclosed)


def _movement(thing: str, delta: Decimal, old: Account, new: Account, disclosure: Disclosure) -> Movement:
    before, after = old.value(thing), new.value(thing)
    lines = new.lines(thing) or old.lines(thing)
    level = disclosure.level(line.measure for line in (*old.lines(thing), *new.lines(thing)))
    open_ = level == "values"
    return Movement(
        thing=thing,
        terms=tuple(line.term for line in lines),
        unit=unit_of(thing),
        level=level,
        old=before if open_ else None,
        new=after if open_ else None,
        delta=delta if open_ else None,
        direction="raises" if delta > 0 else "lowers",
        why=_why(before, after, old, new),
        source=source_of(thing, new.facts, new.sources),
    )


def _why(before: Value | None, after: Value | None, old: Account, new: Account) -> Why:
    if before != after:
        return "value"
    if old.formula.digest != new.formula.digest:
        return "formula"
    return "area" if old.facts["area"] != new.facts["area"] else "members"
