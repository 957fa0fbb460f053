"""Notices: who is told by what, when, and how it is proved."""

import shutil
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa

from gateway.outbox import DECISION, Message, Settlement
from gateway.registry import review
from gateway.registry.clock import start_of
from gateway.registry.events import IndexAssigned
from gateway.registry.household import Household
from gateway.registry.review import last_day
from gateway.registry.score import Notification
from gateway.settings import QuietHours
from tests.conftest import NOON, a_row, register

NIGHT = QuietHours(20, 9)


@pytest.fixture
def database_url(tmp_path, sqlite_template):
    """What is proved here is ours and not the database's: one will do."""
    shutil.copy(sqlite_template, tmp_path / "house.db")
    return f"sqlite:///{tmp_path / 'house.db'}"


def messages(runtime, **like) -> list[Message]:
    with runtime.database.read() as session:
        found = session.scalars(sa.select(Message).filter_by(**like).order_by(Message.created_at, Message.id))
        return list(found)


def one(runtime, medium: str) -> Message:
    (message,) = messages(runtime, medium=medium)
    return message


def proofs(runtime) -> list[Notification]:
    with runtime.database.read() as session:
        return list(session.scalars(sa.select(Notification)))


def ends(runtime, message: Message, state: str) -> None:
    """The message comes to its end, and the notices hear of it."""
    with runtime.database.write() as session:
        session.execute(sa.update(Message).where(Message.id == message.id).values(state=state))
        runtime.teller.heard(session, Settlement(message.id, message.household_id, message.notice, message.subject,
                                                 message.medium, state, runtime.clock()), runtime.clock())


# By text or by letter


@pytest.mark.parametrize(("row", "medium"), [
    ({"phone": "0612345678"}, "sms"),
    ({"phone": None}, "letter"),
    ({"phone": "0537123456"}, "letter"),
    ({"phone": "0612345678", "consent": False}, "letter"),
])
def test_a_mobile_telephone_that_agreed_gets_a_text_and_anybody_else_a_letter(runtime, row, medium):
    register(runtime, a_row(**row))
    assert [message.medium for message in messages(runtime)] == [medium]


def test_a_household_is_told_one_index_once(runtime):
    register(runtime, a_row(), a_row("2900000002", None))
    for message in messages(runtime):
        with runtime.database.write() as session:
            event = IndexAssigned(message.household_id, UUID(message.subject))
            assert runtime.teller.tell(session, [event], runtime.clock()) == 0
    assert len(messages(runtime)) == 2


def test_a_text_that_failed_becomes_one_letter(runtime):
    register(runtime, a_row())
    for _ in range(2):
        ends(runtime, one(runtime, "sms"), "failed")
    letter, text = one(runtime, "letter"), one(runtime, "sms")
    assert (letter.household_id, letter.subject, letter.state) == (text.household_id, text.subject, "created")
    assert letter.reference != text.reference


def test_a_letter_that_failed_becomes_nothing(runtime):
    register(runtime, a_row(phone=None))
    ends(runtime, one(runtime, "letter"), "failed")
    assert len(messages(runtime)) == 1


def test_a_delivery_is_proved_once_with_its_receipt(runtime, clock):
    register(runtime, a_row())
    text = one(runtime, "sms")
    for _ in range(2):
        ends(runtime, text, "delivered")
        clock.forward(days=1)
    (proof,) = proofs(runtime)
    assert (proof.medium, proof.proof, proof.message_id, proof.notified_on) == (
        "sms", "receipt", text.id, date(2026, 11, 23))


def test_the_day_of_notification_is_that_of_casablanca(runtime, clock):
    register(runtime, a_row())
    clock.now = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)
    ends(runtime, one(runtime, "sms"), "delivered")
    assert proofs(runtime)[0].notified_on == date(2026, 11, 24)


def test_a_late_delivery_takes_back_the_letter_that_nobody_has_printed(runtime):
    register(runtime, a_row())
    ends(runtime, one(runtime, "sms"), "failed")
    ends(runtime, one(runtime, "sms"), "delivered")
    assert one(runtime, "letter").state == "cancelled"
    assert len(proofs(runtime)) == 1


@pytest.mark.parametrize("state", ["sending", "sent", "delivered"])
def test_a_late_delivery_does_not_touch_a_letter_that_is_on_paper(runtime, state):
    register(runtime, a_row())
    ends(runtime, one(runtime, "sms"), "failed")
    with runtime.database.write() as session:
        session.execute(sa.update(Message).where(Message.medium == "letter").values(state=state))
    ends(runtime, one(runtime, "sms"), "delivered")
    assert one(runtime, "letter").state == state


