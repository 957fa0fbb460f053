"""Database: engine, transactions and column types. SQLAlchemy, and as little of ours as possible.

PostgreSQL in service, SQLite in WAL mode for one machine. A transaction is `write()` or `read()`; the
difference matters on SQLite, where a writer must say so at its first word or may be refused half-way.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any, cast
from uuid import UUID

import psycopg
import sqlalchemy as sa
from psycopg.types.array import ListBinaryDumper
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator, TypeEngine

# A host that does not answer is not waited for longer.
CONNECT_S = 5

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


# So many rows go one by one; more of them as columns.
FEW = 8


class Base(DeclarativeBase):
    """All tables, with constraint names that a migration can speak of."""

    metadata = sa.MetaData(naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    })


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, always with its zone. A naive datetime is refused: it has lost an hour in Ramadan before."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs a time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC)


class Exact(TypeDecorator[Decimal]):
    """A Decimal kept to its last digit: NUMERIC on PostgreSQL, text on SQLite, which only has floats."""

    impl = sa.String(64)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.Numeric())
        return dialect.type_descriptor(sa.String(64))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        return str(value) if value is not None and dialect.name != "postgresql" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value)


class Many(TypeDecorator[list[Any]]):
    """Many values as one parameter. An ARRAY by itself looks into each of them for a further dimension."""

    impl = postgresql.ARRAY
    cache_ok = True

    def __init__(self, item: TypeEngine[Any]) -> None:
        super().__init__(item)
        # By its name it stands in the key under which a statement is kept.
        self.item = item

    def bind_processor(self, dialect: Dialect) -> Any:
        item = cast("postgresql.ARRAY[Any]", self.impl_instance).item_type.dialect_impl(dialect)
        each = None if isinstance(item, sa.LargeBinary) else item.bind_processor(dialect)
        return each and (lambda values: [each(value) for value in values])


class Database:
    """An engine and its two kinds of transaction."""

    def __init__(self, url: str) -> None:
        self.engine = _open(url)
        self._reading = self.engine.execution_options(reads_only=True)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction that may write: committed at the end, rolled back by an exception."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def read(self, *, one_moment: bool = False) -> Iterator[Session]:
        """One transaction that only reads; on demand all of one moment, as SQLite does by itself."""
        with Session(self._reading, expire_on_commit=False) as session:
            if one_moment and self.engine.dialect.name == "postgresql":
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            yield session

    def close(self) -> None:
        """Give every connection back."""
        self.engine.dispose()


def away(error: Exception) -> bool:
    """Whether the database cannot be reached, is coming or going, or had two who waited for each other: try again.

    The classes of PostgreSQL's appendix A (error codes): 08, 40 and 57P.
    """
    if not isinstance(error, sa.exc.OperationalError) or not isinstance(error.orig, psycopg.Error):
        return False
    state = error.orig.sqlstate or ""
    return error.connection_invalidated or not state or state.startswith(("08", "40", "57P"))


def new_id() -> UUID:
    """A row's name: UUID version 7 with parts of a millisecond (RFC 9562, 6.2 method 3): rows lie as they were made."""
    stamp, rest = divmod(time.time_ns(), 1_000_000)
    return UUID(int=stamp << 80 | 7 << 76 | rest * 4096 // 1_000_000 << 64 | 2 << 62 | secrets.randbits(62))


def insert(session: Session, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows. With `None` written out they are alike, and go in one statement a page, not one a shape."""
    if rows:
        session.execute(sa.insert(model).execution_options(render_nulls=True), list(rows))


def among(session: Session, column: Any, values: Sequence[Any]) -> sa.ColumnElement[bool]:
    """Whether a column is one of many values: on PostgreSQL one parameter, and so one statement for any number."""
    if session.get_bind().dialect.name != "postgresql":
        return cast("sa.ColumnElement[bool]", column.in_(list(values)))
    return cast("sa.ColumnElement[bool]", column == sa.any_(_array(column, values)))


def update_each(session: Session, model: type[Base], keys: Sequence[str], rows: Sequence[Mapping[str, Any]],
                *where: sa.ColumnElement[bool], **same: Any) -> None:
    """Update many rows, each by its `keys` to its other values and all to the `same`, where they are as said.

    One statement on PostgreSQL, whatever their number; elsewhere one for each.
    """
    table = model.__table__.c
    if session.get_bind().dialect.name != "postgresql":
        named = {name: sa.bindparam(f"each_{name}", type_=table[name].type) for name in rows[0]}
        statement = sa.update(model).where(*(table[key] == named[key] for key in keys), *where).values(
            {name: bound for name, bound in named.items() if name not in keys} | same)
        # One by one: SQLAlchemy knows no list of values (`where`) in a statement that is handed many rows.
        for row in rows:
            session.connection().execute(statement, {f"each_{name}": value for name, value in row.items()})
        return
    each = sa.func.unnest(*(_array(table[name], [row[name] for row in rows]) for name in rows[0])).table_valued(
        *(sa.column(name, table[name].type) for name in rows[0]), name="each", joins_implicitly=True).render_derived()
    session.execute(sa.update(model).where(*(table[key] == each.c[key] for key in keys), *where).values(
        {name: each.c[name] for name in rows[0] if name not in keys} | same).execution_options(
            synchronize_session=False))


def _array(column: Any, values: Sequence[Any]) -> sa.ColumnElement[Any]:
    return sa.cast(sa.bindparam(None, list(values), Many(column.type)), postgresql.ARRAY(column.type))


def insert_new(session: Session, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> set[Any]:
    """Insert the rows whose unique keys are not there yet. Returns the ids of those that were."""
    if not rows:
        return set()
    if _go_as_columns(session, model, rows):
        spread = _insert_many(model, tuple(rows[0])).on_conflict_do_nothing().returning(model.__table__.c.id)
        return set(session.scalars(spread, _columns(rows)))
    return set(session.scalars(_insert_new(model, session.get_bind().dialect.name), list(rows)))


def insert_plainly(session: Session, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that are alike, past the unit of work and by a statement that was made once: for what comes often."""
    if _go_as_columns(session, model, rows):
        session.execute(_insert_many(model, tuple(rows[0])), _columns(rows))
    else:
        session.connection().execute(_insert_one(model), rows)


def _go_as_columns(session: Session, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> bool:
    """Not where a value may be a list itself: no test has seen those go as an array."""
    return (len(rows) > FEW and session.get_bind().dialect.name == "postgresql"
            and not any(isinstance(model.__table__.c[name].type, sa.JSON) for name in rows[0]))


def insert_missing(session: Session, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows whose keys are not there yet."""
    if rows:
        dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
        session.execute(dialect.insert(model).on_conflict_do_nothing().execution_options(render_nulls=True), list(rows))


@cache
def _insert_one(model: type[Base]) -> Any:
    return sa.insert(model.__table__)  # type: ignore[arg-type]


@cache
def _insert_many(model: type[Base], names: tuple[str, ...]) -> Any:
    """A parameter for each column, for ten rows or a thousand: to read a statement of many costs more than they do."""
    table: Any = model.__table__
    types = [table.c[name].type for name in names]
    each = sa.func.unnest(*(sa.cast(sa.bindparam(f"each_{name}", type_=Many(type_)), postgresql.ARRAY(type_))
                            for name, type_ in zip(names, types, strict=True))).table_valued(
        *(sa.column(name, table.c[name].type) for name in names), name="each").render_derived()
    return postgresql.insert(table).from_select(names, sa.select(*each.c), include_defaults=False)


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {f"each_{name}": [row[name] for row in rows] for name in rows[0]}


@cache
def _insert_new(model: type[Base], dialect_name: str) -> Any:
    """Made once for each table: making a statement costs more than the database's answer to it."""
    dialect = postgresql if dialect_name == "postgresql" else sqlite
    return dialect.insert(model).on_conflict_do_nothing().returning(model.__table__.c.id).execution_options(
        render_nulls=True)


def _open(url: str) -> sa.Engine:
    address = sa.make_url(url)
    if address.get_backend_name() == "postgresql":
        engine = sa.create_engine(address.set(drivername="postgresql+psycopg"), pool_size=20, max_overflow=20,
                                  pool_pre_ping=True, hide_parameters=True,
                                  connect_args={"connect_timeout": CONNECT_S})
        event.listen(engine, "connect", _prepare_postgresql)
        return engine
    engine = sa.create_engine(address, connect_args={"timeout": 30}, pool_size=20, max_overflow=20,
                              hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_postgresql(connection: Any, _record: Any) -> None:
    """Arrays go as they are: written out, each value costs ten times as much."""
    connection.adapters.register_dumper(list, ListBinaryDumper)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=30000"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    reads_only = connection.get_execution_options().get("reads_only", False)
    connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")
