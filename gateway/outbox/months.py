"""Months: the large tables lie in a part for each month, on PostgreSQL; old ones are taken off without a lock.

A row's name begins with the time at which it was made (UUID version 7, RFC 9562, 5.7), so a month is a range of names
and a row is found by its name in one part alone. The parts stand in a schema of their own. Other databases have one
table, and this room has nothing to do there.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa

from gateway.db import Database

SCHEMA = "months"
# Each with the name that it is parted by: an attempt lies beside its message.
TABLES = {"message": "id", "attempt": "message_id", "receipt": "id", "part": "message_id"}
# A part must be there before the first row of its month. There is none for "all others": PostgreSQL takes a part off
# without a lock only where there is not.
AHEAD = 12
# What sends may wait for behind a lock that is asked for, and PostgreSQL's word for one that was not had in time.
LOCK_WITHIN_MS, LOCK_NOT_AVAILABLE = 200, "55P03"


class NotArchivable(Exception):
    """A month that cannot be taken off yet. The message says why and what to do."""


@dataclass(frozen=True)
class Part:
    """A month of a table, and about how many rows it has."""

    table: str
    first: date
    rows: int


def prepare(connection: sa.Connection, today: date, ahead: int = AHEAD, tables: Iterable[str] = TABLES) -> None:
    """Make the parts of this month and of so many more, where they are not there yet."""
    if connection.dialect.name != "postgresql":
        return
    connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    for table in tables:
        _prepare_one(connection, table, today, ahead)


def prepare_by_day(database: Database, today: date) -> list[str]:
    """The same while everything goes on. Returns the tables that were left as they are, for the next day.

    A new part needs a lock on its whole table. Where that is not had at once, it is given up: what is sent meanwhile
    would queue behind it, and there is a year of room. No transaction holds more than one of these locks.
    """
    if database.engine.dialect.name != "postgresql":
        return []
    left = []
    for table in TABLES:
        try:
            with database.engine.begin() as connection:
                connection.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_WITHIN_MS}ms'"))
                _prepare_one(connection, table, today, AHEAD)
        except sa.exc.OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
            left.append(table)
    return left


def parts(connection: sa.Connection) -> list[Part]:
    """Every part with its rows as the database last estimated them, the oldest first."""
    if connection.dialect.name != "postgresql":
        return []
    found = connection.execute(sa.text(
        "SELECT parent.relname, child.relname, greatest(child.reltuples, 0)::bigint FROM pg_inherits "
        "JOIN pg_class parent ON parent.oid = inhparent JOIN pg_class child ON child.oid = inhrelid "
        "JOIN pg_namespace ON pg_namespace.oid = child.relnamespace WHERE nspname = :schema "
        "AND child.relkind = 'r' AND NOT inhdetachpending"), {"schema": SCHEMA})
    return sorted((Part(table, date.fromisoformat(f"{name[-7:]}-01".replace("_", "-")), rows)
                   for table, name, rows in found), key=lambda part: (part.first, part.table))


def archive(database: Database, month: date, folder: Path) -> list[Path]:
    """Write a month of all tables to files, as it is sealed, and take it off. Returns the files.

    Each file is checked against the number of rows before its part is detached, concurrently, so that whoever sends
    meanwhile waits for nothing. Raises `NotArchivable` for a month that is not over, or of which something is still
    under way: a message, a letter that waits for its household, a receipt.
    """
    if database.engine.dialect.name != "postgresql":
        raise NotArchivable("only PostgreSQL keeps its messages by month")
    if month.replace(day=1) >= datetime.now(UTC).date().replace(day=1):
        raise NotArchivable(f"{month:%Y-%m} is not over")
    with database.engine.connect() as connection:
        here = {part.table for part in parts(connection) if part.first == month.replace(day=1)}
        unfinished = "; ".join(_unfinished(connection, month, here))
    if not here:
        raise NotArchivable(f"there is no part for {month:%Y-%m}; mouachir months shows those that there are")
    if unfinished:
        raise NotArchivable(unfinished)
    return [_take_off(database, table, f"{table}_{month:%Y_%m}", folder) for table in TABLES if table in here]


def _prepare_one(connection: sa.Connection, table: str, today: date, ahead: int) -> None:
    for first, after in _months(today, ahead + 1):
        connection.execute(sa.text(
            f"CREATE TABLE IF NOT EXISTS {SCHEMA}.{table}_{first:%Y_%m} PARTITION OF {table} "
            f"FOR VALUES FROM ('{first_name(first)}') TO ('{first_name(after)}')"))


def _unfinished(connection: sa.Connection, month: date, here: set[str]) -> Iterator[str]:
    """Why this month is still in use: what is sent, posted, handed over or looked at is found in its part."""
    counts = {
        "message": {
            "messages of {} are still on their way":
                "SELECT count(*) FROM {} WHERE state IN ('held', 'created', 'sending', 'unknown', 'sent', 'handed')",
            "letters of {} wait at a centre for their household":
                "SELECT count(*) FROM {} JOIN unreached USING (id) WHERE unreached.ended_at IS NULL",
        },
        "receipt": {"receipts of {} are still to be settled": "SELECT count(*) FROM {} WHERE look_at IS NOT NULL"},
    }
    for table in here & counts.keys():
        for why, query in counts[table].items():
            if number := connection.scalar(sa.text(query.format(f"{SCHEMA}.{table}_{month:%Y_%m}"))):
                yield f"{number} {why.format(f'{month:%Y-%m}')}"


def _take_off(database: Database, table: str, part: str, folder: Path) -> Path:
    file = folder / f"{part}.csv.gz"
    raw = database.engine.raw_connection()
    try:
        driver = raw.driver_connection
        driver.autocommit = True  # type: ignore[union-attr]
        with driver.cursor() as cursor:  # type: ignore[union-attr]
            with gzip.open(file, "wb") as out, cursor.copy(
                    f"COPY {SCHEMA}.{part} TO STDOUT (FORMAT CSV, HEADER)") as rows:
                for block in rows:
                    out.write(block)
            copied = cursor.rowcount
            cursor.execute(f"SELECT count(*) FROM {SCHEMA}.{part}")  # noqa: S608
            if cursor.fetchone() != (copied,):
                raise NotArchivable(f"{part} changed while it was written; run it again")
            cursor.execute(f"ALTER TABLE {table} DETACH PARTITION {SCHEMA}.{part} CONCURRENTLY")
            cursor.execute(f"DROP TABLE {SCHEMA}.{part}")
    finally:
        driver.autocommit = False  # type: ignore[union-attr]
        raw.close()
    return file


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