def test_the_first_proof_counts(runtime, clock):
    register(runtime, a_row())
    ends(runtime, one(runtime, "sms"), "failed")
    ends(runtime, one(runtime, "letter"), "delivered")
    clock.forward(days=3)
    ends(runtime, one(runtime, "sms"), "delivered")
    assert [(proof.medium, proof.notified_on) for proof in proofs(runtime)] == [("letter", date(2026, 11, 23))]


def test_sixty_days_run_from_the_proof(runtime, clock):
    register(runtime, a_row())
    clock.forward(days=10)
    ends(runtime, one(runtime, "sms"), "delivered")
    for days, state in ((60, "open"), (61, "late")):
        with runtime.database.read() as session:
            seen = review.window(session, one(runtime, "sms").household_id,
                                 NOON + timedelta(days=10 + days))
        assert (seen.state, seen.last_day) == (state, date(2026, 12, 3) + timedelta(days=60))


def test_who_stops_texts_is_told_by_letter_what_was_still_waiting(runtime, clock):
    clock.now = datetime(2026, 11, 23, 21, 0, tzinfo=UTC)
    register(runtime, a_row())
    with runtime.database.write() as session:
        runtime.teller.stop(session, "+212612345678", clock())
    assert (one(runtime, "sms").state, one(runtime, "letter").state) == ("failed", "created")


def test_a_second_pin_is_not_sent_while_one_is_on_its_way(runtime, clock):
    register(runtime, a_row())
    sent = []
    for days in (0, 1, 30):
        clock.forward(days=days)
        with runtime.database.write() as session:
            sent.append(runtime.teller.send_pin(session, session.scalars(sa.select(Household)).one(), clock()))
        if days:
            with runtime.database.write() as session:
                session.execute(sa.update(Message).where(Message.medium == "letter").values(state="delivered"))
    assert sent == [True, False, True]


# What is in the post


def test_a_letter_is_announced_to_who_has_a_telephone_by_its_own_code_and_once(runtime):
    register(runtime, a_row(), a_row("2900000002", None))
    with runtime.database.write() as session:
        for home in session.scalars(sa.select(Household)):
            assert runtime.teller.send_pin(session, home, runtime.clock())
    pins = messages(runtime, notice="pin")
    for _ in range(2):
        for pin in pins:
            ends(runtime, pin, "delivered")
    (announced,) = messages(runtime, notice="letter_posted")
    (letter,) = [pin for pin in pins if pin.household_id == announced.household_id]
    text = runtime.vault.open(announced.body_sealed, "message.body", announced.id)
    assert announced.reference == letter.reference
    assert text.endswith(f"الرمز {letter.reference}")


def test_a_letter_in_the_place_of_a_text_that_failed_is_not_announced_where_that_failed(runtime):
    register(runtime, a_row())
    ends(runtime, one(runtime, "sms"), "failed")
    ends(runtime, one(runtime, "letter"), "delivered")
    assert messages(runtime, notice="letter_posted") == []


def test_a_letter_that_came_back_is_not_announced_any_more(runtime):
    register(runtime, a_row())
    with runtime.database.write() as session:
        assert runtime.teller.send_pin(session, session.scalars(sa.select(Household)).one(), runtime.clock())
    (pin,) = messages(runtime, notice="pin")
    ends(runtime, pin, "delivered")
    with runtime.database.write() as session:
        runtime.teller.came_back(session, session.get_one(Message, pin.id), "moved", by="post", now=runtime.clock())
    assert [text.state for text in messages(runtime, notice="letter_posted")] == ["cancelled"]
    assert [text.state for text in messages(runtime, notice="letter_returned")] == ["created"]


# At what hour


def test_a_notice_of_the_evening_counts_the_days_of_a_review_from_the_morning(runtime, clock):
    clock.now = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)
    register(runtime, a_row())
    message = one(runtime, "sms")
    body = runtime.vault.open(message.body_sealed, "message.body", message.id)
    assert f"{last_day(date(2026, 11, 24)):%d/%m/%Y}" in body


def test_the_first_index_has_its_day_by_law_and_an_answer_none(runtime, clock):
    register(runtime, a_row(registered_on=date(2026, 11, 20)))
    assert (one(runtime, "sms").lane, one(runtime, "sms").tell_by) == (DECISION, start_of(date(2026, 12, 1)))
