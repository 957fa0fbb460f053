"""Proof: from which day the sixty days of a household run, and when they do not."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
import sqlalchemy as sa

from gateway.db import new_id
from gateway.deadlines import strike
from gateway.judging import judge_again
from gateway.outbox import Message
from gateway.registry import (
    data_round,
    declaration,
    number_change,
    promise,
    registration,
    review_clock,
    review_desk,
    score,
    update,
)
from gateway.registry import review as reviews
from gateway.registry.data_round import DataRound
from gateway.registry.events import ReviewWindowCloses
from gateway.registry.evidence import effective
from gateway.registry.household import Household
from gateway.registry.registration import Registration
from gateway.registry.score import CurrentScore, IndexScore, Notification, Snapshot
from gateway.registry.steps import NotAllowed
from gateway.registry.update import DataUpdate
from jobs.sweep import sweep
from tests.conftest import NOON, a_row, register
from tests.registry.asking import an_answer, answer
from tests.test_tellings import arrives, brings_back, does, messages
from tests.web.desk import homes, rows

OLD, NEW = "+212612345678", "+212712345678"
for_real = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def house(runtime):
    """A household that was told its index by text, at noon."""
    register(runtime, a_row())
    arrives(runtime, notice="index_assigned")
    return runtime


def here(runtime) -> Household:
    return homes(runtime)[0]


def standing(runtime) -> tuple[str, object]:
    (row,) = rows(runtime, Registration)
    return row.state, row.notified_on


def corrected(runtime, cars: int | None, reference: str) -> None:
    """The road safety agency answers: so many cars, or as declared."""
    on = runtime.clock().date()
    answer(runtime, an_answer("equipment.cars", cars, on=on, reference=reference))


def asks_for_a_number(runtime) -> None:
    does(runtime, number_change.ask_number, here(runtime).id, NEW, channel="ussd", asked_by="a call", by="household")


# A letter that came back


@one_kind
def test_a_letter_that_comes_back_late_does_not_undo_what_was_told_since(runtime, clock):
    register(runtime, a_row(phone=None))
    arrives(runtime, notice="index_assigned")
    (letter,) = messages(runtime, medium="letter")
    clock.forward(days=3)
    does(runtime, number_change.ask_number, here(runtime).id, NEW, channel="centre", asked_by="a clerk", by="Salma")
    corrected(runtime, 1, "2")
    arrives(runtime, notice="index_changed", medium="sms")
    clock.forward(days=10)
    assert brings_back(runtime, letter.reference)
    assert standing(runtime)[0] == "notified"
    assert [one.medium for one in rows(runtime, Notification)] == ["sms"]
    with runtime.database.read() as session:
        assert promise.late(session, clock()) == []


@one_kind
def test_a_text_that_arrived_after_all_proves_what_the_returned_letter_did(runtime, clock):
    register(runtime, a_row())
    arrives(runtime, "failed", medium="sms")
    clock.forward(days=1)
    arrives(runtime, medium="letter")
    clock.forward(days=1)
    arrives(runtime, medium="sms")
    (letter,) = messages(runtime, medium="letter")
    clock.forward(days=9)
    assert brings_back(runtime, letter.reference)
    assert [one.medium for one in rows(runtime, Notification)] == ["sms"]
    assert standing(runtime)[0] == "notified"


@one_kind
def test_of_two_letters_with_one_number_the_run_says_which_came_back(runtime):
    register(runtime, a_row("2900000001", None), a_row("2900000002", None))
    letters = messages(runtime)
    with runtime.database.write() as session:
        for run, letter in zip(("first", "second"), letters, strict=True):
            session.execute(sa.update(Message).where(Message.id == letter.id).values(reference="123456789", run=run))
    arrives(runtime, medium="letter")
    with pytest.raises(NotAllowed, match="first, second"):
        brings_back(runtime, "123456789")
    assert brings_back(runtime, "123456789", run="second")
    assert [one.household_id for one in rows(runtime, Notification)] == [letters[0].household_id]


# A text that went to a stranger


@one_kind
def test_what_a_stranger_was_told_the_household_is_told_by_letter_and_its_days_begin_anew(house, clock):
    clock.forward(hours=1)
    with house.database.write() as session:
        events = number_change.not_mine(session, house.vault, OLD, channel="sms", asked_by="a text", by="household",
                                        now=clock())
        house.teller.disowned(session, OLD, events, clock())
    assert rows(house, Notification) == []
    assert standing(house) == ("scored", None)
    with house.database.read() as session:
        assert reviews.window(session, here(house).id, NOON + timedelta(days=61)).state == "open"
    clock.forward(days=5)
    arrives(house, medium="letter", notice="index_assigned")
    assert standing(house) == ("notified", clock().date())
    (letter,) = messages(house, medium="letter", notice="index_assigned")
    assert brings_back(house, letter.reference)
    assert rows(house, Notification) == [], "what the stranger read proves nothing, whatever becomes of the letter"


# An index that went and came back


@one_kind
def test_an_index_that_went_and_came_back_before_anybody_heard_keeps_its_sixty_days_and_its_reminder(house):
    corrected(house, 1, "2")
    corrected(house, None, "3")
    assert [message.state for message in messages(house, notice="index_changed")] == ["cancelled"]
    with house.database.write() as session:
        due = review_clock.due(session, house.vault, NOON + timedelta(days=54))
        assert [type(event) for event in due] == [ReviewWindowCloses]
        assert reviews.window(session, here(house).id, NOON + timedelta(days=60)).state == "open"
        assert reviews.window(session, here(house).id, NOON + timedelta(days=61)).state == "late"


@one_kind
def test_it_has_them_as_well_when_the_proof_comes_later(runtime):
    register(runtime, a_row())
    with runtime.database.write() as session:
        session.execute(sa.update(Message).values(state="sent"))
    corrected(runtime, 1, "2")
    corrected(runtime, None, "3")
    arrives(runtime, notice="index_assigned")
    with runtime.database.write() as session:
        current = score.latest(session, here(runtime).id)
        assert score.notified(session, current.id).notified_on == NOON.date()
    assert standing(runtime)[0] == "notified"


# A new telephone number


@one_kind
@pytest.mark.parametrize("state", ["created", "sent", "untold"])
def test_a_new_number_does_not_count_before_the_old_one_was_warned(house, clock, state):
    if state == "untold":
        with house.database.write() as session:
            session.execute(sa.update(Household).values(locale="xx-XX"))
    asks_for_a_number(house)
    if state == "sent":
        with house.database.write() as session:
            session.execute(sa.update(Message).where(Message.notice == "number_change_asked").values(
                state="sent", changed_at=clock() + timedelta(seconds=5)))
    clock.forward(hours=73)
    sweep(house)
    strike(house, "numbers")
    assert [one.state for one in rows(house, DataUpdate)] == ["waiting"]


@one_kind
def test_it_counts_three_days_after_the_warning_arrived_however_late(house, clock):
    asks_for_a_number(house)
    clock.forward(hours=50)
    arrives(house, notice="number_change_asked")
    clock.forward(hours=71)
    strike(house, "numbers")
    assert [one.state for one in rows(house, DataUpdate)] == ["waiting"]
    clock.forward(hours=1)
    strike(house, "numbers")
    assert [one.state for one in rows(house, DataUpdate)] == ["applied"]


@one_kind
def test_data_that_are_right_move_no_index_while_a_new_number_waits_or_the_household_is_verified(house, clock):
    def says_right() -> list:
        with house.database.write() as session:
            session.execute(sa.delete(DataRound))
            session.add(DataRound(id=new_id(), household_id=here(house).id, asked_on=NOON.date()))
            session.flush()
            return data_round.answer(session, house.vault, house.scorer, here(house).id, "right", channel="ussd",
                                     asked_by="a call", by="household", now=clock())

    (row,) = rows(house, Registration)
    with house.database.write() as session:
        registration.strike_off(session, house.vault, row.id, reason="fraud_confirmed", why="x", by="A", now=NOON)
        registration.reinstate(session, house.vault, row.id, why="x", by="A", now=NOON)
    assert says_right() == []
    judge_again(house, "A", lambda _: None)
    assert len(rows(house, IndexScore)) == 1
    with house.database.write() as session:
        session.execute(sa.update(Registration).values(state="notified"))
    asks_for_a_number(house)
    assert says_right() == []
    assert len(rows(house, IndexScore)) == 1


# Two at once


@for_real
@pytest.mark.parametrize("rival", ["round", "judging"])
def test_nobody_scores_what_was_declared_before_another_declared_it_anew(house, clock, rival):
    home = here(house).id
    with house.database.write() as session:
        session.add(DataRound(id=new_id(), household_id=home, asked_on=NOON.date()))
        filed = update.file(session, house.vault, home, "equipment", channel="centre", asked_by="a", by="A", now=NOON)

    def rivals() -> None:
        if rival == "judging":
            judge_again(house, "A", lambda _: None)
            return
        with house.database.write() as session:
            data_round.answer(session, house.vault, house.scorer, home, "right", channel="ussd", asked_by="a call",
                              by="household", now=clock())

    with house.database.write() as session:
        declaration.apply(session, house.vault, house.scorer, filed.update_id, {"equipment.cars": 1}, by="A", now=NOON)
        session.flush()
        other = threading.Thread(target=rivals)
        other.start()
        time.sleep(0.5)
    other.join()
    (current,) = rows(house, CurrentScore)
    with house.database.read() as session:
        assert session.get_one(Snapshot, current.snapshot_id).facts["equipment"]["cars"] == 1


# Whose word counts


@one_kind
def test_what_one_clerk_changed_at_the_households_word_gives_way_to_what_a_body_says_later(house, clock):
    corrected(house, 1, "2")
    arrives(house, notice="index_changed")
    asked = does(house, reviews.ask, here(house).id, channel="centre", asked_by="a clerk",
                 answer_within=timedelta(days=30))
    does(house, review_desk.assign, asked.review_id, "Salma", by="Salma")
    does(house, review_desk.enter_correction, asked.review_id, "equipment.cars", 0, why="sold", by="Salma")
    does(house, review_desk.accept, house.scorer, asked.review_id, by="Driss")

    def counts() -> tuple[int, str]:
        with house.database.read() as session:
            found = effective(session, [session.get_one(Household, here(house).id)])[here(house).id]
        return found.facts["equipment"]["cars"], found.sources["equipment.cars"]["by"]

    clock.forward(days=3)
    corrected(house, 2, "8")
    assert counts() == (0, "operator")
    clock.forward(days=200)
    filed = does(house, update.file, here(house).id, "equipment", channel="centre", asked_by="b", by="Salma")
    does(house, declaration.apply, house.scorer, filed.update_id, {"equipment.cars": 1}, by="Salma")
    assert counts() == (1, "operator")
    clock.forward(days=3)
    corrected(house, 2, "9")
    assert counts() == (2, "road_safety")

