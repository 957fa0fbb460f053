"""Untold: a notice that cannot be made waits for its mending, and nobody else waits for it."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from gateway.outbox import Message, Settlement
from gateway.registry.events import IndexAssigned
from gateway.registry.household import Household
from gateway.registry.score import CurrentScore
from gateway.untold import Untold
from jobs.tell import tell
from tests.conftest import a_row


@pytest.fixture
def events(runtime):
    """Three households that are told by letter; the sealed address of the second was damaged."""
    with runtime.database.write() as session:
        stored = runtime.intake.store(session, [a_row(f"290000000{place}", None) for place in (1, 2, 3)],
                                      runtime.clock())
    return stored.events


def spoilt(runtime, event: IndexAssigned) -> bytes:
    with runtime.database.write() as session:
        home = session.get_one(Household, event.household_id)
        whole, home.address_sealed = home.address_sealed, home.address_sealed[:-1]
    return whole


def mended(runtime, event: IndexAssigned, whole: bytes) -> None:
    with runtime.database.write() as session:
        session.get_one(Household, event.household_id).address_sealed = whole


def told(runtime) -> set:
    with runtime.database.read() as session:
        return set(session.scalars(sa.select(Message.household_id)))


def waiting(runtime) -> list[Untold]:
    with runtime.database.read() as session:
        return list(session.scalars(sa.select(Untold)))


def test_what_cannot_be_told_hinders_nobody_and_is_told_once_it_is_mended(runtime, clock, events, caplog):
    whole = spoilt(runtime, events[1])
    with runtime.database.write() as session:
        assert runtime.teller.tell(session, events, clock()) == 2
    assert told(runtime) == {events[0].household_id, events[2].household_id}
    assert "index_assigned could not be told" in caplog.text
    clock.forward(minutes=59)
    mended(runtime, events[1], whole)
    tell(runtime)
    assert len(told(runtime)) == 2
    clock.forward(minutes=1)
    tell(runtime)
    assert len(told(runtime)) == 3
    assert waiting(runtime) == []


def test_what_still_fails_waits_another_hour_and_stands_once(runtime, clock, events):
    spoilt(runtime, events[1])
    for _ in range(3):
        with runtime.database.write() as session:
            runtime.teller.tell(session, events, clock())
        clock.forward(hours=1)
        tell(runtime)
    assert [(one.household_id, one.again_at) for one in waiting(runtime)] == [
        (events[1].household_id, clock() + timedelta(hours=1))]


def test_a_text_that_failed_and_whose_letter_cannot_be_made_becomes_one_later(runtime, clock):
    with runtime.database.write() as session:
        (event,) = runtime.intake.store(session, [a_row()], clock()).events
        runtime.teller.tell(session, [event], clock())
    whole = spoilt(runtime, event)
    with runtime.database.write() as session:
        text = session.scalars(sa.select(Message)).one()
        text.state = "failed"
        runtime.teller.heard(session, Settlement(text.id, text.household_id, text.notice, text.subject, "sms",
                                                 "failed", clock()), clock())
    mended(runtime, event, whole)
    clock.forward(hours=1)
    tell(runtime)
    with runtime.database.read() as session:
        assert sorted(session.scalars(sa.select(Message.medium))) == ["letter", "sms"]


def test_what_does_not_count_any_more_is_not_tried_again(runtime, clock, events):
    whole = spoilt(runtime, events[1])
    with runtime.database.write() as session:
        runtime.teller.tell(session, events, clock())
        session.execute(sa.delete(CurrentScore).where(CurrentScore.id == events[1].household_id))
    mended(runtime, events[1], whole)
    clock.forward(hours=1)
    tell(runtime)
    assert len(told(runtime)) == 2
    assert waiting(runtime) == []


def test_a_database_that_fails_is_not_taken_for_a_notice_that_does(runtime, clock, events):
    with runtime.database.write() as session:
        session.execute(sa.text("ALTER TABLE message RENAME TO gone"))
    with pytest.raises(sa.exc.DBAPIError), runtime.database.write() as session:
        runtime.teller.tell(session, events, clock())
    assert waiting(runtime) == []
