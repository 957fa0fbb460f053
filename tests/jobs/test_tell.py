"""Telling what a whole-registry run has left to be told: by the hundred, once, and only what still counts."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from gateway.outbox import Message
from gateway.registry import recalculation
from gateway.registry.programme import Programme
from gateway.registry.score import PendingEvent
from jobs.alarm import enqueue
from jobs.queues import worker
from jobs.tell import AT_ONCE, tell
from tests.conftest import a_row, register
from tests.registry.masses import a_formula
from tests.test_tellings import arrives
from tests.web.desk import rows

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def rescored(runtime, clock, name="rsu-2030", urban="9.9"):
    """A day later every index is another one."""
    clock.forward(days=1)
    return recalculation.run(runtime.database, runtime.vault, a_formula(name, urban=urban, rural="8.8"),
                             Programme.load_all(), by="clerk", now=clock())


def told(runtime) -> list[str]:
    """The scores that households were told, of those that a run has made."""
    made = {str(event.subject_id) for event in rows(runtime, PendingEvent)}
    return [message.subject for message in rows(runtime, Message) if message.subject in made]


def test_every_household_hears_once_that_its_index_changed(runtime, households, clock):
    households(runtime, 3)
    assert rescored(runtime, clock).events == 3
    assert tell(runtime) == 3
    assert tell(runtime) == 0
    assert sorted(told(runtime)) == sorted(str(event.subject_id) for event in rows(runtime, PendingEvent))
    assert {event.told_at for event in rows(runtime, PendingEvent)} == {clock()}


def test_a_score_that_was_replaced_before_it_was_told_is_told_to_nobody(runtime, households, clock):
    households(runtime, 2)
    rescored(runtime, clock)
    first = {str(event.subject_id) for event in rows(runtime, PendingEvent)}
    rescored(runtime, clock, "rsu-2031", "9.95")
    assert tell(runtime) == 2
    assert first.isdisjoint(told(runtime))
    assert len(told(runtime)) == 2
    assert all(event.told_at for event in rows(runtime, PendingEvent))


@one_kind
def test_one_ring_tells_all_there_are(runtime, households, clock):
    """More than one transaction takes: the same events lie there over and over, and only the last ones count."""
    households(runtime, 1)
    rescored(runtime, clock)
    [event] = rows(runtime, PendingEvent)
    with runtime.database.write() as session:
        session.execute(sa.insert(PendingEvent), [
            {"kind": event.kind, "household_id": event.household_id, "subject_id": event.household_id,
             "told_at": None} for _ in range(2 * AT_ONCE)])
    enqueue(runtime.redis, "tell", once=True)
    worker(runtime).work(burst=True, logging_level="CRITICAL")
    assert all(event.told_at for event in rows(runtime, PendingEvent))
    assert len(told(runtime)) == 1


@one_kind
def test_what_fails_is_told_by_the_next_ring(runtime, households, clock):
    """Nothing is marked as told that was not posted: the two are one transaction."""
    households(runtime, 2)
    rescored(runtime, clock)
    with runtime.database.write() as session:
        assert recalculation.take_untold(session, clock(), 10).taken == 2
        session.rollback()
    assert tell(runtime) == 2


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_two_who_tell_at_once_take_different_ones(runtime, households, clock):
    households(runtime, 4)
    rescored(runtime, clock)
    with runtime.database.write() as session, runtime.database.write() as other:
        one = recalculation.take_untold(session, clock(), 3)
        two = recalculation.take_untold(other, clock() + timedelta(seconds=1), 3)
    assert (one.taken, two.taken) == (3, 1)
    assert len({event.score_id for event in one.events + two.events}) == 4


@one_kind
def test_a_decision_that_the_notice_of_the_index_does_not_name_is_told_by_itself(runtime, clock):
    register(runtime, a_row())
    arrives(runtime, notice="index_assigned")
    clock.forward(days=1)
    done = recalculation.run(runtime.database, runtime.vault, a_formula(urban="6.0", rural="6.0"),
                             Programme.load_all(), by="clerk", now=clock())
    assert done.events == 2
    assert tell(runtime) == 2
    assert sorted(message.notice for message in rows(runtime, Message)) == [
        "decision_changed", "index_assigned", "index_changed"]
