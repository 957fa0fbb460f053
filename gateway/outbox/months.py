"""Months: the large tables lie in a part for each month, on PostgreSQL; old ones are taken off without a lock.

A row's name begins with the time at which it was made (UUID version 7, RFC 9562, 5.7), so a month is a range of names
and a row is found by its name in one part alone. The parts stand in a schema of their own. Other databases have one
table, and this room has nothing to do there.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from uuid import UUID

import sqlalchemy as sa

SCHEMA = "months"
# Each with the name that it is parted by: an attempt lies beside its message.
TABLES = ("message", "attempt", "receipt")
# A part must be there before the first row of its month; what none is there for goes into the table's last part.
AHEAD = 3
OTHER = "other"


def prepare(connection: sa.Connection, today: date, ahead: int = AHEAD) -> None:
    """Make the parts of this month and of the next, where they are not there yet."""
    if connection.dialect.name != "postgresql":
        return
    connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    for table in TABLES:
        connection.execute(sa.text(
            f"CREATE TABLE IF NOT EXISTS {SCHEMA}.{table}_{OTHER} PARTITION OF {table} DEFAULT"))
        for first, after in _months(today, ahead + 1):
            connection.execute(sa.text(
                f"CREATE TABLE IF NOT EXISTS {SCHEMA}.{table}_{first:%Y_%m} PARTITION OF {table} "
                f"FOR VALUES FROM ('{first_name(first)}') TO ('{first_name(after)}')"))


def first_name(day: date) -> UUID:
    """The lowest name that a row made on this day (UTC) or later can have."""
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def _months(today: date, count: int) -> Iterator[tuple[date, date]]:
    """The first days of so many months, each with that of the next."""
    first = today.replace(day=1)
    for _ in range(count):
        after = date(first.year + first.month // 12, first.month % 12 + 1, 1)
        yield first, after
        first = after
