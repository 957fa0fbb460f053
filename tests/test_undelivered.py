"""Undelivered: what follows a text that a provider took and that did not arrive."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from channels.base import Accepted, Receipt, Rejected
from gateway import outbox, unreached
from gateway.deadlines import strike
from gateway.outbox import Attempt, Claim, Message
from gateway.outbox.settling import RESENDS
from gateway.registry.household import Contact
from gateway.registry.score import Notification
from jobs.deliver import settle as settle_sends
from jobs.receipts import settle_receipts
from tests.conftest import a_row, register
from tests.test_tellings import messages
from tests.web.desk import homes, rows

FIRST, SECOND, THIRD, FOURTH = "+212612345678", "+212712345678", "+212661234567", "+212662345678"
one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def a_household(runtime, *phones: str, number: str = "2900000001") -> None:
    """With these mobiles, all of which agreed to texts; its index is to be told."""
    register(runtime, a_row(number, contacts=[{"phone": phone, "consent": True} for phone in phones]))


def claimed(runtime) -> Claim:
    """The text that waits, in a worker's hands."""
    waiting = [message.id for message in messages(runtime, medium="sms", state="created")]
    with runtime.database.write() as session:
        (held,) = outbox.claim(session, runtime.vault, waiting, "twilio", runtime.clock(), timedelta(minutes=1))
    return held


def name(held: Claim) -> str:
    return f"SM{held.id.hex}{held.fence}"


def sent(runtime) -> Claim:
    """The text that waits is accepted by the provider."""
    held = claimed(runtime)
    settle_sends(runtime, [(held, Accepted(name(held)))])
    return held


def reported(runtime, held: Claim, outcome: str = "failed", **kind: bool) -> None:
    with runtime.database.write() as session:
        outbox.receive(session, runtime.vault, Receipt(
            "twilio", name(held), outcome, outcome, held.msisdn, held.token, **kind), runtime.clock())
    settle_receipts(runtime)


def absent(runtime, held: Claim) -> None:
    reported(runtime, held, temporary=True)


def in_time(runtime, clock) -> None:
    """The hour of the next send has come."""
    (waiting,) = messages(runtime, medium="sms", state="created")
    clock.now = waiting.not_before


def told(runtime) -> list[tuple[str, str]]:
    """The medium and state of each message, in the order in which they were posted."""
    return [(message.medium, message.state) for message in messages(runtime)]


# Again, some hours later


def test_a_text_that_did_not_arrive_for_now_is_sent_again_some_hours_later(runtime, clock):
    a_household(runtime, FIRST)
    held = sent(runtime)
    absent(runtime, held)
    (message,) = messages(runtime)
    assert (message.state, message.resends, message.alarm_until) == ("created", 1, None)
    shortest, longest = RESENDS[0]
    assert shortest <= message.not_before - clock.now <= longest
    in_time(runtime, clock)
    assert sent(runtime).fence == held.fence + 1


def test_it_is_sent_again_twice_at_most_and_then_told_by_letter(runtime, clock):
    a_household(runtime, FIRST)
    for _ in RESENDS:
        absent(runtime, sent(runtime))
        in_time(runtime, clock)
    absent(runtime, sent(runtime))
    assert told(runtime) == [("sms", "failed"), ("letter", "created")]


def test_those_who_were_out_of_reach_together_are_not_all_met_at_the_same_moment(runtime):
    for number in range(5):
        a_household(runtime, FIRST, number=f"290000001{number}")
    waiting = [message.id for message in messages(runtime)]
    with runtime.database.write() as session:
        held = outbox.claim(session, runtime.vault, waiting, "twilio", runtime.clock(), timedelta(minutes=1))
    settle_sends(runtime, [(one, Accepted(name(one))) for one in held])
    for one in held:
        absent(runtime, one)
    assert len({message.not_before for message in messages(runtime)}) == 5


def test_a_failure_that_is_told_twice_makes_one_new_send(runtime):
    a_household(runtime, FIRST)
    held = sent(runtime)
    absent(runtime, held)
    before = messages(runtime)[0].not_before
    absent(runtime, held)
    assert [(one.resends, one.not_before) for one in messages(runtime)] == [(1, before)]


@pytest.mark.parametrize("outcome", ["sent", "failed"])
def test_what_else_is_said_of_a_send_that_did_not_arrive_stops_the_next_one_not(runtime, outcome):
    a_household(runtime, FIRST)
    held = sent(runtime)
    absent(runtime, held)
    reported(runtime, held, outcome)
    assert told(runtime) == [("sms", "created")]


