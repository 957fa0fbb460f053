"""Bulk: rows by the hundred thousand, in and out of the database as columns of numpy.

PostgreSQL takes and gives them in its binary COPY format, whose every field is a length and that many bytes, highest
first; with fields of one width a whole column is laid down at once. Elsewhere they are ordinary rows.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

import numpy as np
import psycopg
import sqlalchemy as sa
from numpy.typing import NDArray
from psycopg import sql
from sqlalchemy.orm import Session

from gateway.db import Base
from gateway.registry.batch import UNITS, Whole, units

Bytes = NDArray[np.uint8]
Constant = str | bytes | bool | int | Decimal | UUID | date | datetime | list[Any] | None

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
# The version of its binary JSON.
JSONB = b"\1"
# Of PostgreSQL's clock, which counts microseconds, and of its days.
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
# NUMERIC is written in digits of four: one before the point, as many as there are decimals after it.
DIGIT = 10_000
NEGATIVE = 0x4000


class Column(Protocol):
    """A field of many rows."""

    def fields(self) -> Bytes | None:
        """As PostgreSQL's binary format has them: a row each, or one for all; None for NULL."""

    def values(self, count: int) -> Sequence[Any]:
        """As SQLAlchemy takes them."""


@dataclass(frozen=True)
class Ids:
    """Names of rows, sixteen bytes each."""

    raw: Bytes

    def fields(self) -> Bytes:
        return self.raw

    def values(self, count: int) -> list[UUID]:
        return uuids(self.raw)


@dataclass(frozen=True)
class Binary:
    """Bytes, all of one length."""

    raw: Bytes

    def fields(self) -> Bytes:
        return self.raw

    def values(self, count: int) -> list[bytes]:
        return [row.tobytes() for row in self.raw]


@dataclass(frozen=True)
class Numbers:
    """Exact numbers below ten thousand, in units of the last of so many decimals."""

    whole: Whole
    decimals: int = UNITS

    def fields(self) -> Bytes:
        size = np.abs(self.whole) * 10 ** (UNITS - self.decimals)
        row = np.empty((len(size), 4 + UNITS // 4 + 1), ">i2")
        row[:, 0], row[:, 1], row[:, 3] = UNITS // 4 + 1, 0, self.decimals
        row[:, 2] = np.where(self.whole < 0, NEGATIVE, 0)
        for place in range(UNITS // 4, -1, -1):
            size, row[:, 4 + place] = np.divmod(size, DIGIT)
        return row.view(np.uint8)

    def values(self, count: int) -> list[Decimal]:
        return [decimal(number, self.decimals) for number in self.whole.tolist()]


@dataclass(frozen=True)
class Same:
    """One value in every row. A list is JSON."""

    value: Constant

    def fields(self) -> Bytes | None:
        written = field_of(self.value)
        return None if written is None else np.frombuffer(written, np.uint8)[np.newaxis]

    def values(self, count: int) -> list[Any]:
        return [self.value] * count


def store(session: Session, into: sa.Table, count: int, columns: Mapping[str, Column]) -> None:
    """Insert `count` rows, whose every field is given: a default of the model is not looked at."""
    if not count:
        return
    if session.get_bind().dialect.name != "postgresql":
        rows = zip(*(column.values(count) for column in columns.values()), strict=True)
        session.execute(sa.insert(into), [dict(zip(columns, row, strict=True)) for row in rows])
        return
    copy(session, into, columns, _rows(count, columns).data.cast("B"))


def copy(session: Session, into: sa.Table, columns: Iterable[str], rows: bytes | memoryview) -> None:
    """Insert rows that are in PostgreSQL's binary format already: each its number of fields, and its fields."""
    target = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier(into.name), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with driver(session).cursor() as cursor, cursor.copy(target) as stream:
        stream.write(HEADER)
        stream.write(rows)
        stream.write(TRAILER)


def field_of(value: Constant, width: int = 4) -> bytes | None:
    """A value as PostgreSQL's binary format has it, without its length; None for NULL. An integer has a `width`."""
    if type(value) is int:
        return value.to_bytes(width, signed=True)
    return None if value is None else WRITTEN[type(value)](value)


WRITTEN: Mapping[type, Callable[[Any], bytes]] = {
    bool: lambda value: bytes([value]),
    bytes: bytes,
    str: str.encode,
    UUID: lambda value: value.bytes,
    list: lambda value: JSONB + json.dumps(value).encode(),
    Decimal: lambda value: Numbers(np.array([units(value)])).fields().tobytes(),
    datetime: lambda value: ((value - EPOCH) // timedelta(microseconds=1)).to_bytes(8, signed=True),
    date: lambda value: (value - EPOCH.date()).days.to_bytes(4, signed=True),
}


def fetch(session: Session, query: sql.SQL, given: Mapping[str, Any], fields: np.dtype[Any]) -> NDArray[Any]:
    """Records, of a query of PostgreSQL that has joined their bytes into one answer.

    A hundred thousand answers would each cost more than all that is computed with them.
    """
    with driver(session).cursor(binary=True) as cursor:
        [joined] = cursor.execute(query, given).fetchone() or [None]
    return np.frombuffer(joined or b"", fields)


def driver(session: Session) -> psycopg.Connection[Any]:
    """The connection of the session's own transaction."""
    driver = session.connection().connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise TypeError("only PostgreSQL has COPY")
    return driver


def table(model: type[Base]) -> sa.Table:
    """The table of a model."""
    if not isinstance(model.__table__, sa.Table):
        raise TypeError(f"{model.__name__} has no table of its own")
    return model.__table__


def new_ids(count: int) -> Bytes:
    """New names as `db.new_id` makes them, ascending: UUID version 7 with a counter (RFC 9562, 6.2 method 1)."""
    stamp, rest = divmod(time.time_ns(), 1_000_000)
    chance = np.frombuffer(os.urandom(8 * count), np.uint64) >> np.uint64(26)
    names = np.empty((count, 2), ">u8")
    names[:, 0] = stamp << 16 | 7 << 12 | rest * 4096 // 1_000_000
    names[:, 1] = 2 << 62 | np.arange(count, dtype=np.uint64) << np.uint64(38) | chance
    return names.view(np.uint8)


def uuids(raw: Bytes) -> list[UUID]:
    """Names of rows out of a column."""
    return [UUID(bytes=row.tobytes()) for row in raw]


def decimal(whole: int, decimals: int = UNITS) -> Decimal:
    """A whole number of units of the last decimal, as a number."""
    return Decimal((int(whole < 0), tuple(map(int, str(abs(whole)))), -decimals))


def _rows(count: int, columns: Mapping[str, Column]) -> Bytes:
    fields = [column.fields() for column in columns.values()]
    rows = np.empty((count, 2 + sum(4 + (0 if field is None else field.shape[1]) for field in fields)), np.uint8)
    rows[:, :2] = _big(len(fields), 2)
    at = 2
    for field in fields:
        width = 0 if field is None else field.shape[1]
        rows[:, at : at + 4] = _big(-1 if field is None else width, 4)
        if field is not None:
            rows[:, at + 4 : at + 4 + width] = field
        at += 4 + width
    return rows


def _big(number: int, width: int) -> Bytes:
    return np.frombuffer(number.to_bytes(width, signed=True), np.uint8)
