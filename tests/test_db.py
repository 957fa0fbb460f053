"""Database: moments keep their zone, numbers their last digit, and both kinds of database the same promises."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import StatementError

import gateway.app  # noqa: F401  Every table is known once the whole house is.
from gateway.db import Base, Database, insert_new, new_id
from gateway.dialogue.access import Lock
from gateway.migrations import upgrade
from gateway.registry.complaint import Complaint
from gateway.registry.score import CurrentScore, ProgrammeDecision
from tests.conftest import NOON, a_row, register
from tests.web.desk import rows


@pytest.fixture
def database(database_url):
    opened = Database(database_url)
    yield opened
    opened.close()


def locks(database):
    with database.read() as session:
        return list(session.scalars(sa.select(Lock)))


def test_the_migrations_make_the_tables_that_the_code_has(database_url, database):
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_bringing_a_database_up_to_date_twice_changes_nothing(database_url, database):
    upgrade(database_url)
    assert locks(database) == []


def test_a_moment_comes_back_as_it_was_whatever_its_zone(database):
    there = datetime(2027, 2, 14, 2, 30, 0, 123456, tzinfo=timezone(timedelta(hours=5, minutes=45)))
    with database.write() as session:
        session.add(Lock(id=UUID(int=1), failures=0, locked_until=there))
    kept, = locks(database)
    assert kept.locked_until == there
    assert kept.locked_until.tzinfo is UTC


def test_a_moment_without_a_zone_is_refused(database):
    with pytest.raises(StatementError, match="a moment needs a time zone"), database.write() as session:
        session.add(Lock(id=UUID(int=1), failures=0, locked_until=datetime(2027, 2, 14)))  # noqa: DTZ001
    assert locks(database) == []


def test_a_number_keeps_its_last_digit(runtime):
    register(runtime, a_row())
    exact = Decimal("9.608707500000000000000001")
    with runtime.database.write() as session:
        session.execute(sa.update(CurrentScore).values(value=exact))
    assert [score.value for score in rows(runtime, CurrentScore)] == [exact]
    assert Decimal("9.3264284") in {decision.threshold for decision in rows(runtime, ProgrammeDecision)}


def test_what_an_exception_interrupts_was_never_written(database):
    def interrupted():
        with database.write() as session:
            session.add(Lock(id=UUID(int=1), failures=0))
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted()
    assert locks(database) == []


def test_whoever_only_reads_writes_nothing(database):
    with database.read() as session:
        session.add(Lock(id=UUID(int=1), failures=0))
        session.flush()
    assert locks(database) == []


def test_only_rows_whose_keys_are_new_are_inserted_and_named(database):
    first, second, third = UUID(int=1), UUID(int=2), UUID(int=3)
    with database.write() as session:
        assert insert_new(session, Lock, [{"id": first, "failures": 4}]) == {first}
    with database.write() as session:
        assert insert_new(session, Lock, [{"id": one, "failures": 0} for one in (first, second, third)]) == {
            second, third}
        assert insert_new(session, Lock, []) == set()
    assert {lock.id: lock.failures for lock in locks(database)} == {first: 4, second: 0, third: 0}


def test_any_unique_key_keeps_a_row_out_and_the_columns_have_their_defaults(database):
    a_complaint = {"household_id": None, "category": "other", "channel": "ussd", "msisdn_blind": b"x",
                   "received_at": NOON, "number": "300000012", "sensitive": False, "owner": "here",
                   "since": NOON, "first_action_by": NOON, "due_at": NOON}
    with database.write() as session:
        assert len(insert_new(session, Complaint, [{**a_complaint, "id": new_id(), "asked_by": "one"}])) == 1
        assert insert_new(session, Complaint, [{**a_complaint, "id": new_id(), "asked_by": "two"}]) == set()
        assert [kept.state for kept in session.scalars(sa.select(Complaint))] == ["received"]


def test_many_writers_at_once_all_get_their_turn(database):
    with database.write() as session:
        session.add(Lock(id=UUID(int=1), failures=0))

    def add_one():
        with database.write() as session:
            lock = session.scalars(sa.select(Lock).with_for_update()).one()
            lock.failures += 1

    threads = [threading.Thread(target=add_one) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [lock.failures for lock in locks(database)] == [10]


def test_names_of_rows_are_unique_and_those_made_later_sort_later():
    names = [new_id() for _ in range(2000)]
    assert len(set(names)) == 2000
    assert {name.version for name in names} == {7}
    assert {name.variant for name in names} == {"specified in RFC 4122"}
    stamps = [name.int >> 80 for name in names]
    assert stamps == sorted(stamps)


def test_an_error_of_the_database_does_not_quote_what_it_was_given(database):
    with pytest.raises(sa.exc.DBAPIError) as refused, database.write() as session:
        session.execute(sa.text("INSERT INTO nowhere VALUES (:secret)"), {"secret": "0612345678"})
    assert "0612345678" not in str(refused.value)