def test_a_delivery_that_is_reported_after_all_stops_the_next_send(runtime):
    a_household(runtime, FIRST)
    held = sent(runtime)
    absent(runtime, held)
    reported(runtime, held, "delivered")
    assert told(runtime) == [("sms", "delivered")]
    assert len(rows(runtime, Notification)) == 1


def test_a_delivery_wins_over_a_failure_whichever_is_looked_at_first(runtime):
    a_household(runtime, FIRST)
    held = sent(runtime)
    with runtime.database.write() as session:
        for outcome in ("failed", "delivered", "sent"):
            outbox.receive(session, runtime.vault, Receipt("twilio", name(held), outcome, outcome, held.msisdn,
                                                           held.token, temporary=outcome == "failed"), runtime.clock())
    assert settle_receipts(runtime) == 1
    assert told(runtime) == [("sms", "delivered")]


def test_a_failure_that_overtakes_our_own_commit_makes_a_new_send_all_the_same(runtime, clock):
    a_household(runtime, FIRST)
    held = claimed(runtime)
    absent(runtime, held)
    settle_sends(runtime, [(held, Accepted(name(held)))])
    clock.forward(seconds=2)
    settle_receipts(runtime)
    assert [(one.state, one.resends) for one in messages(runtime)] == [("created", 1)]


@pytest.mark.parametrize("left", [timedelta(hours=12), timedelta(days=2)])
def test_what_could_fall_silent_until_its_day_is_not_sent_again(runtime, clock, left):
    a_household(runtime, FIRST)
    held = sent(runtime)
    with runtime.database.write() as session:
        session.execute(sa.update(Message).values(tell_by=clock.now + left))
    absent(runtime, held)
    assert told(runtime) == [("sms", "failed"), ("letter", "created")]


@one_kind
def test_an_answer_is_not_sent_again_hours_later(runtime, clock):
    with runtime.database.write() as session:
        runtime.teller.answer(session, "ok", "fr-MA", FIRST, "a call", clock())
    absent(runtime, sent(runtime))
    assert told(runtime) == [("sms", "failed")]


@one_kind
def test_the_send_that_did_not_arrive_is_kept_as_such(runtime):
    a_household(runtime, FIRST)
    absent(runtime, sent(runtime))
    assert [send.outcome for send in rows(runtime, Attempt)] == ["undelivered"]


# Another telephone, then a letter


def test_what_failed_for_good_goes_to_each_further_telephone_once_and_then_on_paper(runtime):
    a_household(runtime, FIRST, SECOND, THIRD, FOURTH)
    texted = []
    for _ in range(outbox.TELEPHONES):
        held = sent(runtime)
        texted.append(held.msisdn)
        for _ in range(2):
            reported(runtime, held, permanent=True)
    assert texted == [FIRST, SECOND, THIRD]
    assert told(runtime) == [("sms", "failed")] * 3 + [("letter", "created")]


def test_a_telephone_that_the_network_refuses_is_followed_by_the_next_at_once(runtime):
    a_household(runtime, FIRST, SECOND)
    settle_sends(runtime, [(claimed(runtime), Rejected("21211"))])
    assert claimed(runtime).msisdn == SECOND


def test_the_next_telephone_is_told_the_same_and_its_delivery_is_the_proof(runtime):
    a_household(runtime, FIRST, SECOND)
    first = sent(runtime)
    reported(runtime, first)
    reported(runtime, sent(runtime), "delivered")
    (proof,) = rows(runtime, Notification)
    assert str(proof.score_id) == messages(runtime)[0].subject
    assert told(runtime) == [("sms", "failed"), ("sms", "delivered")]


def test_a_late_delivery_at_the_first_telephone_takes_back_the_text_to_the_next(runtime):
    a_household(runtime, FIRST, SECOND)
    first = sent(runtime)
    reported(runtime, first)
    reported(runtime, first, "delivered")
    assert told(runtime) == [("sms", "delivered"), ("sms", "cancelled")]


def test_a_delivery_at_the_next_telephone_takes_back_nothing_that_has_ended(runtime):
    a_household(runtime, FIRST, SECOND)
    reported(runtime, sent(runtime))
    reported(runtime, sent(runtime))
    (letter,) = messages(runtime, medium="letter")
    second = messages(runtime, medium="sms")[1]
    with runtime.database.write() as session:
        session.execute(sa.update(Message).where(Message.id == second.id).values(state="sent"))
    held = Claim(second.id, second.fence, "twilio", runtime.clock(), 1, SECOND, "")
    reported(runtime, held, "delivered")
    assert [state for _, state in told(runtime)] == ["failed", "delivered", "cancelled"]
    assert letter.subject == messages(runtime)[0].subject


