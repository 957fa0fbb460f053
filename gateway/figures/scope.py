"""Scope: a period and its groups, and how cases are counted in them: by the database, in one grouped statement.

A delay is counted as the number of cases for each number of days, which is exact, small, and the same on either
database; percentiles are read off it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session, aliased
from sqlalchemy.sql.expression import FunctionElement

from gateway.figures.figure import Change, Count, Delay, Group, Line, Share
from gateway.registry.clock import CASABLANCA
from gateway.registry.household import Household

A_DAY = timedelta(days=1)
Condition = sa.ColumnElement[bool]


class DaysBetween(FunctionElement[int]):
    """Whole days of 24 hours from one moment to another, seconds cut off; or from one day to another."""

    type = sa.Integer()
    inherit_cache = True


class SexOfHead(FunctionElement[str]):
    """The sex of the one member of a household's facts who is its head."""

    type = sa.String()
    inherit_cache = True


Home = aliased(Household)
KEYS: dict[str, Any] = {"region": Home.region, "area": Home.area, "sex": SexOfHead(Home.facts)}


@dataclass(frozen=True)
class Cases:
    """Rows of which each is one case, and the household that each is of (None where it is of nobody known)."""

    source: Any
    household: sa.ColumnElement[UUID | None] | Any
    where: tuple[Condition, ...] = ()

    def only(self, *conditions: Condition) -> Cases:
        """Those of them that meet these as well."""
        return replace(self, where=self.where + conditions)


@dataclass(frozen=True)
class Scope:
    """The days from `first` to `last`, both included, by the clock of Casablanca, counted on the day `today`."""

    session: Session
    first: date
    last: date
    today: date
    by: tuple[str, ...] = ()

    @property
    def start(self) -> datetime:
        """The first moment of the period."""
        return _midnight(self.first)

    @property
    def end(self) -> datetime:
        """The first moment after the period."""
        return _midnight(self.last + A_DAY)

    def before(self) -> Scope:
        """As many days that end where this period begins."""
        return replace(self, first=self.first - (self.last - self.first) - A_DAY, last=self.first - A_DAY)

    def within(self, moment: sa.ColumnElement[Any] | Any) -> Condition:
        """The moment lies in the period."""
        return sa.and_(moment >= self.start, moment < self.end)

    def passed(self, since: sa.ColumnElement[Any] | Any, days: int) -> Condition:
        """So many days after this day or moment have passed: whatever was to come in them has come or not."""
        latest = self.today - timedelta(days=days)
        condition: Condition = since < (latest if isinstance(since.type, sa.Date) else _midnight(latest))
        return condition

    def count(self, measure: str, cases: Cases) -> list[Line]:
        """How many there are."""
        return [Line(measure, group, Count(count)) for group, count in self._rows(cases, sa.func.count())]

    def share(self, measure: str, cases: Cases, hit: Condition) -> list[Line]:
        """How many of them meet `hit`."""
        return [Line(measure, group, Share(of, among)) for group, of, among in self._rows(
            cases, sa.func.count().filter(hit), sa.func.count())]

    def change(self, measure: str, cases: Cases, before: Condition, now: Condition) -> list[Line]:
        """How many there were, and how many there are."""
        columns = [sa.func.count().filter(condition) for condition in (before, now)]
        return [Line(measure, group, Change(then, there)) for group, then, there in self._rows(cases, *columns)]

    def delay(self, measure: str, cases: Cases, since: Any, until: Any) -> list[Line]:
        """How the days from `since` to `until`, two moments or two days, are distributed."""
        days = DaysBetween(since, until)
        found: dict[Group, dict[int, int]] = {}
        for group, took, count in self._rows(cases, days.label("days"), sa.func.count(), grouped=(days,)):
            found.setdefault(group, {})[took] = count
        found.setdefault((), {})
        return [Line(measure, group, Delay.over(counts)) for group, counts in found.items()]

    def per(self, measure: str, cases: Cases, *among: Cases) -> list[Line]:
        """How many cases there are to each of `among`, which are others: the cases are no part of them."""
        counts: dict[Group, list[int]] = defaultdict(lambda: [0, 0])
        for place, counted in ((0, cases), *((1, other) for other in among)):
            for group, count in self._rows(counted, sa.func.count()):
                counts[group][place] += count
        return [Line(measure, group, Share(*both)) for group, both in counts.items()]

    def each(self, cases: Cases, column: Any) -> list[str]:
        """The values that a column has in these cases."""
        return list(self.session.scalars(sa.select(column).select_from(cases.source).where(*cases.where)
                                         .distinct().order_by(column)))

    def _rows(self, cases: Cases, *columns: sa.ColumnElement[Any], grouped: tuple[sa.ColumnElement[Any], ...] = ()
              ) -> Iterator[tuple[Any, ...]]:
        """The whole, then each group: its name and the columns."""
        for by in ((), self.by) if self.by else ((),):
            source = cases.source
            if by:
                source = sa.outerjoin(source, Home, Home.id == cases.household)
            keys = [KEYS[name] for name in by]
            statement = sa.select(*keys, *columns).select_from(source).where(*cases.where).group_by(*keys, *grouped)
            for row in self.session.execute(statement.order_by(*keys, *grouped)):
                names = ("unknown" if value is None else str(value) for value in row[:len(by)])
                yield tuple(zip(by, names, strict=True)), *row[len(by):]


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), CASABLANCA)


@compiles(DaysBetween, "postgresql")
def _days_postgresql(element: DaysBetween, compiler: Any, **more: Any) -> str:
    since, until = element.clauses
    if isinstance(since.type, sa.Date):
        return f"({compiler.process(until, **more)} - {compiler.process(since, **more)})"
    seconds = [f"floor(extract(epoch FROM {compiler.process(one, **more)}))" for one in (until, since)]
    return f"(({seconds[0]} - {seconds[1]})::bigint / 86400)"


@compiles(DaysBetween, "sqlite")
def _days_sqlite(element: DaysBetween, compiler: Any, **more: Any) -> str:
    since, until = (f"CAST(strftime('%s', {compiler.process(one, **more)}) AS INTEGER)" for one in element.clauses)
    return f"(({until} - {since}) / 86400)"


@compiles(SexOfHead, "postgresql")
def _sex_postgresql(element: SexOfHead, compiler: Any, **more: Any) -> str:
    facts = compiler.process(element.clauses, **more)
    return f"(jsonb_path_query_first({facts}, '$.members[*] ? (@.relation == \"head\").sex') #>> '{{}}')"


@compiles(SexOfHead, "sqlite")
def _sex_sqlite(element: SexOfHead, compiler: Any, **more: Any) -> str:
    facts = compiler.process(element.clauses, **more)
    heads = f"json_each({facts}, '$.members') WHERE json_extract(value, '$.relation') = 'head'"
    return f"(SELECT json_extract(value, '$.sex') FROM {heads} LIMIT 1)"  # noqa: S608
