"""The time is the database's: whatever becomes of a machine's own clock, all machines have the same."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from gateway.timekeeper import LOOK_EVERY_S, Timekeeper
from tests.channels.test_sandbox import until

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
A_SECOND = timedelta(seconds=1)


class Steady:
    """A monotonic clock that moves when it is told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def true_time(runtime) -> datetime:
    with runtime.database.engine.connect() as connection:
        return connection.scalar(sa.text("SELECT clock_timestamp()"))


@on_postgresql
@pytest.mark.parametrize("off", [timedelta(hours=1), timedelta(hours=-1), timedelta(days=-700)])
def test_a_machine_whose_clock_is_wrong_has_the_time_of_the_database_and_says_so(runtime, off, caplog):
    keeper = Timekeeper(runtime.database.engine, lambda: datetime.now(UTC) + off, Steady())
    assert abs(keeper() - true_time(runtime)) < A_SECOND
    assert "off the database's" in caplog.text


@on_postgresql
def test_a_clock_that_is_set_meanwhile_moves_nothing(runtime):
    offs, steady = [timedelta()], Steady()
    keeper = Timekeeper(runtime.database.engine, lambda: datetime.now(UTC) + offs[-1], steady)
    before = keeper()
    offs.append(timedelta(hours=5))
    steady.now += 10
    assert keeper() - before == timedelta(seconds=10)


@on_postgresql
def test_the_database_is_asked_once_a_minute(runtime):
    asked, steady = [], Steady()
    keeper = Timekeeper(runtime.database.engine, steady=steady)
    sa.event.listen(runtime.database.engine, "after_cursor_execute", lambda *_: asked.append(1))
    for _ in range(5):
        keeper()
    assert len(asked) == 1
    steady.now += LOOK_EVERY_S
    keeper()
    until(lambda: len(asked) == 2)


def test_without_a_database_the_time_goes_on(caplog):
    keeper = Timekeeper(sa.create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none"))
    assert abs(keeper() - datetime.now(UTC)) < A_SECOND
    assert "does not tell the time" in caplog.text


@on_sqlite
def test_on_one_machine_the_time_is_its_own(runtime):
    wall = datetime(2027, 2, 14, tzinfo=UTC)
    assert Timekeeper(runtime.database.engine, lambda: wall)() == wall