@one_kind
def test_the_next_telephone_is_not_tried_where_a_silent_text_would_leave_no_time(runtime, clock):
    a_household(runtime, FIRST, SECOND)
    held = sent(runtime)
    with runtime.database.write() as session:
        session.execute(sa.update(Message).values(tell_by=clock.now + timedelta(days=2)))
    reported(runtime, held)
    assert told(runtime) == [("sms", "failed"), ("letter", "created")]


@one_kind
def test_the_text_to_the_next_telephone_has_the_day_of_the_first(runtime, clock):
    a_household(runtime, FIRST, SECOND)
    held = sent(runtime)
    clock.forward(days=2)
    reported(runtime, held)
    first, second = messages(runtime)
    assert second.tell_by == first.tell_by


@one_kind
@pytest.mark.parametrize("without", [{"consent": False}, {"verified_at": None}, {"kind": "landline"}])
def test_a_telephone_that_may_not_be_texted_is_passed_over(runtime, without):
    a_household(runtime, FIRST, SECOND)
    with runtime.database.write() as session:
        session.execute(sa.update(Contact).where(Contact.position == 2).values(**without))
    reported(runtime, sent(runtime))
    assert told(runtime) == [("sms", "failed"), ("letter", "created")]


# Who wants no texts


def test_a_receipt_that_says_a_number_wants_no_texts_stops_them_and_what_it_told_goes_on_paper(runtime):
    a_household(runtime, FIRST)
    a_household(runtime, FIRST, number="2900000002")
    first = messages(runtime)[0]
    with runtime.database.write() as session:
        (held,) = outbox.claim(session, runtime.vault, [first.id], "twilio", runtime.clock(), timedelta(minutes=1))
    settle_sends(runtime, [(held, Accepted(name(held)))])
    reported(runtime, held, permanent=True, opted_out=True)
    assert all(contact.suspended_at for contact in rows(runtime, Contact))
    assert sorted(told(runtime)) == [("letter", "created")] * 2 + [("sms", "failed")] * 2
    assert {message.household_id for message in messages(runtime, medium="letter")} == {
        home.id for home in homes(runtime)}


def test_another_telephone_of_a_household_that_wants_no_texts_at_one_is_told_by_text(runtime):
    a_household(runtime, FIRST, SECOND)
    reported(runtime, sent(runtime), permanent=True, opted_out=True)
    assert claimed(runtime).msisdn == SECOND


# What is told at a further telephone is the same thing


def test_a_letter_that_came_back_needs_no_handing_over_once_a_further_telephone_was_told(runtime):
    a_household(runtime, FIRST, SECOND)
    reported(runtime, sent(runtime))
    reported(runtime, sent(runtime))
    (letter,) = messages(runtime, medium="letter")
    with runtime.database.write() as session:
        session.execute(sa.update(Message).where(Message.id == letter.id).values(state="returned"))
        unreached.keep(session, {letter.id: letter.household_id}, "moved", "a call", runtime.clock())
        assert unreached.count(session).total() == 1
        session.execute(sa.update(Message).where(Message.subject == f"{letter.subject}/1").values(state="delivered"))
        assert unreached.count(session).total() == 0


def test_a_call_to_the_centre_that_arrived_at_a_further_telephone_has_arrived(runtime, clock):
    a_household(runtime, FIRST, SECOND)
    (home,), (message,) = homes(runtime), messages(runtime)
    with runtime.database.write() as session:
        session.execute(sa.update(Message).values(state="failed", medium="letter"))
        unreached.keep(session, {message.id: home.id}, "moved", "a call", clock())
        outbox.post(session, runtime.vault, [
            outbox.Draft(home.id, unreached.CALLS, subject, "sms", "fr-MA", "100000009", to, "venez")
            for subject, to in (("a call", FIRST), ("a call/1", SECOND))], clock())
        session.execute(sa.update(Message).where(Message.subject == "a call").values(state="failed"))
        session.execute(sa.update(Message).where(Message.subject == "a call/1").values(state="delivered"))
        assert unreached.count(session)["arrived"] == 1


def test_what_was_told_at_a_further_telephone_makes_way_for_no_letter(runtime, clock):
    a_household(runtime, FIRST, SECOND)
    (text,) = messages(runtime)
    same = {column.name: getattr(text, column.name) for column in Message.__table__.columns if column.name != "id"}
    with runtime.database.write() as session:
        session.execute(sa.insert(Message).values(**same | {"subject": f"{text.subject}/1", "state": "delivered"}))
        session.execute(sa.insert(Message).values(**same | {"subject": f"{text.subject}/2"}))
    clock.forward(days=60)
    strike(runtime, "texts")
    assert sorted(told(runtime)) == [("sms", "created"), ("sms", "created"), ("sms", "delivered")]
