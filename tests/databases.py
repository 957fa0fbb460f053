"""Databases: one PostgreSQL database for all tests of a process, made empty again behind each of them.

A new one for each takes ten times as long, and every connection to it reads its catalogue anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
import sqlalchemy as sa

from gateway.db import Database

TEMPLATE = "template_house"
HOUSE = "house"

# What a test may leave behind besides rows: its own tables, triggers or constraints, and parts taken off.
SHAPE = """
SELECT (SELECT md5(string_agg(oid::text || relname, ',' ORDER BY oid)) FROM pg_class
        WHERE relnamespace NOT IN ('pg_catalog'::regnamespace, 'pg_toast'::regnamespace))
    || (SELECT md5(string_agg(tgrelid::text || tgname || tgenabled::text, ',' ORDER BY oid)) FROM pg_trigger)
    || (SELECT md5(string_agg(oid::text, ',' ORDER BY oid)) FROM pg_constraint)
    || (SELECT md5(string_agg(oid::text || prosrc, ',' ORDER BY oid)) FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace)
    || (SELECT md5(string_agg(attrelid::text || attname || attnotnull::text, ',' ORDER BY attrelid, attnum))
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace = 'public'::regnamespace AND attnum > 0)
    || (SELECT count(*)::text FROM pg_inherits)
"""
TABLES = ("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
          " AND NOT relispartition ORDER BY oid")
# Whoever is still connected belongs to a test that is over.
LEAVE = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"


def named(url: str, database: str) -> str:
    """The address of another database on the same server."""
    address, _, options = url.partition("?")
    return f"{address.rpartition('/')[0]}/{database}?{options}".rstrip("?")


@contextmanager
def postgresql_house(server: str) -> Iterator[PostgresqlHouse]:
    """On a server that has a `TEMPLATE`."""
    house = PostgresqlHouse(server)
    try:
        yield house
    finally:
        house.close()


class PostgresqlHouse:
    """The database at `url`. `empty` makes it what the template is."""

    def __init__(self, server: str) -> None:
        self.url = named(server, HOUSE)
        self._server = server
        self._build()

    def empty(self) -> None:
        """All rows go but those that the template has; where more than rows was changed, a new database is made."""
        if not self._swept():
            self.close()
            self._build()

    def close(self) -> None:
        self._broom.close()

    def _swept(self) -> bool:
        try:
            self._broom.execute(LEAVE, [HOUSE])
            if self._broom.execute(SHAPE).fetchone() != self._shape:
                return False
            self._broom.execute(self._sweep)
        except psycopg.OperationalError:
            return False
        return True

    def _build(self) -> None:
        with psycopg.connect(self._server, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {HOUSE} WITH (FORCE)")
            admin.execute(f"CREATE DATABASE {HOUSE} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
        self._broom = psycopg.connect(self.url, autocommit=True)
        # What the database guards from everybody, and what refers to what, is no matter here.
        self._broom.execute("SET session_replication_role = replica")
        tables = [name for (name,) in self._broom.execute(TABLES)]
        first = [name for name in tables if self._broom.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchone()]
        self._broom.execute("CREATE SCHEMA first")
        for name in first:
            self._broom.execute(f"CREATE TABLE first.{name} AS TABLE {name}")
        self._sweep = "; ".join([f"DELETE FROM {name}" for name in tables]
                                + [f"INSERT INTO {name} TABLE first.{name}" for name in first])
        self._shape = self._broom.execute(SHAPE).fetchone()


_first: dict[str, Database] = {}


def as_compiled_before(database: Database) -> None:
    """Let it use the statements that were compiled for the first database of its kind, as a process in service does.

    They are kept for an engine and its dialect, and a test has an engine of its own.
    """
    first = _first.get(database.engine.dialect.name)
    if first is None:
        # The server's version and the like are asked for by the first connection.
        with suppress(sa.exc.OperationalError):
            database.engine.connect().close()
            _first[database.engine.dialect.name] = database
        return
    for engine, other in ((database.engine, first.engine), (database._reading, first._reading)):
        engine.dialect, engine._compiled_cache = other.dialect, other._compiled_cache
